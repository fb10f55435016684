"""Which shell containers have as `/bin/sh`."""

from __future__ import annotations

import pytest

from netlab.workload.shells import settings, shell_links


@pytest.mark.parametrize(
    ("image", "shell"),
    [
        ("busybox:1.36", "busybox"),
        ("docker.io/library/alpine:3.20", "busybox"),
        ("registry.k8s.io/e2e-test-images/busybox:1.29-4", "busybox"),
        ("registry.k8s.io/e2e-test-images/agnhost:2.53", "busybox"),
        ("nginx:1.27-alpine", "busybox"),
        ("registry.k8s.io/e2e-test-images/httpd:2.4.38-4", "busybox"),
        ("gcr.io/kubernetes-e2e-test-images/nautilus:1.0", "busybox"),
        ("registry.k8s.io/e2e-test-images/jessie-dnsutils:1.7", None),
        ("httpd:2.4", None),
        ("fedora:40", "bash"),
        ("nginx:1.27", None),
        ("ubuntu", None),
    ],
)
def test_an_image_has_the_shell_of_what_it_was_made_of(image: str, shell: str | None) -> None:
    links = shell_links({"name": "c", "image": image}, lambda program: f"/usr/bin/{program}")
    assert links.get("/bin/sh") == (shell and f"/usr/bin/{shell}")
    assert ("/bin/ash" in links) is (shell == "busybox")


def test_bash_stands_in_where_there_is_no_busybox_and_nothing_where_there_is_neither() -> None:
    has_bash = {"bash": "/bin/bash"}.get
    assert shell_links({"name": "c", "image": "alpine"}, has_bash)["/bin/sh"] == "/bin/bash"
    assert shell_links({"name": "c", "image": "alpine"}, lambda _: None) == {}


def test_wget_tries_once_where_it_is_busybox_s() -> None:
    assert "tries = 1\n" in settings({"name": "c", "image": "busybox:1.36"})["/etc/wgetrc"]
    assert settings({"name": "c", "image": "ubuntu"}) == {}

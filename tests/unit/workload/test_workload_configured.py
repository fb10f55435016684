"""What becomes of a built-in server whose configuration is mounted."""

from __future__ import annotations

import pytest

from netlab.workload.behaviour import behaviour


def container(image, *places, **more):
    mounts = [{"name": f"v{number}", "mountPath": place} for number, place in enumerate(places)]
    return {"name": "c", "image": image, "volumeMounts": mounts, **more}


@pytest.mark.parametrize(
    ("image", "places", "program"),
    [
        ("nginx:1.27", ("/etc/nginx/conf.d",), "nginx"),
        ("nginx", ("/etc/nginx/nginx.conf",), "nginx"),
        ("docker.io/library/nginx", ("/usr/share/nginx/html", "/etc/nginx/"), "nginx"),
        ("httpd:2.4", ("/usr/local/apache2/conf/httpd.conf",), "httpd"),
    ],
)
def test_the_real_program_runs_where_the_machine_has_it(image, places, program):
    found = behaviour(container(image, *places), is_installed=lambda _: True)
    assert found.kind == "process"
    assert found.argv[:2] == ("sh", "-c")
    assert found.argv[3] == program


@pytest.mark.parametrize(
    ("image", "place", "said"),
    [
        ("nginx", "/etc/nginx/conf.d", "has no nginx; scripts/setup --with nginx installs it"),
        ("httpd", "/usr/local/apache2/conf", "has no apache2"),
        ("haproxy", "/usr/local/etc/haproxy", "does not read /usr/local/etc/haproxy"),
    ],
)
def test_what_is_built_in_says_that_it_reads_none(image, place, said):
    found = behaviour(
        container(image, place, ports=[{"containerPort": 80}]), is_installed=lambda _: False
    )
    assert found.kind == "server"
    assert said in found.message


@pytest.mark.parametrize(
    ("image", "place"),
    [("nginx", "/etc/nginxes"), ("redis", "/etc/redis")],
)
def test_other_volumes_change_nothing(image, place):
    plain = behaviour(container(image), is_installed=lambda _: True)
    assert behaviour(container(image, place), is_installed=lambda _: True) == plain


def test_a_command_of_the_manifest_runs_as_it_stands():
    own = container("nginx", "/etc/nginx", command=["sleep", "1"])
    assert behaviour(own, is_installed=lambda _: True).argv == ("sleep", "1")

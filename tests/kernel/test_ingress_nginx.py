"""A real nginx looks at all that Ingresses become, and says at whose line it stumbles."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest
from ingresses import CASES, PLACE, case
from msgspec.structs import replace

from netlab.agents.ingress_secrets import fake_certificate
from netlab.ingress.compile import Compiled
from netlab.ingress.page import Page
from netlab.ingress.secrets import DEFAULT
from netlab.kernel import netns, tools

pytestmark = pytest.mark.root

REFUSED = {"injections": "default/regexes"}
"""The cases with what only nginx can see to be wrong, and whose it is."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    needs.program("nginx")
    place = tmp_path_factory.mktemp("nginx") / "net"
    descriptor = netns.create(place)
    try:
        yield place
    finally:
        netns.remove(place)
        del descriptor


@pytest.fixture(scope="module")
def pem() -> str:
    return fake_certificate()


def checked(found: Compiled, page: Page, directory: Path, place: Path, pem: str) -> str:
    """What nginx has to say of it; "" if it takes it."""
    files = {DEFAULT: pem, **found.configuration.files, "nginx.conf": page.text}
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(pem if name.startswith("tls/") else text)
    words = ["nginx", "-e", "stderr", "-p", directory, "-c", directory / "nginx.conf", "-q", "-t"]
    with netns.entered(place):
        done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stderr


@pytest.mark.parametrize("directory", CASES, ids=lambda directory: directory.name)
def test_nginx_takes_what_ingresses_become(
    directory: Path, tmp_path: Path, place: Path, pem: str
) -> None:
    found, page = case(directory, replace(PLACE, release=tools.nginx_release()))
    if found.configuration.streams:
        needs.stream_module()
    said = checked(found, page, tmp_path, place, pem)
    blamed = page.owner(int(re.findall(r"nginx\.conf:(\d+)", said)[0])) if said else ""
    assert blamed == REFUSED.get(directory.name, ""), said

"""What `netlab doctor` says of programs that only some labs want, seen on this machine."""

from __future__ import annotations

from pathlib import Path

import needs
import pytest

from netlab.kernel import run, tools

pytestmark = pytest.mark.root


def findings() -> dict[str, bool]:
    return {finding.name: finding.ok for finding in tools.optional()}


def test_the_stream_module_is_named_beside_nginx() -> None:
    needs.stream_module()
    assert findings()["nginx"] and findings()[tools.STREAMS]
    assert tools.stream_module() in ("", "/usr/lib/nginx/modules/ngx_stream_module.so")


NGINX = """#!/bin/sh
echo "nginx version: nginx/1.26.3 (Somebody's)" >&2
echo "configure arguments: --prefix=/etc/nginx {} --with-stream_ssl_module" >&2
"""


@pytest.mark.parametrize(
    ("option", "module"), [("--with-stream", ""), ("--with-stream=dynamic", None)]
)
def test_one_that_is_built_otherwise(
    option: str, module: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its makers build it, and as Debian does, with the module in a package of its own."""
    program = tmp_path / "nginx"
    program.write_text(NGINX.format(option))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    tools._nginx.cache_clear()
    try:
        assert tools.stream_module([tmp_path]) == module
        assert tools.nginx_release() == (1, 26, 3)
    finally:
        tools._nginx.cache_clear()


def test_a_machine_that_lacks_it_is_told_how_to_get_it() -> None:
    lacking = tools.streams(None)
    assert not lacking.ok and not lacking.required
    assert lacking.fix == "sudo scripts/setup --with nginx"


def test_what_is_typed_in_pods_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab comes up without it, and its first session stumbles."""
    with monkeypatch.context() as nothing:
        nothing.setattr(run, "_SYSTEM_DIRECTORIES", ())
        nothing.setenv("PATH", "/nonexistent")
        found = {finding.name: finding for finding in tools.optional()}
    lacking = [found[name] for name in ("curl", "dig", "nc", "ping")]
    assert lacking[0].detail == "not installed; wanted for curl in pods"
    assert not any(finding.ok or finding.required for finding in lacking)
    packages = ("curl", "bind9-dnsutils", "netcat-openbsd", "iputils-ping")
    assert [finding.fix for finding in lacking] == [f"apt-get install {each}" for each in packages]

"""What of a machine pods do not get to see, on a machine made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.workload import hidden


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for path in ("usr/bin", "etc/ssl/private", "etc/ssl/certs", "home", "data", "var/log", "tmp"):
        (tmp_path / path).mkdir(parents=True)
    for path in ("swapfile", "etc/shadow", "etc/hosts", "etc/ssl/openssl.cnf"):
        (tmp_path / path).touch()
    for path in ("swapfile", "etc/shadow", "etc/ssl/private"):
        (tmp_path / path).chmod(0o640)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "var/mail").symlink_to("spool/mail")
    (tmp_path / "srv").symlink_to("data")
    (tmp_path / "etc/link").symlink_to("shadow")
    return tmp_path


def test_what_is_neither_program_nor_setting_is_the_pods_own(machine: Path) -> None:
    assert hidden.private_directories(machine) == {
        "/data": "mode=0755",
        "/home": "mode=0755",
        "/tmp": "mode=1777",
        "/var/log": "mode=0755",
    }


def test_what_not_everybody_may_read_is_secret(machine: Path) -> None:
    assert list(hidden.secrets(machine)) == [
        ("/swapfile", False),
        ("/etc/shadow", False),
        ("/etc/ssl/private", True),
    ]


def test_nobody_has_a_password() -> None:
    assert hidden.shadow("root:x:0:0::/root:/bin/sh\n\nweb:x:33:33::/:/bin/sh\n") == (
        "root:*:::::::\nweb:*:::::::\n"
    )

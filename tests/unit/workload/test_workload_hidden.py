"""What of a machine pods do not get to see, on a machine made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.workload import masked_paths


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for path in ("etc/ssl/private/own", "etc/ssl/certs", "etc/app/conf.d", "opt"):
        (tmp_path / path).mkdir(parents=True)
    for path in ("etc/shadow", "etc/hosts", "etc/app/conf.d/key", "etc/ssl/private/own/key"):
        (tmp_path / path).touch()
    for path in ("etc/shadow", "etc/app/conf.d/key", "etc/ssl/private"):
        (tmp_path / path).chmod(0o640)
    (tmp_path / "etc/link").symlink_to("shadow")
    (tmp_path / "etc/loop").symlink_to(".")
    return tmp_path


def test_what_not_everybody_may_read_is_secret_however_deep(machine: Path) -> None:
    """The outermost alone: what hides a directory hides what is in it."""
    places = [machine / name for name in ("etc", "opt", "not-there")]
    assert [str(path.relative_to(machine)) for path in masked_paths.secrets(places)] == [
        "etc/app/conf.d/key",
        "etc/shadow",
        "etc/ssl/private",
    ]


def test_a_directory_that_can_be_listed_but_not_entered_is_secret(tmp_path: Path) -> None:
    for name, mode in (("all", 0o755), ("listed", 0o744), ("entered", 0o711)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    assert [path.name for path in masked_paths.secrets([tmp_path])] == ["entered", "listed"]


def test_nobody_has_a_password() -> None:
    assert masked_paths.shadow("root:x:0:0::/root:/bin/sh\n\nweb:x:33:33::/:/bin/sh\n") == (
        "root:*:::::::\nweb:*:::::::\n"
    )

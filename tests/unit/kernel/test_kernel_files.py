"""What files are opened as."""

from __future__ import annotations

import os
from pathlib import Path

from netlab.kernel import files


def test_a_file_becomes_roots_alone_and_a_device_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(0o644)
    ours, theirs = os.openpty()
    device = Path(os.ttyname(theirs))
    device.chmod(0o622)
    opened = [files.opened(path, os.O_WRONLY) for path in (file, device)]
    assert [path.stat().st_mode & 0o777 for path in (file, device)] == [0o600, 0o622]
    for descriptor in (ours, theirs, *opened):
        os.close(descriptor)

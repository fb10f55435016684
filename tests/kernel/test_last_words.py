"""What a container writes of its end, wherever it is to be and whoever it runs as."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kernel.sandboxes import Lab
from msgspec.structs import replace

from netlab.errors import NetlabError
from netlab.workload.sandbox import Command, Ended, Privileges, base_environment
from netlab.workload.volume import Mount

pytestmark = pytest.mark.root

LOG = "/dev/termination-log"


async def ended(lab: Lab, script: str, path: str = LOG, **how: Any) -> Ended:
    started = await lab.start("sh", "-c", script, termination_log=path, **how)
    found = await asyncio.wait_for(started.wait(), 10)
    await lab.sandboxes.remove(started.uid)
    return found


async def test_what_it_writes_is_heard_after_its_end(lab: Lab) -> None:
    assert (await ended(lab, f"printf 'as said' >{LOG}; exit 3")).termination == "as said"
    elsewhere = await ended(lab, "echo here >/var/log/why", "/var/log/why")
    assert elsewhere.termination == "here\n"
    nobody = Privileges(user=1000, group=1000, capabilities=())
    assert (await ended(lab, f"echo mine >{LOG}", privileges=nobody)).termination == "mine\n"
    assert (await ended(lab, "true")).termination == ""
    assert (await ended(lab, "echo x >/dev/termination-log", "")).termination == ""


async def test_the_end_of_much_is_heard(lab: Lab) -> None:
    words = (await ended(lab, f"yes | head -c 9000 >{LOG}; echo end >>{LOG}")).termination
    assert (len(words), words[-6:]) == (4096, "y\nend\n")


async def test_a_read_only_root_has_room_for_it(lab: Lab) -> None:
    place = replace(lab.place(), read_only=frozenset({"main"}))
    for path in (LOG, "/opt/why"):
        argv = ("sh", "-c", f"touch /tmp/x || echo said >{path}")
        command = Command(argv, base_environment("debug"), termination_log=path)
        process = await lab.sandboxes.start(place, "main", command)
        assert (await process.wait()).termination == "said\n"
        await lab.sandboxes.remove(process.uid)


async def test_no_link_leads_to_what_is_not_its_own(lab: Lab) -> None:
    """What the pod puts into the place of the file, or into its way, is not followed."""
    (lab.directory / "marker").write_text("marker")
    volume = lab.volume("v")
    volume.chmod(0o777)
    mount = Mount(lab.source(volume), "/data")
    (volume / "why").symlink_to(lab.directory / "marker")
    with pytest.raises(NetlabError, match="cannot be mounted at /data/why"):
        await ended(lab, "true", "/data/why", mounts=[mount])
    (volume / "own").symlink_to("/etc/hostname")  # in the container's own root
    planted = await ended(lab, "echo x >/data/own", "/data/own", mounts=[mount])
    assert planted.termination == "x\n"
    swapped = f"rm -f /data/w2; ln -s {lab.directory}/marker /data/w2"
    assert (await ended(lab, swapped, "/data/w2", mounts=[mount])).termination == ""
    assert (lab.directory / "marker").read_text() == "marker"


async def test_it_takes_no_more_room_than_the_container_has(lab: Lab) -> None:
    used = await ended(lab, f"head -c 1G /dev/zero >{LOG} || printf full >{LOG}")
    assert used.termination == "full"

"""What netlab takes to be in a set of ipset's is what the kernel says is in it: networks in each
other, some left out again, alone and with ports."""

import os
import random
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import needs
import pytest
from pyroute2 import ipset as kernels
from pyroute2.ipset import IPSet, PortEntry

from netlab.kernel import netns
from netlab.prove import sets
from netlab.prove.space import DADDR, DPORT, PROTO, Box, Space, has
from netlab.saves import ipsets
from netlab.simulation.ipset import IpSets
from netlab.simulation.packet import Packet

pytestmark = pytest.mark.root

NOMATCH = 1 << 2
PORTS = (80, 81)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    needs.root()
    path = tmp_path / "node"
    os.close(netns.create(path))
    yield path
    netns.remove(path)


def networks(draw: random.Random) -> list[tuple[str, bool]]:
    """Networks in each other, and whether what is in them matches."""
    found = {
        str(ip_network((0x0A000000 + (draw.randrange(1 << 24) & 0x000F0F0F), length), strict=False))
        for length in (8, 16, 20, 24, 28, 30, 32)
        for _ in range(3)
    }
    return [(one, draw.random() < 0.6) for one in sorted(found)]


def addresses(members: list[tuple[str, bool]]) -> list[str]:
    """Those where something begins or ends."""
    ends = [end for text, _ in members for end in (ip_network(text)[0], ip_network(text)[-1])]
    near = {int(end) + step for end in ends for step in (-1, 0, 1)}
    return [str(ip_address(one)) for one in sorted(near)]


def contained(boxes: list[Box], address: str, port: int) -> bool:
    header = {DADDR: int(ip_address(address)), DPORT: port, PROTO: 6}
    return any(all(has(values, header[field]) for field, values in box) for box in boxes)


@pytest.mark.parametrize("kind", ["hash:net", "hash:net,port"])
@pytest.mark.parametrize("seed", range(4))
def test_a_set_has_what_the_kernel_says(
    kind: str, seed: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    etype = kind.removeprefix("hash:")
    port = PortEntry(80, protocol=6) if "port" in etype else None
    members = networks(draw)
    lines = [f"create s {kind} family inet hashsize 1024 maxelem 65536"]
    # pyroute2 has no word for nomatch: the flag is set in the place of another one.
    monkeypatch.setattr(kernels, "IPSET_FLAG_IFACE_WILDCARD", NOMATCH)
    with netns.entered(place), IPSet() as kernel:
        kernel.create("s", stype=kind)
        for text, matches in members:
            entry = text if port is None else (text, port)
            kernel.add("s", entry, etype=etype, wildcard=not matches)
            shown = text if port is None else f"{text},tcp:80"
            lines.append(f"add s {shown}{'' if matches else ' nomatch'}")
        known = ipsets.read(lines, "ipset.save")
        sides = ",".join(["dst"] * len(etype.split(",")))
        boxes = sets.boxes(["s", sides], known, Space("ipv4"))
        simulated = IpSets(known)
        counts = {True: 0, False: 0}
        for address in addresses(members):
            for number in PORTS[: 1 + (port is not None)]:
                asked = address if port is None else (address, PortEntry(number, protocol=6))
                is_in = kernel.test("s", asked, etype=etype)
                packet = Packet("192.0.2.9", address, dport=number)
                assert simulated.has(["s", sides], packet) == is_in, (address, lines)
                assert contained(boxes, address, number) == is_in, (address, lines)
                counts[is_in] += 1
    assert min(counts.values()) > 5

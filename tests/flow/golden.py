"""The golden cases of kube-proxy's rules as worlds of either family, and packets sent through them.

They are written in IPv4. Of IPv6 is the same world where each address stands for one of IPv4's, and
what the case has of IPv6 itself is left out.
"""

import ipaddress
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from oracle.worlds import World

from netlab.proxy.config import from_mapping

FOLDERS = {
    folder.name: folder for folder in (Path(__file__).parents[1] / "golden" / "proxy").iterdir()
}
NODE_IP = "10.10.11.20"
_ADDRESS = re.compile(r"(\d+(?:\.\d+){3})(?:/(\d+))?")
_STAND_IN = int(ipaddress.ip_address("fd00:4::"))


class Row(NamedTuple):
    """A packet through a case, and what becomes of it."""

    case: str
    entry: str
    source: str
    destination: str
    port: int
    protocol: str
    verdict: str
    masqueraded: bool

    def of(self, family: str) -> "Row":
        """The same packet in that family's world."""
        source, destination = (in_family(ip, family) for ip in (self.source, self.destination))
        return self._replace(source=source, destination=destination)


ROWS = [
    Row("cluster-ip", "PREROUTING", "10.244.0.9", "10.96.7.1", 80, "tcp", "ACCEPT", False),
    Row("cluster-ip", "PREROUTING", "192.0.2.1", "10.96.7.1", 80, "tcp", "ACCEPT", True),
    Row("cluster-ip", "OUTPUT", NODE_IP, "10.96.7.1", 443, "udp", "ACCEPT", True),
    Row("cluster-ip", "PREROUTING", "10.244.0.9", "10.96.7.2", 80, "tcp", "REJECT", False),
    Row("node-port", "PREROUTING", "192.0.2.1", NODE_IP, 30080, "tcp", "ACCEPT", True),
    Row("node-port", "PREROUTING", "192.0.2.1", NODE_IP, 30081, "tcp", "ACCEPT", False),
    Row("node-port", "PREROUTING", "192.0.2.1", NODE_IP, 30082, "udp", "DROP", False),
    Row("node-port", "PREROUTING", "10.244.0.7", NODE_IP, 30082, "udp", "ACCEPT", False),
    Row("node-port", "PREROUTING", "192.0.2.1", NODE_IP, 30083, "tcp", "REJECT", False),
    Row("node-port", "OUTPUT", NODE_IP, NODE_IP, 30083, "tcp", "REJECT", False),
    Row("load-balancer", "PREROUTING", "203.0.113.5", "198.51.100.1", 443, "tcp", "ACCEPT", True),
    Row("load-balancer", "PREROUTING", "203.0.113.99", "198.51.100.1", 443, "tcp", "DROP", False),
]


def read(name: str, family: str) -> World:
    """A case's world; that of a Node that it does not have is an empty one."""
    text = (FOLDERS[name] / "objects.yaml").read_text()
    objects = [_moved(obj, family) for obj in yaml.safe_load_all(text) if obj]
    settings = yaml.safe_load((FOLDERS[name] / "proxy.yaml").read_text())
    services, slices, nodes = (
        [obj for obj in objects if obj["kind"] == kind and obj.get("addressType") != "left out"]
        for kind in ("Service", "EndpointSlice", "Node")
    )
    return World(
        services, slices, nodes[0] if nodes else {}, from_mapping(_moved(settings, family))
    )


def in_family(text: str, family: str) -> str:
    """A text with each address of IPv4 as that of the family which stands for it."""
    return _ADDRESS.sub(_stand_in, text) if family == "ipv6" else text


def _stand_in(found: re.Match[str]) -> str:
    address, length = ipaddress.ip_address(found[1]), found[2]
    other = ipaddress.IPv6Address("::1" if address.is_loopback else _STAND_IN + int(address))
    if length is None:
        return str(other)
    return f"{other}/{96 + int(length)}" if int(length) else "::/0"


def _moved(value: Any, family: str) -> Any:
    if family == "ipv4":
        return value
    if isinstance(value, dict):
        return {key: _moved(each, family) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, family) for each in value if not _is_ipv6(each)]
    if isinstance(value, str) and "," in value:
        return ",".join(_moved(value.split(","), family))
    if isinstance(value, str):
        return {"IPv4": "IPv6", "IPv6": "left out"}.get(value) or in_family(value, family)
    return value


def _is_ipv6(value: Any) -> bool:
    return value == "IPv6" or (isinstance(value, str) and value.count(":") > 1)

"""scapy's layers. Importing them takes 0.2 s: to be done where a packet is made, by nobody else.

scapy would read this machine's routes, which no probe of ours goes by: each has both addresses.
"""

from __future__ import annotations

from scapy.config import conf

conf.route_autoload = conf.route6_autoload = False

from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6  # noqa: E402

__all__ = ["ICMP", "IP", "TCP", "UDP", "ICMPv6EchoRequest", "IPv6"]

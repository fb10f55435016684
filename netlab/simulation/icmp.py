"""Types and codes of ICMP, as iptables and nft write them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from netlab.proxy.addresses import Family

ECHO_REQUEST: Mapping[Family, int] = MappingProxyType({"ipv4": 8, "ipv6": 128})
LAST = 255

_TYPES: Mapping[Family, Mapping[str, int]] = MappingProxyType(
    {
        "ipv4": {
            "echo-reply": 0, "pong": 0, "destination-unreachable": 3, "source-quench": 4,
            "redirect": 5, "echo-request": 8, "ping": 8, "router-advertisement": 9,
            "router-solicitation": 10, "time-exceeded": 11, "ttl-exceeded": 11,
            "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14,
            "info-request": 15, "info-reply": 16, "address-mask-request": 17,
            "address-mask-reply": 18,
        },
        "ipv6": {
            "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3,
            "ttl-exceeded": 3, "parameter-problem": 4, "echo-request": 128, "ping": 128,
            "echo-reply": 129, "pong": 129, "mld-listener-query": 130, "mld-listener-report": 131,
            "mld-listener-done": 132, "mld-listener-reduction": 132, "nd-router-solicit": 133,
            "router-solicitation": 133, "nd-router-advert": 134, "router-advertisement": 134,
            "nd-neighbor-solicit": 135, "neighbor-solicitation": 135,
            "neighbour-solicitation": 135, "nd-neighbor-advert": 136,
            "neighbor-advertisement": 136, "neighbour-advertisement": 136, "nd-redirect": 137,
            "redirect": 137, "router-renumbering": 138, "ind-neighbor-solicit": 141,
            "ind-neighbor-advert": 142, "mld2-listener-report": 143,
        },
    }
)  # fmt: skip

_CODES: Mapping[Family, Mapping[str, int]] = MappingProxyType(
    {
        "ipv4": {
            "net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2,
            "port-unreachable": 3, "frag-needed": 4, "net-prohibited": 9, "host-prohibited": 10,
            "admin-prohibited": 13,
        },
        "ipv6": {
            "no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4,
            "policy-fail": 5, "reject-route": 6,
        },
    }
)  # fmt: skip


def types(text: str, family: Family) -> tuple[int, int]:
    """The first and the last of `8`, `echo-request`, `3-5`; `ValueError` for others."""
    return _range(text, _TYPES[family])


def codes(text: str, family: Family) -> tuple[int, int]:
    """The same of codes."""
    return _range(text, _CODES[family])


def _range(text: str, names: Mapping[str, int]) -> tuple[int, int]:
    if text in names:
        return names[text], names[text]
    low, _, high = text.partition("-")
    found = int(low, 0), int(high or low, 0)
    if not 0 <= found[0] <= found[1] <= LAST:
        raise ValueError(text)
    return found


def type_and_code(text: str, family: Family) -> tuple[int, int | None] | None:
    """Of `8`, `3/4`, `echo-request`, as iptables has them; None for `any`."""
    if text in ("any", str(LAST)):
        return None
    kind, slash, code = text.partition("/")
    return types(kind, family)[0], codes(code, family)[0] if slash else None

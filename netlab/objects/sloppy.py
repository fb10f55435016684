"""Addresses in forms that are no standard's, which the API of 1.33 takes with a warning. Pure.

An IPv4 address with leading zeros (in decimal, whatever C makes of it), and one mapped into IPv6
(`::ffff:10.0.0.1`), stand for the IPv4 address. They are stored as they were sent; who acts on an
object has it `standardized`. An IPv6 address that is merely not written as RFC 5952 has it is none
of these.

Source: k8s.io/apimachinery/pkg/util/validation/ip.go, pkg/api/service/warnings.go and its like.
"""

from __future__ import annotations

import copy
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from netlab.objects.addresses import PLAIN
from netlab.objects.kinds import BY_KIND
from netlab.objects.problems import Path, render_path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_IPV4 = re.compile(r"0*(\d{1,3})\.0*(\d{1,3})\.0*(\d{1,3})\.0*(\d{1,3})", re.ASCII)
_MOST = 64

T = TypeVar("T", bound=Mapping[str, Any])

Pattern = tuple[str, ...]
"""The way to addresses in an object; `*` is each of a list's."""

ADDRESSES: Mapping[str, Sequence[Pattern]] = {
    "Service": (
        ("spec", "clusterIP"), ("spec", "clusterIPs", "*"), ("spec", "externalIPs", "*"),
        ("spec", "loadBalancerIP"),
    ),
    "Endpoints": (
        ("subsets", "*", "addresses", "*", "ip"), ("subsets", "*", "notReadyAddresses", "*", "ip"),
    ),
    "EndpointSlice": (("endpoints", "*", "addresses", "*"),),
    "Pod": (("spec", "dnsConfig", "nameservers", "*"),),
}  # fmt: skip
_OF_PODS: Sequence[Pattern] = (
    ("spec", "dnsConfig", "nameservers", "*"),
    ("spec", "hostAliases", "*", "ip"),
)
"""Of pods and of templates of them, which are warned of."""
RANGES: Mapping[str, Sequence[Pattern]] = {
    "Service": (("spec", "loadBalancerSourceRanges", "*"),),
    "Node": (("spec", "podCIDRs", "*"),),
}
STATUS: Mapping[str, Sequence[Pattern]] = {
    "Service": (("status", "loadBalancer", "ingress", "*", "ip"),),
    "Pod": (("status", "podIPs", "*", "ip"), ("status", "hostIPs", "*", "ip")),
}
"""Of what a status says, when it is written."""
_MADE = "endpoints.kubernetes.io/managed-by", "endpointslice.kubernetes.io/managed-by"
_BY = ("endpoint-controller", "endpointslice-controller.k8s.io",
       "endpointslicemirroring-controller.k8s.io")  # fmt: skip
"""Endpoints and slices of which nobody is warned, as nobody has written their addresses."""


@lru_cache(maxsize=4096)
def read(text: str) -> Address | None:
    """The address that is meant; None for what is none (or carries a zone)."""
    if len(text) > _MOST or "%" in text:
        return None
    if (found := _IPV4.fullmatch(text)) is not None:
        text = ".".join(found.groups())
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


@lru_cache(maxsize=4096)
def standard(text: str) -> str:
    """The standard form of an address that is in none; anything else as it is."""
    if PLAIN.fullmatch(text):
        return text
    parsed = read(text)
    return str(parsed) if parsed is not None and not _is_standard(text) else text


def standard_range(text: str) -> str:
    """The same of a range; the length of a mapped one counts from where its IPv4 part begins."""
    address, slash, length = text.strip().partition("/")
    plain = standard(address)
    if not slash or plain == address:
        return text
    if ":" in address:
        length = str(int(length) - 96) if length.isdecimal() and int(length) >= 96 else length
    return f"{plain}/{length}"


def _is_standard(text: str) -> bool:
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return False
    return getattr(parsed, "ipv4_mapped", None) is None


def standardized(obj: T) -> T:
    """An object as whoever acts on it reads it: itself, or a copy with standard forms."""
    patterns = _PATTERNS.get(obj.get("kind"), ())
    if all(_is_plain(obj, each) for each in patterns):  # as nearly all are
        return obj
    if not any(value != form(value) for *_, value, form in _forms(obj)):
        return obj
    found = copy.deepcopy(obj)
    for holder, key, value, form in _forms(found):
        holder[key] = form(value)
    return found


_PATTERNS: Mapping[Any, Sequence[Pattern]] = {
    kind: (*patterns, *RANGES.get(kind, ())) for kind, patterns in ADDRESSES.items()
}


def _is_plain(value: Any, pattern: Pattern) -> bool:
    """Whether all that a pattern leads to is IPv4 as nearly all write it, or no text."""
    for number, part in enumerate(pattern, 1):
        if part == "*":
            rest = pattern[number:]
            return not isinstance(value, list) or all(_is_plain(each, rest) for each in value)
        if not isinstance(value, dict) or part not in value:
            return True
        value = value[part]
    return not isinstance(value, str) or PLAIN.fullmatch(value) is not None


def _forms(obj: Mapping[str, Any]) -> Iterator[tuple[Any, Any, str, Callable[[str], str]]]:
    """Each address and range: where it stands, as what, and how its standard form is made."""
    kind = str(obj.get("kind"))
    for table, form in ((ADDRESSES, standard), (RANGES, standard_range)):
        for pattern in table.get(kind, ()):
            for holder, key in _holders(obj, pattern):
                if isinstance(holder[key], str):
                    yield holder, key, holder[key], form


def _holders(obj: Any, pattern: Pattern) -> Iterator[tuple[Any, Any]]:
    """Where a pattern leads: each mapping or list, and the key or index in it."""
    *way, last = pattern
    here = [obj]
    for part in way:
        if part == "*":
            here = [entry for each in here if isinstance(each, list) for entry in each]
        else:
            here = [each[part] for each in here if isinstance(each, dict) and part in each]
    for each in here:
        if last != "*":
            if isinstance(each, dict) and last in each:
                yield each, last
        elif isinstance(each, list):
            yield from ((each, index) for index in range(len(each)))


def warnings(obj: Mapping[str, Any]) -> list[str]:
    """A line for each address that another form would be better for, as it was sent."""
    kind = str(obj.get("kind"))
    if _is_made(obj):
        return []
    pod = BY_KIND[kind].pod_path if kind in BY_KIND else None
    addresses = ADDRESSES.get(kind, ()) if pod is None else [(*pod, *each) for each in _OF_PODS]
    ranges = RANGES.get(kind, ())
    if all(_is_plain(obj, each) for each in (*addresses, *ranges)):  # as in nearly all
        return []
    found = _told(obj, addresses, _of_address) + _told(obj, ranges, _of_range)
    return list(dict.fromkeys(found))


def _is_made(obj: Mapping[str, Any]) -> bool:
    labels = (obj.get("metadata") or {}).get("labels") or {}
    return any(labels.get(key) in _BY for key in _MADE)


def of_status(obj: Mapping[str, Any]) -> list[str]:
    """The same of its status. A Service's are told of by their entry, not by its `ip`."""
    kind = str(obj.get("kind"))
    found = _told(obj, STATUS.get(kind, ()), _of_address)
    if kind == "Service":
        return [line.replace("].ip: ", "]: ", 1) for line in found]
    return found


def _told(
    obj: Mapping[str, Any], patterns: Sequence[Pattern], lines: Callable[[str, str], Iterator[str]]
) -> list[str]:
    return [
        line
        for pattern in patterns
        for holder, key, path in _places(obj, pattern, ())
        if isinstance(holder[key], str)
        for line in lines(_named(path), holder[key])
    ]


def _named(path: Path) -> str:
    """`clusterIP` is the first of `clusterIPs` to the API server."""
    return "spec.clusterIPs[0]" if path == ("spec", "clusterIP") else render_path(path)


_LATER = "will be considered invalid in a future Kubernetes release: use"


def _of_address(path: str, text: str) -> Iterator[str]:
    if PLAIN.fullmatch(text) or (parsed := read(text)) is None:
        return
    if not _is_standard(text):
        yield f'{path}: non-standard IP address "{text}" {_LATER} "{parsed}"'
    elif parsed.version == 6 and str(parsed) != text:
        rule = "should be in RFC 5952 canonical format"
        yield f'{path}: IPv6 address "{text}" {rule} ("{parsed}")'


def _of_range(path: str, text: str) -> Iterator[str]:
    try:
        loose = ipaddress.ip_network(standard_range(text), strict=False)
    except ValueError:
        return
    address = text.strip().partition("/")[0]
    meant = read(address)
    if meant is not None and meant != loose.network_address:
        single = f"{meant}/{meant.max_prefixlen}"
        yield (
            f'{path}: CIDR value "{text}" is ambiguous in this context '
            f'(should be "{loose}" or "{single}"?)'
        )
    if not _is_standard(address):
        yield f'{path}: non-standard CIDR value "{text}" {_LATER} "{loose}"'
    elif meant is not None and meant != loose.network_address:
        return
    elif loose.version == 6 and str(loose) != text:
        rule = "should be in RFC 5952 canonical format"
        yield f'{path}: IPv6 CIDR value "{text}" {rule} ("{loose}")'


def _places(value: Any, pattern: Pattern, path: Path) -> Iterator[tuple[Any, Any, Path]]:
    """`_holders`, with the whole path of each."""
    part, *rest = pattern
    if part == "*":
        keys: Sequence[Any] = range(len(value)) if isinstance(value, list) else ()
    else:
        keys = (part,) if isinstance(value, dict) and part in value else ()
    for key in keys:
        if rest:
            yield from _places(value[key], tuple(rest), (*path, key))
        else:
            yield value, key, (*path, key)

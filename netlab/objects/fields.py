"""Checks of single fields that several kinds share: names, labels, addresses, ranges, ports."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from netlab.objects import names, sloppy
from netlab.objects.addresses import canonical
from netlab.objects.problems import FieldProblem, Path, invalid, required, too_long, too_many

ANNOTATIONS_MAX = 256 * 1024
"""Bytes of all keys and values of one object."""
PORT_RULE = "must be between 1 and 65535, inclusive"
IP_RULE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
MODE_RULE = "must be a number between 0 and 0777 (octal), both inclusive"
ADDRESS_MAX = len("0000:0000:0000:0000:0000:0000:255.255.255.255")
FILE_NAME_MAX = 255
"""Bytes that Linux takes for one component of a path."""
DEPTH_MAX = 64
"""Components of a path; each is made, mounted in and taken away again, and costs a while."""
CIDR_RULE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

QUANTITY = re.compile(
    r"[+-]?([0-9]{1,32}\.?[0-9]{0,32}|\.[0-9]{1,32})([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?"
)
"""An amount in a manifest: none needs more digits."""
QUANTITY_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def dns_label(path: Path, text: str) -> Iterator[FieldProblem]:
    """A DNS label (RFC 1123), as names of nodes, namespaces, containers are."""
    for detail in names.dns_label_faults(text):
        yield invalid(path, text, detail, suggest(text))


def dns_subdomain(path: Path, text: str) -> Iterator[FieldProblem]:
    """A DNS subdomain (RFC 1123), as most objects' names are."""
    for detail in names.dns_subdomain_faults(text):
        yield invalid(path, text, detail, suggest(text))


def dns_1035_label(path: Path, text: str) -> Iterator[FieldProblem]:
    """A DNS label that starts with a letter (RFC 1035), as Services' names are."""
    for detail in names.dns_1035_label_faults(text):
        yield invalid(path, text, detail, suggest(text))


def suggest(text: str) -> str | None:
    """`clusterip_service` → a hint to write clusterip-service, when that is all it takes."""
    if not text.isascii():
        return None
    fixed = "".join(c if c.isalnum() else "-" for c in text.lower()).strip("-")
    return f'write "{fixed}"' if fixed != text and names.is_dns_label(fixed) else None


def labels(path: Path, pairs: Mapping[str, str | None]) -> Iterator[FieldProblem]:
    """Keys and values of labels or of a selector; null is empty, as Go reads it."""
    for key, value in pairs.items():
        yield from qualified_name(path, key)
        yield from label_value(path, value or "")


def port_name(path: Path, text: str, hint: str | None = None) -> Iterator[FieldProblem]:
    """The name of a container's port (IANA_SVC_NAME)."""
    for detail in names.port_name_faults(text):
        yield invalid(path, text, detail, hint)


def qualified_name(path: Path, key: str) -> Iterator[FieldProblem]:
    """A label's key."""
    for detail in names.qualified_name_faults(key):
        yield invalid(path, key, detail)


def label_value(path: Path, value: str) -> Iterator[FieldProblem]:
    """A label's value."""
    for detail in names.label_value_faults(value):
        yield invalid(path, value, detail)


def annotation_pairs(path: Path, pairs: Mapping[str, str | None]) -> Iterator[FieldProblem]:
    """Keys, whose case does not matter, and the size of all together."""
    for key in pairs:
        for detail in names.qualified_name_faults(key.lower()):
            yield invalid(path, key, detail)
    if sum(_bytes(key) + _bytes(value or "") for key, value in pairs.items()) > ANNOTATIONS_MAX:
        yield too_long(path, ANNOTATIONS_MAX)


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def path_segment(path: Path, text: str) -> Iterator[FieldProblem]:
    """What can be one part of a path: `system:basic-user`."""
    if text in (".", ".."):
        yield invalid(path, text, f"may not be '{text}'")
    for sign in ("/", "%"):
        if sign in text:
            yield invalid(path, text, f"may not contain '{sign}'")


def address(path: Path, text: str) -> Iterator[FieldProblem]:
    """An IP address of either family."""
    if parse_address(text) is None:
        hint = "write the address alone, without its /length" if "/" in text else None
        yield invalid(path, text, IP_RULE, hint)


_SPECIAL = (
    ("is_unspecified", "may not be unspecified ({})"),
    ("is_loopback", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
    ("is_link_local", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
)
_LOCAL_GROUPS = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))
_LOCAL_GROUP_RULE = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"


def lenient_address(path: Path, text: str) -> Iterator[FieldProblem]:
    """An IP address where old forms are taken, too."""
    if sloppy.read(text) is None:
        yield from address(path, text)


def strict_address(path: Path, text: str) -> Iterator[FieldProblem]:
    """An IP address in the one form that an API server writes."""
    read = sloppy.read(text)
    if read is None:
        yield from address(path, text)
    elif (parsed := parse_address(text)) is None:
        yield invalid(path, text, "must not have leading 0s")
    elif parsed != read:
        yield invalid(path, text, "must not be an IPv4-mapped IPv6 address")
    elif text != canonical(text):
        yield invalid(path, text, f'must be in canonical form ("{canonical(text)}")')


def reachable_address(path: Path, text: str) -> Iterator[FieldProblem]:
    """An IP address that others can have: of an endpoint, or from outside. Old forms are taken."""
    problems = list(lenient_address(path, text))
    yield from problems or for_others(path, text)


def for_others(path: Path, text: str) -> Iterator[FieldProblem]:
    """No address that means something else on every machine."""
    parsed = sloppy.read(text)
    if parsed is None:
        yield invalid(path, text, "must be a valid IP address")
    for trait, rule in _SPECIAL:
        if getattr(parsed, trait, False):
            yield invalid(path, text, rule.format(text))
    if parsed is not None and any(parsed in group for group in _LOCAL_GROUPS):
        yield invalid(path, text, _LOCAL_GROUP_RULE)


def cidr(path: Path, text: str) -> Iterator[FieldProblem]:
    """A range: the network's address and its length, without host bits."""
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        yield invalid(path, text, CIDR_RULE)
        return
    if "/" not in text:
        yield invalid(path, text, CIDR_RULE, f"write {text}/24 or the length that is meant")
    elif str(loose.network_address) != canonical(text.split("/")[0]):
        detail = "must not have bits set beyond the prefix length"
        yield invalid(path, text, detail, f"write {loose}")


def strict_cidr(path: Path, text: str) -> Iterator[FieldProblem]:
    """A range in the one form that an API server writes."""
    problems = list(cidr(path, text))
    yield from problems
    if not problems and text != (form := str(ipaddress.ip_network(text))):
        yield invalid(path, text, f'must be in canonical form ("{form}")')


def full_domain_name(path: Path, text: str) -> Iterator[FieldProblem]:
    """A name of at least two labels, with or without the final dot."""
    if not text:
        yield required(path)
        return
    name = text.removesuffix(".")
    labels_ = name.split(".")
    if faults := ",".join(names.dns_subdomain_faults(name)):
        yield invalid(path, name, faults)
    elif len(labels_) < 2:
        yield invalid(path, name, "should be a domain with at least two segments separated by dots")
    elif long := [label for label in labels_ if not names.is_dns_label(label)]:
        yield invalid(path, long[0], ",".join(names.dns_label_faults(long[0])))


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, or None when the text is none (or carries a zone)."""
    return None if "%" in text or len(text) > ADDRESS_MAX else _parsed(text)


@lru_cache(maxsize=4096)  # the endpoints of a big Service are looked at again with each change
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def port_number(path: Path, value: int) -> Iterator[FieldProblem]:
    """A TCP, UDP or SCTP port."""
    if not 1 <= value <= 65535:
        yield invalid(path, value, PORT_RULE)


def non_negative(path: Path, value: Any) -> Iterator[FieldProblem]:
    """A count or a number of seconds."""
    if isinstance(value, int) and value < 0:
        yield invalid(path, value, "must be greater than or equal to 0")


def in_range(path: Path, value: Any, first: int, last: int) -> Iterator[FieldProblem]:
    """A number from `first` to `last`; an absent one is no problem."""
    if isinstance(value, int) and not first <= value <= last:
        yield invalid(path, value, f"must be between {first} and {last}, inclusive")


def at_most(path: Path, found: Collection[Any], limit: int) -> Iterator[FieldProblem]:
    """A list of what costs the agents work, one entry after another."""
    if len(found) > limit:
        yield too_many(path, len(found), limit)


def file_mode(path: Path, value: Any) -> Iterator[FieldProblem]:
    """A file's permissions; absent ones are no problem."""
    if isinstance(value, int) and not 0 <= value <= 0o777:
        yield invalid(path, value, MODE_RULE)


def config_key(path: Path, text: str) -> Iterator[FieldProblem]:
    """A key of a ConfigMap or Secret."""
    for detail in names.config_key_faults(text):
        yield invalid(path, text, detail)


def object_name(path: Path, text: str) -> Iterator[FieldProblem]:
    """The name of another object: one that is no name could never be found."""
    if not text:
        yield required(path)
    else:
        yield from dns_subdomain(path, text)


def file_path(path: Path, text: str) -> Iterator[FieldProblem]:
    """A path of files, absolute or not, that leads nowhere but down."""
    parts = text.split("/")
    if ".." in parts:
        yield invalid(path, text, "must not contain '..'")
    if any(len(part.encode()) > FILE_NAME_MAX for part in parts):
        yield too_long(path, FILE_NAME_MAX)
    if len(text.strip("/").split("/")) > DEPTH_MAX:
        yield invalid(path, text, f"must not have more than {DEPTH_MAX} components")


def relative_path(path: Path, text: str) -> Iterator[FieldProblem]:
    """A path of files below a directory that somebody else names."""
    if text.startswith("/"):
        yield invalid(path, text, "must be a relative path")
    yield from file_path(path, text)


def texts_without_nul(path: Path, value: Any) -> Iterator[FieldProblem]:
    """No text at any depth may hold what would end a path, a word or a variable for the kernel."""
    if isinstance(value, str):
        if "\0" in value:
            yield invalid(path, value, "must not contain a NUL character")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from texts_without_nul((*path, name), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_without_nul((*path, index), item)


def given(path: Path, mapping: Mapping[str, Any], field: str) -> Iterator[FieldProblem]:
    """`Required value` unless the field is there and not empty."""
    if mapping.get(field) in (None, ""):
        yield required((*path, field))


def quantity(path: Path, value: Any) -> Iterator[FieldProblem]:
    """An amount of cpu or memory, as a number or in Kubernetes' notation."""
    if not QUANTITY.fullmatch(str(value)):
        yield invalid(path, value, QUANTITY_RULE)

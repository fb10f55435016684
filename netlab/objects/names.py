"""Names: which are allowed, and how generated ones are made.

The rules are RFC 1123's and Kubernetes' own; every `is_…` is a plain predicate, and the
`…_RULE` texts are what the API server says when it is not met.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

DNS_LABEL_MAX = 63
DNS_SUBDOMAIN_MAX = 253
LABEL_VALUE_MAX = 63

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_DNS_LABEL = re.compile(_LABEL)
_DNS_1035_LABEL = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_QUALIFIED_NAME = re.compile(_QUALIFIED)
_LABEL_VALUE = re.compile(rf"(?:{_QUALIFIED})?")
_PORT_NAME = re.compile(r"[-a-z0-9]+")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_HTTP_HEADER = re.compile(r"[-A-Za-z0-9]+")

DNS_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
    "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
DNS_1035_LABEL_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
DNS_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_NAME_PART_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
QUALIFIED_NAME_RULE = (
    f"a qualified name {_NAME_PART_RULE} with an optional DNS subdomain prefix and '/' "
    "(e.g. 'example.com/MyName')"
)
LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)

NO_DOTS_RULE = "must not contain dots"
"""Of what would be a label if it had none."""

CONFIG_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)

ENV_NAME_RULE = (
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', "
    "or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or "
    "'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')"
)
HTTP_HEADER_RULE = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
    "regex used for validation is '[-A-Za-z0-9]+')"
)
PORT_NAME_MAX = 15

# No vowels, so that no words appear; no 0, 1, 3, which read like letters.
SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def is_dns_label(text: str) -> bool:
    """A node's, namespace's or container's name: RFC 1123 label of at most 63 characters."""
    return len(text) <= DNS_LABEL_MAX and _DNS_LABEL.fullmatch(text) is not None


def is_dns_1035_label(text: str) -> bool:
    """A Service's name: as a DNS label, but starting with a letter."""
    return len(text) <= DNS_LABEL_MAX and _DNS_1035_LABEL.fullmatch(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """Most objects' names: dotted DNS labels, at most 253 characters together."""
    return len(text) <= DNS_SUBDOMAIN_MAX and _DNS_SUBDOMAIN.fullmatch(text) is not None


def is_qualified_name(text: str) -> bool:
    """A label's or annotation's key: `name` or `dns.prefix/name`."""
    return not any(qualified_name_faults(text))


def is_label_value(text: str) -> bool:
    """A label's value: empty, or up to 63 alphanumerics with `-_.` between."""
    return len(text) <= LABEL_VALUE_MAX and _LABEL_VALUE.fullmatch(text) is not None


def longest(limit: int) -> str:
    """What is said of a name that is longer."""
    return f"must be no more than {limit} characters"


def dns_label_faults(text: str) -> Iterator[str]:
    """What is wrong with a DNS label (RFC 1123), each by itself."""
    if len(text) > DNS_LABEL_MAX:
        yield longest(DNS_LABEL_MAX)
    if not _DNS_LABEL.fullmatch(text):
        yield NO_DOTS_RULE if _DNS_SUBDOMAIN.fullmatch(text) else DNS_LABEL_RULE


def dns_1035_label_faults(text: str) -> Iterator[str]:
    """The same of one that starts with a letter."""
    if len(text) > DNS_LABEL_MAX:
        yield longest(DNS_LABEL_MAX)
    if not _DNS_1035_LABEL.fullmatch(text):
        yield DNS_1035_LABEL_RULE


def dns_subdomain_faults(text: str) -> Iterator[str]:
    """The same of dotted labels."""
    if len(text) > DNS_SUBDOMAIN_MAX:
        yield longest(DNS_SUBDOMAIN_MAX)
    if not _DNS_SUBDOMAIN.fullmatch(text):
        yield DNS_SUBDOMAIN_RULE


def qualified_name_faults(text: str) -> Iterator[str]:
    """What is wrong with a label's key, its prefix and its name each by itself."""
    prefix, slash, bare = text.rpartition("/")
    if "/" in prefix:
        yield QUALIFIED_NAME_RULE
        return
    if slash and not prefix:
        yield "prefix part must be non-empty"
    elif slash:
        yield from (f"prefix part {fault}" for fault in dns_subdomain_faults(prefix))
    if not bare:
        yield "name part must be non-empty"
    elif len(bare) > LABEL_VALUE_MAX:
        yield f"name part {longest(LABEL_VALUE_MAX)}"
    if not _QUALIFIED_NAME.fullmatch(bare):
        yield f"name part {_NAME_PART_RULE}"


def label_value_faults(text: str) -> Iterator[str]:
    """What is wrong with a label's value."""
    if len(text) > LABEL_VALUE_MAX:
        yield longest(LABEL_VALUE_MAX)
    if not _LABEL_VALUE.fullmatch(text):
        yield LABEL_VALUE_RULE


def port_name_faults(text: str) -> Iterator[str]:
    """What is wrong with a port's name, each by itself, as validation.IsValidPortName has it."""
    if len(text) > PORT_NAME_MAX:
        yield longest(PORT_NAME_MAX)
    if not _PORT_NAME.fullmatch(text):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not any("a" <= character <= "z" for character in text):
        yield "must contain at least one letter (a-z)"
    if "--" in text:
        yield "must not contain consecutive hyphens"
    if text and "-" in (text[0], text[-1]):
        yield "must not begin or end with a hyphen"


def is_port_name(text: str) -> bool:
    """A container port's name (IANA_SVC_NAME): at most 15 of a-z, 0-9, `-`, with a letter."""
    return not any(port_name_faults(text))


def config_key_faults(text: str) -> Iterator[str]:
    """Why a text is no key of a ConfigMap or Secret."""
    if len(text) > DNS_SUBDOMAIN_MAX:
        yield longest(DNS_SUBDOMAIN_MAX)
    if not _CONFIG_KEY.fullmatch(text):
        yield CONFIG_KEY_RULE
    if text in (".", ".."):
        yield f"must not be '{text}'"
    elif text.startswith(".."):
        yield "must not start with '..'"


def is_dns_search(text: str) -> bool:
    """A search domain of resolv.conf: a DNS subdomain, also with `_` and a final dot, or `.`."""
    name = text.removesuffix(".").replace("_", "a")
    return text == "." or is_dns_subdomain(name)


def is_http_header(text: str) -> bool:
    """The name of an HTTP header."""
    return _HTTP_HEADER.fullmatch(text) is not None


def is_env_name(text: str) -> bool:
    """An environment variable's name as Kubernetes takes it."""
    return _ENV_NAME.fullmatch(text) is not None


def random_suffix(length: int = 5, source: Callable[[int], bytes] = os.urandom) -> str:
    """The random end of a generated name (`…-4tg5p`); `source(n)` gives n random bytes."""
    # 256 is no multiple of 27: a bias of a few percent, which names can bear.
    return "".join(SAFE_ALPHABET[byte % len(SAFE_ALPHABET)] for byte in source(length))


def template_hash(template: Mapping[str, Any], collisions: int = 0) -> str:
    """A pod template's hash for ReplicaSet names: equal templates, equal hash.

    FNV-1a (32 bits) of the template as canonical JSON, its decimal digits written in the safe
    alphabet as Kubernetes' SafeEncodeString does. `collisions` is status.collisionCount.
    """
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    if collisions:
        text += str(collisions)
    return safe_encode(str(fnv1a_32(text.encode())))


def fnv1a_32(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def safe_encode(text: str) -> str:
    """Every byte as a character of the safe alphabet: never a bad word, always a DNS label."""
    return "".join(SAFE_ALPHABET[byte % len(SAFE_ALPHABET)] for byte in text.encode())

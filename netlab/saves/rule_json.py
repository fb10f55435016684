"""A rule of `nft -j` → its text, as `nft list` has it; what is not known keeps its own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any


def text(expressions: list[Any], comment: str = "") -> str:
    """The whole rule."""
    words = [_statement(one) for one in expressions]
    if comment:
        words.append(f'comment "{comment}"')
    return " ".join(words)


def dotted(kinds: Any) -> str:
    """`ipv4_addr . inet_proto` of a set's type."""
    return " . ".join(kinds) if isinstance(kinds, list) else str(kinds)


def element(found: Any, of: str) -> tuple[str, str]:
    """The key of a set's element, and what follows it: `comment "…" : goto x`, or "". `of` are the
    fields or types that its parts are: `oifname . ct state`."""
    key, value = found if isinstance(found, list) else (found, None)
    known = key["elem"] if isinstance(key, dict) and "elem" in key else {"val": key}
    parts = []
    if known.get("comment"):
        parts.append(f'comment "{known["comment"]}"')
    if value is not None:
        parts.append(f": {_verdict_or_value(value)}")
    return _compared(known["val"], of), " ".join(parts)


def _statement(one: Any) -> str:
    if not isinstance(one, dict) or len(one) != 1:
        return _odd("statement", one)
    ((name, body),) = one.items()
    write = _STATEMENTS.get(name)
    try:
        return write(name, body) if write is not None else _odd(name, body)
    except (KeyError, TypeError, ValueError, IndexError):
        return _odd(name, body)


def _odd(name: str, body: Any) -> str:
    """What nobody here understands. It may do anything, and says so by its first word."""
    packed = json.dumps(body, separators=(",", ":")) if body is not None else ""
    return f"target {name} {packed}".rstrip()


def _match(_: str, body: Any) -> str:
    left, right, operator = _value(body["left"]), body["right"], body["op"]
    masked = isinstance(body["left"], dict) and "&" in body["left"]
    between = "" if operator in ("==", "in") and not masked else f"{operator} "
    return f"{left} {between}{_listed(right, left)}"


def _listed(right: Any, left: str) -> str:
    """What a field is compared with; a mark is written in hexadecimals."""
    if isinstance(right, list):
        return ",".join(map(str, right))
    if left.startswith("fib ") and left.endswith(" oif") and right in (0, 1):
        return ("missing", "exists")[right]
    if isinstance(right, int) and "mark" in left:
        return f"{right:#010x}"
    return _compared(right, left)


_LINKS = ("iifname", "oifname", "iif", "oif", "ifname", "iface_index")


def _compared(right: Any, of: str) -> str:
    """A value of some fields; the names of links are quoted."""
    fields = of.split(" . ")
    if not set(fields) & {*_LINKS}:
        return _value(right)
    if isinstance(right, dict) and "set" in right:
        return "{ " + ", ".join(_compared(one, of) for one in right["set"]) + " }"
    if isinstance(right, dict) and "concat" in right and len(right["concat"]) == len(fields):
        pairs = zip(right["concat"], fields, strict=True)
        return " . ".join(_compared(part, field) for part, field in pairs)
    if isinstance(right, str) and len(fields) == 1 and not right.startswith("@"):
        return f'"{right}"'
    return _value(right)


def _vmap(_: str, body: Any) -> str:
    key = _value(body["key"])
    return f"{key} vmap {_data(body['data'], key)}"


def _data(data: Any, of: str) -> str:
    """A map: one of the table's by its name, or written out."""
    if isinstance(data, str):
        return data
    pairs = (element(one, of) for one in data["set"])
    return "{ " + ", ".join(f"{key} {value}" for key, value in pairs) + " }"


def _mangle(_: str, body: Any) -> str:
    key, value = _value(body["key"]), body["value"]
    said = f"{value:#010x}" if isinstance(value, int) and "mark" in key else _value(value)
    return f"{key} set {said}"


def _translation(name: str, body: Any) -> str:
    if not body:
        return name
    words = [name]
    address, port = body.get("addr"), body.get("port")
    if address is not None or port is not None:
        if body.get("family"):
            words.append(body["family"])
        words.append(f"to {_end(address, port)}")
    flags = body.get("flags")
    if flags:
        words.append(",".join(flags) if isinstance(flags, list) else flags)
    return " ".join(words)


def _end(address: Any, port: Any) -> str:
    if isinstance(address, dict) and "map" in address:
        found = address["map"]
        key = _value(found["key"])
        return f"{key} map {_data(found['data'], key)}"
    to = _value(address) if address is not None else ""
    if port is None:
        return to
    return f"[{to}]:{_value(port)}" if ":" in to else f"{to}:{_value(port)}"


def _verdict(name: str, body: Any) -> str:
    return f"{name} {body['target']}" if body else name


def _verdict_or_value(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1:
        ((name, body),) = value.items()
        if name in _VERDICTS:
            return _verdict(name, body)
    return _value(value)


def _reject(_: str, body: Any) -> str:
    if not body or (body["type"] in ("icmp", "icmpv6") and body["expr"] == "port-unreachable"):
        return "reject"  # as nft writes what it does by itself
    return f"reject with {body['type']} {body.get('expr', '')}".rstrip()


def _set(_: str, body: Any) -> str:
    inside = " ".join([_value(body["elem"]), *map(_statement, body.get("stmt") or ())])
    return f"{body['op']} {body['set']} {{ {inside} }}"


def _meter(_: str, body: Any) -> str:
    inside = f"{_value(body['key'])} {_statement(body['stmt'])}"
    return f"meter {body['name']} size {body.get('size', 0)} {{ {inside} }}"


def _count(_: str, body: Any) -> str:
    return f"ct count {'over ' if body.get('inv') else ''}{body['val']}"


def _quota(_: str, body: Any) -> str:
    if isinstance(body, str):
        return f'quota name "{body}"'
    return f"quota {'over ' if body.get('inv') else ''}{body['val']} {body['val_unit']}"


def _limit(_: str, body: Any) -> str:
    if isinstance(body, str):
        return f'limit name "{body}"'
    over = "over " if body.get("inv") else ""
    return f"limit rate {over}{body['rate']}/{body['per']}"


def _xt(_: str, body: Any) -> str:
    return f"xt {body['type']} {body['name']}" if body else "xt target unknown"


_VERDICTS = ("accept", "drop", "return", "continue", "jump", "goto")
_Write = Callable[[str, Any], str]
_STATEMENTS: Mapping[str, _Write] = MappingProxyType(
    {
        "match": _match,
        "vmap": _vmap,
        "mangle": _mangle,
        "reject": _reject,
        "set": _set,
        "meter": _meter,
        "ct count": _count,
        "quota": _quota,
        "limit": _limit,
        "xt": _xt,
        "counter": lambda *_: "counter",
        "log": lambda *_: "log",
        "notrack": lambda *_: "notrack",
        **dict.fromkeys(_VERDICTS, _verdict),
        **dict.fromkeys(("dnat", "snat", "masquerade", "redirect"), _translation),
    }
)


# What is looked at, and compared with


def _value(found: Any) -> str:
    if not isinstance(found, dict):
        return _plain(found)
    ((name, body),) = found.items()
    write = _VALUES.get(name)
    return write(body) if write is not None else f"{name} {json.dumps(body)}"


def _plain(found: Any) -> str:
    """A string may be a link's name, which nft quotes only where it must."""
    if isinstance(found, bool):
        return "exists" if found else "missing"
    return str(found)


def _operation(sign: str) -> Callable[[Any], str]:
    def write(sides: Any) -> str:
        left, right = sides[0], sides[1]
        if isinstance(right, list):  # flags
            return f"{_value(left)} {sign} ({' | '.join(right)})"
        said = f"{right:#010x}" if isinstance(right, int) else _value(right)
        return f"{_value(left)} {sign} {said}"

    return write


def _fib(body: Any) -> str:
    flags = body["flags"] if isinstance(body["flags"], list) else [body["flags"]]
    return f"fib {' . '.join(flags)} {body['result']}"


def _meta(body: Any) -> str:
    bare = body["key"] in ("iifname", "oifname", "iif", "oif")
    return body["key"] if bare else f"meta {body['key']}"


def _ct(body: Any) -> str:
    """`ct original ip daddr`."""
    return " ".join(["ct", *([body["dir"]] if "dir" in body else []), body["key"]])


def _exthdr(body: Any) -> str:
    return f"{body['name']} {body['field']}" if "field" in body else f"exthdr {body['name']}"


def _numgen(body: Any) -> str:
    offset = f" offset {body['offset']}" if body.get("offset") else ""
    return f"numgen {body['mode']} mod {body['mod']}{offset}"


def _payload(body: Any) -> str:
    return f"{body['protocol']} {body['field']}"


_VALUES: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        "payload": _payload,
        "meta": _meta,
        "ct": _ct,
        "rt": lambda body: f"rt {body['key']}",
        "socket": lambda body: f"socket {body['key']}",
        "exthdr": _exthdr,
        "tcp option": lambda body: " ".join(["tcp option", *body.values()]),
        "fib": _fib,
        "numgen": _numgen,
        "concat": lambda parts: " . ".join(map(_value, parts)),
        "prefix": lambda body: f"{_value(body['addr'])}/{body['len']}",
        "range": lambda ends: f"{_value(ends[0])}-{_value(ends[1])}",
        "set": lambda members: "{ " + ", ".join(map(_value, members)) + " }",
        "elem": lambda body: _value(body["val"]),
        **{sign: _operation(sign) for sign in ("&", "|", "^")},
    }
)

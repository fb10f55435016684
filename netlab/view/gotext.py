"""Values as Go prints them: by `fmt.Fprint`, and by encoding/json. kubectl's templates do. Pure."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

# encoding/json writes so what a browser could take for markup, or for the end of a line.
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def text(value: Any) -> str:
    """A number, text or truth value as `fmt.Fprint` has it."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case float():
            return _general(value)
    return str(value)


def as_json(value: Any) -> str:
    """Any value on one line, the fields in the order of their names."""
    match value:
        case dict():
            fields = (f"{as_json(name)}:{as_json(value[name])}" for name in sorted(value))
            return f"{{{','.join(fields)}}}"
        case list():
            return f"[{','.join(map(as_json, value))}]"
        case str():
            return json.dumps(value, ensure_ascii=False).translate(_ESCAPED)
        case float():
            return _json_number(value)
    return json.dumps(value)


def _general(number: float) -> str:
    """%g with as few digits as tell it apart: with an exponent from a million on."""
    exact = Decimal(repr(number)).normalize()
    return format(exact, "f") if -4 <= exact.adjusted() < 6 else _scientific(exact)


def _json_number(number: float) -> str:
    exact = Decimal(repr(number)).normalize()
    if number and not 1e-6 <= abs(number) < 1e21:
        return _scientific(exact).replace("e-0", "e-")
    return format(exact, "f")


def _scientific(exact: Decimal) -> str:
    mantissa = format(exact.scaleb(-exact.adjusted()), "f")
    return f"{mantissa}e{exact.adjusted():+03d}"

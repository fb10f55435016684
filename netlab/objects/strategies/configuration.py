"""How ConfigMaps and Secrets are stored."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from netlab.objects import fields
from netlab.objects.kinds.configuration import CONFIG_MAP, SECRET
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, forbidden, invalid
from netlab.objects.strategies.strategy import Problems, Strategy, fill, keeps

_CONFIG_MAX = 1024 * 1024
_NO_LINE_BREAKS = str.maketrans("", "", "\r\n")


def _secret(obj: Object) -> None:
    """The type; and `stringData`, which can be written but is never stored."""
    fill(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _config_map(obj: Object) -> Problems:
    yield from _data(obj, encoded=("binaryData",))


def _secret_data(obj: Object) -> Problems:
    yield from _data(obj, encoded=("data", "binaryData"))


def _data(obj: Object, *, encoded: Sequence[str]) -> Problems:
    """Keys, which become file names, and the size of it all; `encoded` fields are in base64."""
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            size += len(value.encode())
            yield from fields.config_key((field, key), key)
            if field in encoded:
                yield from _base64((field, key), value)
    for key in (obj.get("data") or {}).keys() & (obj.get("binaryData") or {}).keys():
        yield invalid(("data", key), key, "duplicate of key present in binaryData")
    if size > _CONFIG_MAX:
        text = f"Too long: may not be more than {_CONFIG_MAX} bytes"
        yield FieldProblem(("data",), text, None, "FieldValueTooLong")


def _base64(path: Path, text: str) -> Problems:
    """Bytes as JSON has them; line breaks may stand anywhere in them."""
    try:
        base64.b64decode(text.translate(_NO_LINE_BREAKS), validate=True)
    except ValueError:
        hint = "write plain text in stringData" if path[0] == "data" else None
        yield invalid(path, text, "illegal base64 data", hint)


def _config_update(new: Object, old: Object) -> Problems:
    if old.get("immutable"):
        for field in ("immutable", "data", "binaryData"):
            if (new.get(field) or {}) != (old.get(field) or {}):
                yield forbidden((field,), "field is immutable when `immutable` is set")


def _secret_update(new: Object, old: Object) -> Problems:
    yield from _config_update(new, old)
    yield from keeps("type")(new, old)


STRATEGIES = {
    CONFIG_MAP: Strategy(validate=_config_map, validate_update=_config_update),
    SECRET: Strategy(default=_secret, validate=_secret_data, validate_update=_secret_update),
}

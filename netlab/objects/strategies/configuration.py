"""How ConfigMaps and Secrets are stored."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from netlab.objects import fields
from netlab.objects.kinds.configuration import CONFIG_MAP, SECRET
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Key, Path, forbidden, invalid, required
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
    kind, data = obj.get("type"), obj.get("data") or {}
    yield from (required(("data", Key(key))) for key in _NEEDED.get(kind, ()) if not data.get(key))
    if kind == "kubernetes.io/basic-auth" and not data.keys() & set(_BASIC):
        yield from (required(("data", Key(key))) for key in _BASIC)
    if kind == "kubernetes.io/service-account-token":
        annotation = "kubernetes.io/service-account.name"
        if not (obj["metadata"].get("annotations") or {}).get(annotation):
            yield required(("metadata", "annotations", Key(annotation)))
    for key in _IN_JSON.get(kind, ()):
        if data.get(key) and not _is_json_object(data[key]):
            path = ("data", Key(key))
            yield invalid(path, "<secret contents redacted>", "invalid character in JSON object")


def _is_json_object(encoded: str) -> bool:
    try:
        return isinstance(json.loads(base64.b64decode(encoded)), dict)
    except ValueError:
        return False


_BASIC = ("username", "password")
_NEEDED: Mapping[Any, Sequence[str]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}
"""The keys without which a Secret of a type is none."""
_IN_JSON: Mapping[Any, Sequence[str]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}


def _data(obj: Object, *, encoded: Sequence[str]) -> Problems:
    """Keys, which become file names, and the size of it all; `encoded` fields are in base64."""
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            size += len(value.encode())
            yield from fields.config_key((field, Key(key)), key)
            if field in encoded:
                yield from _base64((field, Key(key)), value)
    for key in (obj.get("data") or {}).keys() & (obj.get("binaryData") or {}).keys():
        yield invalid(("data", Key(key)), key, "duplicate of key present in binaryData")
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

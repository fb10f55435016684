"""How ConfigMaps and Secrets are stored."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from netlab.objects import fields, gowords
from netlab.objects.kinds.configuration import CONFIG_MAP, SECRET
from netlab.objects.meta import Object
from netlab.objects.problems import Key, forbidden, invalid, required, too_long
from netlab.objects.strategies.strategy import Problems, Strategy, fill, keeps

_CONFIG_MAX = 1024 * 1024


def _secret(obj: Object) -> None:
    """The type; and `stringData`, which can be written but is never stored."""
    fill(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _config_map(obj: Object) -> Problems:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for key in data:
        yield from fields.config_key(("data", Key(key)), key)
        if key in binary:
            yield invalid(("data", Key(key)), key, "duplicate of key present in binaryData")
    yield from _encoded("binaryData", binary)
    size = sum(len(value.encode(errors="surrogatepass")) for value in data.values())
    if size + sum(map(gowords.base64_size, binary.values())) > _CONFIG_MAX:
        yield too_long((Key(""),), _CONFIG_MAX)


def _secret_data(obj: Object) -> Problems:
    kind, data = str(obj.get("type") or ""), obj.get("data") or {}
    yield from _encoded("data", data)
    if sum(map(gowords.base64_size, data.values())) > _CONFIG_MAX:
        yield too_long(("data",), _CONFIG_MAX)
    missing = [key for key in _NEEDED.get(kind, ()) if key not in data]
    if kind == _SSH and not data.get(_SSH_KEY):
        missing = [_SSH_KEY]
    elif kind == "kubernetes.io/basic-auth" and not data.keys() & set(_BASIC):
        missing = list(_BASIC)
    yield from (required(("data", Key(key))) for key in missing)
    if kind == "kubernetes.io/service-account-token":
        annotation = "kubernetes.io/service-account.name"
        if not ((obj.get("metadata") or {}).get("annotations") or {}).get(annotation):
            yield required(("metadata", "annotations", Key(annotation)))
    for key in _IN_JSON.get(kind, ()):
        if key in data and (fault := _fault_in_json(data[key])):
            yield invalid(("data", Key(key)), "<secret contents redacted>", fault)


def _encoded(field: str, data: Mapping[str, str]) -> Problems:
    """Keys, which become file names, and bytes as JSON has them."""
    for key, value in data.items():
        yield from fields.config_key((field, Key(key)), key)
        if fault := gowords.base64_fault(value):
            hint = "write plain text in stringData" if field == "data" else None
            yield invalid((field, Key(key)), value, fault, hint)


def _fault_in_json(encoded: str) -> str | None:
    if gowords.base64_fault(encoded):
        return None
    return gowords.json_fault(base64.b64decode(encoded).decode(errors="replace"))


_BASIC = ("username", "password")
_SSH = "kubernetes.io/ssh-auth"
_SSH_KEY = "ssh-privatekey"
_NEEDED: Mapping[str, Sequence[str]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}
"""The keys without which a Secret of a type is none."""
_IN_JSON: Mapping[str, Sequence[str]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}


def _config_update(new: Object, old: Object) -> Problems:
    if old.get("immutable"):
        for field in ("immutable", "data", "binaryData"):
            if (new.get(field) or {}) != (old.get(field) or {}):
                yield forbidden((field,), "field is immutable when `immutable` is set")


def _secret_update(new: Object, old: Object) -> Problems:
    yield from keeps("type")(new, old)
    yield from _config_update(new, old)


STRATEGIES = {
    CONFIG_MAP: Strategy(validate=_config_map, validate_update=_config_update),
    SECRET: Strategy(default=_secret, validate=_secret_data, validate_update=_secret_update),
}

"""ConfigMaps, Secrets and ServiceAccounts as `kubectl describe` shows them. Pure."""

from __future__ import annotations

import base64

from netlab.objects import meta
from netlab.objects.kinds.configuration import CONFIG_MAP, SECRET, SERVICE_ACCOUNT
from netlab.objects.types import ConfigMap, Secret, ServiceAccount
from netlab.view.describing import described
from netlab.view.describing.described import Belonging, Description, Lines, Related


def config_map(obj: ConfigMap, related: Related) -> Lines:
    """A ConfigMap with all it holds."""
    yield from described.head(obj)
    yield from ("", "Data", "====")
    for name, value in sorted((obj.get("data") or {}).items()):
        yield from (f"{name}:", "----", *str(value).split("\n"), "")
    yield from ("", "BinaryData", "====")
    for name, value in sorted((obj.get("binaryData") or {}).items()):
        yield f"{name}: {_size(value)} bytes"
    yield ""
    yield from described.events(related)


def secret(obj: Secret, related: Related) -> Lines:
    """A Secret: how much it holds, not what."""
    del related
    yield from described.head(obj)
    yield from ("", f"Type:\t{obj.get('type', 'Opaque')}", "", "Data", "====")
    for name, value in sorted((obj.get("data") or {}).items()):
        yield f"{name}:\t{_size(value)} bytes"


def service_account(obj: ServiceAccount, related: Related) -> Lines:
    """A ServiceAccount; tokens are made when asked for, and listed nowhere."""
    yield from described.head(obj)
    there = {meta.name(one) for one in described.of_kind(SECRET, related)}
    pulling = [one.get("name", "") for one in obj.get("imagePullSecrets") or []]
    mountable = [one.get("name", "") for one in obj.get("secrets") or []]
    for heading, names in (("Image pull secrets", pulling), ("Mountable secrets", mountable)):
        entries = [name if name in there else f"{name} (not found)" for name in names]
        yield from described.listed(heading, entries)
    yield "Tokens:\t<none>"
    yield from described.events(related)


def _size(encoded: str) -> int:
    return len(base64.b64decode(encoded))


def _secrets(account: ServiceAccount) -> tuple[Belonging, ...]:
    return (Belonging(SECRET, meta.namespace(account)),)


DESCRIPTIONS = {
    CONFIG_MAP: Description(config_map),
    SECRET: Description(secret),
    SERVICE_ACCOUNT: Description(service_account, _secrets),
}

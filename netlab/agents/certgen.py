"""What kube-webhook-certgen does: a certificate for an admission webhook, and its CA made known.

`create` makes a Secret of a new CA's certificate and one signed by it, unless there is one;
`patch` writes the CA into the configurations of webhooks. Both wait a moment for what another part
of the same manifest is to bring, where the real program would fail and be started again.
"""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netlab.agents.account_api import AccountApi
from netlab.errors import AlreadyExists, Conflict, NotFound
from netlab.kernel.run import run
from netlab.objects import names
from netlab.objects.types import Secret
from netlab.workload.behaviour import parse_flags
from netlab.workload.task import Deed, Say, TaskFailed

PATIENCE = 5.0
"""Seconds that something may be missing which `patch` needs."""

_LOOK = 0.05
_DAYS = "36500"
_CA, _NO_CA = "basicConstraints=critical,CA:TRUE", "basicConstraints=critical,CA:FALSE"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_KINDS = {
    "patch-validating": "ValidatingWebhookConfiguration",
    "patch-mutating": "MutatingWebhookConfiguration",
}

Flags = Mapping[str, str]


async def certgen(api: AccountApi, deed: Deed, say: Say) -> None:
    """Do what the words say."""
    word, *rest = deed.argv or ("",)
    flags = parse_flags(rest)
    match word:
        case "create":
            await _create(api, flags, say)
        case "patch":
            await _patch(api, flags, say)
        case _:
            raise TaskFailed(f'unknown command "{word}" for "kube-webhook-certgen"')


async def _create(api: AccountApi, flags: Flags, say: Say) -> None:
    space, name = _needed(flags, "namespace"), _needed(flags, "secret-name")
    hosts = [_name(host) for host in _needed(flags, "host").split(",")]
    say(f"getting secret '{name}' in namespace '{space}'")
    try:
        await api.get("Secret", space, name)
    except NotFound:
        say("no secret found")
    else:
        say("secret already exists")
        return
    say(f"creating new secret for {', '.join(hosts)}")
    made = await asyncio.to_thread(certificates, hosts)
    data = {
        "ca": made["ca"],
        flags.get("cert-name") or "cert": made["cert"],
        flags.get("key-name") or "key": made["key"],
    }
    secret: Secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": space},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
    try:
        await api.create(secret)
    except AlreadyExists:
        say("secret already exists")


async def _patch(api: AccountApi, flags: Flags, say: Say) -> None:
    space, name = _needed(flags, "namespace"), _needed(flags, "secret-name")
    say(f"getting secret '{name}' in namespace '{space}'")
    secret = await _present(api, "Secret", space, name)
    authority = (secret.get("data") or {}).get("ca")
    if not authority:
        raise TaskFailed(f"no ca in secret '{name}' in namespace '{space}'")
    webhook, policy = _needed(flags, "webhook-name"), flags.get("patch-failure-policy", "")
    for flag, kind in _KINDS.items():
        if flags.get(flag, "true") == "true":
            say(f"patching webhook '{webhook}' ({kind})")
            await _patch_one(api, kind, webhook, authority, policy)
    say("patched hook(s)")


async def _patch_one(api: AccountApi, kind: str, name: str, authority: str, policy: str) -> None:
    while True:
        found = copy.deepcopy(await _present(api, kind, "", name))
        for webhook in found.get("webhooks") or []:
            webhook["clientConfig"]["caBundle"] = authority
            if policy:
                webhook["failurePolicy"] = policy
        try:
            await api.update(found)
        except Conflict:
            continue
        return


async def _present(api: AccountApi, kind: str, space: str, name: str) -> Any:
    """The object, as soon as it is there."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            return await api.get(kind, space, name)
        except NotFound:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(_LOOK)


def _needed(flags: Flags, name: str) -> str:
    if not flags.get(name):
        raise TaskFailed(f'required flag(s) "{name}" not set')
    return flags[name]


def _name(host: str) -> str:
    if not names.is_dns_subdomain(host.removeprefix("*.")):
        raise TaskFailed(f"{host!r} is no name of a host")
    return host


def certificates(hosts: list[str]) -> dict[str, bytes]:
    """`ca`, `cert` and `key` in PEM: a certificate for these names, of a CA that nobody else has.

    Blocks for some 20 ms.
    """
    import tempfile  # few labs have a webhook

    with tempfile.TemporaryDirectory() as place:  # of mode 0700
        directory = Path(place)
        authority, key = directory / "ca", directory / "ca.key"
        _request(directory, "ca", "/O=nil1", (_CA,))
        alternatives = ",".join(f"DNS:{host}" for host in hosts)
        extensions = (_NO_CA, "extendedKeyUsage=serverAuth", f"subjectAltName={alternatives}")
        signed = ("-CA", str(authority), "-CAkey", str(key))
        _request(directory, "cert", "/O=nil2", extensions, signed)
        return {
            "ca": authority.read_bytes(),
            "cert": (directory / "cert").read_bytes(),
            "key": (directory / "cert.key").read_bytes(),
        }


def _request(
    directory: Path, who: str, subject: str, extensions: Sequence[str], signed: Sequence[str] = ()
) -> None:
    out = ("-keyout", str(directory / f"{who}.key"), "-out", str(directory / who))
    added = [word for extension in extensions for word in ("-addext", extension)]
    run(
        ["openssl", "req", "-x509", "-batch", *_NEW_KEY, "-days", _DAYS, "-subj", subject]
        + [*added, *signed, *out]
    )

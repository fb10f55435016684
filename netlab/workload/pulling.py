"""Images that no registry has: what a kubelet says of containers that want one. Pure.

Nothing is ever pulled here, and any image has a stand-in but those that the catalogue calls unknown
and those whose reference is none.

Source: the reference grammar of github.com/distribution/reference; the words are the kubelet's
(pkg/kubelet/images) and containerd's.
"""

from __future__ import annotations

import functools
import re
from typing import Literal

from msgspec import Struct

from netlab.objects.types import Container
from netlab.workload.catalogue import catalogue

_HOST = r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\]"
_DOMAIN = re.compile(rf"(?:{_HOST})(?::[0-9]+)?\Z")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_TAG = re.compile(r"\w[\w.-]{0,127}\Z", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}\Z")

Reason = Literal["ErrImagePull", "ErrImageNeverPull", "InvalidImageName"]


class Refusal(Struct, frozen=True):
    """Why a container waits for its image: the reason of its state, and the message there."""

    reason: Reason
    message: str


def refusal(container: Container) -> Refusal | None:
    """Why the container's image cannot be had; None when it can."""
    return _refusal(container.get("image") or "", container.get("imagePullPolicy") == "Never")


@functools.lru_cache(1024)
def _refusal(reference: str, never_pulled: bool) -> Refusal | None:
    if problem := _malformed(reference):
        return Refusal(
            "InvalidImageName",
            f'Failed to apply default image tag "{reference}": '
            f'couldn\'t parse image reference "{reference}": {problem}',
        )
    lacking = catalogue().lacking(reference)
    if lacking is None:
        return None
    if never_pulled:
        text = f'Container image "{reference}" is not present with pull policy of Never'
        return Refusal("ErrImageNeverPull", text)
    return Refusal("ErrImagePull", _pull_error(whole(reference), lacking))


def _malformed(reference: str) -> str:
    """What is wrong with a reference, if anything is."""
    domain, path, tag, digest = _apart(reference)
    if re.fullmatch("[0-9a-f]{64}", reference):
        return f"invalid repository name ({reference}), cannot specify 64-byte hexadecimal strings"
    if path.lower() != path and _PATH.match(path.lower()):
        return f"invalid reference format: repository name ({path}) must be lowercase"
    sound = _DOMAIN.match(domain) and _PATH.match(path) and (tag is None or _TAG.match(tag))
    return "" if sound and (digest is None or _DIGEST.match(digest)) else "invalid reference format"


def _apart(reference: str) -> tuple[str, str, str | None, str | None]:
    """Domain, path, tag and digest, the first two as they are where nothing is said."""
    name, at, digest = reference.partition("@")
    first, slash, rest = name.partition("/")
    has_domain = slash and (re.search("[.:]", first) or first == "localhost")
    domain, path = (first, rest) if has_domain else ("docker.io", name)
    path, colon, tag = path.partition(":")
    if domain in ("docker.io", "index.docker.io"):
        domain, path = "docker.io", path if "/" in path else f"library/{path}"
    return domain, path, tag if colon else None, digest if at else None


def whole(reference: str) -> str:
    """`docker.io/library/nginx:latest` for `nginx`."""
    domain, path, tag, digest = _apart(reference)
    if digest:
        return f"{domain}/{path}@{digest}"
    return f"{domain}/{path}:{tag or 'latest'}"


def _pull_error(reference: str, lacking: str) -> str:
    domain, path, tag, _ = _apart(reference)
    head = f'failed to pull and unpack image "{reference}": failed to resolve reference'
    if lacking == "host":
        asked = f"https://{domain}/v2/{path}/manifests/{tag or 'latest'}"
        why = f'failed to do request: Head "{asked}": dial tcp: lookup {domain}: no such host'
        return f'rpc error: code = Unknown desc = {head} "{reference}": {why}'
    if lacking == "repository":
        why = (
            "pull access denied, repository does not exist or may require authorization: "
            "server message: insufficient_scope: authorization failed"
        )
        return f'rpc error: code = Unknown desc = {head} "{reference}": {why}'
    return f'rpc error: code = NotFound desc = {head} "{reference}": {reference}: not found'

"""Which part of which state a list is asked for: `limit`, `continue`, `resourceVersion`. Pure.

A page after the first one shows what there was when the first was made, as far as the log of
changes reaches and for as long as etcd would keep it; then its token has expired, and the answer
holds another, by which the rest is listed as it is by then.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator

from msgspec import Struct

from netlab.errors import ApiError, BadRequest, Expired, Invalid
from netlab.objects.numbers import whole

LIFETIME = 300.0
"""Seconds for which a token is good: as often kube-apiserver has etcd forget what is past."""

_VERSION = "meta.k8s.io/v1"
_NOW = -1
_BAD = "invalid continue token: continue key is not valid"
_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a new list without the continue parameter, or use the continue token in this response to "
    "retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list."
)

Key = tuple[str, str]
"""Namespace ("" for none) and name."""


class Token(Struct, frozen=True):
    """Where to go on, after `last`: in the state at `revision`, of the epoch second `since`; with
    `_NOW` in whatever there is."""

    revision: int
    last: Key
    since: float


class Part(Struct, frozen=True):
    """What is to be listed: the state `at` a revision (None: now), after a key, so many."""

    at: int | None = None
    after: Key | None = None
    limit: int | None = None
    since: float = 0.0


class ExpiredToken(Expired):
    """What a token continues is past; `token` goes on with what there is."""

    def __init__(self, token: str) -> None:
        super().__init__(_EXPIRED)
        self._token = token

    def status(self) -> dict[str, object]:
        """As of any error, with the token where a list has it."""
        return {**super().status(), "metadata": {"continue": self._token}}


class TooLarge(ApiError):
    """A revision that is yet to come."""

    code, reason = 504, "Timeout"

    def __init__(self, wanted: int, present: int) -> None:
        why = "Too large resource version"
        causes = [{"reason": "ResourceVersionTooLarge", "message": why}]
        details: dict[str, object] = {"causes": causes, "retryAfterSeconds": 1}
        super().__init__(f"{why}: {wanted}, current: {present}", details=details)


class Options(Struct, frozen=True):
    """The query parameters, and the namespace that is listed, "" for all or none."""

    limit: int | None
    token: str
    version: str
    match: str
    namespace: str


def part(options: Options, revision: int, now: float) -> Part:
    """What these ask for, when `revision` is the latest; `BadRequest`, `Invalid`, `TooLarge`, or
    `Expired` in the server's words."""
    if problems := list(_problems(options)):
        listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise Invalid(f'ListOptions.meta.k8s.io "" is invalid: {listed}')
    if options.token:
        return _continued(options, revision, now)
    wanted = whole(options.version or "0")
    if wanted is None or wanted < 0:
        raise BadRequest(
            f'invalid resource version: resourceVersion: Invalid value: "{options.version}": '
            f'strconv.ParseUint: parsing "{options.version}": invalid syntax'
        )
    if wanted > revision:
        raise TooLarge(wanted, revision)
    is_exact = options.match == "Exact" or (not options.match and options.limit and wanted)
    return Part(wanted if is_exact else None, None, options.limit, now)


def _continued(options: Options, revision: int, now: float) -> Part:
    token = read(options.token, options.namespace)
    if options.version not in ("", "0"):
        raise BadRequest("specifying resource version is not allowed when using continue")
    if token.revision == _NOW:
        return Part(None, token.last, options.limit, now)
    if token.revision > revision:
        raise TooLarge(token.revision, revision)
    if token.revision < revision and now - token.since > LIFETIME:
        raise expired(token.last, options.namespace)
    return Part(token.revision, token.last, options.limit, token.since)


def _problems(options: Options) -> Iterator[str]:
    match, forbidden = options.match, "resourceVersionMatch: Forbidden: resourceVersionMatch"
    if not match:
        return
    if not options.version:
        yield f"{forbidden} is forbidden unless resourceVersion is provided"
    if options.token:
        yield f"{forbidden} is forbidden when continue is provided"
    if match not in ("Exact", "NotOlderThan"):
        yield (
            f'resourceVersionMatch: Unsupported value: "{match}": supported values: "Exact", '
            '"NotOlderThan", ""'
        )
    if match == "Exact" and options.version == "0":
        yield f'{forbidden} "exact" is forbidden for resourceVersion "0"'


def expired(last: Key, namespace: str) -> ExpiredToken:
    """The answer to a token whose state is past."""
    return ExpiredToken(write(Token(_NOW, last, 0.0), namespace))


def write(token: Token, namespace: str) -> str:
    """As kube-apiserver writes it, its key below `namespace`; `since` is ours."""
    space, name = token.last
    start = f"{space}/{name}\0" if space and not namespace else f"{name}\0"
    value = {"v": _VERSION, "rv": token.revision, "start": start, "since": token.since}
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def read(text: str, namespace: str) -> Token:
    """What `write` wrote; `BadRequest` if it did not."""
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        value = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        version, revision, start = value["v"], value["rv"], value["start"]
        since = float(value.get("since", 0.0))
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadRequest(_BAD) from None
    if version != _VERSION:
        raise BadRequest(f"{_BAD}: server does not recognize this encoded version {version!s}")
    if type(revision) is not int or not revision or revision < _NOW:
        raise BadRequest(f"{_BAD}: incorrect encoded start resourceVersion (version {_VERSION})")
    if not isinstance(start, str) or not start:
        raise BadRequest(f"{_BAD}: encoded start key empty (version {_VERSION})")
    space, slash, name = start.removesuffix("\0").rpartition("/")
    return Token(revision, (space if slash else namespace, name), since)

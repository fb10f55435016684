"""The ways in which a request fails, in kube-apiserver's words."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netlab.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Expired,
    Invalid,
    NotFound,
    NotSaved,
)
from netlab.objects import meta
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem


def _details(kind: Kind, name: str, **more: Any) -> dict[str, object]:
    group = {"group": kind.group} if kind.group else {}
    return {"name": name, **group, "kind": kind.plural, **more}


def unknown_kind() -> NotFound:
    """A kind or version that is not served."""
    return NotFound("the server could not find the requested resource")


def not_found(kind: Kind, name: str) -> NotFound:
    """`services "web" not found`."""
    return NotFound(f'{kind.resource} "{name}" not found', details=_details(kind, name))


def already_exists(kind: Kind, present: Object) -> AlreadyExists:
    """`services "web" already exists`, with a word on whether its name will soon be free."""
    name = meta.name(present)
    going = "object is being deleted: " if meta.is_terminating(present) else ""
    message = f'{going}{kind.resource} "{name}" already exists'
    return AlreadyExists(message, details=_details(kind, name))


def conflict(
    kind: Kind,
    name: str,
    why: str = "the object has been modified; please apply your changes to the latest version "
    "and try again",
) -> Conflict:
    """`Operation cannot be fulfilled on pods "x": …`."""
    return Conflict(
        f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}',
        details=_details(kind, name),
    )


def wrong_uid(kind: Kind, name: str, wanted: str, found: str) -> Conflict:
    """The object of that name is not the one that was meant."""
    why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    return conflict(kind, name, why)


def wrong_version(kind: Kind, name: str, wanted: str, found: str) -> Conflict:
    """The object is not in the state that was meant."""
    why = (
        f"Precondition failed: ResourceVersion in precondition: {wanted}, "
        f"ResourceVersion in object meta: {found}"
    )
    return conflict(kind, name, why)


def invalid(kind: Kind, name: str, problems: Sequence[FieldProblem]) -> Invalid:
    """`Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 80: …`, all at once."""
    texts = [str(problem) for problem in problems]
    what = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    full = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    group = {"group": kind.group} if kind.group else {}
    hints = [problem.hint for problem in problems if problem.hint]
    return Invalid(
        f'{full} "{name}" is invalid: {what}',
        details={
            "name": name,
            **group,
            "kind": kind.kind,
            "causes": [problem.cause() for problem in problems],
        },
        hint=hints[0] if hints else None,
    )


_IMMORTAL = {
    "Namespace": "this namespace may not be deleted",
    "PriorityClass": "this is a system priority class and cannot be deleted",
}


def immortal(kind: Kind, name: str) -> ApiError:
    """A cluster cannot be without some namespaces and classes."""
    return ApiError(
        f'{kind.resource} "{name}" is forbidden: {_IMMORTAL[kind.kind]}',
        code=403,
        reason="Forbidden",
        details=_details(kind, name),
    )


def namespace_terminating(kind: Kind, name: str, namespace: str) -> ApiError:
    """Nothing new may appear in a namespace that is going away."""
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    return ApiError(
        f'{kind.resource} "{name}" is forbidden: unable to create new content in namespace '
        f"{namespace} because it is being terminated",
        code=403,
        reason="Forbidden",
        details=_details(kind, name, causes=[cause]),
    )


def expired(revision: str) -> Expired:
    """A watch from a revision whose followers are no longer known."""
    return Expired(f"too old resource version: {revision}")


def expired_list() -> Expired:
    """A list of how things stood at a revision that is no longer known."""
    return Expired("The resourceVersion for the provided list is too old.")


def bad_revision(text: str) -> BadRequest:
    """A resourceVersion that is no number."""
    return BadRequest(f'resourceVersion: Invalid value: "{text}": must be a number')


def undecodable(kind: Kind, problems: Sequence[FieldProblem]) -> BadRequest:
    """Wrong types: no object of the kind can be made of this."""
    what = ", ".join(str(problem) for problem in problems)
    return BadRequest(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {what}'
    )


def identity_changed(kind: Kind, name: str) -> BadRequest:
    """A patch that renames."""
    return BadRequest(
        f'a patch cannot change the kind, name or namespace of {kind.resource} "{name}"'
    )


def unwritable(error: OSError) -> str:
    """Why nothing can be saved, in one line."""
    return f"the lab's store cannot be written ({error.strerror})"


def not_saved(error: OSError, place: Path) -> NotSaved:
    """There is no room for a write (507), or no way to write at all (500): nothing was changed.

    `place` is the directory that ought to have room.
    """
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return NotSaved(
        f"{unwritable(error)}: nothing was changed",
        code=507 if full else 500,
        reason="InsufficientStorage" if full else "InternalError",
        hint=f"make room in {place} (df {place}); the lab then goes on by itself" if full else None,
    )

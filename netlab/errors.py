"""Every error netlab raises on purpose, each with the exit code and the hint it deserves.

Three families, kept apart because the reader must do different things about them:
the input is wrong (`InputError`, 2), the machine lacks something (`EnvironmentLacks`, 3),
or something that was asked for did not work (everything else, 1).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace


class NetlabError(Exception):
    """Something went wrong that the user can read about; `hint` says what to do next."""

    exit_code = 1
    can_retry = True
    """False when nothing will change until somebody acts."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


def is_foreseen(error: BaseException) -> bool:
    """Whether an error tells of the world; any other one tells of a mistake of our own."""
    return isinstance(error, NetlabError | OSError)


def in_words(error: BaseException) -> str:
    """What went wrong in one line, and of what the machine lacks what would mend it."""
    if isinstance(error, EnvironmentLacks) and error.hint:
        return f"{error.message} ({error.hint})"
    if isinstance(error, NetlabError):
        return error.message
    return str(error) if isinstance(error, OSError) else f"unexpected error: {error!r}"


class Problem(Struct, frozen=True, order=True):
    """One mistake in a user's input: where it stands, which field, what is wrong, what helps."""

    file: str
    line: int
    field: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        text = ": ".join(part for part in (where, self.field, self.message) if part)
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class InputError(NetlabError):
    """The user's input is wrong: every problem found in it, at once. Nothing was touched."""

    exit_code = 2
    can_retry = False

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, _without_echoes(problems))))
        self.problems = tuple(problems)


_LONG = 80


def _without_echoes(problems: Sequence[Problem]) -> Iterator[Problem]:
    """A long hint, such as a list of all there is, once is enough."""
    given = set[str]()
    for problem in problems:
        hint = problem.hint or ""
        yield replace(problem, hint=None) if hint in given else problem
        if len(hint) > _LONG:
            given.add(hint)


class UsageError(NetlabError):
    """The command line itself makes no sense."""

    exit_code = 2
    can_retry = False


class EnvironmentLacks(NetlabError):
    """The machine lacks a tool, a privilege or a kernel feature; the hint says how to get it."""

    exit_code = 3
    can_retry = False


class SwitchedOff(NetlabError):
    """A node is off: nothing of it can be entered or read."""

    def __init__(self, node: str) -> None:
        super().__init__(f"node {node} is switched off", hint=f"netlab node start {node}")


class NotExecuted(NetlabError):
    """A command that somebody typed could not be run; exit codes are a shell's: 127 it is not
    there, 126 it is not executable."""

    def __init__(self, word: str, reason: str, exit_code: int) -> None:
        super().__init__(f"{word}: {reason}")
        self.exit_code = exit_code


class CommandFailed(NetlabError):
    """A program that netlab ran exited with an error; carries a line to paste."""

    def __init__(
        self, argv: Sequence[str], returncode: int, stderr: str, *, hint: str | None = None
    ) -> None:
        super().__init__(f"{shlex.join(argv)} exited {returncode}: {stderr.strip()}", hint=hint)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr = stderr


class KernelRefused(NetlabError):
    """A system call or netlink request was refused; `errno` is the kernel's answer."""

    def __init__(self, what: str, errno: int, *, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.errno = errno


class TeardownFailed(NetlabError):
    """Teardown went on past errors; these are all of them."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        super().__init__("teardown left something behind:\n" + "\n".join(f"- {e}" for e in errors))
        self.errors = tuple(errors)


class ApiError(NetlabError):
    """A Kubernetes Status failure: HTTP `code`, `reason` and `details`, as an API server says it.

    Raised by the registry, carried over HTTP as a Status object, raised again by the client.
    """

    code = 500
    reason = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        reason: str | None = None,
        details: dict[str, object] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code if code is not None else type(self).code
        self.reason = reason if reason is not None else type(self).reason
        self.details = details or {}

    def status(self) -> dict[str, object]:
        """The `v1.Status` object that stands for this error on the wire; its hint is a detail."""
        details = {**self.details, "hint": self.hint} if self.hint else self.details
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.code,
        }

    @property
    def is_of_going_namespace(self) -> bool:
        """Whether it is for its namespace's end that something cannot be made."""
        causes: Any = self.details.get("causes") or ()
        return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)

    @staticmethod
    def from_status(status: dict[str, object]) -> ApiError:
        """The error that a Status object stands for, as the most specific class known."""
        reason = str(status.get("reason") or "Unknown")
        code = status.get("code")
        details = status.get("details")
        hint = details.get("hint") if isinstance(details, dict) else None
        return _BY_REASON.get(reason, ApiError)(
            str(status.get("message") or reason),
            code=code if isinstance(code, int) else 500,
            reason=reason,
            details=details if isinstance(details, dict) else None,
            hint=hint if isinstance(hint, str) else None,
        )


class BadRequest(ApiError):
    """The request cannot be understood."""

    code, reason = 400, "BadRequest"


class NotFound(ApiError):
    """There is no such object, or no such kind."""

    code, reason = 404, "NotFound"


class AlreadyExists(ApiError):
    """An object of that name exists."""

    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """The object was modified since it was read."""

    code, reason = 409, "Conflict"


class Invalid(ApiError):
    """The object is understood but not allowed; `details.causes` lists each field."""

    code, reason = 422, "Invalid"


class Expired(ApiError):
    """The resourceVersion asked for is too old to watch from: list again."""

    code, reason = 410, "Expired"


class TooManyRequests(ApiError):
    """Somebody asks for more than his share."""

    code, reason = 429, "TooManyRequests"

    def __init__(
        self, message: str = "too many requests, please try again later", **more: Any
    ) -> None:
        super().__init__(message, **more)


class NotSaved(ApiError):
    """A write could not be kept, so it has not happened; the same again may work later."""

    code, reason = 507, "InsufficientStorage"


_BY_REASON: dict[str, type[ApiError]] = {
    cls.reason: cls
    for cls in (
        BadRequest,
        NotFound,
        AlreadyExists,
        Conflict,
        Invalid,
        Expired,
        TooManyRequests,
        NotSaved,
    )
}

"""Options that several verbs share, and how they are read."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from netlab.cli import server
from netlab.client.endpoint import ApiEndpoint
from netlab.client.sync import Client
from netlab.client.wire import BrokenAnswer, Unanswered
from netlab.errors import ApiError, NetlabError, NotFound, UsageError
from netlab.objects import meta, times
from netlab.objects.kinds import BY_KIND, KINDS, Kind, find
from netlab.objects.meta import Object
from netlab.objects.problems import did_you_mean

if TYPE_CHECKING:
    from netlab.manifest import Manifest


Target = tuple[Kind, str]
"""A kind, and the name of one object or "" for all of them."""

_KIND_WORDS = ", ".join(kind.plural for kind in KINDS) + ", all"


def add_namespace(parser: argparse.ArgumentParser, *, all_namespaces: bool = False) -> None:
    """`-n NAMESPACE`, and `-A` where a verb can look at all of them."""
    parser.add_argument(
        "-n", "--namespace", metavar="NS", help="the namespace (default, or the context's own)"
    )
    if all_namespaces:
        parser.add_argument(
            "-A", "--all-namespaces", action="store_true", help="look in all namespaces"
        )


def add_container(
    parser: argparse.ArgumentParser, summary: str = "which container, if it has several"
) -> None:
    """`-c CONTAINER`; "" when it is not said."""
    parser.add_argument("-c", "--container", default="", metavar="CONTAINER", help=summary)


def add_command(parser: argparse.ArgumentParser, summary: str) -> None:
    """`-- COMMAND`, which help tells of. The words behind `--` are in `command_words`: what is in
    `rest` stood before it."""
    parser.add_argument("rest", nargs="*", default=[], metavar="-- COMMAND", help=summary)


def require_dashes(arguments: argparse.Namespace, before: str) -> None:
    """`UsageError` for a command that stands right behind what is `before` it (`exec web`)."""
    if arguments.rest:
        hint = f"netlab {before} -- {' '.join(arguments.rest)}"
        raise UsageError("the command stands behind --", hint=hint)


def add_targets(parser: argparse.ArgumentParser, examples: str) -> None:
    """`KIND`, `KIND NAME…` or `KIND/NAME…`; read them with `parse_targets`."""
    parser.add_argument("targets", nargs="*", metavar="KIND[/NAME]", help=examples)


def add_selector(parser: argparse.ArgumentParser) -> None:
    """`-l LABELS`."""
    parser.add_argument("-l", "--selector", metavar="LABELS", help="those with app=web,tier!=db")


class Formats(Struct, frozen=True):
    """The values that `-o` takes; one that ends in `=` wants a template behind it."""

    known: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """The format as it was given; argparse's error for an unknown one."""
        name, equals, template = text.partition("=")
        if f"{name}=" in self.known:
            if not template:
                raise argparse.ArgumentTypeError(f"{name} needs a template: -o {name}=…")
            return text
        if name not in self.known or equals:
            raise argparse.ArgumentTypeError(f"there is no format '{text}', there are: {self}")
        return text

    def __str__(self) -> str:
        return ", ".join(name + "…" * name.endswith("=") for name in self.known)


def add_output(parser: argparse.ArgumentParser, *formats: str) -> None:
    """`-o FORMAT`."""
    known = Formats(formats)
    parser.add_argument("-o", "--output", metavar="FORMAT", type=known, help=str(known))


def add_files(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """`-f FILE`, as often as you like; `-` is standard input, a directory all its manifests."""
    parser.add_argument(
        "-f",
        "--filename",
        metavar="FILE",
        action="append",
        default=[],
        required=required,
        help="a file, a directory or - for standard input; may be repeated",
    )


def client(arguments: argparse.Namespace) -> Client:
    """A client of the API server that the command line means; it prints its warnings."""
    found = Client(server.endpoint(arguments))
    found.warn = warn
    _asked[:] = [found]
    return found


_asked = list[Client]()
"""The client that was asked for last: what it does not find may be elsewhere."""


def warn(text: str) -> None:
    """Print a warning, as kubectl does."""
    sys.stdout.flush()
    sys.stderr.write(f"Warning: {text}\n")


def parse_targets(words: list[str], such_as: str = "") -> list[Target]:
    """`pods`, `pod NAME…`, `pod/NAME svc/NAME`, `svc,rs` → (kind, name or "")."""
    if not words:
        hint = f"such as {such_as}" if such_as else f"name a kind: {_KIND_WORDS}"
        raise UsageError("which objects?", hint=hint)
    if any("/" in word for word in words):
        return [slashed(word) for word in words]
    kinds = [kind for word in words[0].split(",") if word for kind in kinds_of(word)]
    names = words[1:] or [""]
    return [(kind, name) for kind in kinds for name in names]


def space(kind: Kind, arguments: argparse.Namespace) -> str:
    """The namespace to look in for objects of that kind; "" for all, or where there is none."""
    everywhere = getattr(arguments, "all_namespaces", False)
    return arguments.namespace if kind.namespaced and not everywhere else ""


def refuse_name_everywhere(name: str, kind: Kind, arguments: argparse.Namespace) -> None:
    """A name says nothing without its namespace."""
    if name and kind.namespaced and arguments.all_namespaces:
        raise UsageError(
            "a resource cannot be retrieved by name across all namespaces",
            hint=f"name its namespace: -n NS {kind.singular} {name}",
        )


def say_nothing_found(arguments: argparse.Namespace, targets: Sequence[Target]) -> None:
    """kubectl's words for an empty answer, on standard error."""
    everywhere = arguments.all_namespaces or not any(kind.namespaced for kind, _ in targets)
    where = "" if everywhere else f" in {arguments.namespace} namespace"
    sys.stderr.write(f"No resources found{where}.\n" if where else "No resources found\n")
    if where and arguments.namespace not in [
        meta.name(obj) for obj in _all_of(BY_KIND["Namespace"])
    ]:
        sys.stderr.write(f"  hint: there is no namespace {arguments.namespace}: netlab get ns\n")


def kinds_of(word: str) -> list[Kind]:
    """The kind a word means, or those of the category `all`."""
    kind = find(word)
    if kind is not None:
        return [kind]
    category = [kind for kind in KINDS if word in kind.categories]
    if category:
        return category
    import difflib

    words = [name for kind in KINDS for name in (kind.plural, kind.singular)]
    near = difflib.get_close_matches(word.lower(), words, n=1)
    raise UsageError(
        f'the server doesn\'t have a resource type "{word}"',
        hint=f"did you mean {near[0]}?" if near else f"there are: {_KIND_WORDS}",
    )


def slashed(word: str) -> tuple[Kind, str]:
    """`svc/web` → (Service, web)."""
    kind_word, slash, name = word.partition("/")
    if not slash or not name or not kind_word or "/" in name:
        raise UsageError(
            f"'{word}' is not of the form KIND/NAME", hint="all of them must be, if one is"
        )
    return kinds_of(kind_word)[0], name


def service_name(word: str, verb: str) -> str:
    """The NAME of `svc/NAME` or `NAME`; `UsageError` for a thing of another kind."""
    if "/" not in word:
        return word
    kind, name = slashed(word)
    if kind.kind != "Service":
        raise UsageError(f"{word} is no Service", hint=f"sudo netlab {verb} svc/NAME")
    return name


def load(arguments: argparse.Namespace) -> Manifest:
    """The manifests that `-f` names, every object in its namespace."""
    from netlab import manifest

    loaded = manifest.load(arguments.filename, joined=joined)
    warn_of_left_out(loaded)
    for obj in loaded.objects:
        if BY_KIND[obj["kind"]].namespaced:
            place = loaded.where(obj)
            obj["metadata"].setdefault("namespace", arguments.namespace)
            loaded.sources[(obj["kind"], meta.namespace(obj), meta.name(obj))] = place
    return loaded


def joined(lab: str) -> Sequence[str]:
    """The nodes that a lab has besides those of its file; few files ask."""
    from netlab import inventory

    return inventory.joined(lab)


def warn_of_left_out(loaded: Manifest) -> None:
    """Say which objects of the files a lab has no place for, or takes for others."""
    for line in (*loaded.left_out, *loaded.translated):
        warn(line)


def endpoint(arguments: argparse.Namespace) -> ApiEndpoint:
    """The API server that the command line means."""
    found = server.endpoint(arguments)
    _asked[:] = [Client(found)]
    return found


def pod_of(arguments: argparse.Namespace, phases: Sequence[str] = ("Running",)) -> str:
    """The pod meant by `NAME`, or one of those behind `deploy/NAME`, `svc/NAME`, `rs/NAME`… that
    is in the first of these phases which one is in."""
    word: str = arguments.pod
    if "/" not in word:
        return word
    kind, name = slashed(word)
    if kind.kind == "Pod":
        return name
    with client(arguments) as api:
        owner = api.get(kind.kind, arguments.namespace, name)
        selector = selector_of(owner)
        pods = api.list("Pod", arguments.namespace, query={"labelSelector": selector})
    for phase in phases:
        found = sorted(meta.name(pod) for pod in pods if meta.status(pod).get("phase") == phase)
        if found:
            return found[0]
    what = "is running" if len(phases) == 1 else "has run"
    raise NetlabError(f"no pod of {word} {what}", hint=f"netlab get pods -l {selector}")


@contextlib.contextmanager
def looked_into(namespace: str, pod: str) -> Iterator[None]:
    """What the server refuses of a pod, without saying what to do, gets the way to its reasons."""
    try:
        yield
    except ApiError as error:
        if error.hint is None and not isinstance(error, NotFound):
            where = "" if namespace == "default" else f" -n {namespace}"
            error.hint = f"netlab describe pod {pod}{where}"
        raise


def selector_of(owner: Object) -> str:
    """The label selector of a Service or a workload, as text."""
    from netlab.objects import selectors

    selected = selectors.of_pods(owner)
    if not selected.requirements:
        raise UsageError(f"{owner['kind'].lower()}/{meta.name(owner)} selects no pods")
    return str(selected)


def seconds(text: str) -> int:
    """`90`, `90s`, `5m`, `2h` → seconds."""
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if not match:
        raise UsageError(f"'{text}' is no duration", hint="such as 30s, 5m or 2h")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def duration(text: str) -> float:
    """`30s`, `1m30s`, `500ms`, `-1s`, or a bare number → seconds."""
    found = times.duration(text)
    if found is None:
        raise UsageError(f"'{text}' is no duration", hint="such as 30s, 1m30s or 2h")
    return found


def note_left_out(loaded: Manifest) -> None:
    """Say that a lab and its checks are no objects of an API."""
    if loaded.lab is not None or loaded.checks:
        note("Lab and PathCheck documents are for `netlab up` and `netlab check`: left out")


def complain(error: NetlabError) -> None:
    """An error on standard error; for an object that is not there, with the way to those that
    are."""
    if isinstance(error, NotFound) and not error.hint:
        error.hint = _where_else(error)
    if isinstance(error, BrokenAnswer | Unanswered) and _asked and not _asked[0].endpoint.socket:
        error.hint = f"ask it again, or see how {_asked[0].endpoint.where} is: it is no lab's"
    sys.stderr.write(f"error: {unsudoed(str(error))}\n")


def _where_else(error: NotFound) -> str | None:
    kind = find(str(error.details.get("kind", "")))
    if kind is None:
        return None
    name = str(error.details.get("name", ""))
    there = [(meta.namespace(obj), meta.name(obj)) for obj in _all_of(kind)] if name else []
    spaces = sorted(space for space, other in there if other == name)
    if spaces and kind.namespaced:
        found = ", ".join(f"{space}/{name}" for space in spaces)
        return f"there is {found}: -n {spaces[0]}"
    other = find(name)
    if other is not None and other is not kind:
        return f"to list both: netlab get {kind.plural},{other.plural}"
    meant = did_you_mean(name, sorted({other for _, other in there}))
    if meant:
        return f"did you mean {meant}?"
    everywhere = " -A" if kind.namespaced else ""
    return f"netlab get {kind.plural}{everywhere} lists those there are"


def _all_of(kind: Kind) -> Sequence[Object]:
    """All objects of a kind; none if nobody can be asked any more."""
    try:
        return _asked[0].list(kind.kind)
    except (IndexError, NetlabError):
        return []


def unsudoed(text: str) -> str:
    """Advice to use sudo is not for who is root without it."""
    if os.geteuid() != 0 or "SUDO_USER" in os.environ:
        return text
    return text.replace("sudo netlab", "netlab").replace("sudo ip netns", "ip netns")


def note(text: str) -> None:
    """One line on standard error that is no failure."""
    sys.stderr.write(f"note: {text}\n")

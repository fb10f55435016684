"""What the completion scripts ask: `netlab __complete WORD… CURRENT`.

Prints a line for each candidate, a description behind a tab; ":files" alone stands for the
shell's own completion of files. Prints nothing rather than an error, whatever happens.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from netlab.cli.verbs import GLOBAL_WITH_VALUE, VERBS, Verb, resolve

if TYPE_CHECKING:
    from netlab.cli.main import Parser
    from netlab.client.sync import Client

PATIENCE = 1.0
"""Seconds after which no answer is the better one."""

FILES = ":files"

_WORD = re.compile(r"[\w@%+=:,./-]+")


class TypedLine(Struct):
    """A command line as far as it has been typed."""

    verb: Verb
    parser: Parser
    current: str
    words: list[str] = field(default_factory=list)
    """The words that are no options, up to the current one."""

    values: dict[str, str] = field(default_factory=dict)
    """What the options so far were given, by their destination."""

    waiting: argparse.Action | None = None
    """The option whose value the current word is."""


def run(arguments: argparse.Namespace) -> int:
    """Print the candidates for the last word."""

    def give_up(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    # A Tab is no place for complaints: argparse would exit, a lab may be gone or not ours.
    with contextlib.suppress(Exception, SystemExit), contextlib.redirect_stderr(io.StringIO()):
        print("\n".join(candidates(arguments.words or [""])))
    signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """The candidates for the last of the words."""
    *before, current = words
    rest = list(before)
    while rest and rest[0].startswith("-"):  # options that stand before the verb
        rest = rest[1 if "=" in rest[0] else 2 :]
    if not rest:
        if before and before[-1] in GLOBAL_WITH_VALUE:
            return _of_verb(VERBS["get"], [], current, before)
        return _matching((f"{v.name}\t{v.summary}" for v in VERBS.values()), current)
    verb = VERBS.get(rest[0])
    if verb is None or verb.verbatim or "--" in rest:
        return []
    leading = before[: len(before) - len(rest)]
    verb, rest = resolve(verb, rest[1:])
    return _of_verb(verb, rest, current, leading)


def _of_verb(verb: Verb, before: Sequence[str], current: str, leading: Sequence[str]) -> list[str]:
    from netlab.cli.main import parser_of

    line = TypedLine(verb, parser_of(verb), current)
    _read(line, [*leading, *before])
    if line.waiting is not None:
        return _matching(_values(line, line.waiting), current)
    if current.startswith("--") and "=" in current:
        return _after_equals(line)
    if current.startswith("-"):
        return _matching(_options(line), current)
    if verb.parts and not line.words:
        return _matching((f"{part.word}\t{part.summary}" for part in verb.parts), current)
    action = _positional(line)
    return _matching(_values(line, action), current) if action else []


def _read(line: TypedLine, words: Iterable[str]) -> None:
    known = line.parser.flags
    for word in words:
        name, equals, value = word.partition("=")
        if line.waiting is not None:
            line.values[line.waiting.dest] = word
            line.waiting = None
        elif name in known and known[name].nargs != 0:
            if equals:
                line.values[known[name].dest] = value
            else:
                line.waiting = known[name]
        elif not word.startswith("-"):
            line.words.append(word)


def _after_equals(line: TypedLine) -> list[str]:
    name, _, typed = line.current.partition("=")
    action = line.parser.flags.get(name)
    found = _matching(_values(line, action), typed) if action else []
    return [f"{name}={value}" for value in found if value != FILES]


def _options(line: TypedLine) -> Iterator[str]:
    for action in line.parser.arguments:
        for option in action.option_strings:
            if option.startswith("--") or line.current == "-":
                yield f"{option}\t{action.help or ''}"


def _positional(line: TypedLine) -> argparse.Action | None:
    """The positional argument that the current word belongs to."""
    actions = [action for action in line.parser.arguments if not action.option_strings]
    if len(line.words) < len(actions):
        return actions[len(line.words)]
    return actions[-1] if actions and actions[-1].nargs in ("*", "+") else None


def _matching(found: Iterable[str], current: str) -> list[str]:
    """Those that go on as `current` begins, each once; the word for files always."""
    return [
        one
        for one in dict.fromkeys(found)
        if (one.startswith(current) and _is_word(one)) or one == FILES
    ]


def _is_word(candidate: str) -> bool:
    """False for a name that would be more than one word, or more than text, to a shell."""
    return _WORD.fullmatch(candidate.partition("\t")[0]) is not None


# -- what a value may be -------------------------------------------------------------------


def _values(line: TypedLine, action: argparse.Action) -> Iterable[str]:
    from netlab.cli.options import Formats

    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    if isinstance(action.type, Formats):
        return action.type.known
    source = _SOURCES.get(str(action.metavar or action.dest))
    return source(line) if source else ()


def _labs(_: TypedLine | None = None) -> list[str]:
    from netlab import inventory

    return inventory.names()


def _targets(line: TypedLine) -> Iterable[str]:
    """Kinds first, then names of that kind; `KIND/NAME` wherever a slash is typed."""
    if "/" in line.current or any("/" in word for word in line.words):
        return _slashed(line)
    if line.words:
        return [name for name in _names(line, line.words[0]) if name not in line.words[1:]]
    return _kinds(line)


def _kinds(line: TypedLine) -> Iterable[str]:
    from netlab.objects.kinds import KINDS

    *first, last = line.current.split(",")
    before = "".join(f"{kind}," for kind in first)
    words = [kind.plural for kind in KINDS] + ["all"]
    if not any(word.startswith(last) for word in words):
        words = [word for kind in KINDS for word in (kind.singular, *kind.short_names)]
    return [before + word for word in words]


def _slashed(line: TypedLine) -> Iterable[str]:
    kind, slash, _ = line.current.partition("/")
    return [f"{kind}/{name}" for name in _names(line, kind)] if slash else ()


def _workloads(line: TypedLine) -> Iterable[str]:
    if "/" in line.current:
        return _slashed(line)
    return [f"deployment/{name}" for name in _names(line, "deployments")]


def _pods(line: TypedLine) -> Iterable[str]:
    return _slashed(line) if "/" in line.current else _names(line, "pods")


def _services(line: TypedLine) -> Iterable[str]:
    return _slashed(line) if "/" in line.current else _names(line, "services")


def _names(line: TypedLine, word: str) -> list[str]:
    """The names of the objects of that kind in the namespace that was typed."""
    from netlab.objects.kinds import find

    kind = find(word)
    if kind is None:
        return []
    with _client(line) as (client, namespace):
        table = client.table(kind.kind, namespace if kind.namespaced else None)
    return [row["object"]["metadata"]["name"] for row in table["rows"]]


@contextlib.contextmanager
def _client(line: TypedLine) -> Iterator[tuple[Client, str]]:
    """Who is asked, and the namespace that is meant there."""
    from netlab.cli import server
    from netlab.client.sync import Client

    unsaid = dict.fromkeys(("lab", "kubeconfig", "context", "namespace"))
    typed = argparse.Namespace(**{**unsaid, **line.values})
    server.choose(typed)
    with Client(server.endpoint(typed)) as client:
        yield client, typed.namespace


def _contexts(line: TypedLine) -> Iterable[str]:
    from netlab.cli import server
    from netlab.client import kubeconfig

    return kubeconfig.contexts(server.files(argparse.Namespace(**line.values)))


def _files(_: TypedLine) -> Iterable[str]:
    return [FILES]


def _containers(line: TypedLine) -> Iterable[str]:
    """Those of the pod that was typed, or of the pods behind `deploy/NAME`."""
    from netlab.objects import meta
    from netlab.objects.kinds import find, pod_of

    word, slash, name = (line.words or [""])[0].partition("/")
    kind = find(word if slash else "pod")
    if kind is None:
        return []
    with _client(line) as (client, namespace):
        obj = client.get(kind.kind, namespace, name or word)
    spec = meta.spec(pod_of(obj))
    fields = ("containers", "initContainers")
    return [one["name"] for where in fields for one in spec.get(where) or []]


def _checks(line: TypedLine) -> Iterable[str]:
    """Those of the files that were typed, or of those the lab was brought up from."""
    from netlab import inventory, manifest

    files = line.words or inventory.sources(inventory.choose(line.values.get("lab")))
    return [check.name for check in manifest.load(files, joined=inventory.joined).checks]


def _helped(line: TypedLine) -> Iterable[str]:
    """Verbs and topics, or the second word of a verb that has one."""
    from netlab.cli.topics import topics

    if line.words:
        verb = VERBS.get(line.words[0])
        return [f"{part.word}\t{part.summary}" for part in verb.parts] if verb else ()
    verbs = [f"{verb.name}\t{verb.summary}" for verb in VERBS.values()]
    return verbs + [f"{topic.name}\t{topic.summary}" for topic in topics().values()]


def _machines() -> list[str]:
    from netlab import inventory

    known = inventory.read_machines(inventory.running(None))
    nodes = [node.name for node in known.nodes]
    return nodes + [client.name for client in known.external.clients]


def _forwards(line: TypedLine) -> Iterable[str]:
    local, colon, _ = line.current.partition(":")
    return [f"{local}:{name}" for name in _names(line, "nodes")] if colon else ()


def _watched(line: TypedLine) -> Iterable[str]:
    if "/" in line.current:
        return _slashed(line)
    return [*_machines(), *(f"svc/{name}" for name in _names(line, "services"))]


_SOURCES: dict[str, Callable[[TypedLine], Any]] = {
    "CHECK": _checks,
    "CONTAINER": _containers,
    "CONTEXT": _contexts,
    "FILE": _files,
    "KIND/NAME": _workloads,
    "KIND[/NAME]": _targets,
    "LAB": _labs,
    "LOCAL:NODE[:PORT]": _forwards,
    "NODE|CLIENT|POD": lambda line: [*_machines(), *_pods(line)],
    "NODE": lambda line: _names(line, "nodes"),
    "NS": lambda line: _names(line, "namespaces"),
    "POD": _pods,
    "SERVICE": _services,
    "TOPIC": _helped,
    "WHAT": _watched,
}
"""What stands for an argument's values, by the word that the help has for it."""

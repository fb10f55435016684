"""What may be wrong with a kubectl command line that fails: said after kubectl's own words, which
are for those who know their way about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from netlab.cli import hyphens
from netlab.client.sync import Client
from netlab.errors import InputError, NetlabError

_FLAGS = frozenset(
    "--" + name
    for name in (
        "all-namespaces", "command", "filename", "image", "labels", "name", "namespace", "output",
        "port", "replicas", "restart", "selector", "target-port", "type",
    )
)  # fmt: skip
_READS_FILES = frozenset(("apply", "create", "replace", "delete"))
_WITH_VALUE = re.compile(r"-[a-z]|--(?:name|namespace|type|port|target-port|protocol|selector)")
_DEFAULT = "default"


def hints(words: Sequence[str], client: Client) -> list[str]:
    """A line each, by the words after `kubectl`; none when nothing is known to be wrong."""
    before = words[: words.index("--")] if "--" in words else words
    return [*_of_words(before), *_of_files(before), *_of_port(before, client)]


def _of_words(words: Sequence[str]) -> Iterator[str]:
    if hint := hyphens.hint(words, _FLAGS):
        yield hint
    for word in words:
        if not (word.isascii() or word.startswith("-") or hyphens.meant(word) or "=" in word):
            yield f"{word} is no name: those are of lower case letters, digits, - and ."


def _of_files(words: Sequence[str]) -> Iterator[str]:
    """Those that netlab's own verbs give; a server tells of its first complaint at most."""
    files = [path for path in _filenames(words) if path != "-" and "://" not in path]
    if not files or not _READS_FILES.intersection(words):
        return
    from netlab import manifest
    from netlab.cli import options

    try:
        loaded = manifest.load(files, joined=options.joined)
    except InputError as error:
        for problem in error.problems:
            words = problem.hint or problem.message
            yield str(replace(problem, message=words, hint=None))
    except (NetlabError, OSError):
        return  # what is not there, kubectl says
    else:
        yield from (f"{said}, by netlab apply" for said in loaded.translated)


def _filenames(words: Sequence[str]) -> Iterator[str]:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in ("-f", "--filename"):
            yield from following.split(",")
        elif found := re.match(r"(?:--filename=|-f=?)(.+)", word):
            yield from found[1].split(",")


def _of_port(words: Sequence[str], client: Client) -> Iterator[str]:
    """`expose` takes a port from the containers, if they declare any."""
    if words[:1] != ["expose"] or any(word.partition("=")[0] == "--port" for word in words):
        return
    from netlab.cli import options
    from netlab.cli.objects.expose_ import declared_ports

    try:
        kind, name = options.parse_targets(_targets(words[1:]))[0]
        found = client.get(kind.kind, _namespace(words), name)
    except (NetlabError, IndexError):
        return
    if not declared_ports(found):
        yield f"{kind.singular} {name} declares no containerPort: add --port=80, or whatever it is"


def _targets(words: Sequence[str]) -> list[str]:
    pairs = zip(["", *words[:-1]], words, strict=True)
    plain = [word for before, word in pairs if not _WITH_VALUE.fullmatch(before)]
    return [word for word in plain if not word.startswith("-") and not hyphens.meant(word)]


def _namespace(words: Sequence[str]) -> str:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in ("-n", "--namespace"):
            return following
        if found := re.match(r"(?:--namespace=|-n=?)(.+)", word):
            return found[1]
    return _DEFAULT

"""Options that several verbs share, and how they are read."""

from __future__ import annotations

import argparse

from netlab.client.sync import Client
from netlab.errors import UsageError
from netlab.objects.kinds import KINDS, Kind, find


def add_namespace(parser: argparse.ArgumentParser, *, all_namespaces: bool = False) -> None:
    """`-n NAMESPACE`, and `-A` where a verb can look at all of them."""
    parser.add_argument(
        "-n", "--namespace", metavar="NS", default="default", help="the namespace (default)"
    )
    if all_namespaces:
        parser.add_argument(
            "-A", "--all-namespaces", action="store_true", help="look in all namespaces"
        )


def add_output(parser: argparse.ArgumentParser, *formats: str) -> None:
    """`-o FORMAT`."""
    parser.add_argument(
        "-o", "--output", metavar="FORMAT", choices=formats, help=" | ".join(formats)
    )


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
    """A client of the lab that the command line means."""
    from netlab.lab import client_of

    return client_of(arguments.lab)


def parse_targets(words: list[str]) -> list[tuple[Kind, str]]:
    """`pods`, `pod NAME…`, `pod/NAME svc/NAME`, `svc,rs` → (kind, name or "")."""
    if not words:
        raise UsageError("name a kind, such as pods", hint="netlab get pods")
    if any("/" in word for word in words):
        return [_slashed(word) for word in words]
    kinds = [kind for word in words[0].split(",") for kind in kinds_of(word)]
    names = words[1:] or [""]
    return [(kind, name) for kind in kinds for name in names]


def kinds_of(word: str) -> list[Kind]:
    """The kind a word means, or those of the category `all`."""
    kind = find(word)
    if kind is not None:
        return [kind]
    category = [kind for kind in KINDS if word in kind.categories]
    if category:
        return category
    import difflib

    near = difflib.get_close_matches(word, [kind.plural for kind in KINDS], n=1)
    raise UsageError(
        f'the server doesn\'t have a resource type "{word}"',
        hint=f"did you mean {near[0]}?" if near else "netlab get --help lists them",
    )


def _slashed(word: str) -> tuple[Kind, str]:
    kind_word, slash, name = word.partition("/")
    if not slash or not name:
        raise UsageError(
            f"'{word}' is not of the form KIND/NAME", hint="all of them must be, if one is"
        )
    return kinds_of(kind_word)[0], name

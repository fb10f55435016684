"""Examples:

    netlab help                   all verbs and topics
    netlab help rollout undo      a verb, as netlab rollout undo --help
    netlab help architecture      a topic

A topic is a page about how netlab works. One that does not fit the terminal is shown by $PAGER, or
less -R.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
from itertools import groupby

from netlab.cli import terminal
from netlab.cli.lab import pager
from netlab.cli.topics import page, topics
from netlab.cli.verbs import OF_KUBECTL, VERBS, Verb, resolve
from netlab.errors import UsageError

WIDEST = 100
"""Columns in which a page can still be read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """About what."""
    parser.add_argument("words", nargs="*", metavar="TOPIC", help="a verb, or a topic")


def run(arguments: argparse.Namespace) -> int:
    """Show what is said of it; without a word, what there is."""
    if not arguments.words:
        print(terminal.folded(_all(), _width(), " " * 12))
        return 0
    word, *rest = arguments.words
    if word in VERBS:
        _show_verb(*resolve(VERBS[word], rest))
    elif topic := topics().get(word):
        pager.show(page(topic, min(_width(), WIDEST)))
    else:
        raise _unknown(word)
    return 0


def _all() -> str:
    lines = ["netlab: Kubernetes-style service routing made of Linux network namespaces\n"]
    lines.append("usage: netlab [--lab LAB | --kubeconfig FILE] VERB [ARGUMENTS]")
    for group, verbs in groupby(VERBS.values(), key=lambda verb: verb.group):
        lines.append(f"\n{group.title}:")
        lines += [f"  {verb.name:<12}{verb.summary}" for verb in verbs]
    lines.append("\nTopics, to read with netlab help TOPIC:")
    lines += [f"  {topic.name:<16}{topic.summary}" for topic in topics().values()]
    lines.append("\nStart with:  sudo netlab up topologies/quickstart.yaml")
    lines.append("More:        netlab VERB --help")
    return "\n".join(lines)


def _width() -> int:
    """How wide help may be: what argparse goes by."""
    return shutil.get_terminal_size().columns


def _show_verb(verb: Verb, rest: list[str]) -> None:
    from netlab.cli.main import fitted, parser_of, refuse_word

    if verb.parts and rest and not rest[0].startswith("-"):
        refuse_word(rest[0], [part.word for part in verb.parts], f"{verb.name} ")
    if verb.verbatim:
        print(fitted(importlib.import_module(verb.module).__doc__ or "", _width()))
    else:
        parser_of(verb).print_help()


def _unknown(word: str) -> UsageError:
    from netlab.cli.main import meant_by

    near = meant_by(word, [*VERBS, *topics()])
    if word in OF_KUBECTL[""]:
        hint = f"kubectl has it: netlab kubectl {word} --help"
        return UsageError(f"there is no verb or topic '{word}'", hint=hint)
    hint = f"did you mean 'netlab help {near}'?" if near else "netlab help lists them"
    return UsageError(f"there is no verb or topic '{word}'", hint=hint)

"""The entry point: finds the verb, imports that verb alone, turns errors into exit codes."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import NoReturn

from netlab import __version__
from netlab.cli.verbs import VERBS, Verb
from netlab.errors import NetlabError


class Parser(argparse.ArgumentParser):
    """argparse, with netlab's way of saying what is wrong with a command line."""

    def error(self, message: str) -> NoReturn:
        """Print the mistake and where to read on; exit code 2."""
        sys.stderr.write(f"error: {message}\n  hint: {self.prog} --help\n")
        sys.exit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code (0 ok, 1 failed, 2 usage, 3 environment)."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except NetlabError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        return _help(words[1:])
    if words[0] in ("--version", "version"):
        print(f"netlab {__version__}")
        return 0
    lab, words = _lab_before_verb(words)
    verb = VERBS.get(words[0]) if words else None
    if verb is None:
        return _unknown(words[0] if words else "")
    if verb.verbatim:
        return int(importlib.import_module(verb.module).run_words(lab, words[1:]))
    parser = _parser(verb)
    rest, command = _split_command(words[1:])
    arguments = parser.parse_args(rest, argparse.Namespace(lab=lab, command_words=command))
    return _run(verb, arguments)


def _lab_before_verb(words: list[str]) -> tuple[str | None, list[str]]:
    """`netlab --lab NAME get …` means what `netlab get --lab NAME …` does."""
    if words[0] == "--lab" and len(words) > 1:
        return words[1], words[2:]
    if words[0].startswith("--lab="):
        return words[0].removeprefix("--lab="), words[1:]
    return None, words


def _split_command(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands after `--` is a command for a pod, none of our flags."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _parser(verb: Verb) -> Parser:
    module = importlib.import_module(verb.module)
    parser = Parser(
        prog=f"netlab {verb.name}",
        description=verb.summary[0].upper() + verb.summary[1:] + ".",
        epilog=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--lab", metavar="NAME", default=argparse.SUPPRESS, help="which lab, if several run"
    )
    module.add_arguments(parser)
    return parser


def _run(verb: Verb, arguments: argparse.Namespace) -> int:
    return int(importlib.import_module(verb.module).run(arguments))


def _help(words: list[str]) -> int:
    if words and words[0] in VERBS:
        _print_help(VERBS[words[0]])
        return 0
    print("netlab: Kubernetes-style service routing made of Linux network namespaces\n")
    print("usage: netlab [--lab NAME] VERB [ARGUMENTS]")
    for group, verbs in groupby(VERBS.values(), key=lambda verb: verb.group):
        print(f"\n{group}:")
        for verb in verbs:
            print(f"  {verb.name:<12}{verb.summary}")
    print("\nStart with:  netlab up topologies/quickstart.yaml")
    print("More:        netlab VERB --help")
    return 0


def _print_help(verb: Verb) -> None:
    if verb.verbatim:
        print(importlib.import_module(verb.module).__doc__)
    else:
        _parser(verb).print_help()


def _unknown(word: str) -> int:
    import difflib

    near = difflib.get_close_matches(word, VERBS, n=1)
    hint = f"did you mean 'netlab {near[0]}'?" if near else "netlab --help lists the verbs"
    sys.stderr.write(f"error: there is no verb '{word}'\n  hint: {hint}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())

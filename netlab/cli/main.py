"""The entry point: finds the verb, imports that verb alone, turns errors into exit codes."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from netlab import __version__
from netlab.cli import hyphens, server, terminal
from netlab.cli.verbs import GLOBAL_WITH_VALUE, HIDDEN, OF_KUBECTL, VERBS, Verb, resolve
from netlab.errors import NetlabError, UsageError


class Parser(argparse.ArgumentParser):
    """argparse, with netlab's way of saying what is wrong with a command line.

    `arguments` are those it was given, in their order; `flags` those of them by each name.
    """

    def __init__(self, **settings: Any) -> None:
        self.arguments: list[argparse.Action] = []
        self.flags: dict[str, argparse.Action] = {}
        super().__init__(**settings)

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """As argparse's, which keeps what it has made to itself."""
        action = super().add_argument(*names, **settings)
        self.arguments.append(action)
        self.flags |= dict.fromkeys(action.option_strings, action)
        return action

    def format_help(self) -> str:
        """As argparse's, whose own texts alone fit the terminal."""
        import shutil

        width = shutil.get_terminal_size().columns - 2  # as argparse has it
        self.description = fitted(self.description or "", width)
        self.epilog = fitted(self.epilog or "", width)
        usage, *rest = super().format_help().partition("\n\n")
        # Since Python 3.13 argparse breaks no argument that may stand there several times.
        return "".join(["\n".join(_broken(line, width) for line in usage.split("\n")), *rest])

    def error(self, message: str) -> NoReturn:
        """Print the mistake and where to read on, or an example; exit code 2."""
        hint = f"{self.prog} --help"
        if message.startswith("the following arguments are required"):
            hint = f"such as: {_first_example(self.epilog or '') or hint}"
        elif meant := self._meant_by(message):
            hint = f"did you mean {meant}?"
        _complain(UsageError(message, hint=hint))
        sys.exit(2)

    def _meant_by(self, message: str) -> str | None:
        """The flag, or the one of a few values, that an unknown one most likely means."""
        from netlab.objects.problems import did_you_mean

        if choice := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            # Quoted before Python 3.13.
            return did_you_mean(choice[1], re.findall(r"[^\s',]+", choice[2]))
        found = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        known = [flag for flag in self.flags if flag.startswith("--")]
        return did_you_mean(found[1], known) if found else None


def _first_example(text: str) -> str:
    """The first command line among a verb's examples."""
    found = re.search(r"^ *((?:sudo )?netlab .*?)(?:   |$)", text, re.MULTILINE)
    return found[1] if found else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code (0 ok, 1 failed, 2 usage, 3 environment)."""
    words = list(sys.argv[1:] if argv is None else argv)
    with (
        contextlib.redirect_stdout(terminal.escaped(sys.stdout)),
        contextlib.redirect_stderr(terminal.escaped(sys.stderr, prose=True)),
    ):
        return _main(words)


def _main(words: list[str]) -> int:
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except NetlabError as error:
        sys.stdout.flush()
        _complain(error)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        what = f": {interrupt}" if str(interrupt) else ""
        sys.stderr.write(
            f"\ninterrupted{what}\n" if sys.stderr.isatty() else f"interrupted{what}\n"
        )
        return 130
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if (
            error.filename is None
        ):  # not about a file that somebody could look at: a mistake of ours
            raise
        _complain(_about_file(error))
        return 3 if isinstance(error, PermissionError) else 1


def _complain(error: NetlabError) -> None:
    from netlab.cli import options

    options.complain(error)


def _about_file(error: OSError) -> NetlabError:
    if isinstance(error, PermissionError) and os.geteuid() != 0:
        return NetlabError(f"no permission to use {error.filename}", hint="run it with sudo")
    hint = f"make room there: df {error.filename}" if error.errno == errno.ENOSPC else None
    return NetlabError(f"{error.filename}: {error.strerror}", hint=hint)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        words = ["help", *words[1:]]
    if words[0] in ("--version", "version"):
        print(f"netlab {__version__}")
        return 0
    if words[0] == HIDDEN.name:  # its words are somebody else's, finished or not
        return _run(HIDDEN, argparse.Namespace(lab=None, words=words[1:]))
    before, words = _options_before_verb(words)
    verb = VERBS.get(words[0]) if words else None
    if verb is None:
        return refuse_word(words[0]) if words else _no_verb(before)
    if verb.verbatim:
        return _run_verbatim(verb, before, words[1:])
    verb, words = resolve(verb, words[1:])
    if verb.parts and words and not words[0].startswith("-"):
        return refuse_word(words[0], [part.word for part in verb.parts], f"{verb.name} ")
    rest, command = split_command(words)
    return _run(verb, parse(verb, [*before, *rest], command))


def parse(verb: Verb, words: list[str], command: list[str]) -> argparse.Namespace:
    """The verb's arguments; `command` is what stands behind `--`."""
    parser = parser_of(verb)
    hyphens.refuse(words, parser.flags)
    server.refuse(verb, words)
    _refuse_unknown(parser, words)
    arguments = parser.parse_intermixed_args(
        [_with_value(parser, word) for word in words],
        argparse.Namespace(lab=None, command_words=command),
    )
    server.choose(arguments)
    return arguments


def _refuse_unknown(parser: Parser, words: list[str]) -> None:
    """argparse takes `--flag=a b` for no flag, as it has a space, and would pass it on."""
    for word in words:
        flag, equals, _ = word.partition("=")
        looks_like_one = equals and re.fullmatch(r"--[a-z-]+", flag) and " " in word
        if looks_like_one and flag not in parser.flags:
            parser.error(f"unrecognized arguments: {word}")


def _with_value(parser: Parser, word: str) -> str:
    """`--dry-run` → `--dry-run=client`: an optional value stands behind =, never a word on."""
    action = parser.flags.get(word)
    return f"{word}={action.const}" if action and action.nargs == "?" else word


def _run_verbatim(verb: Verb, before: list[str], words: list[str]) -> int:
    """Hand a verb its words unread, but for `--lab NAME`, which the other program has not."""
    parser = Parser(prog=f"netlab {verb.name}", add_help=False, allow_abbrev=False)
    parser.add_argument("--lab")
    words, command = split_command(words)
    server.refuse(verb, [*before, *words])
    lab, rest = parser.parse_known_args([*before, *words])
    # What stands behind -- may be anything, and may have a --lab of its own.
    rest += ["--", *command] if command else []
    return int(importlib.import_module(verb.module).run_words(lab.lab, rest))


def _options_before_verb(words: list[str]) -> tuple[list[str], list[str]]:
    """`netlab --lab NAME -n NS get …` means what `netlab get --lab NAME -n NS …` does."""
    before: list[str] = []
    while words and words[0].startswith("-"):
        takes = 2 if words[0] in GLOBAL_WITH_VALUE else 1
        before, words = before + words[:takes], words[takes:]
    return before, words


def split_command(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands after `--` is a command for a pod, none of our flags."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def parser_of(verb: Verb) -> Parser:
    """The verb's command line."""
    module = importlib.import_module(verb.module)
    parser = Parser(
        prog=f"netlab {verb.name}",
        description=verb.summary[0].upper() + verb.summary[1:] + ".",
        epilog=_parts_of(verb) + (module.__doc__ or ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    module.add_arguments(parser)
    server.add_arguments(parser, verb)
    parser.add_argument("-h", "--help", action="help", help="show this help")
    if verb.parts:
        own = parser.format_usage().partition(": ")[2].strip()
        parser.usage = f"netlab {verb.name} WHAT [ARGUMENTS]\n       {own}"
    return parser


def fitted(text: str, width: int) -> str:
    """The text with paragraphs filled; the note behind an example goes below it if need be."""
    import textwrap

    out = []
    for paragraph in text.rstrip().split("\n\n"):
        if paragraph.startswith(_COMMANDS):  # no indentation is left if nothing stands beside it
            paragraph = textwrap.indent(paragraph, "    ")
        if paragraph.startswith(" ") or "\n " in paragraph:
            out.append("\n".join(_fitted_line(line, width) for line in paragraph.split("\n")))
        else:
            out.append(textwrap.fill(paragraph, width, break_on_hyphens=False))
    return "\n\n".join(out) + "\n"


def _broken(line: str, width: int) -> str:
    """The line, broken at spaces if it is too long, below where it begins."""
    import textwrap

    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


_COMMANDS = ("netlab ", "sudo netlab ")
_OPTION_WITH_VALUE = re.compile(r"(?<= )(-[-\w]+) (?=[^-|\s])")


def _fitted_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    command, gap, note = line.strip().partition("   ")
    own = line[: len(line) - len(line.lstrip())]
    kept = _OPTION_WITH_VALUE.sub("\\1\N{NO-BREAK SPACE}", own + command)
    shown = terminal.folded(kept, width - 2).replace("\n", " \\\n")
    shown = shown.replace("\N{NO-BREAK SPACE}", " ")
    return f"{shown}\n{terminal.folded(f'{own}    {note.strip()}', width, '')}" if gap else shown


def _parts_of(verb: Verb) -> str:
    lines = [f"  {part.name:<20}{part.summary}\n" for part in verb.parts]
    return "".join(["What there is:\n", *lines, "\n"]) if lines else ""


def _run(verb: Verb, arguments: argparse.Namespace) -> int:
    try:
        return int(importlib.import_module(verb.module).run(arguments))
    except KeyboardInterrupt:
        # What goes on for ever ends so, and nothing has been cut short.
        if getattr(arguments, "watch", None) is True or getattr(arguments, "follow", False):
            return 130
        raise


def refuse_word(word: str, known: Iterable[str] = VERBS, first: str = "") -> NoReturn:
    """Refuse a verb, or (behind the verb `first`) a part of one."""
    from netlab.cli.topics import topics

    if first:
        near = _near(word, known)
    elif word.endswith(_MANIFESTS):
        near = f"up {word}"
    elif word in topics():
        near = f"help {word}"
    else:
        near = meant_by(word, known)
    hint = f"netlab {first}--help lists the verbs"
    if word in OF_KUBECTL.get(first, ()):
        hint = f"kubectl has it: netlab kubectl {first}{word} …"
    elif near:
        hint = f"did you mean 'netlab {first}{near}'?"
    raise UsageError(f"there is no verb '{first}{word}'", hint=hint)


def meant_by(word: str, known: Iterable[str] = VERBS) -> str | None:
    """The verb that a mistyped word means, or that does what is called so elsewhere."""
    return _OTHER_NAMES.get(word) or _near(word, known)


def _near(word: str, known: Iterable[str]) -> str | None:
    from netlab.objects.problems import did_you_mean

    return did_you_mean(word, known) or _anagram(word, known)


_MANIFESTS = (".yaml", ".yml", ".json")


def _anagram(word: str, known: Iterable[str]) -> str | None:
    """`pu` has no letter where `up` has it, and yet is near."""
    return next((other for other in known if sorted(other) == sorted(word)), None)


def _no_verb(before: list[str]) -> int:
    """Refuse a command line of flags alone."""
    from netlab.objects.problems import did_you_mean

    flag = before[0] if before else ""
    if flag.startswith("--") and not flag.startswith(GLOBAL_WITH_VALUE):
        known = ("--help", "--version", *GLOBAL_WITH_VALUE)
        meant = did_you_mean(flag, [one for one in known if one.startswith("--")])
        hint = f"did you mean {meant}?" if meant else "netlab --help"
        raise UsageError(f"there is no flag {flag} without a verb", hint=hint)
    raise UsageError("which verb?", hint="netlab --help lists them")


_OTHER_NAMES = {
    "start": "up", "stop": "down", "destroy": "down", "rm": "delete",
    "ls": "get", "list": "get", "show": "describe", "ps": "get pods", "log": "logs",
    "test": "check", "iptables": "rules", "tcpdump": "capture",
    "conntrack": "watch",
    "draw": "graph", "deploy": "up", "sh": "exec",
    "config": "kubeconfig", "stat": "status", "restart": "rollout restart", "undo": "rollout undo",
}  # fmt: skip
"""What somebody may try who comes from elsewhere, and the verb that does it here."""


if __name__ == "__main__":
    sys.exit(main())

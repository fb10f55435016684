"""What a trace is asked for beside its ends: by which options, and what they mean together."""

from __future__ import annotations

import argparse
import string
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from netlab.cli import options
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.objects.pathcheck import PathCheck, Protocol
    from netlab.pathcheck.calls import Question
    from netlab.pathcheck.world import World
    from netlab.trace.session import Wish

_PORTS = {"http": 80, "https": 443}
_LONGEST = 1000
_MOST = 10_000
_EXAMPLE = "sudo netlab trace client-pod svc/web:80"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("-l", "--selector", metavar="LABELS", help=(
        "any pod with these labels instead of FROM; with --from, instead of TO (LABELS:PORT)"
    ))  # fmt: skip
    versions = parser.add_mutually_exclusive_group()
    for number in (4, 6):
        versions.add_argument(
            f"--ipv{number}", dest="version", action="store_const", const=number, default=0,
            help=f"of several addresses take one of IPv{number}",
        )  # fmt: skip
    parser.add_argument("--source-port", type=int, default=0, metavar="N", help="send from there")
    parser.add_argument("--payload", default="", metavar="TEXT", help=(
        "what the packet carries; by TCP it is said over a real connection"
    ))  # fmt: skip
    parser.add_argument(
        "--dry", action="store_true", help="send nothing: by the rules that the files of -f come to"
    )
    options.add_files(parser)
    parser.add_argument("--http", metavar="PATH", help="a real connection: ask for that")
    parser.add_argument("--count", type=int, metavar="N", help=(
        "so many packets: where they went; with --follow, so many flows"
    ))  # fmt: skip
    parser.add_argument("--follow", action="store_true", help=(
        "send nothing: tell of each connection that FROM opens to TO (--udp: each flow of "
        "datagrams), until Ctrl-C"
    ))  # fmt: skip


class Asked(Struct, frozen=True):
    """The words of a command line as they are meant. `host` is that of a URL."""

    sender: str
    target: str
    question: Question | None = None
    host: str = ""


def asked(arguments: argparse.Namespace) -> Asked:
    """What is asked for; `UsageError` for what makes no sense, before anything is touched."""
    _check_numbers(arguments)
    _check_dry(arguments)
    sender, target = _ends(arguments)
    _check_text(arguments.payload, "--payload")
    if "://" in target:
        return _url(sender, target, arguments)
    question = _question(arguments)
    _check_later(arguments, question)
    if question is not None and arguments.protocol not in (None, "TCP"):
        raise UsageError("a connection is made by TCP alone", hint=f"{_EXAMPLE} --http /")
    return Asked(sender, target, question)


def _check_numbers(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.source_port < 65536:
        raise UsageError(f"{arguments.source_port} is no port", hint="--source-port 1 to 65535")
    count = 1 if arguments.count is None else arguments.count
    if not 1 <= count <= _MOST:
        raise UsageError(f"--count {count}", hint=f"1 to {_MOST}")
    if (
        count > 1
        and not arguments.follow
        and (arguments.source_port or arguments.http or arguments.payload)
    ):
        raise UsageError(
            "each of several packets has a source port of its own, and makes no connection",
            hint=f"{_EXAMPLE} --count {count}",
        )
    if arguments.follow and (
        arguments.dry
        or arguments.source_port
        or arguments.http is not None
        or arguments.payload
        or arguments.protocol not in (None, "TCP", "UDP")
    ):
        raise UsageError(
            "--follow tells of what others begin by TCP or UDP, and says nothing itself",
            hint=f"{_EXAMPLE} --follow",
        )


def _check_dry(arguments: argparse.Namespace) -> None:
    hint = "netlab trace --dry -f lab.yaml client-pod svc/web:80"
    if arguments.dry and not arguments.filename:
        raise UsageError("--dry goes by manifests", hint=hint)
    if arguments.filename and not arguments.dry:
        raise UsageError("-f is for --dry: a lab that runs has its objects", hint=hint)
    if arguments.dry and ((arguments.count or 1) > 1 or arguments.http or arguments.payload):
        raise UsageError("--dry sends nothing, so there is nothing to count or answer", hint=hint)


def _check_later(arguments: argparse.Namespace, question: Question | None) -> None:
    """A flow's later packets follow a first one that --ct has sent itself."""
    if arguments.ct == "new":
        return
    why = {
        "--follow tells of a flow's first packet, which chose its way": arguments.follow,
        "--count counts where first packets go: later ones go where theirs went": (
            arguments.count or 1
        )
        > 1,
        "a real connection is told from its first packet on": question is not None,
    }
    for sentence, given in why.items():
        if given:
            raise UsageError(
                f"{sentence}; --ct sends a flow of its own", hint=f"{_EXAMPLE} --ct {arguments.ct}"
            )


def _check_text(text: str, option: str) -> None:
    if len(text) > _LONGEST or any(each < " " or each == "\x7f" for each in text):
        raise UsageError(f"{option} is for up to {_LONGEST} characters, none of control")


def _question(arguments: argparse.Namespace) -> Question | None:
    from netlab.pathcheck.calls import PlainText, http_request

    if arguments.http is not None:
        if arguments.payload:
            raise UsageError("--http or --payload, not both")
        return http_request(_path(arguments.http))
    if arguments.payload and arguments.protocol in (None, "TCP"):
        return PlainText(arguments.payload)
    return None


def _path(text: str) -> str:
    """A path and query as they stand in a request's first line."""
    path = text or "/"
    if not path.startswith("/") or len(path) > _LONGEST or set(path) - _IN_A_PATH:
        raise UsageError(f"{text!r} is no path", hint="--http /index.html")
    return path


_IN_A_PATH = set(string.ascii_letters + string.digits + string.punctuation)


def _url(sender: str, target: str, arguments: argparse.Namespace) -> Asked:
    from netlab.pathcheck.calls import http_request

    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise UsageError(f"{target} is no URL: {error}", hint="http://HOST:PORT/PATH") from None
    if parts.scheme not in _PORTS or not host or parts.username is not None:
        raise UsageError(f"{target} is no URL that can be asked", hint="http://HOST:PORT/PATH")
    if arguments.http is not None or arguments.payload or arguments.protocol not in (None, "TCP"):
        raise UsageError(
            "a URL says all of what is asked", hint=f"sudo netlab trace {sender} {target}"
        )
    if (arguments.count or 1) > 1 or arguments.follow:
        raise UsageError(
            "--count and --follow are for packets, not for URLs", hint=f"{_EXAMPLE} --count 9"
        )
    path = _path((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    question = http_request(path, parts.netloc, tls=parts.scheme == "https")
    _check_later(arguments, question)
    named = f"[{host}]" if ":" in host else host
    return Asked(sender, f"{named}:{port}", question, host)


def _ends(arguments: argparse.Namespace) -> tuple[str, str]:
    words = list(arguments.words)
    sender, target = arguments.sender, arguments.target
    if arguments.selector and sender and not (target or words):
        target = f"selector/{arguments.selector}"
    elif arguments.selector and not sender and len(words) + bool(target) == 1:
        sender = f"selector/{arguments.selector}"
    elif arguments.selector:
        raise UsageError(
            "--selector stands for one end, and the other is to be named",
            hint="sudo netlab trace -l app=client svc/web:80",
        )
    sender = sender or (words.pop(0) if words else "")
    target = target or (words.pop(0) if words else "")
    if not sender or not target or words:
        raise UsageError("from where to where?", hint=_EXAMPLE)
    return sender, target


def check(wanted: Asked, world: World, arguments: argparse.Namespace) -> PathCheck:
    """The check of that one way."""
    from msgspec.structs import replace

    from netlab.trace.ends import check_of

    protocol: Protocol = arguments.protocol or "TCP"
    space = arguments.namespace or "default"
    found = check_of(
        wanted.sender, wanted.target, world, namespace=space, protocol=protocol,
        with_port=not arguments.follow,
    )  # fmt: skip
    version: Literal[0, 4, 6] = arguments.version
    return replace(found, target=replace(found.target, version=version))


def wish(arguments: argparse.Namespace, directory: Path) -> Wish:
    """What is asked of the packet itself, in the lab of that directory."""
    from netlab import inventory
    from netlab.trace.session import Wish

    return Wish(
        source_port=arguments.source_port,
        payload="" if arguments.protocol in (None, "TCP") else arguments.payload,
        files=tuple(inventory.known_sources(directory)),
        about=arguments.about,
        ct=arguments.ct,
    )

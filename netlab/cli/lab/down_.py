"""Examples:

    sudo netlab down              the only lab there is
    sudo netlab down --lab LAB    one of several
    sudo netlab down --all        every lab of this machine

Works whatever state a lab is in. Ends the lab's own processes alone, by the mark they carry. A lab
that lies in another mount namespace is named, with the command that takes it down there.
"""

from __future__ import annotations

import argparse
import time

from netlab.cli import options
from netlab.cli.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which labs."""
    parser.add_argument("name", nargs="?", metavar="LAB", help="the lab (or --lab LAB)")
    parser.add_argument("--all", action="store_true", help="every lab of this machine")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors alone")


def run(arguments: argparse.Namespace) -> int:
    """Take labs down; having none is no failure with --all."""
    from netlab import inventory, lab
    from netlab.kernel import elsewhere

    wanted = arguments.name or arguments.lab
    names = inventory.names() if arguments.all else [inventory.choose(wanted)]
    for name in names:
        began = time.monotonic()
        with Progress(quiet=arguments.quiet) as progress:
            lab.down(name, progress=progress)
        if not arguments.quiet:
            print(f"lab {name} is down ({time.monotonic() - began:.2f} s)")
    if arguments.all:
        lab.tidy()
        for one in elsewhere.labs():
            options.note(f"{one}, and is not touched from here: {one.way_in}")
    if not names and not arguments.quiet:
        print("no lab is running")
    return 0

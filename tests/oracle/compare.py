"""Compares two packet filters for what they do, from their listings; by hand:

    cd tests && python -m oracle.compare OURS THEIRS

Both are files with what iptables-save, `nft list ruleset` or `nft -j list ruleset` told. The exit
code is 0 when they do the same, 1 when not, 2 when they cannot be read. Nothing of netlab is
imported here, so that no mistake of its own is repeated in what judges it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from oracle import iptables, nft


def differences(ours: str, theirs: str) -> list[str]:
    """Lines that say what differs between two listings of one kind, none when both do the same.

    Raises ValueError for what is no such listing.
    """
    if theirs.lstrip().startswith("{"):
        return nft.differences(nft.load_json(ours), nft.load_json(theirs))
    if theirs.lstrip().startswith("table "):
        return nft.differences(nft.load(ours), nft.load(theirs))
    return iptables.differences(iptables.load(ours), iptables.load(theirs))


def main(files: list[str]) -> int:
    """Compare two files; what differs goes to standard output."""
    try:
        ours, theirs = (Path(file).read_text() for file in files)
        found = differences(ours, theirs)
    except (OSError, ValueError, KeyError) as error:
        print(f"{' '.join(files)}: {error}", file=sys.stderr)
        return 2
    print(*found, sep="\n", end="\n" * bool(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

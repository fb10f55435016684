"""Compares two packet filters for what they do, from their listings; by hand:

    cd tests && python -m oracle.compare OURS THEIRS

Both are files with what iptables-save, `nft list ruleset` or `nft -j list ruleset` told. The exit
code is 0 when they do the same, 1 when not, 2 when they cannot be read. Nothing of netlab is
imported here, so that no mistake of its own is repeated in what judges it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from oracle import iptables_save, nft_list


def differences(ours: str, theirs: str) -> list[str]:
    """Lines that say what differs between two listings of one kind, none when both do the same.

    Raises ValueError for what is no such listing.
    """
    if theirs.lstrip().startswith("{"):
        return nft_list.differences(nft_list.load_json(ours), nft_list.load_json(theirs))
    if theirs.lstrip().startswith("table "):
        return nft_list.differences(nft_list.load(ours), nft_list.load(theirs))
    return iptables_save.differences(iptables_save.load(ours), iptables_save.load(theirs))


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

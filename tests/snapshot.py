"""What the machine looks like, so that "as it was before" can be proved.

Taken before a lab and after it is down, two snapshots differ in nothing. Reading must not change
anything either: listing a legacy iptables table creates it, so only tables that exist are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from netlab.errors import EnvironmentLacks
from netlab.kernel import cgroups, paths, process
from netlab.kernel.run import run

Section = Mapping[str, str]

# Lease times run, and a link's state follows its cable.
_VOLATILE_FIELDS = ("valid_life_time", "preferred_life_time", "expires", "cache", "operstate")
_VOLATILE_SYSCTLS = re.compile(r"net\.netfilter\.nf_conntrack_(count|buckets)$|\.stable_secret$")
# A kernel module that a lab's rules pulled in stays loaded, and shows its settings everywhere.
_MODULE_SYSCTLS = re.compile(r"net\.(netfilter|bridge|nf_conntrack_max)")
_ETC = (
    "hosts", "hostname", "resolv.conf", "nsswitch.conf", "nftables.conf", "dnsmasq.conf",
    "sysctl.conf", "sysctl.d/*", "modules-load.d/*", "modprobe.d/*", "iptables/*", "netns/*",
    "network/*", "netplan/*", "systemd/network/*", "dnsmasq.d/*",
)  # fmt: skip


class Snapshot(Struct, frozen=True):
    """The machine's own network, mounts and files, by section: what → how it is."""

    sections: Mapping[str, Section]

    def difference(self, later: Snapshot) -> list[str]:
        """What is otherwise in `later`, a line each: `links: + veth0 …`; nothing when equal."""
        return [
            line
            for name, before in self.sections.items()
            for line in _difference(name, before, later.sections.get(name, {}))
        ]


def take(*, but: Collection[str] = ()) -> Snapshot:
    """Look at everything `but` these sections; changes nothing."""
    sections: dict[str, Callable[[], Section]] = {
        "links": lambda: _ip("ifname", "link"),
        "addresses": lambda: _ip("ifname", "addr"),
        "routes": lambda: (
            _listed("-4", "route", "show", "table", "all")
            | _listed("-6", "route", "show", "table", "all")
        ),
        "routing rules": lambda: _listed("-4", "rule") | _listed("-6", "rule"),
        "firewall rules": rules,
        "sysctls": sysctls,
        "mounts": mounts,
        "netns names": lambda: entries(paths.netns_dir()),
        "labs": lambda: entries(paths.run_dir()),
        "/etc": etc,
        "processes": marked_processes,
        "control groups": control_groups,
    }
    return Snapshot({name: section() for name, section in sections.items() if name not in but})


def _ip(key: str, *argv: str) -> Section:
    return {entry[key]: _text(entry) for entry in _json(*argv)}


def _listed(*argv: str) -> dict[str, str]:
    return {f"{argv[0]} {_text(entry)}": "" for entry in _json(*argv)}


def _json(*argv: str) -> list[dict[str, Any]]:
    return [entry for entry in json.loads(run(["ip", "-json", *argv]).stdout or "[]") if entry]


def _text(value: Any) -> str:
    """One line of what `ip -json` says, without what changes by itself."""
    return json.dumps(_steady(value), sort_keys=True)


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if k not in _VOLATILE_FIELDS}
    return [_steady(entry) for entry in value] if isinstance(value, list) else value


def rules() -> Section:
    """Every rule of nf_tables, and of the legacy tables that exist, without counters."""
    return {**_nft_rules(), **_legacy_rules("ip"), **_legacy_rules("ip6")}


def _nft_rules() -> Section:
    try:
        listing = run(["nft", "--stateless", "list", "ruleset"], check=False).stdout
    except EnvironmentLacks:
        return {}
    return {f"nft {number}: {line}": "" for number, line in enumerate(listing.splitlines())}


def _legacy_rules(family: str) -> Section:
    names = Path(f"/proc/net/{family}_tables_names")
    try:
        tables = sorted(names.read_text().split())
    except FileNotFoundError:
        return {}
    return {f"{family}tables {table}": _legacy_table(family, table) for table in tables}


def _legacy_table(family: str, table: str) -> str:
    saved = run([f"{family}tables-legacy-save", "-t", table]).stdout
    lines = [line for line in saved.splitlines() if not line.startswith("#")]
    return re.sub(r"\[\d+:\d+\]", "", "\n".join(lines))


def sysctls() -> Section:
    """Everything under net., but for counts; `Path` would take its time for a thousand files."""
    found = {}
    for root, _, files in os.walk("/proc/sys/net"):
        above = root.removeprefix("/proc/sys/").replace("/", ".")
        for name in files:
            key = f"{above}.{name}"
            if not _VOLATILE_SYSCTLS.search(key):
                found[key] = _content(f"{root}/{name}")
    return found


def _content(file: str) -> str:
    try:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            return os.read(descriptor, 1 << 14).decode(errors="replace").strip()
        finally:
            os.close(descriptor)
    except OSError as error:  # some may only be written, some only when set
        return error.strerror or "unreadable"


def mounts() -> Section:
    """Mount points of this mount namespace, with what is mounted."""
    found: dict[str, str] = {}
    for line in Path("/proc/thread-self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point, kind = before.split(" ")[4], after.split(" ")[0]
        found[point] = f"{found.get(point, '')} {kind}".strip()
    return found


def entries(directory: Path) -> Section:
    """What a directory holds, links with where they lead; {} when there is none."""
    try:
        return {"": "exists"} | {
            entry.name: str(entry.readlink()) if entry.is_symlink() else ""
            for entry in sorted(directory.iterdir())
        }
    except FileNotFoundError:
        return {}


def etc() -> Section:
    """The files of /etc that concern the network: content and time of change."""
    files = {file for pattern in _ETC for file in Path("/etc").glob(pattern) if file.is_file()}
    return {
        str(file): f"{hashlib.sha256(file.read_bytes()).hexdigest()[:16]} {file.stat().st_mtime_ns}"
        for file in sorted(files)
    }


def marked_processes() -> Section:
    """Processes that carry some lab's mark."""
    return {
        str(pid): f"{owner} {_content(f'/proc/{pid}/cmdline')}".replace("\0", " ")
        for pid, owner in process.marks().items()
    }


def control_groups() -> Section:
    """The groups of every lab, with its mark."""
    return {str(group): cgroups.owner_of(group) for group in cgroups.all_groups()}


def _difference(section: str, before: Section, after: Section) -> Iterator[str]:
    for key in sorted(before.keys() | after.keys()):
        then, now = before.get(key), after.get(key)
        if then is None and section == "sysctls" and _MODULE_SYSCTLS.match(key):
            continue
        if then is None:
            yield f"{section}: + {key} {now}".rstrip()
        elif now is None:
            yield f"{section}: - {key} {then}".rstrip()
        elif then != now:
            yield f"{section}: ~ {key}: {then} → {now}"

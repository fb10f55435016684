"""Who keeps a chain, or a rule in a common one, by the names that programs give theirs. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from netlab.proxy.iptables.chains import is_ours
from netlab.proxy.nftables.model import TABLE
from netlab.saves.save import SavedRules

OTHERS = "others"

_CHAINS = (
    (re.compile(r"KUBE-(?:FIREWALL|KUBELET-CANARY|MARK-DROP)$"), "kubelet"),
    (re.compile(r"KUBE-"), "kube-proxy"),
    (re.compile(r"(?:CNI-|cni_)"), "CNI plugins"),
    (re.compile(r"DOCKER"), "Docker"),
    (re.compile(r"ufw6?-"), "ufw"),
    (re.compile(r"cali-"), "Calico"),
    (re.compile(r"ISTIO_"), "Istio"),
    (re.compile(r"(?:OLD_)?CILIUM_"), "Cilium"),
    (re.compile(r"FLANNEL-"), "flannel"),
    (re.compile(r"f2b-"), "fail2ban"),
    (re.compile(r"LIBVIRT_"), "libvirt"),
    (re.compile(r"(?:INPUT|FORWARD|PREROUTING|POSTROUTING|OUTPUT)_(?:direct|ZONES|POLICIES)|"
                r"(?:IN|FWD?[IO]?|PRE|POST)_\w+"), "firewalld"),
)  # fmt: skip
_TABLES = {TABLE: "kube-proxy", "firewalld": "firewalld", "inet firewalld": "firewalld"}
_TO = re.compile(r"(?:-[jg]|jump|goto) (\S+)")


def writer(table: str, chain: str, text: str = "") -> str:
    """Whose a chain is; of a chain that is common to all, whose the rule is, by where it leads."""
    if table in _TABLES:
        return _TABLES[table]
    if chain == "KUBE-FIREWALL" and is_ours(table, chain) and "localnet" in text:
        return "kube-proxy"
    found = _by_name(chain)
    if found != OTHERS or not text:
        return found
    to = _TO.search(text)
    led = _by_name(to[1]) if to else OTHERS
    return led if led != OTHERS else _by_link(text)


def _by_name(chain: str) -> str:
    return next((who for pattern, who in _CHAINS if pattern.match(chain)), OTHERS)


def _by_link(text: str) -> str:
    """Docker writes some rules into common chains, about its bridges."""
    return "Docker" if re.search(r"\b(?:docker0|br-[0-9a-f]{12})\b", text) else OTHERS


def writers(rules: SavedRules) -> Mapping[str, Counter[str]]:
    """By table: how many rules are whose."""
    found: dict[str, Counter[str]] = {}
    for table in rules.ruleset.tables.values():
        found[table.name] = Counter(
            writer(table.name, chain.name, text)
            for chain in table.chains.values()
            for text in chain.rules
        )
    for listed in rules.tables:
        found[listed.name] = Counter(
            writer(listed.name, name, text)
            for name, chain in listed.chains.items()
            for text in chain.rules
        )
    return found

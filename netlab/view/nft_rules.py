"""One Service's part of kube-proxy's nftables table, as the tree that `rules` draws. Pure.

 kube-proxy map service-ips
 └─ to 10.96.14.7 tcp port 80 → service-LOLE4ISW-default/web/tcp/http
    │    10.96.14.7 . tcp . 80 : goto service-LOLE4ISW-default/web/tcp/http
    └─ tcp: send to one of 3 at random (DNAT)
       ├─ 1/3 → 10.244.1.2:80 = pod web-1

In this mode nobody counts packets: kube-proxy's rules have no counters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from netlab.objects.addresses import join_host_port
from netlab.proxy.nftables.fixed import (
    CLUSTER_IPS,
    FIREWALL_IPS,
    HAIRPIN,
    NO_ENDPOINT_NODE_PORTS,
    NO_ENDPOINT_SERVICES,
    SERVICE_IPS,
    SERVICE_NODE_PORTS,
)
from netlab.proxy.nftables.model import TABLE, NftTable
from netlab.view.rules import Branch, share_words

MAPS = (
    FIREWALL_IPS,
    SERVICE_IPS,
    SERVICE_NODE_PORTS,
    NO_ENDPOINT_NODE_PORTS,
    NO_ENDPOINT_SERVICES,
)
"""The maps that lead to a Service's own chains or refuse, in the order packets meet them."""

_NOBODY = {
    (of, verdict): f", it has no {local}endpoints"
    for of in (NO_ENDPOINT_SERVICES, NO_ENDPOINT_NODE_PORTS)
    for verdict, local in (("goto reject-chain", ""), ("drop", "local "))
}
"""What it means that packets are turned away there; iptables' rules say so in their comments."""

_GOTO = re.compile(r"(?:goto|jump) (\S+)")
_CHOICE = re.compile(r"numgen random mod (\d+) v?map \{ (.*) \}")
_SERVICE = re.compile(
    r"(?:service|local|external|firewall|endpoint)-[A-Z2-7]{8}-([^/]+/[^/]+)/(\w+)/"
)
_END = re.compile(r": (\S+) \. (\d+)|dnat to (\S+):(\d+)$")
_COMMENT = re.compile(r'comment "([^":]+)')


def tree(table: NftTable, service: str, places: Mapping[str, str] | None = None) -> list[Branch]:
    """The rules of `ns/name` by their ways in; empty when the table has none for it.

    `places` says who has an address: `{"10.244.1.3": "pod web-abc12"}`.
    """
    growth = _Growth(table, places or {})
    ways = [growth.element(name, key) for name in MAPS for key in _keys(table, name, service)]
    addresses = {_address(branch.text) for branch in ways if branch.chain == f"map {SERVICE_IPS}"}
    return [*growth.strangers(addresses), *ways, *growth.hairpins(service)]


def _keys(table: NftTable, name: str, service: str) -> list[str]:
    """The keys of a map's elements that belong to the Service."""
    return sorted(
        key
        for (of, key), value in table.elements.items()
        if of == name and _service_of(value) == service
    )


def _service_of(value: str) -> str:
    found = _SERVICE.search(value) or _COMMENT.search(value)
    return found.group(1) if found else ""


def _address(key: str) -> str:
    return key.partition(" . ")[0]


class _Growth(Struct, frozen=True):
    """What branches are made from."""

    table: NftTable
    places: Mapping[str, str]

    def element(self, name: str, key: str) -> Branch:
        """An element of a map, with the chain behind it."""
        value = self.table.elements[name, key]
        text = f"{key} {value}".strip()
        verdict = value.rpartition(": ")[2]
        target = _target(verdict)
        said = _said(_key_words(key), _verdict(verdict) + _NOBODY.get((name, verdict), ""))
        return self._leads(Branch(TABLE, f"map {name}", text, said, None), target)

    def _leads(self, branch: Branch, target: str) -> Branch:
        branch.target = target
        branch.branches = list(self.chain(target))
        return branch

    def chain(self, name: str) -> Iterator[Branch]:
        """The rules of one of the Service's own chains."""
        chain = self.table.chains.get(name) if _SERVICE.match(name) else None
        for rule in chain.rules if chain else ():
            branch = Branch(TABLE, name, rule, self.words(rule), None)
            yield self._leads(branch, _target(rule))
            branch.branches += self.choices(name, rule)

    def choices(self, chain: str, rule: str) -> Iterator[Branch]:
        """What chance chooses between: endpoints, or with affinity their chains."""
        found = _CHOICE.search(rule)
        for entry in found.group(2).split(", ") if found else ():
            chance = 1 / int(found.group(1)) if found else 1.0
            end = entry.partition(" : ")[2]
            target = _target(end)
            goal = f"{target} ({self.goal(target)})" if target else self.placed(end)
            words = f"{'all' if chance == 1 else share_words(chance)} → {goal}"
            yield self._leads(Branch(TABLE, chain, entry, words, None, chance), target)

    def placed(self, end: str) -> str:
        """`10.244.1.2 . 80` → `10.244.1.2:80 = pod web-1`."""
        ip, _, port = end.partition(" . ")
        place = self.places.get(ip)
        text = join_host_port(ip, int(port))
        return f"{text} = {place}" if place else text

    def goal(self, chain: str) -> str:
        """The endpoint that an endpoint's chain sends to."""
        found = self.table.chains.get(chain)
        for rule in found.rules if found else ():
            if " dnat to " in rule:
                return rule.rpartition(" ")[2]
        return "nowhere"

    def strangers(self, addresses: set[str]) -> Iterator[Branch]:
        """The common rules that mark strangers' packets to the Service's cluster IP."""
        chain = self.table.chains.get("services")
        mine = any((CLUSTER_IPS, address) in self.table.elements for address in addresses)
        for rule in chain.rules if chain and mine else ():
            if f"@{CLUSTER_IPS} " in rule:
                yield Branch(TABLE, "chain services", rule, self.words(rule), None)

    def hairpins(self, service: str) -> Iterator[Branch]:
        """The elements that masquerade an endpoint which reaches itself."""
        for ip, port in sorted(set(self.ends(service))):
            key = f"{ip} . {ip} . {port}"
            if (HAIRPIN, key) in self.table.elements:
                said = f"from {ip} {_key_words(f'itself . {port}')}: masquerade"
                yield Branch(TABLE, f"set {HAIRPIN}", key, said, None)

    def ends(self, service: str) -> Iterator[tuple[str, str]]:
        """Each endpoint's address, and `tcp . 8080`."""
        for name, chain in self.table.chains.items():
            mine = _SERVICE.match(name)
            if mine and mine.group(1) == service:
                for rule in chain.rules:
                    for match in _END.finditer(rule):
                        ip, port = match.group(1, 2) if match.group(1) else match.group(3, 4)
                        yield ip.strip("[]"), f"{mine.group(2)} . {port}"

    def words(self, rule: str) -> str:
        """A rule as one would say it."""
        conditions: list[str] = []
        actions: list[str] = []
        rest = re.sub(r' comment "[^"]*"$', "", rule)
        while rest:
            said, is_action, rest = _next_phrase(rest)
            (actions if is_action else conditions).append(said)
        return _said(" ".join(conditions), self._with_place(" and ".join(actions)))

    def _with_place(self, action: str) -> str:
        match = re.fullmatch(r"send to (\S+):\d+ \(DNAT\)", action)
        place = self.places.get(match.group(1).strip("[]")) if match else None
        return f"{action} = {place}" if place else action


def _phrase(pattern: str, words: str, *, action: bool = False) -> tuple[re.Pattern[str], bool, str]:
    return re.compile(pattern + r"(?: |$)"), action, words


_PHRASES = (
    _phrase(r"ip6? saddr @affinity-\S+", "if this client was here before"),
    _phrase(r"ip6? saddr != (\{[^}]*\}|\S+)", r"not from \1"),
    _phrase(r"ip6? saddr (\{[^}]*\}|\S+)", r"from \1"),
    _phrase(r"ip6? daddr @cluster-ips", "to a cluster IP"),
    _phrase(r'iifname != "(\S+)"', r"not in by \1"),
    _phrase(r'iifname "(\S+)"', r"in by \1"),
    _phrase(r"fib saddr type local", "from an address of this node"),
    _phrase(r"meta l4proto (\w+)", r"\1"),
    _phrase(r"meta mark set meta mark \| \S+", "mark for masquerade", action=True),
    _phrase(r"update @affinity-\S+ \{ [^}]* \}", "remember the client", action=True),
    _phrase(r"dnat(?: ip6?)? to numgen random mod 1 map \{[^}]*\}", "send (DNAT)", action=True),
    _phrase(
        r"dnat(?: ip6?)? to numgen random mod (\d+) map \{[^}]*\}",
        r"send to one of \1 at random (DNAT)",
        action=True,
    ),
    _phrase(r"dnat to (\S+)", r"send to \1 (DNAT)", action=True),
    _phrase(r"numgen random mod (\d+) vmap \{[^}]*\}", r"one of \1 at random", action=True),
    _phrase(r"goto (\S+)", r"→ \1", action=True),
)
"""Parts of rules, whether they are what is done, and how one would say them."""


def _next_phrase(rest: str) -> tuple[str, bool, str]:
    """The first part of a rule in words, whether it is what is done, and the parts after it."""
    for pattern, is_action, words in _PHRASES:
        if match := pattern.match(rest):
            return match.expand(words), is_action, rest[match.end() :].strip()
    return rest, True, ""


def _target(text: str) -> str:
    found = _GOTO.search(text) if "numgen" not in text else None
    return found.group(1) if found else ""


def _verdict(verdict: str) -> str:
    if verdict == "goto reject-chain":
        return "refuse"
    return f"→ {_target(verdict)}" if _target(verdict) else verdict


def _key_words(key: str) -> str:
    """`10.96.14.7 . tcp . 80` → `to 10.96.14.7 tcp port 80`; a nodePort has no address."""
    parts = key.split(" . ")
    protocol, port = parts[-2:]
    to = parts[0] if len(parts) > 2 else "a nodePort address"
    return f"to {to} {protocol} port {port}"


def _said(conditions: str, action: str) -> str:
    if not conditions:
        return action
    return f"{conditions} {action}" if action.startswith("→") else f"{conditions}: {action}"

"""The rules that kube-proxy writes for each Service, read at one glance.

They are nearly all of a node's, and taking them apart word by word is a third of a proof's time.
What is not spelt just so is left to `of_iptables`, whose steps these are the same as.
"""

from __future__ import annotations

import re

from netlab.prove import ends
from netlab.prove.space import DADDR, DPORT, PROTO, PROTOCOLS, SADDR, Box, Space, Values
from netlab.prove.steps import Action, Go, Step

_RULE = re.compile(
    r"(?:(! )?-s ([0-9a-f.:]+/\d+) )?(?:-d ([0-9a-f.:]+/\d+) )?(?:-p (tcp|udp|sctp) )?"
    r'(?:-m comment --comment (?:"[^"\\]*"|[^\s"]+) )?(?:-m (?:tcp|udp|sctp) )?(?:--dport (\d+) )?'
    r"(?:-m statistic --mode random --probability (0\.\d+) )?"
    r"-j (?:(KUBE-[A-Z0-9-]+)|DNAT --to-destination ([0-9a-f.:\[\]]+))$"
)
_PROTOCOLS: dict[str, Values] = {
    name: ((PROTOCOLS[name], PROTOCOLS[name]),) for name in ("tcp", "udp", "sctp")
}


def step(number: int, text: str, space: Space) -> Step | None:
    """The step that such a rule is; None for any other."""
    match = _RULE.match(text)
    if match is None:
        return None
    but, source, destination, protocol, port, chance, chain, to = match.groups()
    asked: list[tuple[int, Values]] = []
    if destination:
        asked.append((DADDR, space.network(destination)))
    if port:
        asked.append((DPORT, ((int(port), int(port)),)))
    if protocol:
        asked.append((PROTO, _PROTOCOLS[protocol]))
    if source:
        values = space.network(source)
        asked.append((SADDR, space.but(SADDR, values) if but else values))
    boxes: tuple[Box, ...] = (tuple(asked),) if all(values for _, values in asked) else ()
    action: Action = Go(chain) if chain else ends.destination(to, space)
    return Step(number, boxes, (action,), chance=float(chance) if chance else 1.0)

"""The machine that nodes are on: what they share there.

A node needs nothing else of its surroundings but the API. On another machine it would have another
host, and who looks on through the API would see no difference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from netlab.agents.election import Election
from netlab.agents.pod_runtime import PodRuntime
from netlab.agents.podevents import Recorder
from netlab.agents.proxy import Programmer
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.speaker import Answering
from netlab.client.informer import Informers
from netlab.client.kubelets import LocalKubelets
from netlab.kernel.machine import MachineFacts
from netlab.network.model import Namespace
from netlab.objects.lab import Node
from netlab.proxy.config import ModeName


class Host(Struct, frozen=True):
    """What a `NodeAgent` works with. `kubelets` is where an API server finds what it serves.

    `recorder` records Events in the name of a component; `now` gives the time in seconds since the
    epoch. `place` plans a node's namespace, which is at `netns(node.name)`; `programmer` writes its
    rules, in this `proxy_mode`; `balances` says whether an address is for load balancers of this
    lab. A node that says nothing for `grace_period` seconds is lost.
    """

    informers: Informers
    keeper: ResponderKeeper
    pod_runtime: PodRuntime
    kubelets: LocalKubelets
    election: Election
    wire: Answering
    facts: MachineFacts
    recorder: Callable[[str], Recorder]
    now: Callable[[], float]
    netns: Callable[[str], Path]
    place: Callable[[Node], Namespace]
    programmer: Callable[[Node], Programmer]
    proxy_mode: ModeName
    balances: Callable[[str], bool]
    grace_period: float

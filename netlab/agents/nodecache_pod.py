"""The cache of one pod of NodeLocal DNSCache: its link, its rules, dnsmasq, and its relays."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from netlab.agents.corefiles import local_addresses
from netlab.agents.podprograms import directory_of
from netlab.agents.podrun import PodRun
from netlab.dns import relays, statistics
from netlab.dns.config import NodeCacheDns, cache_servers_text
from netlab.dns.corefile import CacheSettings
from netlab.dns.dnsmasq import Dnsmasq
from netlab.dns.relay import Relay
from netlab.errors import NetlabError
from netlab.kernel import netns, userns
from netlab.network import cachelink
from netlab.objects.lab import Lab
from netlab.proxy.untracked import HEALTH_PORT, Untracked, rules_of, untracked
from netlab.tasks import in_thread
from netlab.workload.behaviour import parse_flags
from netlab.workload.confined_program import ConfinedProgram
from netlab.workload.published import Published
from netlab.workload.served import Listener, ServedContainer, ServedPod

log = logging.getLogger(__name__)

_PORT, _LOOPBACK = 53, "127.0.0.1"
SETUP_METRICS_PORT = 9353
"""Where node-cache itself, beside its CoreDNS, tells Prometheus how its set-up goes."""

_SERVERS = "servers"
_PATIENCE = 0.5


class NodeCache:
    """That of one pod, in the control `groups` of it. `InPods` calls one at a time."""

    def __init__(
        self,
        lab: Lab,
        run: PodRun,
        container: str,
        owner: str,
        settings: CacheSettings,
        groups: Callable[[], Sequence[Path]],
    ) -> None:
        self.run = run
        self.container = container
        self.settings = settings
        self.ended: Callable[[int], Awaitable[None]] = _nobody
        self.restarted: Callable[[], Awaitable[None]] = _nobody
        flags = parse_flags(run.spec_of(container).get("args") or ())
        self.addresses = local_addresses(flags.get("localip", ""))
        self.metrics_uid = f"{run.uid}/metrics"
        self.setup_port = _port(flags.get("metrics-listen-address", ""), SETUP_METRICS_PORT)
        self.setup_errors = Counter[str]()
        """What went wrong with its link and rules, by node-cache's words."""
        self._lab = lab
        self._owner = owner
        self._groups = groups
        self._rules = self._new_rules()
        self._turn = asyncio.Lock()
        self._is_up = False
        self.saying = asyncio.Lock()
        """Held while the responder is told what to answer for it."""
        self.program = self._new_program()
        self._relay = self._new_relay()

    @property
    def programs(self) -> Sequence[ConfinedProgram]:
        """What runs for it."""
        return [self.program, *([self._relay] if self._relay.known else [])]

    @property
    def health(self) -> list[ServedPod]:
        """What its probes ask, at each of its addresses or the one that its Corefile has."""
        if self.settings.health is None:
            return []
        address, port = self.settings.health
        said = (ServedContainer("health", (Listener(port, "http", "node-cache-health"),)),)
        return [
            ServedPod(f"{self.run.uid}/health/{ip}", str(self.run.netns), (ip,), said, ip)
            for ip in self.addresses
            if address in ("", ip)
        ]

    @property
    def _places(self) -> Sequence[str]:
        """The addresses at which its Corefile has it answer."""
        return [ip for ip in self.addresses if ip in self.settings.listen] or self.addresses

    def _new_program(self) -> Dnsmasq:
        directory = directory_of(self.run, self.container)
        config, said, places = Published(directory / "config"), self.settings, self._places
        program = Dnsmasq(
            NodeCacheDns(
                tuple(places),
                config.current / _SERVERS,
                said.size,
                said.ttl,
                said.denial,
                said.logs,
            ).arguments(),
            _PORT,
            directory,
            self._owner,
            userns.daemon_id(self._owner, userns.NODE_CACHE),
            name=f"node-cache of pod {self.run.key}",
            address=next(iter(places), _LOOPBACK),
            config=config,
        )
        program.groups = self._groups
        program.before_restart = self.ended
        program.on_restart(self._tell)
        return program

    def _new_relay(self) -> Relay:
        relay = Relay(
            f"relay of node-cache of pod {self.run.key}",
            relays.relays(self.settings),
            directory_of(self.run, self.container) / "relay",
            self._owner,
            userns.daemon_id(self._owner, userns.NODE_CACHE),
        )
        relay.groups = self._groups
        return relay

    async def _tell(self) -> None:
        await self.restarted()

    async def _renew_relay(self) -> None:
        """Pass on over TCP what the settings say, from now on."""
        await self._relay.detach()
        self._relay = self._new_relay()
        if self._relay.known:
            await self._relay.start(self.run.netns)
        else:
            await self._relay.stop()

    async def start(self, settings: CacheSettings) -> None:
        """Answer so; adopts what does already."""
        if not self.addresses:
            raise NetlabError("node-cache: -localip names no address")
        async with self._turn:
            self.settings = settings
            self._rules = self._new_rules()  # a node that was off has another namespace
            await in_thread(self._ensure)
            await self.program.detach()  # of a start that failed half-way
            await self._renew_relay()
            self.program = self._new_program()
            await self._configured()
            await self.program.start(self.run.netns)
            self._is_up = True

    async def keep(self, settings: CacheSettings) -> None:
        """Put back what is missing, and answer so from now on."""
        async with self._turn:
            if not self._is_up:
                return
            if settings != self.settings:
                await self._change(settings)
            if await in_thread(self._ensure):
                log.warning("pod %s: link or rules were changed, and are put back", self.run.key)
            await self._configured()

    async def _change(self, settings: CacheSettings) -> None:
        """Go by other settings; of a part of them dnsmasq hears only when it begins."""
        before, self.settings = self.settings, settings
        if before.health != settings.health:
            await in_thread(self._rules.remove)
            self._rules = self._new_rules()
        if relays.relays(before) != relays.relays(settings):
            await self._renew_relay()
        if _when_it_begins(before) != _when_it_begins(settings):
            await self.program.detach()
            self.program = self._new_program()
            await self._configured()
            await self.program.start(self.run.netns)

    async def _configured(self) -> None:
        text = cache_servers_text(relays.asked(self.settings))
        await self.program.configure({_SERVERS: text})

    async def stop(self) -> None:
        """Leave nothing of it. Idempotent."""
        async with self._turn:
            self._is_up = False
            await self.program.stop()
            await self._relay.stop()
            await in_thread(self._remove)

    async def counted(self) -> statistics.Statistics | None:
        """What it has counted; None while it does not answer."""
        asked = statistics.questions()
        answers: list[bytes] = []
        address = next(iter(self._places), _LOOPBACK)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with self.program.entered():
                sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            with sock:
                sock.connect((address, _PORT))
                async with asyncio.timeout(_PATIENCE):
                    for question in asked:
                        sock.send(question)
                        loop = asyncio.get_running_loop()
                        answers.append(await loop.sock_recv(sock, 4096))
        except (OSError, NetlabError, TimeoutError) as error:
            log.debug("pod %s: it tells no numbers: %s", self.run.key, error)
            return None
        return statistics.statistics(answers)

    def _new_rules(self) -> Untracked:
        lab, port = self._lab, self.settings.health[1] if self.settings.health else HEALTH_PORT
        return untracked(
            lab.proxy_mode, lab.iptables, self.run.netns, self.addresses, rules_of(port)
        )

    def _ensure(self) -> bool:
        with self._counting("interface_add"):
            linked = cachelink.ensure(self.run.netns, self.addresses)
        with self._counting("iptables"):
            return self._rules.ensure() or linked

    @contextlib.contextmanager
    def _counting(self, what: str) -> Iterator[None]:
        try:
            yield
        except (NetlabError, OSError):
            self.setup_errors[what] += 1
            raise

    def _remove(self) -> None:
        if netns.exists(self.run.netns):
            self._rules.remove()
            cachelink.remove(self.run.netns)


def _port(place: str, otherwise: int) -> int:
    """The port of `0.0.0.0:9353`."""
    word = place.rpartition(":")[2]
    return int(word) if word.isascii() and word.isdigit() and 0 < int(word) < 65536 else otherwise


async def _nobody(*_: int) -> None:
    """Nobody has it kept yet."""


def _when_it_begins(settings: CacheSettings) -> tuple[object, ...]:
    return settings.listen, settings.size, settings.ttl, settings.denial, settings.logs

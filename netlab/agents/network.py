"""Keeps the network of nodes and pods as planned: what somebody changes by hand is put back, and
told. A plan may be followed by another: nodes come and go.

Netlink says that something happened and to which link; what is amiss is then the difference to the
plan. A node's socket hears of its pods' namespaces too. What nobody tells of (most sysctls) is
looked at every now and then.

Pods may drive this, but not far: one that keeps making changes is looked at every few seconds
(`patience.py`), and all looking takes no more than half of one processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from netlab.agents.attached import Attached
from netlab.agents.ears import Ears
from netlab.agents.loop import Loop
from netlab.agents.nodestatus import CHANGED, NodeStatus
from netlab.agents.patience import Patience
from netlab.agents.pod_network import PodNetwork
from netlab.agents.podevents import Recorder
from netlab.agents.quiet_sysctls import QuietSysctls
from netlab.errors import NetlabError
from netlab.kernel.notices import OWN, Notes
from netlab.network import apply, diff, findings, mend, plan
from netlab.network.model import Network
from netlab.network.names import FIRST_POD_PORT_INDEX
from netlab.network.operations import CreateNamespace, Operation
from netlab.objects.lab import Lab
from netlab.retry import Retry

log = logging.getLogger(__name__)

SETTLE, ROUNDS = 0.05, 4
"""Seconds to wait for what else belongs to a change (`ip link set eth0 down; …`), and how often,
while more comes: also of the last of it there may be more to come."""

REST_FIRST, REST_CAP = 0.05, 2.0
"""Seconds between two looks, and the most, after doubling while there is nothing to mend."""

RETRY = Retry(0.5, 5.0)
"""Of what could not be mended."""

SLOW = 1.5
"""Seconds between looks at what nobody tells of."""

TOGETHER = 128
"""Pods that are looked at together."""

YOUNG, AT_LEISURE = 3.0, 16
"""Seconds after which a pod's link is taken for settled; so many that were not then are looked at
in each slow turn: there may be a thousand."""

PASSES = 4
"""One change hides another: a link that is down has no routes, one that is gone no addresses."""


class NetworkKeeper:
    """Mends the network of one lab, which stands as planned in `network`. `pod_network` knows its
    pods; `status_of` gives whom to tell of a machine, by its name without the lab's; one that
    `is_left` alone, with its pods, is left as it is."""

    def __init__(
        self,
        lab: Lab,
        network: Network,
        directory: Path,
        pod_network: PodNetwork,
        attached: Attached,
        status_of: Callable[[str], NodeStatus],
        recorder: Recorder,
        is_left: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._network = network
        self._is_left = is_left
        self._left: set[str] = set()
        self._status_of = status_of
        self._status: dict[str, NodeStatus] = {}
        self._turn = asyncio.Lock()
        """Had by whoever looks at the network as a whole, or plans it anew."""
        self._directory = directory
        self._pod_network, self._attached = pod_network, attached
        self._recorder = recorder
        self._ears = Ears(directory, self._on_notes, self._on_mount)
        self._cluster = self._sysctls = self._names = False
        self._suspects: set[str] = set()
        """The pods whose sysctls may have been set."""
        self._young: dict[str, None] = {}
        """The pods that are to be looked at when there is time."""
        self._pods = Patience()
        self._places: dict[tuple[str, int], str] = {}
        self._quiet = QuietSysctls(attached, mend.quiet_sysctls(plan.pod_sysctls(lab)))
        self._failures = 0
        self._rest, self._last = REST_FIRST, 0.0
        self._loop = Loop("network", self._work, settle=SETTLE, rounds=ROUNDS)
        self._slowly = Loop("network, slowly", self._look_slowly, every=lambda: SLOW)

    def lacking(self) -> Iterator[str]:
        """A line for each node, and each other machine of the lab, whose network is broken."""
        for name, status in self._status.items():
            if status.broken is not None:
                yield f"network of {name.partition('.')[2]}: {status.broken}"

    async def start(self) -> None:
        """Listen. The nodes stand; pods are attached from now on."""
        loop = asyncio.get_running_loop()

        def on_turn(is_busy: bool) -> None:
            loop.call_soon_threadsafe(self._on_turn, is_busy)

        def on_change() -> None:
            loop.call_soon_threadsafe(self._on_attached)

        self._attached.on_turn, self._attached.on_change = on_turn, on_change
        self._ears.start()
        self._ears.listen(self._network.namespaces)
        self._later(SLOW, self._look_at_cluster)  # once, after the start, at everything
        self._loop.start()
        self._slowly.start()

    async def plan_anew(self, network: Network) -> None:
        """Make the network be as in another plan, and keep it so; what is in it no more goes."""
        async with self._turn:
            gone = self._network.names - network.names
            for name in gone:
                self._forget(name)
            await asyncio.to_thread(apply.ensure_cluster, network, self._directory)
            await asyncio.to_thread(apply.remove, gone, self._directory)
            self._network = network  # only now: what failed is tried again from where it was
            self._ears.listen(self._network.namespaces)

    def _forget(self, name: str) -> None:
        self._ears.forget(name)
        self._quiet.forget(name)
        self._status.pop(name, None)

    async def stop(self) -> None:
        """Mend no more."""
        await self._loop.stop()
        await self._slowly.stop()
        self._attached.on_turn, self._attached.on_change = lambda _: None, lambda: None
        self._ears.stop()
        self._quiet.close()
        self._attached.close()

    # -- hearing ---------------------------------------------------------------------------

    def _on_turn(self, is_busy: bool) -> None:
        """Pods are being attached or taken away. Each makes a dozen notices, and to look up at each
        of them would hold up those who do it; what they say is heard afterwards."""
        if is_busy:
            self._ears.cover()
        else:
            try:
                self._on_attached()
            finally:
                self._ears.uncover()

    def _on_attached(self) -> None:
        """Pods came. What was said while they were attached is old."""
        self._ears.hear()
        self._places = self._attached.places()

    def _on_mount(self) -> None:
        self._names = True
        self._loop.wake()

    def _on_notes(self, name: str, notes: Notes) -> None:
        for number, heard in notes.heard.items():
            if number == OWN:
                ports = {index for index in heard.indexes if index >= FIRST_POD_PORT_INDEX}
                self._cluster |= heard.others or bool(heard.indexes - ports)
                self._sysctls |= heard.others
                self._touch(((name, index) for index in ports), sysctls=False)
            else:
                self._touch([(name, number)], sysctls=heard.others)
        if notes.lost:
            self._cluster = self._sysctls = True
            self._touch((place for place in self._places if place[0] == name), sysctls=True)
        self._wake_if_due()

    def _touch(self, places: Iterable[tuple[str, int]], *, sysctls: bool) -> None:
        """Of a pod that is being attached or taken away nothing is known."""
        for place in places:
            if (uid := self._places.get(place)) is not None:
                if sysctls:
                    self._suspects.add(uid)
                elif self._is_young(uid):
                    self._young[uid] = None
                    continue
                self._pods.touch(uid)

    def _is_young(self, uid: str) -> bool:
        """The kernel goes on telling of a link for a while after it was made."""
        station = self._attached.get(uid)
        return station is not None and time.monotonic() - station.since < YOUNG

    def _wake_if_due(self) -> None:
        wait = self._pods.wait()
        if self._cluster or self._names or wait == 0.0:
            self._loop.wake()
        elif wait is not None:
            self._loop.wake_in(wait)

    # -- looking ---------------------------------------------------------------------------

    async def _work(self, _: bool) -> None:
        """Look, and then rest: the longer, the longer nothing was found."""
        started = time.monotonic()
        found = await self._look()
        if found or started - self._last > REST_CAP:
            self._rest = REST_FIRST
        if not found:
            self._rest = min(self._rest * 2, REST_CAP)
        self._last = time.monotonic()
        await asyncio.sleep(self._rest if found else max(self._rest, self._last - started))
        self._wake_if_due()

    async def _look(self) -> bool:
        """Look at whatever something happened to; True when something was amiss."""
        names, self._names = self._names, False
        cluster, self._cluster = self._cluster, False
        sysctls, self._sysctls = self._sysctls, False
        found = False
        try:
            async with self._turn:
                if names:
                    found |= await self._put_names_back()
                if cluster:
                    found |= await self._mend_cluster(sysctls)
                if pods := self._pods.due(TOGETHER):
                    found |= await self._mend_pods(pods)
        except Exception as error:
            expected = isinstance(error, NetlabError | OSError)
            log.error("the network could not be looked at: %s", error, exc_info=not expected)
            self._again()
        return found

    async def _put_names_back(self) -> bool:
        machines, pods = await asyncio.to_thread(self._names_put_back)
        for name in machines:
            await self._whose(name).found(f"the name {name} was gone (ip netns delete?)")
        for name, uid in pods.items():
            self._tell_of_pod(uid, f"the name {name} was gone (ip netns delete?)", ())
        if machines:
            await self._sound()
        return bool(machines or pods)

    def _names_put_back(self) -> tuple[list[str], dict[str, str]]:
        """The names that were gone: of machines, and of pods, these with their uids."""
        with contextlib.ExitStack() as stack:
            descriptors = {name: ear.namespace() for name, ear in self._ears.items()}
            for each in descriptors.values():
                stack.callback(os.close, each)
            machines = mend.put_back(descriptors, self._directory)
        with self._attached.free() as free:
            names = self._attached.names() if free else {}
            self._names |= not free
            descriptors = {name: descriptor for name, (_, descriptor) in names.items()}
            pods = mend.put_back(descriptors, self._directory)
        return machines, {name: names[name][0] for name in pods}

    async def _mend_cluster(self, sysctls: bool) -> bool:
        damage = await self._looked_at(sysctls)
        was_sound, refused = not damage, []
        if damage:
            for name, text in findings.by_namespace(self._network, damage).items():
                await self._whose(name).found(text)
        for _ in range(PASSES):
            if not damage:
                break
            refused = await asyncio.to_thread(mend.mend, damage, self._directory)
            damage = await self._looked_at(True)
        self._ears.listen(self._network.namespaces)
        if damage:
            await self._remains(damage, refused)
            self._again()
        else:
            await self._sound()
            self._failures = 0
        return not was_sound

    async def _remains(self, damage: Sequence[Operation], why: Iterable[object]) -> None:
        reasons = "; ".join(dict.fromkeys(str(each) for each in why))
        for name, text in findings.by_namespace(self._network, damage).items():
            await self._whose(name).remains(f"{text} ({reasons})" if reasons else text)

    def _whose(self, name: str) -> NodeStatus:
        if name not in self._status:
            self._status[name] = self._status_of(name.partition(".")[2])
        return self._status[name]

    async def _sound(self) -> None:
        for status in self._status.values():
            await status.sound()

    async def _looked_at(self, sysctls: bool) -> tuple[Operation, ...]:
        """What there is to mend. A machine that we hear lives: if it is not to be found, its name
        went just now, and must come back before anybody makes another of that name."""
        for _ in range(PASSES):
            damage = await asyncio.to_thread(self._damage, sysctls)
            made = {each.namespace for each in damage if isinstance(each, CreateNamespace)}
            if not any(name in self._ears for name in made):
                return damage
            await self._put_names_back()
        raise NetlabError("the names of its machines go as fast as they come back")

    def _damage(self, sysctls: bool) -> tuple[Operation, ...]:
        macs = self._attached.macs()
        found = mend.cluster_damage(self._network, self._directory, macs, sysctls=sysctls)
        return tuple(each for each in found if not self._is_left_alone(each.namespace))

    def _is_left_alone(self, namespace: str) -> bool:
        return self._is_left(namespace.partition(".")[2])

    def _again(self) -> None:
        """Try again later what could not be done."""
        self._failures += 1
        self._later(RETRY.delay(self._failures), self._look_at_cluster)

    def _look_at_cluster(self) -> None:
        self._cluster = self._sysctls = True
        self._loop.wake()

    async def _mend_pods(self, uids: list[str]) -> bool:
        found = await asyncio.to_thread(self._pods_mended, uids)
        for uid, (damage, errors) in found.items():
            self._tell_of_pod(uid, findings.summary(damage), errors)
            self._pods.touch(uid)  # there may be more to it
            self._suspects.add(uid)
        return any(damage for damage, _ in found.values())

    def _tell_of_pod(self, uid: str, damage: str, errors: Sequence[Exception]) -> None:
        run = self._pod_network.run(uid)
        if run is not None and damage:
            outcome = f"not put back ({errors[0]})" if errors else "put back"
            text = f"changed by hand, {outcome}: {damage}"
            log.warning("network of pod %s, %s", run.key, text)
            self._recorder.warning(run.pod, CHANGED, text)

    def _pods_mended(
        self, uids: list[str]
    ) -> dict[str, tuple[Sequence[Operation], Sequence[Exception]]]:
        """What differed, of each pod that was looked at, and what could not be put right."""
        known = {**diff.stations(self._network), **self._attached.macs()}
        left = {uid for (node, _), uid in self._places.items() if self._is_left_alone(node)}
        uids = [uid for uid in uids if uid not in left]
        with self._attached.free() as free:
            if not free:
                return {uid: ([], []) for uid in uids}
            suspects = self._suspects.intersection(uids)
            self._suspects -= suspects
            links = self._pod_network.links(uids)
            found = mend.pod_damage(links, self._directory, known, suspects)
            return {
                uid: (damage, mend.mend(damage, self._directory)) for uid, damage in found.items()
            }

    # -- what nobody tells of --------------------------------------------------------------

    async def _look_slowly(self, _: bool) -> None:
        """At what nobody tells of."""
        self._take_up_again()
        try:
            async with self._turn:
                changed = await asyncio.to_thread(self._look_quietly)
            for uid in changed:
                self._suspects.add(uid)
                self._pods.touch(uid)
        except (NetlabError, OSError) as error:  # a namespace that is gone: others tell of it
            log.debug("not looked at: %s", error)
        for uid in list(self._young)[:AT_LEISURE]:
            del self._young[uid]
            self._pods.touch(uid)
        self._pods.keep(self._attached.get)
        self._wake_if_due()

    def _take_up_again(self) -> None:
        """Look at all there is of machines that are left alone no longer."""
        left = {name for name in self._network.names if self._is_left_alone(name)}
        if free := self._left - left:
            self._look_at_cluster()
            for (node, _), uid in self._places.items():
                if node in free:
                    self._suspects.add(uid)
                    self._pods.touch(uid)
        self._left = left

    def _look_quietly(self) -> list[str]:
        """Look at names and sysctls; the pods that differ."""
        names = [*self._ears, *self._attached.names()]
        self._names |= not mend.names().issuperset(names)
        for name, ear in self._ears.items():
            if self._quiet.machine_differs(name, ear, self._network.namespace(name).sysctls):
                self._cluster = self._sysctls = True
        with self._attached.free() as free:
            return self._quiet.pods_that_differ(TOGETHER) if free else []

    def _later(self, delay: float, function: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(delay, function)

"""Putting Ingresses into force, and finding the one to blame when nginx refuses.

nginx takes all of a configuration, or nothing of it. The Ingress at whose line it stumbles goes on
as it was when nginx last took it, or not at all if it never did; all others are as they should be.

One that nginx refuses even by itself is not tried again until something of it changes. One that it
refuses beside others is, as soon as any of them does.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import CommandFailed
from netlab.ingress.compile import Compiled, compile_
from netlab.ingress.model import IngressProblem, World
from netlab.ingress.options import Options
from netlab.ingress.page import Page
from netlab.ingress.place import Place
from netlab.ingress.render import render
from netlab.objects import meta
from netlab.objects.types import Ingress

log = logging.getLogger(__name__)

Configure = Callable[[Mapping[str, str]], Awaitable[None]]

_STUMBLED = re.compile(r"\[emerg\] (?:[0-9#]+: )?(?P<what>.*) in \S+?nginx\.conf:(?P<line>[0-9]+)")
_EMERGENCY = re.compile(r"\[emerg\] (?:[0-9#]+: )?(?P<what>.*)")


class _Verdict(Struct, frozen=True):
    """That nginx refuses an Ingress of that content, in these words."""

    content: object
    words: str


class Blame:
    """Gives files to `configure`, which raises `CommandFailed` when nginx refuses them; so does
    `examine`, which only asks.

    `refused` are the Ingresses that are not in force as they are, with nginx' words.
    """

    def __init__(
        self, options: Options, place: Place, configure: Configure, examine: Configure
    ) -> None:
        self._options = options
        self._place = place
        self._configure = configure
        self._examine = examine
        self._good: dict[str, Ingress] = {}
        self._verdicts: dict[str, _Verdict] = {}
        self._basis: object = None
        self._left_out: dict[str, Ingress | None] = {}
        self.refused: dict[str, str] = {}

    async def settle(self, world: World) -> Compiled:
        """Have all of it in force that nginx takes; the problems tell of the rest."""
        self._recall(world)
        while True:
            compiled = compile_(self._with_what_it_takes(world), self._options)
            page = render(compiled.configuration, self._options, self._place)
            try:
                await self._configure(_files(compiled, page))
            except CommandFailed as error:
                key = self._owner(error, page) or await self._first_refused(world)
                if key is None:
                    raise
                await self._blame(key, error, world)
            else:
                self._good = {meta.key(one): one for one in compiled.served}
                return replace(compiled, problems=(*compiled.problems, *self._problems()))

    def _recall(self, world: World) -> None:
        """Leave out at once what nginx refused by itself, and is as it was; and, as long as all are
        as they were, what it refused beside them."""
        basis = [_version(one) for one in world.ingresses], [*world.data.items()]
        if basis == self._basis:
            return
        self._basis, self._left_out, self.refused = basis, {}, {}
        there = {meta.key(one): one for one in world.ingresses}
        for key in list(self._verdicts):
            verdict, ingress = self._verdicts[key], there.get(key)
            if ingress is None or self._content(ingress, world) != verdict.content:
                del self._verdicts[key]
            else:
                self.refused[key] = verdict.words
                self._left_out[key] = self._good.get(key)

    def _content(self, ingress: Ingress, world: World) -> object:
        """All that nginx might refuse of an Ingress by itself."""
        alone = compile_(_alone(ingress, world), self._options)
        said = sorted(meta.annotations(ingress).items())
        return repr(meta.spec(ingress)), said, [*world.data.items()], alone.configuration.files

    def _with_what_it_takes(self, world: World) -> World:
        changed = (self._left_out.get(meta.key(one), one) for one in world.ingresses)
        return replace(world, ingresses=tuple(one for one in changed if one is not None))

    def _owner(self, error: CommandFailed, page: Page) -> str | None:
        """The Ingress at whose line nginx stumbled, unless it has been left out already."""
        found = _STUMBLED.search(error.stderr)
        owner = page.owner(int(found["line"])) if found else ""
        return owner if owner and self._left_out.get(owner, owner) is not None else None

    async def _first_refused(self, world: World) -> str | None:
        """The first Ingress that nginx refuses beside those before it, however many others it
        refuses, too; None if it refuses even what has none."""
        known = self._with_what_it_takes(world).ingresses
        low, high = -1, len(known)  # of as many as `high`, nginx refuses something
        while high - low > 1:
            middle = (low + high) // 2
            if await self._takes(replace(world, ingresses=known[:middle])):
                low = middle
            else:
                high = middle
        return meta.key(known[high - 1]) if high else None

    async def _takes(self, world: World) -> bool:
        compiled = compile_(world, self._options)
        page = render(compiled.configuration, self._options, self._place)
        try:
            await self._examine(_files(compiled, page))
        except CommandFailed:
            return False
        return True

    async def _blame(self, key: str, error: CommandFailed, world: World) -> None:
        words = said(error)
        log.warning("ingress %s: nginx refuses it: %s", key, words)
        self.refused.setdefault(key, words)
        if key in self._left_out:  # not even as it was
            self._left_out[key] = None
            return
        self._left_out[key] = self._good.get(key)
        ingress = next(one for one in world.ingresses if meta.key(one) == key)
        if not await self._takes(_alone(ingress, world)):
            self._verdicts[key] = _Verdict(self._content(ingress, world), words)

    def _problems(self) -> Sequence[IngressProblem]:
        return [
            IngressProblem(
                key,
                "ConfigurationRefused",
                f"nginx refuses the configuration: {words}; {self._instead(key)}",
            )
            for key, words in self.refused.items()
        ]

    def _instead(self, key: str) -> str:
        former = self._left_out.get(key)
        return "it goes on as it was before" if former else "it is left out"


def _alone(ingress: Ingress, world: World) -> World:
    return replace(world, ingresses=(ingress,))


def said(error: CommandFailed) -> str:
    """What nginx said, without the place in a file that nobody sees."""
    found = _STUMBLED.search(error.stderr) or _EMERGENCY.search(error.stderr)
    return found["what"] if found else error.stderr.strip() or str(error)


def _files(compiled: Compiled, page: Page) -> Mapping[str, str]:
    return {**compiled.configuration.files, "nginx.conf": page.text}


def _version(ingress: Ingress) -> tuple[object, ...]:
    annotations = sorted(meta.annotations(ingress).items())
    return meta.uid(ingress), ingress["metadata"].get("generation"), annotations

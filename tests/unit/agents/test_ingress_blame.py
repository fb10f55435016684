"""Which Ingress is to blame when nginx refuses, and what becomes of it and of the others."""

from __future__ import annotations

import pytest
from ingresses import ALWAYS, PLACE, objects, world

from netlab.agents.ingress_blame import Blame, said
from netlab.errors import CommandFailed
from netlab.ingress.options import Options
from netlab.objects import meta

pytestmark = pytest.mark.anyio

INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, generation: {generation}}}
spec:
  ingressClassName: nginx
  rules:
  - host: {name}.example
    http:
      paths:
      - {{path: {path}, pathType: ImplementationSpecific,
          backend: {{service: {{name: web, port: {{number: 80}}}}}}}}
"""


class Nginx:
    """Refuses what names a word; at its line, or without saying where."""

    def __init__(self, word: str, *, says_where: bool = True) -> None:
        self.word, self.says_where = word, says_where
        self.inforce = ""
        self.asked = 0

    async def configure(self, files: dict[str, str]) -> None:
        await self.examine(files)
        self.inforce = files["nginx.conf"]

    async def examine(self, files: dict[str, str]) -> None:
        self.asked += 1
        text = files["nginx.conf"]
        for number, line in enumerate(text.splitlines(), 1):
            if self.word in line:
                where = f" in /run/x/config/3/nginx.conf:{number}" if self.says_where else ""
                words = f"nginx: [emerg] 17#17: no such thing{where}\nnginx: test failed"
                raise CommandFailed(["nginx", "-t"], 1, words)


def known(**paths: str):
    texts = (
        INGRESS.format(name=name, path=path, generation=1 + path.count("bad"))
        for name, path in paths.items()
    )
    return world(objects("\n---\n".join((ALWAYS, *texts))))


@pytest.mark.parametrize("says_where", [True, False])
async def test_only_the_one_to_blame_is_left_out(says_where: bool) -> None:
    nginx = Nginx("/bad", says_where=says_where)
    blame = Blame(Options(), PLACE, nginx.configure, nginx.examine)
    compiled = await blame.settle(known(a="/a", b="/bad", c="/c"))
    assert "/a" in nginx.inforce and "/c" in nginx.inforce
    assert [meta.name(one) for one in compiled.served] == ["a", "c"]
    assert blame.refused == {"default/b": "no such thing"}
    (problem,) = compiled.problems
    assert (problem.about, problem.reason) == ("default/b", "ConfigurationRefused")
    assert problem.message.endswith("no such thing; it is left out")


@pytest.mark.parametrize("says_where", [True, False])
async def test_several_are_found_one_after_the_other(says_where: bool) -> None:
    nginx = Nginx("/bad", says_where=says_where)
    blame = Blame(Options(), PLACE, nginx.configure, nginx.examine)
    paths = {f"i{n:02}": "/bad" if n % 5 == 0 else f"/good{n}" for n in range(30)}
    compiled = await blame.settle(known(**paths))
    assert sorted(blame.refused) == [f"default/i{n:02}" for n in range(0, 30, 5)]
    assert len(compiled.served) == 24
    assert all(f"/good{n}" in nginx.inforce for n in range(30) if n % 5)
    assert nginx.asked < 60


async def test_one_that_was_taken_before_goes_on_so() -> None:
    nginx = Nginx("/bad")
    blame = Blame(Options(), PLACE, nginx.configure, nginx.examine)
    await blame.settle(known(a="/a", b="/good"))
    compiled = await blame.settle(known(a="/a", b="/bad", c="/c"))
    assert '"/good"' in nginx.inforce and '"/c"' in nginx.inforce
    assert compiled.problems[0].message.endswith("it goes on as it was before")
    await blame.settle(known(a="/a", b="/better"))
    assert blame.refused == {} and '"/better"' in nginx.inforce


async def test_what_was_refused_is_not_tried_again_when_endpoints_change() -> None:
    nginx = Nginx("/bad")
    blame = Blame(Options(), PLACE, nginx.configure, nginx.examine)
    await blame.settle(known(a="/bad", b="/b"))
    before = nginx.asked
    compiled = await blame.settle(known(a="/bad", b="/b"))
    assert nginx.asked == before + 1
    assert compiled.problems[0].about == "default/a"


@pytest.mark.parametrize(("says_where", "most"), [(True, 3), (False, 10)])
async def test_one_among_many_costs_little_and_once(says_where: bool, most: int) -> None:
    nginx = Nginx("/bad", says_where=says_where)
    blame = Blame(Options(), PLACE, nginx.configure, nginx.examine)
    paths = {f"i{n:02}": "/bad" if n == 31 else f"/good{n}" for n in range(50)}
    await blame.settle(known(**paths))
    assert nginx.asked <= most
    for turn in range(3):
        before = nginx.asked
        compiled = await blame.settle(known(**paths, other=f"/other{turn}"))
        assert nginx.asked == before + 1
        assert len(compiled.served) == 50
        assert blame.refused == {"default/i31": "no such thing"}
        assert compiled.problems[0].about == "default/i31"
    await blame.settle(known(**{**paths, "i31": "/better"}))
    assert blame.refused == {} and '"/better"' in nginx.inforce


async def test_one_that_is_refused_beside_another_is_tried_again_without_it() -> None:
    class Pairs(Nginx):
        """Refuses two of a kind, at the line of the second."""

        async def examine(self, files: dict[str, str]) -> None:
            text = files["nginx.conf"]
            self.word = "/twin2" if "/twin1" in text else "/nothing"
            await super().examine(files)

    nginx = Pairs("")
    blame = Blame(Options(), PLACE, nginx.configure, nginx.examine)
    await blame.settle(known(a="/twin1", b="/twin2"))
    assert list(blame.refused) == ["default/b"]
    await blame.settle(known(b="/twin2"))
    assert blame.refused == {} and '"/twin2"' in nginx.inforce


@pytest.mark.parametrize("says_where", [True, False])
async def test_what_is_nobodys_fault_is_passed_on(says_where: bool) -> None:
    nginx = Nginx("daemon off", says_where=says_where)
    blame = Blame(Options(), PLACE, nginx.configure, nginx.examine)
    with pytest.raises(CommandFailed):
        await blame.settle(known(a="/a"))


def test_its_words_have_no_place_in_them() -> None:
    error = CommandFailed(["nginx"], 1, 'nginx: [emerg] invalid "x" in /a/nginx.conf:3\nmore')
    assert said(error) == 'invalid "x"'

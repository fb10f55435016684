"""pytest's side of `netlab.testing`, by the entry point `netlab`. PYTEST_DONT_REWRITE

pytest imports this in every run, so all else is imported when a test asks for a lab.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest

if TYPE_CHECKING:
    from types import FrameType

    from netlab.testing.lab import Lab
    from netlab.testing.labs import Labs

Scope = Literal["session", "package", "module", "class", "function"]

MARK = "netlab"
_SCOPES = ("session", "package", "module", "class")
_SESSION = pytest.StashKey["Session"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What settings and options there are."""
    parser.getgroup("netlab").addoption(
        "--netlab-keep",
        metavar="DIR",
        type=Path,
        help="where the packets and traces of assertions that failed are kept",
    )
    parser.addini("netlab_topology", "files of the lab, where no mark names any", type="paths")
    parser.addini(
        "netlab_scope",
        f"who shares the lab of the fixture `lab`: {', '.join(_SCOPES)}",
        default="module",
    )
    parser.addini(
        "netlab_lacking",
        "what becomes of tests whose lab this machine cannot have: error, skip",
        default="error",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let the mark be known."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(*sources): the lab of a module, class or test: files, texts, Topology or objects",
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take down what is left, whatever happened."""
    session = config.stash.get(_SESSION, None)
    if session is not None:
        session.close()


class Session:
    """The labs of this process, and its settings. There is one from the first lab on."""

    def __init__(self, config: pytest.Config) -> None:
        from netlab.testing.labs import Labs

        self._config = config
        self._before = _terminated_as_interrupted()
        self.labs: Labs = Labs(self._kept)

    def close(self) -> None:
        """Leave nothing."""
        try:
            self.labs.close()
        finally:
            if self._before is not None:
                signal.signal(signal.SIGTERM, self._before)

    def _kept(self) -> Path:
        named = self._config.getoption("netlab_keep")
        base = named or Path(_basetemp(self._config)) / "netlab"
        base.mkdir(parents=True, exist_ok=True)
        return Path(base)


def _basetemp(config: pytest.Config) -> Path:
    factory: pytest.TempPathFactory = getattr(config, "_tmp_path_factory")  # noqa: B009
    return factory.getbasetemp()


def _terminated_as_interrupted() -> Any:
    """TERM ends pytest at once, without its fixtures: let it be as Ctrl-C is. What was before."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt("terminated")

    with contextlib.suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            return signal.signal(signal.SIGTERM, interrupt)
    return None


def _session(config: pytest.Config) -> Session:
    if _SESSION not in config.stash:
        config.stash[_SESSION] = Session(config)
    return config.stash[_SESSION]


def _scope(fixture_name: str, config: pytest.Config) -> Scope:  # noqa: ARG001  # pytest's words
    said = str(config.getini("netlab_scope"))
    if said not in _SCOPES:
        raise pytest.UsageError(f"netlab_scope = {said}: there are {', '.join(_SCOPES)}")
    return cast(Scope, said)


@pytest.fixture(scope=_scope)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab that the tests of a module share (`netlab_scope`)."""
    with _lab(request) as found:
        yield found


@pytest.fixture
def fresh_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab of this test's own."""
    with _lab(request) as found:
        yield found


@pytest.fixture
def make_lab(request: pytest.FixtureRequest) -> Iterator[Callable[..., Lab]]:
    """Brings up a lab of the sources it is given, as often as it is called."""
    with contextlib.ExitStack() as stack:

        def make(*sources: Any) -> Lab:
            return stack.enter_context(_lab(request, sources))

        yield make


@contextlib.contextmanager
def _lab(request: pytest.FixtureRequest, given: tuple[Any, ...] = ()) -> Iterator[Lab]:
    from netlab.errors import NetlabError

    config = request.config
    try:
        session = _session(config)
        found = session.labs.up(given or _sources(request), _roots(request))
    except NetlabError as error:
        _give_up(error, config)
    try:
        yield found
    finally:
        session.labs.down(found)


def _sources(request: pytest.FixtureRequest) -> tuple[Any, ...]:
    mark = request.node.get_closest_marker(MARK)
    return tuple(mark.args) if mark is not None else tuple(request.config.getini("netlab_topology"))


def _roots(request: pytest.FixtureRequest) -> tuple[Path, ...]:
    """Where files are looked for: beside the tests, then where pytest's settings are."""
    place = Path(request.node.path)
    return (place if place.is_dir() else place.parent, request.config.rootpath)


def _give_up(error: Any, config: pytest.Config) -> None:
    """In a plain sentence: where it comes from in our code is nobody's concern."""
    lacks = error.exit_code == 3
    if lacks and config.getini("netlab_lacking") == "skip":
        pytest.skip(str(error))
    pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Properties for JUnit: of the lab, and of what was kept when an assertion failed."""
    if call.when == "call" and _SESSION in item.config.stash:
        item.user_properties.extend(_properties(item, call))
    return (yield)


def _properties(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[tuple[str, str]]:
    from netlab.testing.failure import NotAsExpected
    from netlab.testing.lab import Lab

    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, Lab):
            yield from value.properties()
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, NotAsExpected):
        yield from ((f"netlab.{what}", str(path)) for what, path in error.files.items())

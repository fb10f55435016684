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
_SWEPT = pytest.StashKey[list[str]]()


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


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Session:
    """The labs of this process, and its settings. There is one from the first lab on."""

    def __init__(self, config: pytest.Config) -> None:
        from netlab.testing.labs import Labs

        self._config = config
        self._before = {each: _as_interrupt(each) for each in _ENDING}
        self.labs: Labs = Labs(self._kept)

    def close(self) -> None:
        """Leave nothing; a second Ctrl-C changes nothing of that."""
        with _deaf():
            self.labs.close()
        for number, before in self._before.items():
            if before is not None:
                signal.signal(number, before)

    def _kept(self) -> Path:
        named: Path | None = self._config.getoption("netlab_keep")
        base = (named or _basetemp(self._config) / "netlab").absolute()
        base.mkdir(parents=True, exist_ok=True)
        return base


def _basetemp(config: pytest.Config) -> Path:
    factory: pytest.TempPathFactory = getattr(config, "_tmp_path_factory")  # noqa: B009
    return factory.getbasetemp()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Hear no signal to end; what is started meanwhile hears them as ever."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ValueError):  # not the main thread
            for number in _ENDING:
                before = signal.signal(number, lambda *_: None)
                stack.callback(signal.signal, number, before)
        yield


def _as_interrupt(number: signal.Signals) -> Any:
    """A signal that would end pytest without its fixtures is as Ctrl-C is. What was before."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt(number.name)

    with contextlib.suppress(ValueError):  # not the main thread
        if signal.getsignal(number) == signal.SIG_DFL:
            return signal.signal(number, interrupt)
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
            found = stack.enter_context(_lab(request, sources))
            request.node.user_properties.extend(found.properties())
            return found

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a mark that would be heard by nobody."""
    for item in items:
        marked = any(mark.name == MARK for mark in item.own_markers)
        if marked and not {"fresh_lab", "make_lab"} & set(_fixtures(item)):
            raise pytest.UsageError(
                f"{item.nodeid} has a mark `{MARK}` of its own, but shares its lab: "
                "let it ask for fresh_lab, or mark its module (pytestmark = …) or class"
            )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Have the next lab begin while this one ends."""
    if nextitem is not None and _SESSION in item.config.stash and _wants_another(item, nextitem):
        item.config.stash[_SESSION].labs.expect()


def _wants_another(item: pytest.Item, following: pytest.Item) -> bool:
    wanted = _fixtures(following)
    shared = "lab" in _fixtures(item) and item.path == following.path
    return "fresh_lab" in wanted or ("lab" in wanted and not shared)


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None]:
    """Take down what is left, also where what is between fails. A worker of pytest-xdist that is
    interrupted is killed soon, and its reports may go nowhere: it does that first of all."""
    ours = session.config.stash.get(_SESSION, None)
    output = getattr(session.config, "workeroutput", None)
    if ours is not None and output is not None:
        output[MARK] = list(ours.labs.swept)
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            ours.close()
    try:
        return (yield)
    finally:
        if ours is not None:
            ours.close()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear of it."""
    told = getattr(node, "workeroutput", {}).get(MARK, ())
    node.config.stash.setdefault(_SWEPT, []).extend(told)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was taken down that another run had left."""
    ours = config.stash[_SESSION].labs.swept if _SESSION in config.stash else ()
    for line in (*ours, *config.stash.get(_SWEPT, ())):
        terminalreporter.write_line(f"netlab: {line}")

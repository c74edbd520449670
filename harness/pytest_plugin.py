"""pytest plays scenarios: each case is an item, its failure text the report.

Found by its entry point, so a `conftest.py` must not load it again.  It collects scenario
files below the configured paths (`wirelab_scenarios`, default `scenarios/`) and no other
YAML.  Plays are started ahead in one event loop and reported in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from _pytest._io import TerminalWriter

    from harness.model.plan import Plan
    from harness.model.verdict import Verdict
    from harness.pipeline import Request

_KEY = pytest.StashKey["_Playhouse"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("wirelab", "network scenarios")
    group.addoption(
        "--implementation",
        default=None,
        metavar="FILE|DIR",
        help="the programs to play scenarios against (default: reference/)",
    )
    group.addoption(
        "--network",
        choices=["auto", "private", "loopback"],
        default="auto",
        help="where scenarios are played (default: auto)",
    )
    group.addoption(
        "--wirelab-jobs", type=int, default=0, metavar="N", help="plays at once (default: 4 a core)"
    )
    group.addoption(
        "--wirelab-out",
        default=None,
        metavar="DIR",
        help="where run folders are kept (default: run/)",
    )
    parser.addini(
        "wirelab_scenarios", "folders below which scenarios are collected", "args", ["scenarios"]
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEY] = _Playhouse(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    playhouse = parent.config.stash[_KEY]
    if file_path.suffix != ".yaml":
        return None
    given = parent.session.isinitpath(file_path)
    if playhouse.has(file_path) or (given and playhouse.is_suite(file_path)):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def pytest_collection_finish(session: pytest.Session) -> None:
    playhouse = session.config.stash[_KEY]
    items = [item for item in session.items if isinstance(item, ScenarioItem)]
    if items and not session.config.option.collectonly:
        playhouse.start([item.plan for item in items])
    if playhouse.trouble:
        raise pytest.UsageError(playhouse.trouble)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    playhouse = config.stash[_KEY]
    for line in (*playhouse.points(), *playhouse.where):
        terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    if playhouse := config.stash.get(_KEY, None):
        playhouse.stop()


class ScenarioFile(pytest.File):
    """A scenario file, or a suite that was asked for; their plays are its items."""

    def collect(self) -> Iterable[ScenarioItem]:
        for plan in self._plans():
            item = ScenarioItem.from_parent(self, name=plan.id, plan=plan)
            for tag in plan.scenario.tags:
                self.config.addinivalue_line("markers", f"{tag}: a tag of scenarios")
                item.add_marker(tag)
            yield item

    def _plans(self) -> Sequence[Plan]:
        """What is wrong in this file is an error of it; all else is told once, at the end."""
        from harness.errors import AuthorError, WirelabError  # noqa: PLC0415

        playhouse = self.config.stash[_KEY]
        try:
            return playhouse.plans(self.path)
        except WirelabError as error:
            problems = error.problems if isinstance(error, AuthorError) else ()
            shown = playhouse.shown(self.path)
            if any(shown in (problem.file, *problem.included_by) for problem in problems):
                raise self.CollectError(str(error)) from error
            playhouse.trouble = str(error)
            return ()


class ScenarioItem(pytest.Item):
    """One play.  Its verdict was, or will be, reached in the common event loop."""

    def __init__(self, *, plan: Plan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def runtest(self) -> None:
        from harness.model.verdict import Outcome  # noqa: PLC0415

        try:
            verdict = self.config.stash[_KEY].verdict(self.plan)
        except KeyboardInterrupt:  # where it is caught says nothing to anybody
            pytest.exit(f"interrupted while {self.plan.id} was played")
        if verdict.outcome in (Outcome.SKIPPED, Outcome.UNCHECKED):
            pytest.skip(verdict.reason or "")
        if verdict.outcome is Outcome.EXPECTED:
            pytest.xfail(verdict.reason or "")
        if verdict.outcome is not Outcome.PASSED:
            raise NotPassed(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, NotPassed):
            return Story(excinfo.value.verdict, self.config.stash[_KEY].story)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.plan.id


class NotPassed(Exception):  # noqa: N818 - it is a verdict
    """A scenario failed, or could not be judged."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.plan.id)
        self.verdict = verdict


class Story(TerminalRepr):
    """A failure as pytest shows it: the whole story, and its first sentence in summaries."""

    def __init__(self, verdict: Verdict, tell: Callable[[Verdict], str]) -> None:
        self._text = tell(verdict)
        main = [finding.headline for finding in verdict.findings if finding.level == "must"]
        first = verdict.reason or next(iter(main), verdict.outcome)
        self.reprcrash = ReprFileLocation(verdict.plan.scenario.file, 1, first)

    def __str__(self) -> str:
        return self._text

    def toterminal(self, tw: TerminalWriter) -> None:
        """Line by line: pytest escapes the line ends, too, of a text that it cannot write."""
        for line in self._text.splitlines():
            tw.line(line)


class _Playhouse:
    """Plans of the collected files, and the thread in which they are played."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._folders = [config.rootpath / name for name in config.getini("wirelab_scenarios")]
        self._verdicts: dict[str, Future[Verdict]] = {}
        self._thread: threading.Thread | None = None
        self._can_stop = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self.where: tuple[str, ...] = ()  # what is told of the network, at the end
        self._seed: int | None = None  # of the first request, for all of them
        self.trouble = ""
        self._suites: dict[str, Sequence[Plan]] = {}  # by title

    def has(self, path: Path) -> bool:
        """Whether a file is a scenario: `<folder>/<role>/<slug>.yaml`."""
        from harness.load import is_shared  # noqa: PLC0415

        inside = any(path.parent.parent == folder for folder in self._folders)
        return inside and not is_shared(path) and not self.is_suite(path)

    def is_suite(self, path: Path) -> bool:
        from harness.load import is_suite  # noqa: PLC0415

        return is_suite(path)

    def _request(self, path: Path) -> Request:
        from harness.pipeline import DEFAULT_IMPLEMENTATION, Request  # noqa: PLC0415

        options = self._config.option
        implementation = options.implementation or str(
            self._config.rootpath / DEFAULT_IMPLEMENTATION
        )
        request = Request(
            paths=(self.shown(path),),
            implementation=self.shown(Path(implementation)),
            jobs=options.wirelab_jobs,
            network=options.network,
            out=options.wirelab_out or self.shown(self._config.rootpath / "run"),
        )
        self._seed = request.seed if self._seed is None else self._seed
        return replace(request, seed=self._seed)

    def shown(self, path: Path) -> str:
        """Relative to where the user stands, where that is shorter."""
        try:
            return str(path.relative_to(Path.cwd()))
        except ValueError:
            return str(path)

    def plans(self, path: Path) -> Sequence[Plan]:
        from harness.pipeline import prepare  # noqa: PLC0415
        from harness.report import fallback_text  # noqa: PLC0415

        self._see_to_implementation()
        programme = prepare(self._request(path))
        if programme.suite:
            self._suites[programme.suite] = programme.plans
        fallback = (fallback_text(programme.fallback),) if programme.fallback else ()
        self.where = (f"scenarios: network {programme.rung}", *fallback)
        return programme.plans

    def _see_to_implementation(self) -> None:
        from harness.errors import UsageError  # noqa: PLC0415
        from harness.load import is_implementation  # noqa: PLC0415
        from harness.pipeline import DEFAULT_IMPLEMENTATION  # noqa: PLC0415

        given = self._config.option.implementation
        if not given and not is_implementation(self._config.rootpath / DEFAULT_IMPLEMENTATION):
            raise UsageError("say whose programs are to be played: --implementation FILE|DIR")

    def start(self, plans: Sequence[Plan]) -> None:
        """Play all of them, from now on, in a thread of their own."""
        from harness.errors import MachineError  # noqa: PLC0415
        from harness.plan.order import circles  # noqa: PLC0415
        from harness.report import check_folder  # noqa: PLC0415

        request = self._request(Path(plans[0].scenario.file))
        try:
            check_folder(str(request.out), option="--wirelab-out")
        except MachineError as error:
            raise pytest.UsageError(str(error)) from None
        if rings := circles(plan.scenario for plan in plans):  # each file was read by itself
            raise pytest.UsageError(str(rings[0]))
        each = {plan.id: plan for plan in plans}  # pytest may collect a file twice
        self._verdicts = {name: Future() for name in each}
        self._thread = threading.Thread(
            target=self._play, args=(list(each.values()), request), name="wirelab", daemon=True
        )
        self._thread.start()

    def _play(self, plans: Sequence[Plan], request: Request) -> None:
        try:
            asyncio.run(self._play_all(plans, request))
        except BaseException as error:  # noqa: BLE001 - told by the items that wait
            for future in self._verdicts.values():
                if not future.done():
                    future.set_exception(error)
        finally:
            self._can_stop.set()
            self._stop = lambda: None

    async def _play_all(self, plans: Sequence[Plan], request: Request) -> None:
        from harness.pipeline import play_all  # noqa: PLC0415

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        self._can_stop.set()
        await play_all(
            plans,
            request,
            on_verdict=lambda verdict: self._verdicts[verdict.plan.id].set_result(verdict),
        )

    def verdict(self, plan: Plan) -> Verdict:
        """The verdict of a play; waits for it."""
        return self._verdicts[plan.id].result()

    def story(self, verdict: Verdict) -> str:
        from harness.pipeline import story  # noqa: PLC0415

        return story(verdict, self._request(Path(verdict.plan.scenario.file)))

    def points(self) -> Iterator[str]:
        """What the program has of the points of each suite that was played."""
        from harness.report import points_text  # noqa: PLC0415

        for title, plans in self._suites.items():
            futures = [self._verdicts.get(plan.id) for plan in plans]
            done = [f.result() for f in futures if f and f.done() and not f.exception()]
            if done:
                yield points_text(done, plans, title)

    def stop(self) -> None:
        """End what is still being played, and wait until it has cleaned up."""
        if not self._thread:
            return
        with _deaf_to_interrupts():
            self._can_stop.wait()
            self._stop()
            self._thread.join()


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A second Ctrl-C must not break off the clean-up that the first one asked for."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # pytest itself was started in a thread: there is no Ctrl-C for it
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""What was asked for -> what will be played, all of it loaded and planned."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import AuthorError, Problem, UsageError, joined
from harness.load import (
    command_implementation,
    find,
    find_scenarios,
    folder_with_roles,
    ids_around,
    implementations_below,
    is_implementation,
    is_suite,
    load_implementation,
    load_roles,
    load_scenarios,
    load_suite,
    suites_among,
    suites_below,
)
from harness.network import rung_of, why_not_private
from harness.plan import make_plans
from harness.plan.choice import check_cases, choose, keyword_filter
from harness.plan.notes import about_nothing, names_of_plays, notes
from harness.plan.order import circles
from harness.plan.suites import may_pick, picked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model.plan import Plan
    from harness.model.program import ExpectedFailure, Implementation, Role
    from harness.model.scenario import Scenario
    from harness.model.suite import Suite

DEFAULT_SCENARIOS = "scenarios"
DEFAULT_IMPLEMENTATION = "reference"
#: Scenarios mostly wait, so several share a core.
_PLAYS_PER_CORE = 4


@dataclass(frozen=True)
class Request:
    """What a face was asked for.

    `command` is a command line to play against in place of an implementation file; `out`
    the folder for run folders, None for none.
    """

    paths: tuple[str, ...] = (DEFAULT_SCENARIOS,)
    implementation: str = DEFAULT_IMPLEMENTATION
    command: tuple[str, ...] = ()
    role: str | None = None
    keyword: str = ""
    tags: tuple[str, ...] = ()
    jobs: int = 0
    network: str = "auto"
    seed: int = field(default_factory=lambda: random.SystemRandom().randrange(2**31))
    out: str | None = "run"
    stop_at_first_failure: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Those options that decide how a play goes, where they are not the default."""
        whose = () if self.command or self.by_default else ("-i", self.implementation)
        where = () if self.network == "auto" else ("--network", self.network)
        return (*whose, *where)

    @property
    def by_default(self) -> bool:
        """Whether nobody said whose programs are played."""
        return self.implementation == DEFAULT_IMPLEMENTATION

    @property
    def workers(self) -> int:
        """How many plays go on at once."""
        return self.jobs or _PLAYS_PER_CORE * (os.cpu_count() or 1)


@dataclass(frozen=True)
class Programme:
    """What will be played, in order, and by whom.

    `notes` are said before; `fallback` is why it is not played on the private network, though
    that would have been taken if it could be had; `suite` is the title of one.
    """

    plans: tuple[Plan, ...]
    implementation: Implementation
    rung: str
    notes: tuple[str, ...] = ()
    fallback: str = ""
    suite: str | None = None


def prepare(request: Request) -> Programme:
    """Load everything and plan it.

    Raises:
        AuthorError: with every problem of every file.
        UsageError: what was asked for does not go together.
        MachineError: the network that was asked for cannot be had.
    """
    wanted = keyword_filter(request.keyword)
    rung = rung_of(request.network)
    given = _given(request.paths)
    if given.problems:
        raise AuthorError(given.problems)
    chosen = choose(given.scenarios, role=request.role, tags=request.tags)
    for scenario in chosen:
        check_cases(scenario, given.cases.get(scenario.file) or ())
    implementation = _implementation(request, chosen, given.roles)
    made = (
        plan
        for scenario in chosen
        for plan in make_plans(
            scenario, given.roles[scenario.role], implementation, offers=rung.offers, rung=rung.rung
        )
    )
    suite = given.suite.file if given.suite else None
    plans = [replace(plan, suite=suite) for plan in made if given.asks_for(plan) and wanted(plan)]
    stale = _stale(implementation, given.loaded, given.files)
    told = (
        *notes(plans, rung.offers),
        *(f"note: {expected.place}: {what}" for expected, what in stale),
    )
    return Programme(
        plans=tuple(plans),
        implementation=implementation,
        rung=rung.rung,
        notes=told,
        fallback=why_not_private(request.network),
        suite=given.suite.title if given.suite else None,
    )


@dataclass(frozen=True)
class _Given:
    """What stands below the paths of a command line.

    `loaded` are all scenarios that were read, `scenarios` those that are meant; `cases` are those
    asked for, by file, and `plays` of the suite: None is all of them.
    """

    scenarios: list[Scenario]
    loaded: list[Scenario]
    files: list[Path]
    roles: dict[str, Role]
    problems: list[Problem]
    cases: dict[str, set[str] | None] = field(default_factory=dict)
    suite: Suite | None = None
    plays: set[str] | None = None

    def asks_for(self, plan: Plan) -> bool:
        if self.suite:
            return self.plays is None or bool(self.plays & plan.names)
        cases = self.cases[plan.scenario.file]
        return cases is None or any(map(plan.is_called, cases))


def _stale(
    implementation: Implementation, scenarios: Sequence[Scenario], files: Sequence[Path]
) -> list[tuple[ExpectedFailure, str]]:
    if not implementation.expected_failures:  # nearly always; folders need not be looked through
        return []
    return about_nothing(implementation, scenarios, ids_around(files))


def _given(paths: Sequence[str]) -> _Given:
    suites = suites_among(paths)
    if not suites:
        found = find(paths)
        files = [each.file for each in found]
        if not files and (below := suites_below(map(Path, paths))):
            raise UsageError(f"there are only suites here; play one: wirelab run {below[0]}")
        roles = load_roles(folder_with_roles(files))
        scenarios, problems = load_scenarios(files, roles)
        cases = {str(each.file): each.cases for each in found}
        return _Given(
            scenarios, scenarios, files, roles, problems + circles(scenarios), cases=cases
        )
    file, *more = suites
    if more or not all(suites_among([path]) for path in paths):
        raise UsageError(f"a suite is played by itself: wirelab run {file}")
    return of_suite(load_suite(file), suites[file])


def of_suite(suite: Suite, plays: set[str] | None = None) -> _Given:
    """A suite with its scenarios; what is wrong in others is no matter.

    Raises:
        AuthorError: its folder is not there, or the roles are wrong.
        UsageError: it has none of these plays.
    """
    everything = find_scenarios([suite.folder])
    files = [file for file in everything if may_pick(suite, file)]
    roles = load_roles(folder_with_roles([suite.folder]))
    loaded, problems = load_scenarios(files, roles)
    unread = {f"{file.parent.name}/{file.stem}" for file in files} - {each.id for each in loaded}
    scenarios, wrong = picked(suite, loaded, unread)
    known = {name for scenario in scenarios for name in names_of_plays(scenario)}
    if plays and not plays <= known and not (problems or wrong):
        raise UsageError(f"{suite.file} has no {', '.join(sorted(plays - known))}")
    problems += wrong + circles(scenarios)
    return _Given(scenarios, loaded, files, roles, problems, suite=suite, plays=plays)


def listing(
    paths: Sequence[str], *, role: str | None = None, tags: Sequence[str] = ()
) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of these paths that are right, and the problems of the others."""
    given = _given(paths)
    return choose(given.scenarios, role=role, tags=tags), given.problems


def check(paths: Sequence[str]) -> tuple[int, list[Problem]]:
    """How many scenario, suite and implementation files there are, and every problem in them."""
    places = [Path(path) for path in paths]
    programs = [place for place in places if is_implementation(place)]
    given = [place for place in places if is_suite(place)]
    others = [place for place in places if place not in [*programs, *given]]
    files = find_scenarios(others)
    programs += implementations_below(others)
    suites = dict.fromkeys([*given, *suites_below(places)])
    roles = load_roles(folder_with_roles([*places, *files]))
    scenarios, problems = load_scenarios(files, roles)
    problems += circles(scenarios)
    for path in suites:
        try:
            problems += of_suite(load_suite(path)).problems
        except AuthorError as error:
            problems += error.problems
    for path in programs:
        try:
            implementation = load_implementation(path, roles)
        except AuthorError as error:
            problems += error.problems
        else:
            for expected, what in _stale(implementation, scenarios, files):
                place = (expected.file, expected.line, expected.column)
                problems.append(Problem(*place, what))
    return len(files) + len(suites) + len(programs), joined(problems)


def _implementation(
    request: Request, scenarios: Sequence[Scenario], roles: dict[str, Role]
) -> Implementation:
    if not request.command:
        if request.by_default and not is_implementation(Path(request.implementation)):
            raise UsageError("say whose programs are to be played: -i FILE|DIR, or `-- COMMAND...`")
        return load_implementation(Path(request.implementation), roles)
    played = sorted({scenario.role for scenario in scenarios})
    if len(played) > 1:
        raise UsageError(f"one command line cannot play {', '.join(played)}; choose one by --role")
    role = roles[played[0]] if played else next(iter(roles.values()))
    return command_implementation(role, request.command, folder=Path.cwd())

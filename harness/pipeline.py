"""load -> plan -> run -> judge -> report: the one corridor that joins the rooms.

No logic of its own: both faces (the command line and the pytest plugin) ask it for plans,
have them played, and show the verdicts.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import random
import shlex
import tempfile
import textwrap
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness import report
from harness.author import (
    NotBlessedError,
    agreed,
    check_blessable,
    exchange_text,
    starter,
    told,
    with_exchange,
)
from harness.errors import (
    AuthorError,
    MachineError,
    Problem,
    UsageError,
    WirelabError,
    joined,
)
from harness.follow import followed
from harness.judge import judge, rejudge, satisfied
from harness.load import (
    command_implementation,
    find,
    find_scenarios,
    folder_with_roles,
    ids_around,
    is_implementation,
    is_suite,
    load_implementation,
    load_roles,
    load_scenario,
    load_scenarios,
    load_suite,
    slug_of,
    suites_among,
    suites_below,
)
from harness.load.wording import suggest
from harness.model.needs import NEEDS
from harness.model.program import ExpectedFailure, Implementation, Program
from harness.model.record import PROGRAM
from harness.model.scenario import Level
from harness.model.verdict import Outcome, Verdict
from harness.network import rung_of, why_not_private
from harness.notation import parse_exchange
from harness.plan import make_plans
from harness.plan.choice import check_cases, choose, keyword_filter
from harness.plan.notes import about_nothing, names_of_plays, notes
from harness.plan.order import circles, waits, why_unchecked
from harness.plan.suites import may_pick, picked
from harness.record import find_runs, origin_of, read_run
from harness.run import Stage, play, play_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.model.plan import Plan
    from harness.model.program import Role
    from harness.model.record import Record
    from harness.model.scenario import Scenario
    from harness.model.suite import Suite
    from harness.record import Origin

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
    return _of_suite(load_suite(file), suites[file])


def _of_suite(suite: Suite, plays: set[str] | None = None) -> _Given:
    """A suite with its scenarios; what is wrong in others is no matter."""
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
    files = find_scenarios([place for place in places if place not in [*programs, *given]])
    suites = dict.fromkeys([*given, *suites_below(places)])
    roles = load_roles(folder_with_roles([*places, *files]))
    scenarios, problems = load_scenarios(files, roles)
    problems += circles(scenarios)
    for path in suites:
        try:
            problems += _of_suite(load_suite(path)).problems
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


def begin(role_name: str, name: str) -> str:
    """Write a scenario to start from below `scenarios/`; its path.

    Raises:
        UsageError: there is no such role, it is no name, or the file is there already.
        MachineError: it cannot be written.
    """
    scenarios = Path(DEFAULT_SCENARIOS)
    roles = load_roles(scenarios)
    if role_name not in roles:
        raise UsageError(f"there is no role `{role_name}`{suggest(role_name, roles)}")
    name = name.removesuffix(".yaml")
    if (slug := slug_of(name).lstrip("_") or "scenario") != name:
        allowed = "letters, digits, `-` and `_` inside"
        raise UsageError(f"the name of a scenario is {allowed}; `{slug}` would be one")
    file = scenarios / role_name / f"{name}.yaml"
    schema = "../scenario.schema.json" if (scenarios / "scenario.schema.json").is_file() else ""
    text = starter(roles[role_name], name, file=shlex.quote(str(file)), schema=schema)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise UsageError(f"{file} is there already; choose another name") from None
    except OSError as error:
        raise MachineError(f"{file} cannot be written: {error.strerror}") from error
    return str(file)


# -- playing --------------------------------------------------------------------------


async def play_all(
    plans: Sequence[Plan],
    request: Request,
    *,
    on_start: Callable[[Plan], None] = lambda _plan: None,
    on_verdict: Callable[[Verdict], None] = lambda _verdict: None,
) -> list[Verdict]:
    """Play the plans, several at once in this event loop; their verdicts in order of plans.

    What comes after others waits for them.
    When cancelled, what is under way is ended and cleaned up; verdicts so far were told
    through `on_verdict`.
    """
    stage = Stage(network=request.network, satisfied=satisfied, seed=request.seed)

    async def perform(plan: Plan, before: list[Verdict]) -> Verdict:
        if plan.skipped is None and (reason := why_unchecked(before)):
            verdict = Verdict(plan, Outcome.UNCHECKED, reason=reason)
        else:
            on_start(plan)
            verdict = await _verdict(plan, stage, request)
        on_verdict(verdict)
        return verdict

    def is_last(verdict: Verdict) -> bool:
        return request.stop_at_first_failure and verdict.outcome is Outcome.FAILED

    try:
        return await play_many(
            plans, perform, at_once=request.workers, is_last=is_last, waits=waits(plans)
        )
    finally:
        await stage.close()


async def _verdict(plan: Plan, stage: Stage, request: Request) -> Verdict:
    """Play and judge one plan; what breaks on our side is an error, never the program's."""
    if plan.skipped is not None:
        return Verdict(plan, Outcome.SKIPPED, reason=plan.skipped)
    started = time.monotonic()
    try:
        record = await play(plan, stage)
        follower = followed(plan, record)
        verdict = judge(plan, record, follower)
    except WirelabError as error:
        return Verdict(plan, Outcome.ERROR, reason=str(error))
    except Exception as error:  # noqa: BLE001 - one broken play must not end the others
        return Verdict(plan, Outcome.ERROR, reason=f"Wirelab failed: {error!r}")
    verdict = replace(verdict, duration_s=time.monotonic() - started)
    if request.out is None:
        return verdict
    origin = origin_of(
        plan,
        network=rung_of(request.network).rung,
        seed=request.seed,
        again=again(plan, request),
        duration_s=verdict.duration_s,
    )
    return report.keep(verdict, record, request.out, origin=origin, follower=follower)


def again(plan: Plan, request: Request) -> str:
    """The command that plays this plan again."""
    seed = ("--seed", str(request.seed)) if plan.scenario.by_chance else ()
    return report.again(plan, options=(*request.options, *seed), command=request.command)


# -- blessing -------------------------------------------------------------------------


def bless(plan: Plan, request: Request) -> str:
    """Make what a program does the exchange of its scenario; how the file changed, as a diff.

    It is played twice, to see what varies, and once more by what will be written.

    Raises:
        NotBlessedError: it cannot be done; says why, and the file is as it was.
        MachineError: the file cannot be written.
    """
    scenario = plan.scenario
    if plan.skipped is not None:
        raise NotBlessedError(f"{plan.id} is not played: {plan.skipped}")
    if plan.case is not None:
        raise NotBlessedError(f"{scenario.file} has cases, which one transcript cannot speak for")
    if scenario.by_chance:
        raise NotBlessedError(f"{scenario.file} leaves to chance what goes wrong; name it instead")
    check_blessable(scenario)
    plan = replace(plan, pieces=None, expected_failure=None)  # it passes by what it does
    records = [_witnessed(plan, request) for _ in range(2)]
    first, second = (told(plan, record) for record in records)
    path = Path(scenario.file)
    before = path.read_bytes().decode()
    exchange = exchange_text(before, agreed(first, second), file=scenario.file)
    after = with_exchange(before, exchange, file=scenario.file)
    if after == before:
        return ""
    _check_blessed(plan, exchange, request)
    _put(path, before, after, plan.role)
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(old, new, scenario.file, scenario.file))


def _witnessed(plan: Plan, request: Request) -> Record:
    """The record of a play in which the program did nothing that is wrong in itself."""
    verdict, record = _recorded(plan, request)
    for finding in verdict.findings:
        if finding.level is Level.MUST and finding.actor == PROGRAM:
            raise NotBlessedError(f"{plan.id}: {finding.headline}  Nothing was written.")
    return record


def _recorded(plan: Plan, request: Request) -> tuple[Verdict, Record]:
    with tempfile.TemporaryDirectory(prefix="wirelab-") as folder:
        [verdict] = asyncio.run(play_all([plan], replace(request, out=folder)))
        if verdict.outcome is Outcome.ERROR:
            raise NotBlessedError(f"{plan.id}: {verdict.reason}")
        return verdict, read_run(Path(str(verdict.run_folder)))[1]


def _check_blessed(plan: Plan, exchange: str, request: Request) -> None:
    """See that the scenario, as it would be written, passes."""
    parsed, mistakes = parse_exchange(exchange)
    if mistakes:
        raise NotBlessedError(f"{plan.id}: what came cannot be written: {mistakes[0]}")
    scenario = replace(plan.scenario, exchange=parsed)
    verdict, _ = _recorded(replace(plan, scenario=scenario, open=True), request)
    if verdict.outcome is not Outcome.PASSED:
        text = _story(replace(verdict, run_folder=None), again(plan, request))
        raise NotBlessedError(
            f"{plan.id} would not pass, played by its own transcript; nothing was written:\n\n"
            f"{textwrap.indent(exchange, '    ')}\n{text}"
        )


def _put(path: Path, before: str, after: str, role: Role) -> None:
    """Write the file; it is as it was where what was written cannot be read."""
    try:
        path.write_bytes(after.encode())
        load_scenario(path, {role.name: role})
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error.strerror}") from error
    except AuthorError as error:
        path.write_bytes(before.encode())
        raise NotBlessedError(f"what came cannot be written: {error.problems[0]}") from error


# -- reporting ------------------------------------------------------------------------


def story(verdict: Verdict, request: Request) -> str:
    """All that there is to tell of a verdict, and how it is played again."""
    return _story(verdict, again(verdict.plan, request))


def _story(verdict: Verdict, note: str) -> str:
    return report.failure_text(verdict, implementation=verdict.plan.implementation, again=note)


def facts(programme: Programme, request: Request, seconds: float) -> report.RunFacts:
    """What is true of a run that took so long until now."""
    return report.RunFacts(
        network=programme.rung,
        seed=request.seed,
        started=datetime.fromtimestamp(time.time() - seconds, UTC),
        duration_s=seconds,
        implementation=programme.implementation.name,
        path=programme.implementation.path,
        suite=programme.suite,
        plans=programme.plans,
    )


# -- judging again --------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """Recorded runs that were judged again: their verdicts, and where each record comes from."""

    verdicts: tuple[Verdict, ...]
    origins: Mapping[str, Origin]  # by run folder
    suite: str | None = None  # the title of the one that picked them all

    def story(self, verdict: Verdict) -> str:
        """All that there is to tell of a verdict, and how it is played again."""
        return _story(verdict, self.origins[str(verdict.run_folder)].again)

    def facts(self, seconds: float) -> report.RunFacts:
        """What is true of them as a whole; judging took so long until now."""
        origins = self.origins.values()
        return report.RunFacts(
            network=_one_word(origin.network for origin in origins),
            seed=next(iter(origins)).seed,
            started=datetime.fromtimestamp(time.time() - seconds, UTC),
            duration_s=seconds,
            implementation=_one_word(origin.implementation for origin in origins),
            path=_one_word(origin.path for origin in origins),
            suite=self.suite,
            plans=tuple(verdict.plan for verdict in self.verdicts),
        )


def _one_word(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def judge_runs(paths: Sequence[str]) -> Judged:
    """Judge recorded runs by their scenarios as they read now.

    Raises:
        UsageError: there is no run, or one whose scenario or case is gone.
        AuthorError: with every problem of the scenarios.
    """
    runs = {str(folder): read_run(folder) for folder in find_runs(paths)}
    origins = [origin for origin, _ in runs.values()]
    suites = {name: Path(name) for origin in origins if (name := origin.suite)}
    files = {origin.scenario: Path(origin.scenario) for origin in origins}
    for file in (*suites.values(), *files.values()):
        if not file.is_file():
            raise UsageError(f"there is no {file} here; judge where the scenarios were played")
    roles = load_roles(folder_with_roles(files.values()))
    scenarios, problems = load_scenarios(files.values(), roles)
    if problems:
        raise AuthorError(problems)
    by_suite = {name: _of_suite(load_suite(file)) for name, file in suites.items()}
    chosen: dict[str | None, list[Scenario]] = {None: scenarios}
    for name, given in by_suite.items():
        chosen[name] = given.scenarios
    verdicts = []
    for folder, (origin, record) in runs.items():
        scenario = _weighed(chosen[origin.suite], origin)
        plan = _plan_again(scenario, roles[scenario.role], origin)
        verdict, captured = _judged(plan, record, origin), record.capture is not None
        verdicts.append(replace(verdict, run_folder=folder, captured=captured))
    [suite, *others] = {origin.suite for origin in origins}
    found = by_suite[suite].suite if suite and not others else None
    return Judged(
        verdicts=tuple(verdicts),
        origins={folder: origin for folder, (origin, _) in runs.items()},
        suite=found.title if found else None,
    )


def _weighed(scenarios: Iterable[Scenario], origin: Origin) -> Scenario:
    """The scenario of a run, with the points and limits of its suite, as they read now."""
    for scenario in scenarios:
        if Path(scenario.file) == Path(origin.scenario):
            return scenario
    raise UsageError(f"{origin.suite} does not pick {origin.scenario} any more; play it again")


def _plan_again(scenario: Scenario, role: Role, origin: Origin) -> Plan:
    """The plan of a run, with the program as it was, wherever that is now."""
    program = Program(role.name, origin.run, addresses=origin.addresses)
    known = [ExpectedFailure(**origin.expected_failure)] if origin.expected_failure else []
    implementation = Implementation(
        origin.implementation,
        origin.path,
        Path(),
        {role.name: program},
        expected_failures=tuple(known),
    )
    plans = make_plans(scenario, role, implementation, offers=NEEDS, rung=origin.network)
    for plan in plans:
        if plan.label == origin.label:
            return replace(plan, suite=origin.suite)
    raise UsageError(f"{scenario.file} has no [{origin.label}] any more; play it again")


def _judged(plan: Plan, record: Record, origin: Origin) -> Verdict:
    try:
        return rejudge(plan, record, origin)
    except Exception as error:  # noqa: BLE001 - one broken record must not end the others
        return Verdict(plan, Outcome.ERROR, reason=f"Wirelab failed: {error!r}")

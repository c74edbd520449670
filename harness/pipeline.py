"""load -> plan -> run -> judge -> report: the one corridor that joins the rooms.

No logic of its own: both faces (the command line and the pytest plugin) ask it for plans,
have them played, and show the verdicts.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shlex
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import AuthorError, Problem, UsageError, WirelabError
from harness.judge import judge, satisfied
from harness.load import (
    command_implementation,
    find_scenarios,
    load_implementation,
    load_roles,
    load_scenarios,
)
from harness.model.verdict import Outcome, Verdict
from harness.network import rung_of
from harness.plan import make_plans
from harness.record import write_record
from harness.report import failure_text, results, transcript
from harness.report.results import RunFacts
from harness.run import Stage, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.model.plan import Plan
    from harness.model.program import Implementation, Role
    from harness.model.record import Record
    from harness.model.scenario import Scenario

DEFAULT_SCENARIOS = "scenarios"
DEFAULT_IMPLEMENTATION = "reference"
IMPLEMENTATION_FILE = "wirelab.yaml"
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
    def workers(self) -> int:
        """How many plays go on at once."""
        return self.jobs or _PLAYS_PER_CORE * (os.cpu_count() or 1)


@dataclass(frozen=True)
class Programme:
    """What will be played, in order, and by whom."""

    plans: tuple[Plan, ...]
    implementation: Implementation
    rung: str


def prepare(request: Request) -> Programme:
    """Load everything and plan it.

    Raises:
        AuthorError: with every problem of every file.
        MachineError: the network that was asked for cannot be had.
    """
    rung = rung_of(request.network)
    scenarios, roles = load(request.paths)
    chosen = [scenario for scenario in scenarios if _chosen(scenario, request)]
    implementation = _implementation(request, chosen, roles)
    plans = (
        plan
        for scenario in chosen
        for plan in make_plans(
            scenario, roles[scenario.role], implementation, offers=rung.offers, rung=rung.rung
        )
    )
    wanted = _keyword_filter(request.keyword)
    return Programme(tuple(plan for plan in plans if wanted(plan)), implementation, rung.rung)


def load(paths: Iterable[str]) -> tuple[list[Scenario], dict[str, Role]]:
    """The scenarios below these paths, and all roles that are known there.

    Raises:
        AuthorError: with every problem of every file.
    """
    places = [Path(path) for path in paths]
    files = find_scenarios(places)
    roles = load_roles(_folder_with_roles(places))
    scenarios, problems = load_scenarios(files, roles)
    if problems:
        raise AuthorError(problems)
    return scenarios, roles


def _folder_with_roles(places: Iterable[Path]) -> Path | None:
    """The folder of scenarios that adds roles of its own (`roles.yaml`)."""
    near = (folder for place in places for folder in (place, *place.absolute().parents[:2]))
    return next((folder for folder in near if (folder / "roles.yaml").is_file()), None)


def check(paths: Iterable[str]) -> tuple[int, list[Problem]]:
    """How many scenario and implementation files there are, and every problem in them."""
    places = [Path(path) for path in paths]
    programs = [place for place in places if _is_implementation(place)]
    files = find_scenarios([place for place in places if place not in programs])
    roles = load_roles(_folder_with_roles(places))
    _, problems = load_scenarios(files, roles)
    for path in programs:
        try:
            load_implementation(path, roles)
        except AuthorError as error:
            problems += error.problems
    return len(files) + len(programs), problems


def _is_implementation(place: Path) -> bool:
    return place.name == IMPLEMENTATION_FILE or (place / IMPLEMENTATION_FILE).is_file()


def _chosen(scenario: Scenario, request: Request) -> bool:
    if request.role and scenario.role != request.role:
        return False
    return not request.tags or bool(set(request.tags) & set(scenario.tags))


def _implementation(
    request: Request, scenarios: Sequence[Scenario], roles: dict[str, Role]
) -> Implementation:
    if not request.command:
        return load_implementation(Path(request.implementation), roles)
    played = sorted({scenario.role for scenario in scenarios})
    if len(played) > 1:
        raise UsageError(f"one command line cannot play {', '.join(played)}; choose one by --role")
    role = roles[played[0]] if played else next(iter(roles.values()))
    return command_implementation(role, request.command, folder=Path.cwd())


def _keyword_filter(expression: str) -> Callable[[Plan], bool]:
    """`-k`, in the language of pytest: words of the id, `and`, `or`, `not`."""
    if not expression:
        return lambda _plan: True
    from _pytest.mark.expression import Expression  # noqa: PLC0415 - pytest costs 90 ms

    compiled = Expression.compile(expression)

    def wanted(plan: Plan) -> bool:
        words = f"{plan.id} {plan.scenario.title} {' '.join(plan.scenario.tags)}".lower()
        return compiled.evaluate(lambda name, /, **_: name.lower() in words)

    return wanted


# -- playing --------------------------------------------------------------------------


async def play_all(
    plans: Sequence[Plan],
    request: Request,
    *,
    on_start: Callable[[Plan], None] = lambda _plan: None,
    on_verdict: Callable[[Verdict], None] = lambda _verdict: None,
) -> list[Verdict]:
    """Play the plans, several at once in this event loop; their verdicts in order of plans.

    When cancelled, what is under way is ended and cleaned up; verdicts so far were told
    through `on_verdict`.
    """
    stage = Stage(network=request.network, satisfied=satisfied, seed=request.seed)
    workers = asyncio.Semaphore(request.workers)
    failed = asyncio.Event()

    async def one(plan: Plan) -> Verdict | None:
        async with workers:
            if failed.is_set() and request.stop_at_first_failure:
                return None
            on_start(plan)
            verdict = await _verdict(plan, stage, request)
            if verdict.outcome is Outcome.FAILED:
                failed.set()
            on_verdict(verdict)
            return verdict

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(plan)) for plan in plans]
    finally:
        stage.authority.close()
    return [verdict for task in tasks if (verdict := task.result())]


async def _verdict(plan: Plan, stage: Stage, request: Request) -> Verdict:
    """Play and judge one plan; what breaks on our side is an error, never the program's."""
    if plan.skipped is not None:
        return Verdict(plan, Outcome.SKIPPED, reason=plan.skipped)
    started = time.monotonic()
    try:
        record = await play(plan, stage)
        verdict = judge(plan, record)
    except WirelabError as error:
        return Verdict(plan, Outcome.ERROR, reason=str(error))
    except Exception as error:  # noqa: BLE001 - one broken play must not end the others
        return Verdict(plan, Outcome.ERROR, reason=f"Wirelab failed: {error!r}")
    verdict = replace(verdict, duration_s=time.monotonic() - started)
    return _kept(plan, record, verdict, request)


def _kept(plan: Plan, record: Record, verdict: Verdict, request: Request) -> Verdict:
    """Write the run folder."""
    if request.out is None:
        return verdict
    folder = Path(request.out) / _folder_name(plan)
    folder.mkdir(parents=True, exist_ok=True)
    verdict = replace(verdict, run_folder=str(folder))
    write_record(record, folder / "record.jsonl")
    (folder / "transcript.txt").write_text(transcript(plan, record), encoding="utf-8")
    story = failure_text(verdict, again=again(plan, request))
    (folder / "verdict.txt").write_text(story, encoding="utf-8")
    return verdict


def _folder_name(plan: Plan) -> str:
    """The plan's id, with its case in a form that every file system takes."""
    if not plan.case:
        return plan.scenario.id
    case = "".join(char if char.isalnum() or char in "-_.@" else "_" for char in plan.case)
    return f"{plan.scenario.id}[{case}]"


def again(plan: Plan, request: Request) -> str:
    """The command that plays this plan again."""
    words = ["wirelab", "run", plan.scenario.file]
    if plan.case:
        words += ["-k", plan.case] if plan.case.isidentifier() else []
    if plan.scenario.by_chance:
        words += ["--seed", str(request.seed)]
    if request.command:
        words += ["--", *request.command]
    elif request.implementation != DEFAULT_IMPLEMENTATION:
        words += ["-i", request.implementation]
    return shlex.join(words)


# -- reporting ------------------------------------------------------------------------


def results_of(
    verdicts: Sequence[Verdict], programme: Programme, request: Request, seconds: float
) -> dict[str, Any]:
    """The results of a run as they are written to `--json`."""
    facts = RunFacts(
        network=programme.rung,
        seed=request.seed,
        started=datetime.fromtimestamp(time.time() - seconds, UTC),
        duration_s=seconds,
        implementation=programme.implementation.name,
        path=programme.implementation.path,
    )
    return results(verdicts, facts)


def write_results(data: dict[str, Any], path: Path) -> None:
    """Write the results file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    part.replace(path)

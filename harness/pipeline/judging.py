"""Recorded runs -> verdicts, by their scenarios as they read now."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness import report
from harness.errors import AuthorError, UsageError
from harness.judge import rejudge
from harness.load import folder_with_roles, load_roles, load_scenarios, load_suite
from harness.model.needs import NEEDS
from harness.model.program import ExpectedFailure, Implementation, Program
from harness.model.verdict import Outcome, Verdict
from harness.pipeline.playing import story_of
from harness.pipeline.preparing import of_suite
from harness.plan import make_plans
from harness.record import find_runs, read_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.model.plan import Plan
    from harness.model.program import Role
    from harness.model.record import Record
    from harness.model.scenario import Scenario
    from harness.record import Origin


@dataclass(frozen=True)
class Judged:
    """Recorded runs that were judged again: their verdicts, and where each record comes from."""

    verdicts: tuple[Verdict, ...]
    origins: Mapping[str, Origin]  # by run folder
    suite: str | None = None  # the title of the one that picked them all

    def story(self, verdict: Verdict) -> str:
        """All that there is to tell of a verdict, and how it is played again."""
        return story_of(verdict, self.origins[str(verdict.run_folder)].again)

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
    by_suite = {name: of_suite(load_suite(file)) for name, file in suites.items()}
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

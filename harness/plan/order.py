"""What must hold before a scenario is played (`after`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import Problem
from harness.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.model.plan import Plan
    from harness.model.scenario import Scenario
    from harness.model.verdict import Verdict


def circles(scenarios: Iterable[Scenario]) -> list[Problem]:
    """A problem for each ring of scenarios that come after each other, told of one of them."""
    by_id = {scenario.id: scenario for scenario in scenarios}
    done: set[str] = set()
    found = []
    for scenario in by_id.values():
        if way := _circle(scenario.id, by_id, done, ()):
            told = " after ".join(way)
            line = by_id[way[0]].lines.get("after", 1)
            message = f"nobody could begin: {told}"
            found.append(Problem(by_id[way[0]].file, line, 1, message))
    return found


def _circle(
    name: str, by_id: Mapping[str, Scenario], done: set[str], way: tuple[str, ...]
) -> tuple[str, ...] | None:
    """The first ring that is met from here on and was not met before."""
    if name in way:
        return (*way[way.index(name) :], name)
    if name in done or name not in by_id:
        return None
    done.add(name)
    rings = (_circle(before, by_id, done, (*way, name)) for before in by_id[name].after)
    return next(filter(None, rings), None)


def waits(plans: Sequence[Plan]) -> list[list[int]]:
    """For each plan the indexes of those that it comes after; what was not chosen is no matter."""
    plays: dict[str, list[int]] = {}
    for index, plan in enumerate(plans):
        plays.setdefault(plan.scenario.id, []).append(index)
    return [[i for name in plan.scenario.after for i in plays.get(name, ())] for plan in plans]


def why_unchecked(before: Iterable[Verdict]) -> str | None:
    """Why a play is left out, by the verdicts on those that it comes after; None if it is not."""
    for verdict in before:
        if not verdict.holds:
            return f"it comes after {verdict.plan.id}, which {_WORDS[verdict.outcome]}"
    return None


_WORDS = {
    Outcome.FAILED: "failed",
    Outcome.EXPECTED: "failed, as expected",
    Outcome.UNCHECKED: "was not played either",
    Outcome.ERROR: "could not be played",
}

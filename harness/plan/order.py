"""What must hold before a scenario is played (`after`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import Problem
from harness.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.model.plan import Plan
    from harness.model.scenario import Scenario
    from harness.model.verdict import Verdict


def circles(scenarios: Iterable[Scenario]) -> list[Problem]:
    """A problem for each ring of scenarios that come after each other, told of one of them."""
    by_id = {scenario.id: scenario for scenario in scenarios}
    done: set[str] = set()
    found = []
    for name in by_id:
        if way := _circle(name, by_id, done):
            first = by_id[way[0]]
            message = f"nobody could begin: {' after '.join(way)}"
            found.append(Problem(first.file, first.lines.get("after", 1), 1, message))
    return found


def _circle(name: str, by_id: Mapping[str, Scenario], done: set[str]) -> list[str]:
    """The first ring that is met from here on, and was not met before; however long the way is."""
    way: list[str] = []
    open_: list[Iterator[str]] = [iter((name,))]
    while open_:
        before = next(open_[-1], None)
        if before is None:
            open_.pop()
            done.update(way[-1:])
            del way[-1:]
        elif before in way:
            done.update(way)
            return [*way[way.index(before) :], before]
        elif before in by_id and before not in done:
            way.append(before)
            open_.append(iter(by_id[before].after))
    return []


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

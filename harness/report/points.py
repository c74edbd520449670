"""What the scenarios of a run count, and how much of it the program has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.model.plan import Plan
    from harness.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Points:
    """`earned` of `of`; `unjudged` of them are of plays that were skipped or could not be made."""

    earned: float
    of: float
    unjudged: float

    def __str__(self) -> str:
        unjudged = f"; {_number(self.unjudged)} were not judged" if self.unjudged else ""
        return f"{_number(self.earned)} of {_number(self.of)}{unjudged}"


def points(verdicts: Iterable[Verdict], plans: Sequence[Plan] = ()) -> Points:
    """The points of a run: those of a scenario are earned when all of its plays have passed.

    `plans` are all that were chosen, where a run may have been broken off.
    """
    verdicts = list(verdicts)
    outcomes: dict[str, list[Outcome]] = {}
    for verdict in verdicts:
        outcomes.setdefault(verdict.plan.scenario.id, []).append(verdict.outcome)
    chosen = plans or [verdict.plan for verdict in verdicts]
    worth = {plan.scenario.id: plan.scenario.points for plan in chosen}
    number = dict.fromkeys(worth, 0)
    for plan in chosen:
        number[plan.scenario.id] += 1
    earned = unjudged = 0.0
    for name, value in worth.items():
        found = outcomes.get(name, [])
        missing = len(found) < number[name] or {Outcome.SKIPPED, Outcome.ERROR} & set(found)
        if set(found) <= {Outcome.PASSED, Outcome.SKIPPED, Outcome.ERROR} and missing:
            unjudged += value
        elif set(found) == {Outcome.PASSED}:
            earned += value
    return Points(_rounded(earned), _rounded(sum(worth.values())), _rounded(unjudged))


def _rounded(number: float) -> float:
    """Without what binary fractions add: 0.1 and 0.2 are 0.3."""
    return round(number, 6)


def _number(number: float) -> str:
    return f"{number:g}"

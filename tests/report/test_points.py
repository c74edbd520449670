"""Points: what is earned, and what nobody can tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from harness.model.verdict import Outcome, Verdict
from harness.report import Points, points

from tests.conversation import plan

PASSED, FAILED, ERROR = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR


def verdicts(value: float, *outcomes: Outcome, name: str = "a/b") -> list[Verdict]:
    scenario = replace(plan({}).scenario, id=name, points=value)
    return [
        Verdict(replace(plan({}), scenario=scenario, case=str(case)), outcome)
        for case, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("outcomes", "earned", "unjudged"),
    [
        ([PASSED], 2, 0),
        ([PASSED, PASSED], 2, 0),
        ([PASSED, FAILED], 0, 0),
        ([Outcome.EXPECTED], 0, 0),
        ([Outcome.UNCHECKED], 0, 0),
        ([Outcome.SKIPPED], 0, 2),
        ([PASSED, ERROR], 0, 2),
        ([FAILED, ERROR], 0, 0),
    ],
)
def test_all_plays_of_a_scenario_earn_its_points(
    outcomes: list[Outcome], earned: float, unjudged: float
) -> None:
    """One that failed is enough to lose them; else one that was not played leaves it open."""
    assert points(verdicts(2, *outcomes)) == Points(earned, 2, unjudged)


def test_totals_are_those_of_all_scenarios() -> None:
    """Without what binary fractions add."""
    given = [
        *verdicts(0.1, PASSED),
        *verdicts(0.2, PASSED, name="c"),
        *verdicts(1, FAILED, name="d"),
    ]
    assert points(given) == Points(0.3, 1.3, 0)
    assert str(points(given)) == "0.3 of 1.3"
    assert points([]) == Points(0, 0, 0)


def test_a_run_that_was_broken_off_earns_nothing_for_half_a_scenario() -> None:
    """What was chosen counts, not what came to be played."""
    both = verdicts(2, PASSED, PASSED) + verdicts(1, PASSED, name="c")
    total = points(both[:1], [verdict.plan for verdict in both])
    assert total == Points(0, 3, 3)
    assert str(total) == "0 of 3; 3 were not judged"

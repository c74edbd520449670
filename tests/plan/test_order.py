"""What comes after what, and what that means for a play."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from harness.model.program import ExpectedFailure
from harness.model.verdict import Outcome, Verdict
from harness.plan.order import circles, waits, why_unchecked

from tests.conversation import plan

if TYPE_CHECKING:
    from harness.model.scenario import Scenario

PLAN = plan({})


def scenario(name: str, *after: str) -> Scenario:
    lines = {"after": 2} if after else {}
    return replace(PLAN.scenario, id=name, file=f"{name}.yaml", after=after, lines=lines)


def test_every_play_of_a_scenario_counts() -> None:
    """Those that are not there do not."""
    plans = [
        replace(PLAN, scenario=scenario(name, *after), case=case)
        for name, case, after in (
            ("b", None, ["a", "elsewhere"]),
            ("a", "one", []),
            ("a", "two", []),
            ("c", None, ["b", "a"]),
        )
    ]
    assert waits(plans) == [[1, 2], [], [], [0, 1, 2]]


def test_a_circle_is_told_once() -> None:
    """Of one of its scenarios; who only leads to it is not to blame."""
    ring = [scenario("x", "a"), scenario("a", "b"), scenario("b", "c", "d"), scenario("c", "a")]
    [problem] = circles([*ring, scenario("d")])
    assert str(problem) == "a.yaml:2:1: nobody could begin: a after b after c after a"


def test_two_ways_to_one_scenario_are_no_circle() -> None:
    """Also what was not loaded is none."""
    four = [scenario("a", "b", "c"), scenario("b", "d"), scenario("c", "d"), scenario("d", "e")]
    assert circles(four) == []


def test_the_way_may_be_long() -> None:
    """As long as a course has scenarios."""
    chain = [scenario(f"s{number}", f"s{number + 1}") for number in range(5000)]
    assert circles(chain) == []
    [problem] = circles([*chain, scenario("s5000", "s0")])
    assert problem.file == "s0.yaml"


def test_two_circles_are_two() -> None:
    """Each is told."""
    four = [scenario("a", "b"), scenario("b", "a"), scenario("c", "d"), scenario("d", "c")]
    assert [problem.file for problem in circles(four)] == ["a.yaml", "c.yaml"]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.PASSED, None),
        (Outcome.SKIPPED, None),
        (Outcome.FAILED, "which failed"),
        (Outcome.EXPECTED, "which failed, as expected"),
        (Outcome.UNCHECKED, "which was not played either"),
        (Outcome.ERROR, "which could not be played"),
    ],
)
def test_what_must_hold(outcome: Outcome, told: str | None) -> None:
    """The reason names what did not."""
    reason = why_unchecked([Verdict(PLAN, Outcome.PASSED), Verdict(PLAN, outcome)])
    assert reason == (told and f"it comes after {PLAN.id}, {told}")


def test_what_passed_against_expectation_holds() -> None:
    """The implementation file is wrong about it, not the program."""
    listed = replace(PLAN, expected_failure=ExpectedFailure("*", "known"))
    assert why_unchecked([Verdict(listed, Outcome.FAILED, reason="it passes now")]) is None

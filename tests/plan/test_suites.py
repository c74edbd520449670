"""What a suite picks, and how it weighs that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.model.scenario import Limits
from harness.model.suite import Pick, Suite
from harness.plan.suites import may_pick, picked

from tests.conversation import plan

if TYPE_CHECKING:
    from harness.model.scenario import Scenario


def scenario(name: str, *tags: str) -> Scenario:
    limits = Limits(play=9, quiet=3)
    role = name.partition("/")[0]
    return replace(plan({}).scenario, id=name, role=role, tags=tags, points=5, limits=limits)


THREE = [scenario("a/one", "x"), scenario("a/two", "x", "y"), scenario("b/one")]


def suite(*picks: Pick) -> Suite:
    numbered = [replace(pick, line=line, column=5) for line, pick in enumerate(picks, 3)]
    return Suite("Lab", "lab.yaml", Path("scenarios"), tuple(numbered))


def ids(*picks: Pick) -> list[str]:
    scenarios, problems = picked(suite(*picks), THREE)
    assert problems == []
    return [scenario.id for scenario in scenarios]


def told(*picks: Pick, others: tuple[str, ...] = ()) -> list[str]:
    return [str(problem) for problem in picked(suite(*picks), THREE, others)[1]]


def test_the_order_is_that_of_the_suite() -> None:
    """What one item picks keeps the order of files."""
    assert ids(Pick("b/one"), Pick(tag="x")) == ["b/one", "a/one", "a/two"]


def test_a_star_stands_for_anything_and_nothing_else_does() -> None:
    """Also for a slash."""
    assert ids(Pick("*o*")) == ["a/one", "a/two", "b/one"]
    assert told(Pick("a/o?e")) == ["lab.yaml:3:5: `a/o?e` picks no scenario; did you mean `a/one`?"]


def test_what_is_excepted_is_left_to_others() -> None:
    """An exception that excepts nothing is a mistake."""
    assert ids(Pick("a/*", but=("*/two",)), Pick("a/two")) == ["a/one", "a/two"]
    assert told(Pick("a/*", but=("b/one",))) == [
        "lab.yaml:3:5: `b/one` is none of those that `a/*` picks"
    ]


def test_an_exception_leaves_something() -> None:
    """Else the item picks nothing, and nobody would see it."""
    assert told(Pick("a/*", but=("a/one", "*/two"))) == [
        "lab.yaml:3:5: all that `a/*` picks is excepted"
    ]


def test_points_and_limits_are_those_of_the_suite_or_of_the_scenario() -> None:
    """Each by itself."""
    picks = (Pick("a/one"), Pick("a/two", points=0, patience=1.5), Pick("b/one", timeout=60))
    scenarios, _ = picked(suite(*picks), THREE)
    assert [(each.points, each.limits) for each in scenarios] == [
        (5, Limits(play=9, quiet=3)),
        (0, Limits(play=9, quiet=1.5)),
        (5, Limits(play=60, quiet=3)),
    ]


def test_nothing_is_picked_twice() -> None:
    """The message leads to the other line."""
    assert told(Pick("a/one"), Pick(tag="x")) == [
        "lab.yaml:4:5: a/one is picked twice: line 3 does it too"
    ]


@pytest.mark.parametrize(
    ("pick", "hint"),
    [
        (Pick("a/onne"), "`a/onne` picks no scenario; did you mean `a/one`?"),
        (Pick("c/*"), "`c/*` picks no scenario"),
        (Pick(tag="xx"), "the tag `xx` picks no scenario; did you mean `x`?"),
    ],
)
def test_what_picks_nothing_is_a_mistake(pick: Pick, hint: str) -> None:
    """The nearest is told."""
    assert told(pick) == [f"lab.yaml:3:5: {hint}"]


def test_what_could_not_be_read_may_be_what_is_meant() -> None:
    """Then the mistakes in it are told, and no more."""
    assert told(Pick("c/*"), Pick(tag="z"), others=("c/broken",)) == []


def test_only_files_that_may_be_picked_are_read() -> None:
    """By a tag it may be any; a file in the folder itself has its role inside."""
    files = [Path("scenarios") / name for name in ("a/one.yaml", "b/one.yaml", "here.yaml")]
    assert [may_pick(suite(Pick("a/*")), file) for file in files] == [True, False, True]
    assert all(may_pick(suite(Pick(tag="x")), file) for file in files)

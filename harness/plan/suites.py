"""A suite and the scenarios that there are -> those that it picks, as it weighs them."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from harness.errors import Problem
from harness.model.suite import matches

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from harness.model.scenario import Scenario
    from harness.model.suite import Pick, Suite


def picked(
    suite: Suite, scenarios: Sequence[Scenario], others: Collection[str] = ()
) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of a suite in its order, with its points and limits; and what is wrong.

    `others` are the ids of scenarios that are there and could not be read: it is no mistake to
    pick them.
    """
    picking = _Picking(suite, scenarios)
    for pick in suite.picks:
        picking.pick(pick, others)
    return list(picking.found.values()), picking.problems


class _Picking:
    """Goes through the items of a suite; what one of them has picked is no other's."""

    def __init__(self, suite: Suite, scenarios: Sequence[Scenario]) -> None:
        self.found: dict[str, Scenario] = {}
        self.problems: list[Problem] = []
        self._suite = suite
        self._scenarios = scenarios
        self._lines: dict[str, int] = {}  # in which each scenario was picked

    def pick(self, pick: Pick, others: Collection[str]) -> None:
        meant = [scenario for scenario in self._scenarios if _means(pick, scenario)]
        if not (meant or any(map(pick.may_mean, others))):
            self._complain(pick, f"{pick.name} picks no scenario{_hint(pick, self._scenarios)}")
        for pattern in pick.but if meant else ():
            if not any(matches(pattern, scenario.id) for scenario in meant):
                self._complain(pick, f"`{pattern}` is none of those that {pick.name} picks")
        left = [each for each in meant if not any(matches(but, each.id) for but in pick.but)]
        if meant and not left:
            self._complain(pick, f"all that {pick.name} picks is excepted")
        for scenario in left:
            self._take(scenario, pick)

    def _take(self, scenario: Scenario, pick: Pick) -> None:
        if scenario.id in self.found:
            first = self._lines[scenario.id]
            self._complain(pick, f"{scenario.id} is picked twice: line {first} does it too")
            return
        self._lines[scenario.id] = pick.line
        self.found[scenario.id] = _weighed(scenario, pick)

    def _complain(self, pick: Pick, message: str) -> None:
        self.problems.append(Problem(self._suite.file, pick.line, pick.column, message))


def may_pick(suite: Suite, file: Path) -> bool:
    """Whether a suite may pick the scenario of this file, which was not read yet."""
    if file.parent == suite.folder:  # its role stands in the file only
        return True
    return any(pick.may_mean(f"{file.parent.name}/{file.stem}") for pick in suite.picks)


def _means(pick: Pick, scenario: Scenario) -> bool:
    return pick.tag in scenario.tags if pick.tag else matches(pick.pattern, scenario.id)


def _weighed(scenario: Scenario, pick: Pick) -> Scenario:
    limits = scenario.limits
    if pick.timeout is not None:
        limits = replace(limits, play=pick.timeout)
    if pick.patience is not None:
        limits = replace(limits, quiet=pick.patience)
    points = scenario.points if pick.points is None else pick.points
    return replace(scenario, points=points, limits=limits)


def _hint(pick: Pick, scenarios: Sequence[Scenario]) -> str:
    role, _, rest = pick.pattern.partition("/")
    if pick.tag:
        near = get_close_matches(pick.tag, [tag for each in scenarios for tag in each.tags], n=1)
    elif "*" in pick.pattern:
        roles = get_close_matches(role, [scenario.role for scenario in scenarios], n=1)
        near = [f"{roles[0]}/{rest}"] if roles and roles[0] != role else []
    else:
        near = get_close_matches(pick.pattern, [scenario.id for scenario in scenarios], n=1)
    return f"; did you mean `{near[0]}`?" if near else ""

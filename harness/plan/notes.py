"""What is said before a play, for it would be hard to guess afterwards."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from harness.model.command import PlaceholderError, own_endpoint, placeholders
from harness.model.needs import PRIVATE_ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from harness.model.plan import Plan
    from harness.model.program import ExpectedFailure, Implementation
    from harness.model.scenario import Scenario


def notes(plans: Iterable[Plan], offers: Collection[str]) -> list[str]:
    """One line for each program that cannot know where it is played."""
    if PRIVATE_ADDRESSES in offers:
        return []
    return list(dict.fromkeys(_note(plan) for plan in plans if _is_blind(plan)))


def about_nothing(
    implementation: Implementation, scenarios: Iterable[Scenario], others: Collection[str]
) -> list[tuple[ExpectedFailure, str]]:
    """The expected failures that are about no scenario there is, each with what there is to say.

    `others` are the ids of scenarios that are there and were not loaded.  Roles of which nothing
    is there count as being elsewhere.
    """
    if not implementation.expected_failures:
        return []
    loaded = {name for scenario in scenarios for name in names_of_plays(scenario)}
    unknown = {*others} - loaded
    known = sorted(loaded | unknown)
    roles = {name.partition("/")[0] for name in known}
    found = []
    for expected in implementation.expected_failures:
        role = expected.pattern.partition("/")[0]
        is_here = "*" in role or role in roles
        if is_here and not (any(map(expected.means, loaded)) or _may_mean(expected, unknown)):
            hint = _hint(expected, known)
            message = f"a failure of `{expected.pattern}` is expected, which is no scenario{hint}"
            found.append((expected, message))
    return found


def _hint(expected: ExpectedFailure, known: Sequence[str]) -> str:
    near = get_close_matches(expected.pattern, known, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def names_of_plays(scenario: Scenario) -> Iterator[str]:
    """The id of a scenario, and all that its plays may be called."""
    cases, ways = [case.name for case in scenario.cases], scenario.pieces
    yield scenario.id
    for label in (*cases, *ways, *(f"{case},{way}" for case in cases for way in ways)):
        yield f"{scenario.id}[{label}]"


def _may_mean(expected: ExpectedFailure, ids: Collection[str]) -> bool:
    """Whether it may be about a play of these scenarios, whose cases are not known."""
    whole = replace(expected, pattern=expected.pattern.partition("[")[0])
    return any(map(whole.means, ids))


def _is_blind(plan: Plan) -> bool:
    """Whether nothing tells the program where its peers are, or where it is to listen."""
    if plan.skipped or plan.program is None or plan.program.addresses or not plan.role.endpoints:
        return False
    return not any(_tells_a_place(plan, name) for name in _names(plan))


def _names(plan: Plan) -> Iterator[str]:
    program = plan.program
    for text in (*program.run, *program.env.values()) if program else ():
        try:
            yield from (name for name, _ in placeholders(text))
        except PlaceholderError:
            continue


def _tells_a_place(plan: Plan, name: str) -> bool:
    """A parameter may hold a place too: `${mail.port}`."""
    if name in {"host", "port"} or name.endswith((".host", ".port")):
        return True
    return "${" in str((plan.values or {}).get(name, ""))


def _note(plan: Plan) -> str:
    role = plan.role
    first = "" if own_endpoint(role) else f"{next(iter(role.endpoints))}."
    unknown = "where it is to listen" if role.listens else "where its peers are"
    return (
        f"note: the command line of the {role.name} holds neither {{{first}host}} nor "
        f"{{{first}port}}: the program cannot know {unknown}"
    )

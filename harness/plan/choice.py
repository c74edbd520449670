"""What is played of what there is: by role, tag, case and keyword."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from harness.model.plan import Plan
    from harness.model.scenario import Scenario


def choose(
    scenarios: Iterable[Scenario], *, role: str | None = None, tags: Collection[str] = ()
) -> list[Scenario]:
    """The scenarios of a role, with one of the tags; without role and tags all of them."""
    return [
        scenario
        for scenario in scenarios
        if role in (None, scenario.role) and (not tags or set(tags) & set(scenario.tags))
    ]


def check_cases(scenario: Scenario, asked: Collection[str]) -> None:
    """See that a scenario has these cases, or ways of cutting.

    Raises:
        UsageError: it has not; says which it has.
    """
    names = [case.name for case in scenario.cases] + list(scenario.pieces)
    pairs = [f"{case.name},{way}" for case in scenario.cases for way in scenario.pieces]
    for case in sorted(set(asked) - {*names, *pairs}):
        near = get_close_matches(case, names, n=1)
        known = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(names)}"
        told = known if names else "it has no cases"
        raise UsageError(f"{scenario.file} has no case `{case}`; {told}")


def keyword_filter(expression: str) -> Callable[[Plan], bool]:
    """`-k`, in the language of pytest: words of the id, `and`, `or`, `not`.

    Raises:
        UsageError: it is no such expression.
    """
    if not expression.strip():
        return lambda _plan: True
    from _pytest.mark import expression as language  # noqa: PLC0415 - pytest costs 90 ms

    # pytest 8 has an exception of its own, pytest 9 raises SyntaxError
    errors = (SyntaxError, getattr(language, "ParseError", SyntaxError))
    try:
        compiled = language.Expression.compile(expression)
    except errors as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(f"-k {expression!r}: {reason}") from None

    def wanted(plan: Plan) -> bool:
        words = f"{plan.id} {plan.scenario.title} {' '.join(plan.scenario.tags)}".lower()
        return compiled.evaluate(lambda name, /, **_: name.lower() in words)

    return wanted

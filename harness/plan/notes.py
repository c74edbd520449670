"""What is said before a play, for it would be hard to guess afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.command import PlaceholderError, own_endpoint, placeholders
from harness.model.needs import PRIVATE_ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from harness.model.plan import Plan


def notes(plans: Iterable[Plan], offers: Collection[str]) -> list[str]:
    """One line for each program that cannot know where it is played."""
    if PRIVATE_ADDRESSES in offers:
        return []
    return list(dict.fromkeys(_note(plan) for plan in plans if _is_blind(plan)))


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

"""A plan: one play of one case of a scenario with one program, nothing left open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.model.program import Program, Role, Value
    from harness.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be played, or the reason why it will not.

    `scenario` has the values of its case filled in and every actor bound to the endpoint
    that it plays; only the addresses of this very play are still `${actor.port}`.
    """

    scenario: Scenario
    role: Role
    case: str | None = None
    program: Program | None = None
    folder: Path | None = None
    values: Mapping[str, Value] | None = None  # the role's parameters
    skipped: str | None = None

    @property
    def id(self) -> str:
        """`<role>/<slug>`, with `[case]` where the scenario has cases."""
        return f"{self.scenario.id}[{self.case}]" if self.case else self.scenario.id

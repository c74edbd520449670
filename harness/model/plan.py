"""A plan: one play of one case of a scenario with one program, nothing left open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model.needs import RAW_ICMP
from harness.model.template import substitute

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.model.program import ExpectedFailure, Program, Role, Value
    from harness.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be played, or the reason why it will not.

    `scenario` has the values of its case filled in and every actor bound to the endpoint
    that it plays; only the addresses of this very play are still `${actor.port}`, if the
    scenario is `open` at all.
    """

    scenario: Scenario
    role: Role
    case: str | None = None
    pieces: str | None = None  # the way of cutting what actors say over TCP
    program: Program | None = None
    folder: Path | None = None
    values: Mapping[str, Value] | None = None  # the role's parameters
    skipped: str | None = None
    suite: str | None = None  # the file of the suite that picked it
    expected_failure: ExpectedFailure | None = None
    open: bool = True
    implementation: str = ""  # whose program it is: its name, and the path as it was given
    path: str = ""

    @property
    def speaks_icmp(self) -> bool:
        """Whether the program is one that opens raw sockets, and so is allowed to."""
        return RAW_ICMP in self.scenario.needs or self.role.speaks_icmp

    @property
    def id(self) -> str:
        """`<role>/<slug>`, with `[case]`, `[pieces]` or `[case,pieces]` where it has them."""
        return f"{self.scenario.id}[{self.label}]" if self.label else self.scenario.id

    @property
    def label(self) -> str:
        """What tells this play from the others of its scenario."""
        return ",".join(part for part in (self.case, self.pieces) if part)

    def is_called(self, name: str) -> bool:
        """Whether `FILE[name]` means this play: by its case, its pieces, or both."""
        return name in (self.case, self.pieces, self.label)

    @property
    def names(self) -> set[str]:
        """What it may be called: by the id of its scenario, its case, its pieces, or both."""
        labels = filter(None, (self.case, self.pieces, self.label))
        return {self.scenario.id, *(f"{self.scenario.id}[{label}]" for label in labels)}

    def filled(self, values: Mapping[str, str]) -> Scenario:
        """The scenario with what only this very play can tell: addresses, losses."""
        return substitute(self.scenario, values) if self.open else self.scenario

"""A verdict: what the judge found, and whom it blames."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model.plan import Plan
    from harness.model.scenario import Level


class Outcome(StrEnum):
    """The verdicts of the results file; only `failed` blames the program.

    `expected` is a failure that the implementation file has told beforehand; what it tells so
    and passes has `failed`.
    """

    PASSED = "passed"
    FAILED = "failed"
    EXPECTED = "expected"
    SKIPPED = "skipped"
    UNCHECKED = "unchecked"
    ERROR = "error"


class Mark(StrEnum):
    """What a line of a ladder is."""

    HAPPENED = " "
    EXPECTED = "?"
    INSTEAD = "✗"


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of the ladder shown with a finding, in the notation of the exchange."""

    mark: Mark
    at_s: float | None
    text: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `line` is that of the scenario's demand.

    `headline` is a sentence for the program's author; `expected` and `observed` are in
    the notation, with every byte visible; `why` is the scenario's reason.  Behind a `cause`
    come findings that probably follow from it.

    Findings of the same `alike`, a sentence with `{}` for their `name`, can be told as one; its
    `more_lines` are those of the others.  What is `missing` at the end may only follow from
    what went wrong before; then it `follows`.
    """

    level: Level
    actor: str
    file: str
    line: int
    headline: str
    expected: str
    observed: str
    why: str = ""
    at_s: float | None = None
    ladder: tuple[Rung, ...] = ()
    cause: bool = False
    instead: bool = False  # something else came, and was not just missing
    alike: str = ""
    name: str = ""
    more_lines: tuple[int, ...] = ()
    missing: bool = False
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one plan; `reason` says why it was not played or what broke."""

    plan: Plan
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    duration_s: float = 0.0
    places: tuple[tuple[str, str], ...] = ()  # actor -> address, as the play had them
    run_folder: str | None = None
    captured: bool = False  # whether a capture lies there

    @property
    def holds(self) -> bool:
        """Whether what comes after it can be played: the program did it, or was not asked to.

        A failure that was expected and did not come is one of the implementation file.
        """
        passed = self.outcome is Outcome.FAILED and self.plan.expected_failure is not None
        return passed or self.outcome in (Outcome.PASSED, Outcome.SKIPPED)

"""The entries of an exchange and what became of them; the lines of a transcript."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from harness.model.exchange import Arrow, GroupKind

if TYPE_CHECKING:
    from harness.framing import Message
    from harness.model.exchange import Entry

#: Acts that are settled by what is seen, not by what somebody does.
EXPECTED_ENDS = {
    "expect eof": ("eof",),
    "expect reset": ("reset",),
    "expect close": ("eof", "reset"),
}
SILENCE = "expect silence"
EXPECTED_EXIT = "expect exit"


class State(Enum):
    """Where an entry stands."""

    WAITING = "waiting"
    DONE = "done"
    PASSED_OVER = "passed over"  # optional, or another one of its group came
    MISSED = "missed"  # a finding
    UNCHECKED = "unchecked"  # rests on a miss


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of the transcript: a message, or how a connection began or ended.

    `act` is `opened`, `eof`, `reset`, `left` or `stalled` where there is no message, what a
    fault did to a datagram, or why an actor could not play its entry.
    """

    at: float
    actor: str
    connection: int
    message: Message | None = None
    act: str = ""

    @property
    def said(self) -> bool:
        return self.message is not None and self.message.said


@dataclass(slots=True, eq=False)
class Span:
    """When the lines below a clock must come, in seconds from `start`.

    `start` is when everything above was settled; None as long as something is not.
    """

    at_least: float | None
    within: float | None
    start: float | None = None

    @property
    def end(self) -> float:
        """When the last of them may properly come, or may come at all; 0 before it starts."""
        if self.start is None:
            return 0.0
        return self.start + max(self.at_least or 0.0, self.within or 0.0)

    def holds(self, at: float) -> bool:
        """Whether what came at this moment came in time, neither too early nor too late."""
        if self.start is None:
            return True
        passed = at - self.start
        early = self.at_least is not None and passed < self.at_least
        return not early and (self.within is None or passed <= self.within)


@dataclass(slots=True, eq=False)
class Line:
    """An entry and what became of it.

    `due_at` is when everything above it was settled; `came` what met it, where that was seen;
    `instead` what came in its place, None if nothing did.  `surplus`: it was met, but as the
    last one it gets the blame for what came behind it.
    """

    index: int
    entry: Entry
    group: GroupKind | None = None
    span: Span | None = None
    state: State = State.WAITING
    at: float | None = None
    came: Utterance | None = None
    instead: Utterance | None = None
    due_at: float | None = None
    surplus: bool = False

    @property
    def waiting(self) -> bool:
        return self.state is State.WAITING

    @property
    def optional(self) -> bool:
        return self.entry.arrow is Arrow.MAY_HEAR

    @property
    def open_ended(self) -> bool:
        """Whether it holds until the end of the play, so that nothing below waits for it."""
        act = self.entry.act
        silence = act is not None and act.name == SILENCE and act.seconds is None
        return silence or self.group is GroupKind.NEVER

    @property
    def awaited(self) -> bool:
        """Whether what stands below must wait for it."""
        return self.waiting and not self.optional and not self.open_ended

    @property
    def performed(self) -> bool:
        """Whether an actor must do something for it; other lines are only seen."""
        act = self.entry.act
        if act is None:
            return self.entry.arrow is Arrow.SAYS
        return act.name not in (*EXPECTED_ENDS, EXPECTED_EXIT) and not self.open_ended

    @property
    def ends_program(self) -> bool:
        """Whether the end of the program is what met it."""
        act = self.entry.act
        return self.state is State.DONE and act is not None and act.name == EXPECTED_EXIT

    @property
    def untimely(self) -> bool:
        """Whether it was met too early, or too late."""
        met = self.state is State.DONE and self.at is not None
        return met and self.span is not None and not self.span.holds(self.at or 0.0)

    def done(self, at: float, came: Utterance | None = None) -> None:
        self.state, self.at, self.came = State.DONE, at, came

    def miss(self, instead: Utterance) -> None:
        self.surplus = self.state is State.DONE
        self.state, self.at, self.instead = State.MISSED, instead.at, instead

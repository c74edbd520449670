"""The recorder of one play: everybody on the stage tells it what happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.model.record import Event, Record, What
from harness.record.store import MICROSECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    Listener = Callable[[Event], None]


class Recorder:
    """Collects the events of a play in order and hands each to its listeners at once.

    Times count from the curtain (`What.CURTAIN`); what is set up before has time 0.

    Attributes:
        curtain_ns: When that was, in nanoseconds since 1970; 0 as long as it is down.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._curtain: float | None = None
        self.curtain_ns = 0
        self._events: list[Event] = []
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every event from now on."""
        self._listeners.append(listener)

    def curtain(self) -> None:
        """The play proper begins."""
        self._curtain = self._clock()
        self.curtain_ns = time.time_ns()
        self.note(What.CURTAIN, "program")

    def note(
        self,
        what: What,
        actor: str,
        connection: int = 0,
        data: bytes = b"",
        *,
        note: str = "",
        entry: int | None = None,
        **facts: str | int,
    ) -> Event:
        """Write down one event, with the time that it is now."""
        now = round(self.now, MICROSECOND)  # as it is kept: a record read back is the same
        event = Event(now, what, actor, connection, data, note, entry, facts)
        self._events.append(event)
        for listener in self._listeners:
            listener(event)
        return event

    @property
    def now(self) -> float:
        """Seconds since the curtain; 0 before it."""
        return 0.0 if self._curtain is None else self._clock() - self._curtain

    @property
    def record(self) -> Record:
        """The record as far as it goes."""
        return Record(tuple(self._events))

"""The pulse of a play: whether anything happens, and since when nothing does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.model.record import SEEN, Event, What

if TYPE_CHECKING:
    from harness.record import Recorder

#: Passes of the event loop without an event after which nothing is left in the sockets: a
#: connection that the kernel has accepted takes three to be recorded, what came on it one more.
_IDLE_PASSES = 8
_ENDED = (What.EOF, What.RESET, What.LEFT, What.STALLED)


class Pulse:
    """Feels every event that is recorded.

    Attributes:
        connections: How many connections are open; those on which the program has said its
            last word, or is not heard any more, no longer count.
        failed: Whether something of ours broke, so that the play is worth nothing.
        latest: When something happened last, in seconds since the curtain.
        stirred: The same, but for what the program prints.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.connections = 0
        self.failed = False
        self.latest = self.stirred = 0.0
        self._recorder = recorder
        self._changed = asyncio.Event()
        recorder.listen(self._feel)

    def _feel(self, event: Event) -> None:
        self.connections += (event.what is What.OPENED) - (event.what in _ENDED)
        self.failed = self.failed or bool(event.facts.get("ours"))
        self.latest = event.at
        if event.what not in SEEN:
            self.stirred = event.at
        self._changed.set()

    def wake(self) -> None:
        """Have `beat` return although nothing was recorded."""
        self._changed.set()

    @property
    def now(self) -> float:
        """Seconds since the curtain."""
        return self._recorder.now

    def rest(self) -> None:
        """Forget what has happened: `idle` and `beat` look for what happens from here on."""
        self._changed.clear()

    async def idle(self) -> bool:
        """Whether the sockets hold nothing more; what they hold is recorded on the way."""
        for _ in range(_IDLE_PASSES):
            if self._changed.is_set():
                return False
            await asyncio.sleep(0)
        return not self._changed.is_set()

    async def beat(self, until: float) -> None:
        """Return as soon as something has happened, or when it is that late."""
        # half as costly as asyncio.timeout, and every event of a play comes this way
        timer = asyncio.get_running_loop().call_later(max(until - self.now, 0.0), self.wake)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()

"""Says what an actor says in pieces, each when the program has read the one before."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, cast

from harness.model.pieces import cut
from harness.network import Reading

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from harness.network import Network
    from harness.peers.witness import Witness

#: Seconds that a program gets to read a piece.  One that does something else meanwhile, or
#: waits until all is there, must not hold the play up for ever.
_PATIENCE_S = 2.0
#: Seconds between two pieces where the kernel does not tell what has been read.
_BLIND_S = 0.005
#: No event tells that somebody has read.  Most programs do so within some passes of the loop.
_QUICK_LOOKS = 8
_SLOWEST_LOOK_S = 0.008


class PacedTransport(asyncio.Transport):
    """A connection whose actor speaks in pieces; all else is done by the one below.

    What is to be said waits here.  To close, or to end one's own direction, waits for it.
    """

    def __init__(
        self, below: asyncio.Transport, witness: Witness, way: str, network: Network
    ) -> None:
        super().__init__()
        self.below = below
        self._witness = witness
        self._way = way
        self._network = network
        self._waiting: deque[tuple[bytes, int | None] | Callable[[], None]] = deque()
        self._speaking: asyncio.Task[None] | None = None
        self._under_way: int | None = None  # the entry that is half said
        self._closing = False

    # -- to be said -------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether something is still to be said."""
        return self._speaking is not None

    async def all_said(self) -> None:
        """Return when nothing is left to be said."""
        while self._speaking:
            await asyncio.wait([self._speaking])

    def say(self, data: bytes, entry: int | None = None) -> None:
        """Say this in pieces; `entry` asked for it, and is done with the last of them."""
        if not self.is_closing():
            self._do((data, entry))

    def _do(self, thing: tuple[bytes, int | None] | Callable[[], None]) -> None:
        self._waiting.append(thing)
        if self._speaking is None:
            self._speaking = asyncio.get_running_loop().create_task(self._speak())

    async def _speak(self) -> None:
        try:
            while self._waiting:
                thing = self._waiting.popleft()
                if callable(thing):
                    thing()
                else:
                    await self._say_in_pieces(*thing)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the program did not do it
            self._witness.failed(error)
        finally:
            self._speaking = None

    async def _say_in_pieces(self, data: bytes, entry: int | None) -> None:
        self._under_way = entry
        pieces = cut(data, self._way) or [b""]
        for number, piece in enumerate(pieces):
            if self.below.is_closing():
                self._leave_off()
                break
            if not await self._may_go_on():
                self._say_now(b"".join(pieces[number:]), entry)
                break
            self._say_now(piece, entry if number == len(pieces) - 1 else None)
        self._under_way = None

    def _say_now(self, data: bytes, entry: int | None) -> None:
        self._witness.said(data, entry)
        if data:
            self.below.write(data)

    async def _may_go_on(self) -> bool:
        """Wait until all that was said is read; False if nobody waits for the rest in pieces."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE_S
        for pause in _looks():
            reading = self._look()
            if reading is Reading.UNKNOWN:
                self._witness.hurried("when the program has read a piece is not told here")
                await asyncio.sleep(_BLIND_S)
                return True
            if reading is not Reading.BEHIND:
                return reading is Reading.DONE
            if loop.time() > until:
                self._witness.hurried(f"the program did not read on for {_PATIENCE_S:g} s")
                return False
            await asyncio.sleep(pause)
        raise AssertionError  # there is always another look

    def _look(self) -> Reading:
        if self.below.get_write_buffer_size():
            return Reading.BEHIND
        # asyncio hands out what stands in for the socket, and has all that is asked of it
        sock = cast("socket.socket", self.below.get_extra_info("socket"))
        return self._network.reading(sock)

    def stop(self) -> None:
        """Say no more, since nobody is there any more; what was not said to its end is done."""
        if self._speaking:
            self._speaking.cancel()
            self._speaking = None  # a task that had not begun never comes to do it
        self._leave_off()
        while self._waiting:
            thing = self._waiting.popleft()
            if not callable(thing) and thing[1] is not None:
                self._witness.acted(thing[1])

    def _leave_off(self) -> None:
        if self._under_way is not None:
            entry, self._under_way = self._under_way, None
            self._witness.acted(entry)

    # -- the rest of a transport ----------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.say(bytes(data))

    def is_closing(self) -> bool:
        return self._closing or self.below.is_closing()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if self.busy:
                self._do(self.below.close)
            else:
                self.below.close()

    def abort(self) -> None:
        self._closing = True
        self.stop()
        self.below.abort()

    def can_write_eof(self) -> bool:
        return self.below.can_write_eof()

    def write_eof(self) -> None:
        if self.busy:
            self._do(self.below.write_eof)
        else:
            self.below.write_eof()

    def get_write_buffer_size(self) -> int:
        return self.below.get_write_buffer_size()

    def pause_reading(self) -> None:
        self.below.pause_reading()

    def resume_reading(self) -> None:
        self.below.resume_reading()

    def is_reading(self) -> bool:
        return self.below.is_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.below.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.below.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.below.get_protocol()


def _looks() -> chain[float]:
    """Seconds between one look and the next, without end."""
    slower = [_SLOWEST_LOOK_S / 8, _SLOWEST_LOOK_S / 4, _SLOWEST_LOOK_S / 2]
    return chain(repeat(0.0, _QUICK_LOOKS), slower, repeat(_SLOWEST_LOOK_S))

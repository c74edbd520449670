"""Messages in a stream: up to a line end, or what came before a pause.

The programs of the laboratory send a text and wait for its answer. Many send no line end, so
that a message is what one `send` carries; but TCP keeps no messages together (RFC 9293 2.2). So
there are two kinds of framing. With `lines` a line is a message, however it is cut on its way.
With `none` a line is one as well, and so is what no line end follows, as soon as nothing more comes
for a moment: that is a guess, and as good as guesses are.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAUSES: dict[str, float | None] = {"none": 0.2, "lines": None}
"""Framing -> seconds after which a text without a line end is a message; None for never."""

LONGEST = 64 * 1024
"""Octets: what is longer is cut into several messages, so that nobody fills the memory."""


@dataclass(frozen=True, slots=True)
class Message:
    r"""The octets of a message, and its line end: `\n`, `\r\n`, or none."""

    text: bytes
    end: bytes = b""

    @property
    def words(self) -> str:
        """The text as UTF-8; octets that are none stay, as surrogates (PEP 383)."""
        return self.text.decode("utf-8", "surrogateescape")

    def answer(self, words: str) -> bytes:
        """An answer to it: one that ends as the message does."""
        return words.encode("utf-8", "surrogateescape") + self.end

    @classmethod
    def of(cls, octets: bytes) -> Message:
        """Take a message apart."""
        for end in (b"\r\n", b"\n"):
            if octets.endswith(end):
                return cls(octets.removesuffix(end), end)
        return cls(octets)


class Cutter:
    """Takes octets in, gives lines out. Pure."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._octets = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        """How many octets wait for their line end."""
        return len(self._octets)

    def feed(self, octets: bytes) -> None:
        """Take what came."""
        self._octets += octets

    def line(self) -> Message | None:
        """Return the next whole line, or a part of one that is too long; None if there is none."""
        place = self._octets.find(b"\n", self._searched, self._longest) + 1
        if not place and len(self._octets) < self._longest:
            self._searched = len(self._octets)
            return None
        return self._take(place or self._longest)

    def rest(self) -> Message:
        """Return what waits, though no line end has come."""
        return self._take(len(self._octets))

    def _take(self, length: int) -> Message:
        taken = bytes(self._octets[:length])
        del self._octets[:length]
        self._searched = 0
        return Message.of(taken)


class Messages:
    """The messages that come from `read`, which gives octets, and none at the end."""

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        *,
        pause: float | None = PAUSES["none"],
        longest: int = LONGEST,
    ) -> None:
        self._read = read
        self._pause = pause
        self._cutter = Cutter(longest)

    async def next(self) -> Message | None:
        """Return the next message; None when no more can come.

        May be cancelled, by a time-out for example: nothing is lost.
        """
        while (line := self._cutter.line()) is None:
            try:
                async with asyncio.timeout(self._pause if self._cutter else None):
                    octets = await self._read()
            except TimeoutError:
                return self._cutter.rest()
            if not octets:
                return self._cutter.rest() if self._cutter else None
            self._cutter.feed(octets)
        return line

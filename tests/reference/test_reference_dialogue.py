"""A dialogue with a server that is slow, or silent; the programs' tests show the rest."""

from __future__ import annotations

import asyncio

import pytest

from protocols.dialogue import Dialogue, SilentError, Wire
from protocols.endpoints import Endpoint
from protocols.messages import Message


class SlowWire(Wire):
    """So many octets come, one each time that somebody has waited; all together are a message."""

    is_stream = True

    def __init__(self, octets: int) -> None:
        self.peer = Endpoint("192.0.2.7", 7)
        self._left = octets
        self._whole = asyncio.Event()

    @property
    def octets_heard(self) -> int:  # type: ignore[override]
        self._left -= 1
        if self._left == 0:
            self._whole.set()
        return -max(self._left, 0)

    async def send(self, octets: bytes) -> None:
        """Nothing is sent here."""

    async def message(self) -> Message | None:
        await self._whole.wait()
        return Message(b"hello")

    def say_no_more(self) -> None:
        """The same."""


def heard_from_one_with(octets: int) -> Message:
    async def heard() -> Message:
        dialogue = Dialogue(SlowWire(octets), timeout=0.01)
        try:
            return await dialogue.hear()
        finally:
            await dialogue.close()

    return asyncio.run(heard())


def test_one_who_speaks_slowly_is_not_silent() -> None:
    assert heard_from_one_with(octets=5) == Message(b"hello")


def test_one_who_says_nothing_is_silent() -> None:
    with pytest.raises(SilentError) as caught:
        heard_from_one_with(octets=0)

    assert str(caught.value) == "no answer from 192.0.2.7:7 within 0.01 s"

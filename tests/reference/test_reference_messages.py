"""Messages in a stream: lines however they are cut, and texts without a line end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.messages import Cutter, Message, Messages

if TYPE_CHECKING:
    from collections.abc import Iterable


def lines_of(pieces: Iterable[bytes], longest: int = 1000) -> list[Message]:
    cutter, found = Cutter(longest), []
    for piece in pieces:
        cutter.feed(piece)
        while (line := cutter.line()) is not None:
            found.append(line)
    return [*found, cutter.rest()]


@given(st.lists(st.binary(max_size=5)))
def test_lines_are_the_same_however_they_are_cut(pieces: list[bytes]) -> None:
    found = lines_of(pieces)

    assert b"".join(message.text + message.end for message in found) == b"".join(pieces)
    assert found == lines_of([b"".join(pieces)])
    assert all(message.end for message in found[:-1])
    assert not any(b"\n" in message.text for message in found)


def test_a_line_that_is_too_long_is_cut() -> None:
    assert lines_of([b"abcdefgh\nij"], 3) == [
        Message(b"abc"),
        Message(b"def"),
        Message(b"gh", b"\n"),
        Message(b"ij"),
    ]


@pytest.mark.parametrize(
    ("octets", "text", "end"),
    [(b"a\r\n", b"a", b"\r\n"), (b"a\n", b"a", b"\n"), (b"a", b"a", b""), (b"\n", b"", b"\n")],
)
def test_the_line_end_is_kept_apart(octets: bytes, text: bytes, end: bytes) -> None:
    assert Message.of(octets) == Message(text, end)


@pytest.mark.parametrize("octets", [b"\xff\x00", "grüß".encode(), b"a\r"])
def test_octets_that_are_no_text_survive(octets: bytes) -> None:
    message = Message.of(octets + b"\r\n")

    assert message.answer(message.words) == octets + b"\r\n"


def messages_from(*pieces: bytes | None, pause: float | None = None) -> list[Message]:
    """All messages; `None` stands for a pause that does not end by itself."""

    async def all_of_them() -> list[Message]:
        coming = iter(pieces)

        async def read() -> bytes:
            piece = next(coming, b"")
            if piece is None:
                await asyncio.Event().wait()
                raise AssertionError("it waits for ever")
            return piece

        found, messages = [], Messages(read, pause=pause)
        while (message := await messages.next()) is not None:
            found.append(message)
        return found

    return asyncio.run(all_of_them())


def test_a_text_without_a_line_end_is_a_message_after_a_pause() -> None:
    found = messages_from(b"hel", b"lo", None, b"bye", pause=0.01)

    assert found == [Message(b"hello"), Message(b"bye")]


def test_a_text_without_a_line_end_is_a_message_at_the_end() -> None:
    assert messages_from(b"one\ntw", b"o") == [Message(b"one", b"\n"), Message(b"two")]


def test_there_is_no_message_where_nothing_came() -> None:
    assert messages_from() == []

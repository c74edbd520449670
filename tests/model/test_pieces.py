"""Ways of cutting what an actor says."""

from __future__ import annotations

import doctest

import pytest
from harness.model import pieces
from harness.model.pieces import cut, in_words, is_way


@pytest.mark.parametrize("way", ["whole", "bytewise", "2", "7", "1000", "at-line-ends"])
@pytest.mark.parametrize("data", [b"", b"a", b"one\r\ntwo\r\n", b"\n\nno end", bytes(range(256))])
def test_the_pieces_are_the_whole(way: str, data: bytes) -> None:
    assert b"".join(cut(data, way)) == data
    assert b"" not in cut(data, way)


def test_the_examples() -> None:
    assert doctest.testmod(pieces).attempted
    assert not doctest.testmod(pieces).failed


@pytest.mark.parametrize("word", ["0", "-1", "65536", "1.5", "half", "", "²"])
def test_what_is_no_way(word: str) -> None:
    assert not is_way(word)


def test_how_it_is_told() -> None:
    assert in_words("whole") == ""
    assert in_words("bytewise") == in_words("1") == "the program is sent 1 octet at a time"
    assert in_words("5") == "the program is sent 5 octets at a time"

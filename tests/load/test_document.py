"""YAML as plain data, by the core schema of YAML 1.2, with places."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from harness.errors import AuthorError
from harness.load.document import Document, Place, read_document, resolve_plain

if TYPE_CHECKING:
    from pathlib import Path

Reader = Callable[[str | bytes], Document]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    def read(text: str | bytes) -> Document:
        path = tmp_path / "file.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_document(path)

    return read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("nUll", "nUll"),
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("0", 0),
        ("-12", -12),
        ("+12", 12),
        ("0080", 80),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("22:22", "22:22"),
        ("190:20:30", "190:20:30"),
        ("2026-01-01", "2026-01-01"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("5.1.1", "5.1.1"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+", "+"),
        (".", "."),
        ("1" * 301, "1" * 301),
        ("=", "="),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    """Times, dates and `no` are text; PyYAML's own rules (YAML 1.1) would read them otherwise."""
    resolved = resolve_plain(text)
    assert resolved == value
    assert isinstance(resolved, bool) == isinstance(value, bool)


def test_not_a_number_is_a_number() -> None:
    """`.nan` is equal to nothing, so it cannot stand in the table."""
    assert math.isnan(resolve_plain(".nan"))


@pytest.mark.parametrize("text", ["0080", "5.10", "0x1F", ".inf"])
def test_numbers_remember_how_they_were_written(text: str) -> None:
    """Where text is wanted, `5.10` must not become `5.1`."""
    assert resolve_plain(text).text == text


def test_quoted_scalars_are_text(read: Reader) -> None:
    """Quotes and `!!str` switch types off."""
    assert read("""{a: "1", b: 'no', c: !!str 1, d: "~"}""").data == {
        "a": "1",
        "b": "no",
        "c": "1",
        "d": "~",
    }


def test_places_of_keys_and_values(read: Reader) -> None:
    """Both are counted from 1."""
    document = read("title: x\ncast:\n  mail: {kind: smtp, at: 25}\n  list:\n    - a\n    - b\n")
    assert document.keys[("cast", "mail", "at")] == Place(3, 22)
    assert document.values[("cast", "mail", "at")] == Place(3, 26)
    assert document.values[("cast", "list", 1)] == Place(6, 7)
    assert document.value_place(("cast", "mail", "nothing", 3)) == Place(3, 9)


def test_keys_are_text_or_whole_numbers(read: Reader) -> None:
    """`no:` and `1.5:` are names; `8:` is an ordinal."""
    assert list(read("no: 1\n1.5: 2\n8: 3\ntrue: 4\n~: 5\n").data) == ["no", "1.5", 8, "true", "~"]


def test_aliases_and_merges_share_values(read: Reader) -> None:
    """What is written beside `<<` wins over what it brings along."""
    document = read("a: &a {x: 1, y: 2}\nb:\n  y: 3\n  <<: *a\nc: *a\nd: {<<: [{x: 5}, *a]}\n")
    assert document.data["b"] == {"x": 1, "y": 3}
    assert document.data["c"] == {"x": 1, "y": 2}
    assert document.data["d"] == {"x": 5, "y": 2}
    assert document.values[("b", "y")] == Place(3, 6)


@pytest.mark.parametrize("depth", [1_000, 200_000])
@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_and_does_not_crash(read: Reader, opening: str, depth: int) -> None:
    """The C composer recurses without a check of its own."""
    with pytest.raises(AuthorError, match="levels of nesting"):
        read(opening * depth)


def test_aliases_of_aliases_are_refused_at_some_size(read: Reader) -> None:
    """A billion laughs."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 10}]" for n in range(1, 12))]
    with pytest.raises(AuthorError, match="with aliases"):
        read("\n".join(lines))


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"\xff\xfea\x00", "1:1: the file is UTF-16"),
        (b"a: 1\nb: \xe9\n", "2:4: the byte 0xe9 is not UTF-8"),
        ("ä: 1\nb: \x07".encode(), "2:4: an invisible character (U+0007)"),
        ("a: 1\r\nb: \u2029".encode(), "2:4: an invisible character (U+2029)"),
        ("a: \ufeff".encode(), "1:4: an invisible character (U+FEFF)"),
        (b"#" * 4_000_001, "1:1: the file is larger than 4,000,000 bytes"),
    ],
)
def test_bytes_that_are_no_text(read: Reader, data: bytes, place: str) -> None:
    """The place of the odd byte or character is told."""
    with pytest.raises(AuthorError) as raised:
        read(data)
    assert f":{place}" in str(raised.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """Also a folder in place of a file."""
    with pytest.raises(AuthorError, match="no such file"):
        read_document(tmp_path / "none.yaml")
    with pytest.raises(AuthorError, match="cannot be read"):
        read_document(tmp_path)


def test_line_ends_of_every_kind(read: Reader) -> None:
    """A byte order mark and carriage returns move no place."""
    document = read(b"\xef\xbb\xbfa: 1\r\nb: 2\rc: 3\n")
    assert document.data == {"a": 1, "b": 2, "c": 3}
    assert document.values[("c",)] == Place(3, 4)

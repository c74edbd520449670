"""The exchange in the text of a scenario file: put there, and nothing else touched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.notation import format_entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model.exchange import Entry

_KEY = re.compile(r"exchange:(?P<rest>.*)")
_BLOCK = re.compile(r"\s*\|[0-9+-]*\s*(#.*)?")
_INDENT = "  "


def exchange_text(source: str, entries: Iterable[Entry], *, file: str) -> str:
    """Entries as the lines of a block; those of the file stay as they are, comments above too.

    Raises:
        UsageError: the exchange is there, but not as a block of lines.
    """
    lines = source.splitlines()
    begin, stop, indent = _place(lines, file)
    block = [line.removeprefix(indent) for line in lines[begin:stop]]
    texts = [
        _as_it_was(block, entry.line - 1 - begin) if entry.line else format_entry(entry)
        for entry in entries
    ]
    return "".join(f"{text}\n" for text in texts)


def _as_it_was(block: list[str], at: int) -> str:
    """The lines of an entry in a block, with the comments above it and the body below."""
    begin, stop = at, at + 1
    while begin > 0 and block[begin - 1].startswith("#"):
        begin -= 1
    while stop < len(block) and (not block[stop].strip() or block[stop].startswith(" ")):
        stop += 1
    return "\n".join(block[begin:stop]).rstrip()


def with_exchange(source: str, exchange: str, *, file: str) -> str:
    """The text of a scenario file with another exchange, every other byte as it was.

    A file without one gets it above `expect`, or at its end.

    Raises:
        UsageError: the exchange is there, but not as a block of lines.
    """
    end = "\r\n" if "\r\n" in source else "\n"
    lines = source.split(end)
    begin, stop, indent = _place(lines, file)
    block = [f"{indent}{line}" if line else "" for line in exchange.splitlines()]
    head = [] if _KEY.match(lines[begin - 1] if begin else "") else ["exchange: |"]
    return end.join([*lines[:begin], *head, *block, *lines[stop:]])


def _place(lines: list[str], file: str) -> tuple[int, int, str]:
    """Where the lines of the block begin and end, and how far they are indented."""
    for number, line in enumerate(lines):
        if found := _KEY.fullmatch(line):
            if not _BLOCK.fullmatch(found["rest"]):
                raise UsageError(
                    f"{file}:{number + 1}: write the exchange as a block, `exchange: |`"
                )
            return _block(lines, number + 1)
    for number, line in enumerate(lines):
        if line.startswith("expect:"):
            return number, number, _INDENT
    at = len(lines) - 1 if lines[-1] == "" else len(lines)
    return at, at, _INDENT


def _block(lines: list[str], begin: int) -> tuple[int, int, str]:
    """Blank lines and comments behind the block are no part of it."""
    stop = begin
    for number in range(begin, len(lines)):
        if lines[number].strip() and not lines[number].startswith((" ", "\t")):
            break
        if lines[number].strip():
            stop = number + 1
    first = next((line for line in lines[begin:stop] if line.strip()), _INDENT)
    return begin, stop, first[: len(first) - len(first.lstrip())]

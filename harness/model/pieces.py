"""How what actors say over TCP is cut: the same octets, which a program gets in other reads."""

from __future__ import annotations

import re

WHOLE = "whole"
BYTEWISE = "bytewise"
AT_LINE_ENDS = "at-line-ends"
WAYS = (WHOLE, BYTEWISE, AT_LINE_ENDS)

LARGEST = 65_535  # octets; whatever is larger, no program reads it at once
_LINES = re.compile(rb"[^\n]*\n|[^\n]+")


def is_way(text: str) -> bool:
    """Whether this is a way of cutting: one of `WAYS`, or a number of octets."""
    return text in WAYS or (text.isascii() and text.isdigit() and 1 <= int(text) <= LARGEST)


def cut(data: bytes, way: str) -> list[bytes]:
    r"""What an actor says in one go, cut in this way; `at-line-ends` cuts behind each LF.

    >>> cut(b"250-a\r\n250 b\r\n", "at-line-ends")
    [b'250-a\r\n', b'250 b\r\n']
    >>> cut(b"12345", "2")
    [b'12', b'34', b'5']
    """
    if way == WHOLE:
        return [data] if data else []
    if way == AT_LINE_ENDS:
        return _LINES.findall(data)
    size = 1 if way == BYTEWISE else int(way)
    return [data[at : at + size] for at in range(0, len(data), size)]


def in_words(way: str) -> str:
    """What a way of cutting means to the program; nothing for what is not cut."""
    if way == WHOLE:
        return ""
    if way == AT_LINE_ENDS:
        return "the program is sent one line at a time"
    size = 1 if way == BYTEWISE else int(way)
    return f"the program is sent {size} octet{'s' if size > 1 else ''} at a time"

"""How findings speak: bytes made visible, long ones cut, numbers with their nouns."""

from __future__ import annotations

from harness.model.template import Template, decode
from harness.notation import escape, format_template

SHOWN = 100  # characters of one line; what is longer is cut in the middle
_HEAD = 70


def shown_text(text: str, *, limit: int = SHOWN) -> str:
    """Text as it is written in the notation, line ends as pictures, cut if it is long."""
    visible = escape(text, heard=False).replace("\\r", "␍").replace("\\n", "␊")
    if len(visible) <= limit:
        return visible
    cut = len(visible) - limit
    return f"{visible[:_HEAD]} … {visible[_HEAD - limit :]} ({cut} more characters)"


def shown_bytes(data: bytes) -> str:
    """Bytes from the wire, as `shown_text`."""
    return shown_text(decode(data))


def shown_pattern(pattern: Template) -> str:
    """A pattern as the scenario writes it."""
    return format_template(pattern, heard=True)


def counted(number: int, noun: str) -> str:
    """`1 datagram`, `3 datagrams`; `noun` is in the plural.

    >>> counted(1, "datagrams")
    '1 datagram'
    """
    return f"{number} {noun.removesuffix('s') if number == 1 else noun}"


def one_of(values: tuple[float, ...]) -> str:
    """`4` or `4 or 40`."""
    return " or ".join(f"{value:g}" for value in values)

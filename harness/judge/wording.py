"""How findings speak: bytes made visible, long ones cut, numbers with their nouns."""

from __future__ import annotations

import re
import signal
from itertools import accumulate
from unicodedata import east_asian_width

from harness.model.template import Binding, Part, Template, decode
from harness.notation import escape, format_template, visible

SHOWN = 62  # cells of one line; what is longer is cut in the middle
_IN_A_SENTENCE = 40
_SCREEN = 90  # of a line that the program printed
_WORTH_IT = 20  # a cut that saves less says more than it saves
_WORDS = 4  # shown of an expression that lists many


def shown_text(text: str, *, limit: int = SHOWN, count: bool = True) -> str:
    """Text as it is written in the notation, line ends as pictures, cut if it is long.

    `count` tells how much was cut.
    """
    edge = 2 * limit  # each character takes a cell at least; of a megabyte the edges are enough
    unseen = max(len(text) - 2 * edge, 0)
    edges = text[:edge] + text[-edge:] if unseen else text
    return _cut(_pictured(edges), limit, unseen, count=count)


def shown_line(text: str) -> str:
    """A line of a program's output as its author knows it: only what is no text is escaped."""
    edge = 2 * _SCREEN
    unseen = max(len(text) - 2 * edge, 0)
    edges = text[:edge] + text[-edge:] if unseen else text
    return _cut(visible(edges), _SCREEN, unseen, count=True)


def _pictured(text: str) -> str:
    """Line ends as pictures, everything else as the notation writes it."""
    parts = re.split(r"([\r\n])", text)
    return "".join({"\r": "␍", "\n": "␊"}.get(p) or escape(p, heard=False) for p in parts)


def _cut(shown: str, limit: int, unseen: int, *, count: bool) -> str:
    """The beginning and the end; whole if cutting would save next to nothing."""
    if _cells(shown) <= limit + _WORTH_IT and not unseen:
        return shown
    head = _fitting(shown, limit * 2 // 3)
    tail = _fitting(shown[:0:-1], limit // 3)[::-1]
    cut = unseen + len(shown) - len(head) - len(tail)
    return f"{head} … {tail}" + (f" ({cut} more characters)" if count else "")


def _cells(text: str) -> int:
    """How many cells of a terminal it takes; Chinese characters take two each."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _fitting(text: str, cells: int) -> str:
    """The beginning of a text that has room in so many cells."""
    room = accumulate(_cells(char) for char in text)
    return text[: sum(used <= cells for used in room)]


def quoted(shown: str) -> str:
    """Something shown, as a part of a sentence."""
    return f"`{shown}`"


def quoted_text(text: str) -> str:
    """Text as a part of a sentence, short."""
    return quoted(shown_text(text, limit=_IN_A_SENTENCE, count=False))


def shown_bytes(data: bytes) -> str:
    """Bytes from the wire, as `shown_text`."""
    return shown_text(decode(data))


def shown_pattern(pattern: Template) -> str:
    """A pattern as the scenario writes it, but for regular expressions.

    Of these only the words remain that may come, else the name that was given to what comes.
    """
    return "".join(
        f"({words})"
        if isinstance(part, Binding) and (words := shown_words(part.regex or "", "|"))
        # neighbours matter for escapes only, and nobody reads this back
        else format_template(Template((_without_regex(part),)), heard=True).replace(r"\s", " ")
        for part in pattern.parts
    )


def _without_regex(part: Part) -> Part:
    return Binding(part.name) if isinstance(part, Binding) else part


def shown_words(regex: str, joint: str = "/") -> str:
    """The alternatives of an expression that are plain words; empty if none is.

    >>> shown_words("(?i:bytes?|octets?|[0-9]+)")
    'bytes/octets/...'
    """
    inner = re.fullmatch(r"\(\?[a-z]*:(?P<inner>[^()]*)\)", regex)
    words = (inner["inner"] if inner else regex).replace("?", "").split("|")
    plain = [word for word in words if re.fullmatch(r"[\w %-]+", word)]
    shown = plain[:_WORDS]
    if not shown:
        return ""
    return joint.join(shown if len(shown) == len(words) else [*shown, "..."])


def counted(number: int, noun: str) -> str:
    """`1 datagram`, `3 datagrams`; `noun` is in the plural.

    >>> counted(1, "datagrams")
    '1 datagram'
    """
    return f"{number} {noun.removesuffix('s') if number == 1 else noun}"


def signal_name(number: int) -> str:
    """`signal 11, SIGSEGV`; its number alone where that has no name."""
    try:
        return f"signal {number}, {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"


def one_of(values: tuple[float, ...]) -> str:
    """`4` or `4 or 40`."""
    return " or ".join(str(int(v)) if v.is_integer() else str(v) for v in map(float, values))


def seconds(duration: float) -> str:
    """`5 s`, `1.25 s`; to the millisecond, as the transcript has it.

    >>> seconds(5.0), seconds(0.12345)
    ('5 s', '0.123 s')
    """
    return f"{round(duration, 3):g} s"

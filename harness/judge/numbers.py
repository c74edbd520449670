"""The numbers that a text tells about a matter: `4 lost`, `Lost = 4 (40% loss)`, `丢失4个`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Dates, times, addresses and `min/avg/max` are no number; of `4/10` and `4 of 10` the first is.
_NUMBER = re.compile(
    r"""
    (?<![A-Za-z0-9_.])
    (?: [0-9][0-9.,]* (?: (?: [/:-][0-9][0-9.,]* ){2,} | :[0-9]+ )
      | [0-9]+(?:\.[0-9]+){3}
      | (?P<number> [-+]?[0-9]+(?:[.,][0-9]+)* )
        (?: \s?(?:/|\bout\ of\b|\bof\b|\bvon\b)\s?[0-9]+(?:[.,][0-9]+)* )?
    )
    """,
    re.VERBOSE,
)
_CLAUSE = re.compile(r"[,;](?=\s|[^\d\s])|[，；、。|()（）]|\.(?=\s|\Z)")
_LABEL = re.compile(r"[^\d]*[:=：]\s*")


@dataclass(frozen=True, slots=True)
class Told:
    """A number as it is written; a point or a comma may divide decimals or thousands."""

    text: str
    start: int
    end: int

    def is_one_of(self, values: Iterable[float]) -> bool:
        return bool(set(self._readings()) & set(values))

    def _readings(self) -> list[float]:
        *whole, last = re.split(r"[.,]", self.text)
        if not whole:
            return [float(last)]
        thousands = all(len(part) == 3 for part in whole[1:])  # behind the first come three each
        readings = [float("".join([*whole, last]))] if thousands and len(last) == 3 else []
        if len(whole) == 1 or (thousands and len(set(re.findall(r"[.,]", self.text))) == 2):
            readings.append(float(f"{''.join(whole)}.{last}"))
        return readings


def told_numbers(near: str, lines: Sequence[str]) -> list[Told]:
    """The numbers in the last line that speaks of the matter: a summary comes last.

    `near` is an expression for the words that name the matter; each brings one number.
    """
    words = re.compile(near, re.IGNORECASE)
    for line in reversed(lines):
        told = [number for word in words.finditer(line) if (number := _at(line, word))]
        if told:
            return told
    return []


def _at(line: str, word: re.Match[str]) -> Told | None:
    """The number that belongs to a word: of its clause, else of the line."""
    start = max((c.end() for c in _CLAUSE.finditer(line, 0, word.start())), default=0)
    following = _CLAUSE.search(line, word.end())
    end = following.start() if following else len(line)
    return _nearest(line, word, start, end) or _nearest(line, word, 0, len(line))


def _nearest(line: str, word: re.Match[str], start: int, end: int) -> Told | None:
    """`4 lost` or `lost: 4`; where both would do, a clause that begins so goes on so."""
    before = [told for told in _numbers(line, start, end) if told.end <= word.start()][-1:]
    after = [told for told in _numbers(line, start, end) if told.start >= word.end()][:1]
    if not before or not after:
        return next(iter(before or after), None)
    if _LABEL.fullmatch(line, word.end(), after[0].start):
        return after[0]
    apart = (word.start() - before[0].end) - (after[0].start - word.end())
    if apart == 0:
        begins_with_number = line[start:].lstrip()[:1].isdigit()
        return before[0] if begins_with_number else after[0]
    return before[0] if apart < 0 else after[0]


def _numbers(line: str, start: int, end: int) -> list[Told]:
    found = (f for f in _NUMBER.finditer(line, start, end) if f["number"])
    return [Told(f["number"], f.start(), f.end()) for f in found]

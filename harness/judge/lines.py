"""Checks of lines, whatever was observed: the screen, a file, what went over a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from harness.judge.numbers import told_numbers
from harness.judge.wording import (
    counted,
    one_of,
    quoted,
    quoted_text,
    shown_line,
    shown_pattern,
    shown_text,
    shown_words,
)
from harness.match import match_whole
from harness.model.scenario import Check, Count, Has, InOrder, Lacks, Number
from harness.model.template import Anything, Binding, Literal, Template
from harness.model.verdict import Finding, Mark, Rung

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model.scenario import FileDemand, Scenario, TextDemand

_SHOWN_LINES = 8


class Line(str):
    """A line with other spellings of the same; names of header fields are equal in any case."""

    __slots__ = ("field", "spellings")

    def __new__(cls, text: str, spellings: tuple[str, ...] = (), *, field: bool = False) -> Self:
        line = super().__new__(cls, text)
        line.spellings, line.field = spellings or (text,), field
        return line

    spellings: tuple[str, ...]
    field: bool


def meets(pattern: Template, line: str) -> bool:
    """Whether the line, in one of its spellings, matches as a whole."""
    if not isinstance(line, Line):
        return match_whole(pattern, line) is not None
    if line.field and match_whole(_with_lower_name(pattern), _lower_name(line)):
        return True
    return any(match_whole(pattern, spelling) for spelling in line.spellings)


def _with_lower_name(pattern: Template) -> Template:
    """Names of fields are equal whatever their case (RFC 9110 5.1)."""
    parts = list(pattern.parts)
    for place, part in enumerate(parts):
        if isinstance(part, Literal):
            parts[place] = Literal(_lower_name(part.text))
            break
    return Template(tuple(parts))


def _lower_name(field: str) -> str:
    name, colon, rest = field.partition(":")
    return (name.lower() if colon else name) + colon + rest


class Fault(NamedTuple):
    """What is wrong with lines: a sentence, and what the finding shows beside it."""

    headline: str
    expected: str
    observed: str
    ladder: tuple[Rung, ...]
    alike: str = ""  # see `Finding`
    name: str = ""
    missing: bool = False


def finding_of(
    demand: TextDemand | FileDemand,
    scenario: Scenario,
    fault: Fault,
    actor: str,
    ladder: tuple[Rung, ...] | None = None,
) -> Finding:
    """The finding of a fault, under the name of whom it is about; `ladder` replaces its own."""
    return Finding(
        level=demand.level,
        actor=actor,
        file=scenario.file,
        line=demand.line,
        headline=fault.headline,
        expected=fault.expected,
        observed=fault.observed,
        ladder=fault.ladder if ladder is None else ladder,
        alike=fault.alike,
        name=fault.name,
        missing=fault.missing,
    )


def lines_of(text: str) -> list[str]:
    """A line feed ends a line: behind the last one no other begins, and nothing is no line."""
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def fault_in(check: Check, lines: Sequence[str], name: str) -> Fault | None:
    """What is wrong with these lines, which the sentence calls `name`; None if nothing is."""
    if isinstance(check, Has):
        return _missing(check, lines, name)
    if isinstance(check, Lacks):
        return _forbidden(check, lines, name)
    if isinstance(check, InOrder):
        return _out_of_order(check, lines, name)
    return (
        _miscounted(check, lines, name) if isinstance(check, Count) else _told(check, lines, name)
    )


def _missing(check: Has, lines: Sequence[str], name: str) -> Fault | None:
    if any(meets(check.pattern, line) for line in lines):
        return None
    ladder = _near_miss(check.pattern, lines) or shown_lines(lines)
    shown = shown_pattern(check.pattern)
    one, several = f"No line of {name} matches {{}}.", f"No lines of {name} match {{}}."
    what = quoted(shown)
    match check.pattern.parts:
        case (Anything(), Literal(text), Anything()):
            one = several = f"{capital(name)} nowhere shows {{}}."
            what = quoted_text(text)
    headline = one.replace("{}", what)
    return Fault(headline, shown, "no such line", ladder, several, what, missing=True)


def _forbidden(check: Lacks, lines: Sequence[str], name: str) -> Fault | None:
    anywhere = Template.of(Anything(), *check.pattern.parts, Anything())
    found = next((line for line in lines if meets(anywhere, line)), None)
    if found is None:
        return None
    pattern = shown_pattern(check.pattern)
    headline, expected = f"{capital(name)} must not show {quoted(pattern)}.", f"no {pattern}"
    if pattern == "*":
        first = next((line for line in lines if line.strip()), "")
        headline, expected, found = f"{capital(name)} must be empty.", "nothing", first
    observed = shown_text(found) or "(a blank line)"
    return Fault(headline, expected, observed, (Rung(Mark.INSTEAD, None, observed),))


def _out_of_order(check: InOrder, lines: Sequence[str], name: str) -> Fault | None:
    place = 0
    for number, pattern in enumerate(check.patterns):
        rest = (i for i in range(place, len(lines)) if meets(pattern, lines[i]))
        found = next(rest, None)
        if found is None:
            shown = shown_pattern(pattern)
            above = quoted(shown_pattern(check.patterns[number - 1])) if number else ""
            after = f" behind the one for {above}" if above else ""
            headline = f"No line of {name} matches {quoted(shown)}{after}."
            return Fault(headline, shown, "no such line in this order", shown_lines(lines))
        place = found + 1
    return None


def _miscounted(check: Count, lines: Sequence[str], name: str) -> Fault | None:
    number = sum(meets(check.pattern, line) for line in lines)
    if number == check.times:
        return None
    pattern, verb = shown_pattern(check.pattern), "matches" if number == 1 else "match"
    headline = f"{counted(number, 'lines')} of {name} {verb} {quoted(pattern)}, not {check.times}."
    return Fault(headline, f"{check.times} x {pattern}", str(number), shown_lines(lines))


def _told(check: Number, lines: Sequence[str], name: str) -> Fault | None:
    told = told_numbers(check.near, lines)
    values = tuple(dict.fromkeys(map(float, check.values)))
    if told and all(number.is_one_of(values) for number in told):
        return None
    wanted = one_of(values)
    words = shown_words(check.near) or check.near
    numbers = " and ".join(dict.fromkeys(number.text for number in told))
    tells = f"tells {numbers}" if told else "tells no number"
    headline = f"{capital(name)} {tells} for {words}, where {wanted} was expected."
    return Fault(headline, wanted, numbers or "no number", shown_lines(lines))


def capital(name: str) -> str:
    """The beginning of a sentence."""
    return name[:1].upper() + name[1:]


def _near_miss(pattern: Template, lines: Sequence[str]) -> tuple[Rung, ...]:
    """Lines that begin to be what was looked for: they have its first words."""
    parts = pattern.parts
    first = next((part.text for part in parts if isinstance(part, Literal)), "")
    if not first.strip() or sum(isinstance(part, Literal | Binding) for part in parts) < 2:
        return ()
    near = [line for line in lines if first in line][-_SHOWN_LINES:]
    return tuple(Rung(Mark.INSTEAD, None, shown_text(line), "differs") for line in near)


def shown_lines(lines: Sequence[str]) -> tuple[Rung, ...]:
    """The last lines, as evidence."""
    said = [line for line in lines if line.strip()] or ["(nothing)"]
    return tuple(Rung(Mark.HAPPENED, None, shown_line(line)) for line in said[-_SHOWN_LINES:])

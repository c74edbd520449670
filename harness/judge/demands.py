"""Findings about what must be found afterwards: exit, texts, counts; mail has its own module."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from harness.judge.mail import unmet_mailbox
from harness.judge.wording import counted, one_of, shown_pattern, shown_text
from harness.match import match_whole
from harness.model.record import PROGRAM, Record, What
from harness.model.scenario import (
    Count,
    Demand,
    ExitDemand,
    Has,
    HeardDemand,
    InOrder,
    Lacks,
    MailboxDemand,
    Number,
    Scenario,
    TextDemand,
)
from harness.model.template import Anything, Template, decode
from harness.model.verdict import Finding, Mark, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN_LINES = 8
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,]\d+)?")
_CLAUSE = re.compile(r"[,;，；、|](?=\s|\D)")


def unmet(demand: Demand, scenario: Scenario, record: Record) -> list[Finding]:
    """What is wrong with one demand; nothing if it is met."""
    if isinstance(demand, MailboxDemand):
        return unmet_mailbox(demand, scenario, record)
    if isinstance(demand, ExitDemand):
        return list(_unmet_exit(demand, scenario, record))
    if isinstance(demand, HeardDemand):
        return list(_unmet_heard(demand, scenario, record))
    if demand.observer == "files":
        return list(_unmet_files(demand, scenario, record))
    what = What.SCREEN if demand.observer == "screen" else What.ERRORS
    name = "the screen" if demand.observer == "screen" else "standard error"
    return list(_unmet_text(demand, scenario, name, decode(record.text(what))))


def _unmet_exit(demand: ExitDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    exits = record.of(What.EXITED)
    if not exits or any(record.of(What.STOPPED)):
        return  # that it never ended is a finding of its own
    status = exits[0].facts.get("status")
    if status is None or (status == demand.status if demand.status is not None else status != 0):
        return
    wanted = "another one than 0" if demand.status is None else str(demand.status)
    yield Finding(
        level=demand.level,
        actor=PROGRAM,
        file=scenario.file,
        line=demand.line,
        headline=f"The program ended with exit status {status}, where {wanted} was expected.",
        expected="nonzero" if demand.status is None else str(demand.status),
        observed=str(status),
        at_s=exits[0].at,
    )


def _unmet_heard(demand: HeardDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    what = What.OPENED if demand.unit == "connections" else What.HEARD
    number = sum(event.actor == demand.actor for event in record.of(what))
    if number == demand.count:
        return
    expected, observed = counted(demand.count, demand.unit), counted(number, demand.unit)
    were = "was" if demand.count == 1 else "were"
    yield Finding(
        level=demand.level,
        actor=demand.actor,
        file=scenario.file,
        line=demand.line,
        headline=f"{demand.actor} heard {observed}, where {expected} {were} expected.",
        expected=expected,
        observed=observed,
    )


# -- texts ----------------------------------------------------------------------------


def _unmet_files(demand: TextDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    left = [event for event in record.of(What.FILE) if "skipped" not in event.facts]
    files = [event for event in left if fnmatch(event.note, demand.glob)]
    if not files:
        names = ", ".join(event.note for event in left) or "none"
        headline = f"The program left no file {demand.glob}."
        yield _text_finding(demand, scenario, headline, demand.glob, f"files: {names}", ())
        return
    texts = [(event.note, decode(event.data)) for event in files]
    unmet_in = [list(_unmet_text(demand, scenario, name, text)) for name, text in texts]
    if isinstance(demand.check, Lacks):
        yield from (finding for findings in unmet_in for finding in findings)
    elif all(unmet_in):
        yield from unmet_in[0]


def _unmet_text(demand: TextDemand, scenario: Scenario, name: str, text: str) -> Iterator[Finding]:
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if isinstance(demand.check, Number):
        fault = _number_fault(demand.check, lines, name)
    else:
        fault = _line_fault(demand.check, lines, name)
    if fault:
        headline, expected, observed = fault
        yield _text_finding(demand, scenario, headline, expected, observed, _shown_lines(lines))


Fault = tuple[str, str, str]  # headline, expected, observed


def _line_fault(check: Has | Lacks | InOrder | Count, lines: list[str], name: str) -> Fault | None:
    if isinstance(check, Has):
        if any(match_whole(check.pattern, line) for line in lines):
            return None
        pattern = shown_pattern(check.pattern)
        return f"No line of {name} matches {pattern}.", pattern, "no such line"
    if isinstance(check, Lacks):
        anywhere = Template.of(Anything(), *check.pattern.parts, Anything())
        found = next((line for line in lines if match_whole(anywhere, line)), None)
        if found is None:
            return None
        pattern = shown_pattern(check.pattern)
        return f"{_capital(name)} must not show {pattern}.", f"no {pattern}", shown_text(found)
    if isinstance(check, Count):
        number = sum(match_whole(check.pattern, line) is not None for line in lines)
        pattern = shown_pattern(check.pattern)
        if number == check.times:
            return None
        headline = f"{counted(number, 'lines')} of {name} match {pattern}, not {check.times}."
        return headline, f"{check.times} x {pattern}", str(number)
    return _order_fault(check, lines, name)


def _order_fault(check: InOrder, lines: list[str], name: str) -> Fault | None:
    place = 0
    for pattern in check.patterns:
        rest = (i for i in range(place, len(lines)) if match_whole(pattern, lines[i]))
        found = next(rest, None)
        if found is None:
            shown = shown_pattern(pattern)
            headline = f"No line of {name} matches {shown} where its turn is."
            return headline, shown, "no such line in this order"
        place = found + 1
    return None


def _number_fault(check: Number, lines: list[str], name: str) -> Fault | None:
    told = _told(check, lines)
    if told and all(value in check.values for value in told):
        return None
    wanted = one_of(check.values)
    words = check.near.replace("|", "/")
    if not told:
        headline = f"{_capital(name)} tells no number for {words}, where {wanted} was expected."
        return headline, wanted, "no number"
    numbers = " and ".join(f"{value:g}" for value in dict.fromkeys(told))
    headline = f"{_capital(name)} tells {numbers} for {words}, where {wanted} was expected."
    return headline, wanted, numbers


def _told(check: Number, lines: list[str]) -> list[float]:
    """The numbers told in the last line that speaks of the matter: a summary comes last."""
    near = re.compile(check.near, re.IGNORECASE)
    for line in reversed(lines):
        told = [number for word in near.finditer(line) for number in _numbers_at(line, word)]
        if told:
            return told
    return []


def _numbers_at(line: str, word: re.Match[str]) -> list[float]:
    """The number that belongs to a word: `4 lost`, but `lost: 4`.

    People put the number before its noun or behind its label.  A clause that begins with
    a number is of the first kind.
    """
    start = max((c.end() for c in _CLAUSE.finditer(line, 0, word.start())), default=0)
    following = _CLAUSE.search(line, word.end())
    end = following.start() if following else len(line)
    before = [_value(n) for n in _NUMBER.finditer(line, start, word.start())][-1:]
    after = [_value(n) for n in _NUMBER.finditer(line, word.end(), end)][:1]
    first = re.search(r"\w", line[start:end])
    return (before or after) if first and first[0].isdigit() else (after or before)


def _value(number: re.Match[str]) -> float:
    return float(number[0].replace(",", "."))


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _shown_lines(lines: list[str]) -> tuple[Rung, ...]:
    said = [line for line in lines if line.strip()]
    return tuple(Rung(Mark.HAPPENED, None, shown_text(line)) for line in said[-_SHOWN_LINES:])


def _text_finding(
    demand: TextDemand,
    scenario: Scenario,
    headline: str,
    expected: str,
    observed: str,
    ladder: tuple[Rung, ...],
) -> Finding:
    return Finding(
        level=demand.level,
        actor=demand.glob or demand.observer,
        file=scenario.file,
        line=demand.line,
        headline=headline,
        expected=expected,
        observed=observed,
        ladder=ladder,
    )

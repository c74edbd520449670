"""Findings about what must be found afterwards: exit, texts, counts; mail has its own module."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.framing import framing_for
from harness.judge.evidence import last_messages, last_words
from harness.judge.mail import unmet_mailbox
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
    signal_name,
)
from harness.match import match_whole
from harness.model.record import PROGRAM, SEEN, Record, What
from harness.model.scenario import (
    Check,
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
from harness.model.template import Anything, Binding, Literal, Template, decode
from harness.model.verdict import Finding, Mark, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.framing import Framing
    from harness.model.scenario import Actor

_SHOWN_LINES = 8


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
    if demand.observer == "errors":
        text = decode(record.text(What.ERRORS))
        return list(_unmet_text(demand, scenario, "standard error", text))
    text = decode(record.text(*SEEN))
    return list(_unmet_text(demand, scenario, "the screen", text))


def _unmet_exit(demand: ExitDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    life = record.lives[-1]
    exits = life.of(What.EXITED)
    if not exits or not all("act" in event.facts for event in life.of(What.STOPPED)):
        return  # that it never ended is a finding of its own
    status = exits[0].facts.get("status")
    if status is None and any(life.of(What.STOPPED)) and demand.status is not None:
        yield _ended_by_a_signal(demand, scenario, life)
    if status is None or (status == demand.status if demand.status is not None else status != 0):
        return
    if demand.status is None:
        headline = "The program ended with exit status 0, as if nothing had gone wrong."
    else:
        headline = (
            f"The program ended with exit status {status}, where {demand.status} was expected."
        )
    yield Finding(
        level=demand.level,
        actor=PROGRAM,
        file=scenario.file,
        line=demand.line,
        headline=headline,
        expected="nonzero" if demand.status is None else str(demand.status),
        observed=str(status),
        at_s=exits[0].at,
        ladder=last_words(life),
        cause=status != 0 and not record.of(What.HEARD, What.OPENED),
    )


def _ended_by_a_signal(demand: ExitDemand, scenario: Scenario, life: Record) -> Finding:
    """The scenario stopped it, and it did not see to its own end; other signals crash it."""
    event = life.of(What.EXITED)[0]
    number = int(event.facts["signal"])
    return Finding(
        level=demand.level,
        actor=PROGRAM,
        file=scenario.file,
        line=demand.line,
        headline=f"The program was ended by {signal_name(number)}, "
        f"where exit status {demand.status} was expected.",
        expected=str(demand.status),
        observed=f"signal {number}",
        at_s=event.at,
        ladder=last_words(life),
    )


def _unmet_heard(demand: HeardDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    number = _number_heard(demand, scenario, record)
    if number == demand.count:
        return
    framing = framing_for(scenario.cast[demand.actor]) if demand.unit == "datagrams" else None
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
        ladder=last_messages(record, demand.actor, framing=framing),
    )


def _number_heard(demand: HeardDemand, scenario: Scenario, record: Record) -> int:
    if demand.unit == "messages":
        return _messages(scenario.cast[demand.actor], record)
    what = What.OPENED if demand.unit == "connections" else What.HEARD
    return sum(event.actor == demand.actor for event in record.of(what))


def _messages(actor: Actor, record: Record) -> int:
    """How many messages came that an entry could hear, in however many pieces."""
    framings: dict[int, Framing] = {}
    number = 0
    for event in record.of(What.HEARD, What.SAID, What.EOF):
        framing = framings.get(event.connection) or framing_for(actor)
        if event.actor == actor.name and framing:
            framings[event.connection] = framing
            said = event.what is What.SAID
            cut = framing.end() if event.what is What.EOF else framing.feed(event.data, said=said)
            number += sum(message.listed and not message.said for message in cut)
    return number


# -- texts ----------------------------------------------------------------------------


def _unmet_files(demand: TextDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    left = [event for event in record.of(What.FILE) if "skipped" not in event.facts]
    files = [event for event in left if fnmatchcase(event.note, demand.glob)]
    if not files:
        names = [shown_text(event.note) for event in record.of(What.FILE)] or ["no file at all"]
        headline = f"The program left no file {demand.glob}."
        rungs = tuple(Rung(Mark.HAPPENED, None, name, "is there") for name in names[:_SHOWN_LINES])
        observed = f"files: {', '.join(names)}"
        yield _text_finding(demand, scenario, headline, demand.glob, observed, rungs)
        return
    texts = [(shown_text(event.note), decode(event.data)) for event in files]
    unmet_in = [list(_unmet_text(demand, scenario, name, text)) for name, text in texts]
    if isinstance(demand.check, Lacks):
        yield from (finding for findings in unmet_in for finding in findings)
    elif all(unmet_in):
        yield from unmet_in[0]


def _unmet_text(demand: TextDemand, scenario: Scenario, name: str, text: str) -> Iterator[Finding]:
    # a line feed ends a line: behind the last one no other begins, and nothing is no line
    lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    if isinstance(demand.check, Number):
        fault = _number_fault(demand.check, lines, name)
    else:
        fault = _line_fault(demand.check, lines, name)
    if fault:
        headline, expected, observed = fault
        forbidden = isinstance(demand.check, Lacks)
        rungs = (
            (Rung(Mark.INSTEAD, None, observed),)
            if forbidden
            else (_near_miss(demand.check, lines) or _shown_lines(lines))
        )
        yield _text_finding(demand, scenario, headline, expected, observed, rungs)


Fault = tuple[str, str, str]  # headline, expected, observed


def _line_fault(check: Has | Lacks | InOrder | Count, lines: list[str], name: str) -> Fault | None:
    if isinstance(check, InOrder):
        return _order_fault(check, lines, name)
    pattern = shown_pattern(check.pattern)
    if isinstance(check, Has):
        if any(match_whole(check.pattern, line) for line in lines):
            return None
        return _no_line(check.pattern, name), pattern, "no such line"
    if isinstance(check, Lacks):
        anywhere = Template.of(Anything(), *check.pattern.parts, Anything())
        found = next((line for line in lines if match_whole(anywhere, line)), None)
        if found is None:
            return None
        if pattern == "*":
            first = next((line for line in lines if line.strip()), "")
            return (
                f"{_capital(name)} must be empty.",
                "nothing",
                shown_text(first) or "(a blank line)",
            )
        return (
            f"{_capital(name)} must not show {quoted(pattern)}.",
            f"no {pattern}",
            shown_text(found),
        )
    number = sum(match_whole(check.pattern, line) is not None for line in lines)
    if number == check.times:
        return None
    verb = "matches" if number == 1 else "match"
    headline = f"{counted(number, 'lines')} of {name} {verb} {quoted(pattern)}, not {check.times}."
    return headline, f"{check.times} x {pattern}", str(number)


def _no_line(pattern: Template, name: str) -> str:
    match pattern.parts:
        case (Anything(), Literal(text), Anything()):
            return f"{_capital(name)} nowhere shows {quoted_text(text)}."
    return f"No line of {name} matches {quoted(shown_pattern(pattern))}."


def _order_fault(check: InOrder, lines: list[str], name: str) -> Fault | None:
    place = 0
    for number, pattern in enumerate(check.patterns):
        rest = (i for i in range(place, len(lines)) if match_whole(pattern, lines[i]))
        found = next(rest, None)
        if found is None:
            shown = shown_pattern(pattern)
            above = quoted(shown_pattern(check.patterns[number - 1])) if number else ""
            after = f" behind the one for {above}" if above else ""
            headline = f"No line of {name} matches {quoted(shown)}{after}."
            return headline, shown, "no such line in this order"
        place = found + 1
    return None


def _number_fault(check: Number, lines: list[str], name: str) -> Fault | None:
    told = told_numbers(check.near, lines)
    values = tuple(dict.fromkeys(map(float, check.values)))
    if told and all(number.is_one_of(values) for number in told):
        return None
    wanted = one_of(values)
    words = shown_words(check.near) or check.near
    if not told:
        headline = f"{_capital(name)} tells no number for {words}, where {wanted} was expected."
        return headline, wanted, "no number"
    numbers = " and ".join(dict.fromkeys(number.text for number in told))
    headline = f"{_capital(name)} tells {numbers} for {words}, where {wanted} was expected."
    return headline, wanted, numbers


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _near_miss(check: Check, lines: list[str]) -> tuple[Rung, ...]:
    """Lines that begin to be what was looked for: they have its first words."""
    parts = check.pattern.parts if isinstance(check, Has) else ()
    first = next((part.text for part in parts if isinstance(part, Literal)), "")
    if not first.strip() or sum(isinstance(part, Literal | Binding) for part in parts) < 2:
        return ()
    near = [line for line in lines if first in line][-_SHOWN_LINES:]
    return tuple(Rung(Mark.INSTEAD, None, shown_text(line), "differs") for line in near)


def _shown_lines(lines: list[str]) -> tuple[Rung, ...]:
    said = [line for line in lines if line.strip()] or ["(nothing)"]
    return tuple(Rung(Mark.HAPPENED, None, shown_line(line)) for line in said[-_SHOWN_LINES:])


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

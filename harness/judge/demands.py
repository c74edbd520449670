"""Findings about what must be found afterwards: texts and counts; others have their own modules."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.framing import framing_for
from harness.judge.ending import unmet_exit, unmet_leftovers, unmet_time
from harness.judge.evidence import last_messages
from harness.judge.lines import Fault, fault_in, lines_of
from harness.judge.mail import unmet_mailbox
from harness.judge.wire import messages, unmet_wire
from harness.judge.wording import counted, shown_text
from harness.model.record import SEEN, Record, What
from harness.model.scenario import (
    Demand,
    ExitDemand,
    HeardDemand,
    Lacks,
    MailboxDemand,
    Scenario,
    TextDemand,
    TimeDemand,
)
from harness.model.template import decode
from harness.model.verdict import Finding, Mark, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator


_SHOWN_LINES = 8


def unmet(demand: Demand, scenario: Scenario, record: Record) -> list[Finding]:
    """What is wrong with one demand; nothing if it is met."""
    if isinstance(demand, MailboxDemand):
        return unmet_mailbox(demand, scenario, record)
    if isinstance(demand, ExitDemand):
        return list(unmet_exit(demand, scenario, record))
    if isinstance(demand, TimeDemand):
        return list(unmet_time(demand, scenario, record))
    if isinstance(demand, HeardDemand):
        return list(_unmet_heard(demand, scenario, record))
    return list(_UNMET[demand.observer](demand, scenario, record))


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
        return messages(scenario.cast[demand.actor], record)
    what = What.OPENED if demand.unit == "connections" else What.HEARD
    return sum(event.actor == demand.actor for event in record.of(what))


# -- texts ----------------------------------------------------------------------------


def _unmet_screen(demand: TextDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    lines = lines_of(decode(record.text(*SEEN)))
    yield from _findings(demand, scenario, fault_in(demand.check, lines, "the screen"))


def _unmet_errors(demand: TextDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    lines = lines_of(decode(record.text(What.ERRORS)))
    yield from _findings(demand, scenario, fault_in(demand.check, lines, "standard error"))


def _unmet_files(demand: TextDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    left = [event for event in record.of(What.FILE) if "skipped" not in event.facts]
    files = [event for event in left if fnmatchcase(event.note, demand.glob)]
    if not files:
        names = [shown_text(event.note) for event in record.of(What.FILE)] or ["no file at all"]
        headline = f"The program left no file {demand.glob}."
        rungs = tuple(Rung(Mark.HAPPENED, None, name, "is there") for name in names[:_SHOWN_LINES])
        observed = f"files: {', '.join(names)}"
        yield from _findings(demand, scenario, Fault(headline, demand.glob, observed, rungs))
        return
    texts = [(shown_text(event.note), lines_of(decode(event.data))) for event in files]
    faults = [fault_in(demand.check, lines, name) for name, lines in texts]
    if isinstance(demand.check, Lacks):
        yield from (f for fault in faults for f in _findings(demand, scenario, fault))
    elif all(faults):
        yield from _findings(demand, scenario, faults[0])


def _findings(demand: TextDemand, scenario: Scenario, fault: Fault | None) -> Iterator[Finding]:
    if fault:
        yield Finding(
            level=demand.level,
            actor=demand.glob or demand.observer,
            file=scenario.file,
            line=demand.line,
            headline=fault.headline,
            expected=fault.expected,
            observed=fault.observed,
            ladder=fault.ladder,
        )


_UNMET = {
    "screen": _unmet_screen,
    "errors": _unmet_errors,
    "files": _unmet_files,
    "leftovers": unmet_leftovers,
    "wire": unmet_wire,
}

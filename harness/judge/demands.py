"""Findings about what must be found afterwards: texts and counts; others have their own modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.framing import framing_for
from harness.judge.ending import unmet_exit, unmet_leftovers, unmet_time
from harness.judge.evidence import last_messages
from harness.judge.files import faults_of_files
from harness.judge.lines import Fault, fault_in, finding_of, lines_of
from harness.judge.mail import unmet_mailbox
from harness.judge.packets import unmet_packets
from harness.judge.wire import messages, unmet_wire
from harness.judge.wording import counted
from harness.model.record import SEEN, Record, What
from harness.model.scenario import (
    Demand,
    ExitDemand,
    FileDemand,
    HeardDemand,
    MailboxDemand,
    Scenario,
    TextDemand,
    TimeDemand,
)
from harness.model.template import decode
from harness.model.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    if isinstance(demand, FileDemand):
        return list(_unmet_files(demand, scenario, record))
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
        missing=number < demand.count,
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


def _unmet_files(
    demand: TextDemand | FileDemand, scenario: Scenario, record: Record
) -> Iterator[Finding]:
    for fault in faults_of_files(demand, record):
        yield from _findings(demand, scenario, fault)


def _findings(
    demand: TextDemand | FileDemand, scenario: Scenario, fault: Fault | None
) -> Iterator[Finding]:
    if fault:
        actor = demand.glob if isinstance(demand, FileDemand) else demand.glob or demand.observer
        yield finding_of(demand, scenario, fault, actor)


_UNMET = {
    "screen": _unmet_screen,
    "errors": _unmet_errors,
    "files": _unmet_files,
    "leftovers": unmet_leftovers,
    "wire": unmet_wire,
    "packets": unmet_packets,
}

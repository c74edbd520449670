"""Findings about the program itself: it did not start, crashed, hung, flooded or lingered."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from harness.judge.wording import shown_text
from harness.model.record import PROGRAM, Event, Record, What
from harness.model.scenario import Level, Scenario
from harness.model.template import decode
from harness.model.verdict import Finding, Mark, Rung

if TYPE_CHECKING:
    from harness.model.plan import Plan

_PYTHON = re.compile(
    r"Traceback \(most recent call last\):\n(?P<frames>(?:[ \t]+.*\n|\n)*)(?P<error>\S.*)"
)
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_JAVA = re.compile(r'Exception in thread "[^"]*" (?P<error>.+)\n\s+at (?P<frame>.+)')
_LAST_LINES = 6


def not_played(plan: Plan, scenario: Scenario, record: Record) -> Finding | None:
    """The program could not be played with at all: it did not start, or never listened."""
    for event in record.of(What.BROKEN):
        if event.actor == PROGRAM:
            return _finding(scenario, f"The program could not be started: {event.note}.", event)
    if plan.role.listens is None or record.of(What.LISTENING):
        return None
    for event in record.of(What.GAVE_UP):
        return _never_listened(scenario, record, event)
    for event in record.of(What.EXITED):
        headline = f"The program ended before it listened ({_exit_text(event)})."
        return _finding(scenario, headline, event, _last_words(record), why=_crash(record))
    return None


def _never_listened(scenario: Scenario, record: Record, event: Event) -> Finding:
    elsewhere = str(event.facts.get("elsewhere", ""))
    place = event.note.removeprefix("never listened on ")
    headline = f"The program was told to listen on {place}, but never did."
    hint = f"it listens on {elsewhere} instead" if elsewhere else ""
    return _finding(scenario, headline, event, _last_words(record), why=hint)


def faults_of_program(
    plan: Plan, scenario: Scenario, record: Record
) -> tuple[list[Finding], list[Finding]]:
    """Findings to tell before those of the exchange, because they cause them, and after."""
    first, last = [], []
    if crash := _crash(record):
        place = next(iter(record.of(What.EXITED)), None)
        headline = f"The program crashed: {crash}."
        first.append(_finding(scenario, headline, place, _last_words(record)))
    elif died := _died(plan, record):
        first.append(_finding(scenario, f"{died}.", record.of(What.EXITED)[0], _last_words(record)))
    for event in record.of(What.FLOODED):
        headline = f"The program printed without end ({event.note}); it was stopped."
        first.append(_finding(scenario, headline, event))
    last += _endings(scenario, record)
    return first, last


def _crash(record: Record) -> str:
    """What a traceback says: the error and the last line of the program's own that it names."""
    for what in (What.ERRORS, What.SCREEN):
        text = decode(record.text(what)).replace("\r\n", "\n")
        if found := _PYTHON.search(text):
            frames = _FRAME.findall(found["frames"])
            place = f" ({frames[-1][0].rsplit('/', 1)[-1]}, line {frames[-1][1]})" if frames else ""
            return shown_text(found["error"].strip()) + place
        if found := _JAVA.search(text):
            return shown_text(f"{found['error'].strip()} at {found['frame'].strip()}")
    return ""


def _died(plan: Plan, record: Record) -> str:
    """Ended by a signal that was not ours, or a server that ended in the middle of the play."""
    exits = record.of(What.EXITED)
    ours = any(record.of(What.STOPPED)) or any(
        event.actor == PROGRAM for event in record.of(What.ACTED)
    )
    if not exits or ours:
        return ""
    if "signal" in exits[0].facts:
        return f"The program was ended by {_exit_text(exits[0])}"
    if plan.role.listens is not None:
        return f"The program ended in the middle of the play ({_exit_text(exits[0])})"
    return ""


def _exit_text(event: Event) -> str:
    if "signal" not in event.facts:
        return f"exit status {event.facts.get('status')}"
    number = int(event.facts["signal"])
    try:
        return f"signal {number}, {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"


def _endings(scenario: Scenario, record: Record) -> list[Finding]:
    findings = []
    for event in record.of(What.STOPPED):
        if event.note == "it did not end by itself":
            headline = f"The program never ended; it was stopped after {event.at:.1f} s."
            findings.append(_finding(scenario, headline, event, _last_words(record)))
        elif _killed(record):
            headline = "The program did not end when it was told to (SIGTERM); it was killed."
            findings.append(_finding(scenario, headline, event, level=Level.SHOULD))
    for event in record.of(What.LEFTOVER):
        headline = f"A process outlived the program and was killed: {shown_text(event.note)}."
        findings.append(_finding(scenario, headline, event, level=Level.SHOULD))
    for event in record.of(What.BROKEN):
        if event.entry is None and event.actor != PROGRAM:
            headline = f"{event.actor}: {event.note}."
            findings.append(_finding(scenario, headline, event, level=Level.MAY))
    return findings


def _killed(record: Record) -> bool:
    return any(event.facts.get("signal") == signal.SIGKILL for event in record.of(What.EXITED))


def _last_words(record: Record) -> tuple[Rung, ...]:
    """The last lines that the program printed, its errors after its screen."""
    rungs = []
    for what in (What.SCREEN, What.ERRORS):
        lines = decode(record.text(what)).replace("\r\n", "\n").rstrip("\n").split("\n")
        name = what.value
        rungs += [
            Rung(Mark.HAPPENED, None, f"{name}: {shown_text(line)}")
            for line in lines[-_LAST_LINES:]
            if line
        ]
    return tuple(rungs)


def _finding(
    scenario: Scenario,
    headline: str,
    event: Event | None,
    ladder: tuple[Rung, ...] = (),
    *,
    why: str = "",
    level: Level = Level.MUST,
) -> Finding:
    return Finding(
        level=level,
        actor=event.actor if event else PROGRAM,
        file=scenario.file,
        line=scenario.lines.get("role", scenario.lines.get("title", 1)),
        headline=headline,
        expected="",
        observed=event.note if event else "",
        why=why,
        at_s=event.at if event else None,
        ladder=ladder,
    )

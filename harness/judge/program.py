"""Findings about the program itself: it did not start, crashed, hung, flooded or lingered."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from harness.judge.ending import KILLED, KILLED_BY_SCENARIO, allows_signal, exit_text, outlived
from harness.judge.evidence import build_words, last_words, printed
from harness.judge.wording import shown_line, shown_text
from harness.model.record import PLAY_IS_OVER, PROGRAM, Event, Record, What
from harness.model.scenario import Certificate, Level, Scenario
from harness.model.verdict import Finding, Rung

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from harness.model.plan import Plan

_PYTHON = re.compile(
    r"Traceback \(most recent call last\):\n(?P<frames>(?:[ \t]+.*\n|\n)*)(?P<error>\S.*)"
)
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_LIBRARY = re.compile(r"/lib(?:64)?/python|^<")
_JAVA = re.compile(r'Exception in thread "[^"]*" (?P<error>.+)(?P<calls>(?:\n\s+at .+)+)')
_CALL = re.compile(r"\n\s+at (.+)")
#: A file that is not Python at all never runs, so there is no traceback.
_SYNTAX = re.compile(
    r'^  File "(?P<file>[^"\n]+)", line (?P<line>\d+)\n(?:[ \t]+.*\n){1,3}'
    r"(?P<error>(?:Syntax|Indentation|Tab)Error: .+)",
    re.MULTILINE,
)
_JAVA_LIBRARY = ("java", "jdk.", "sun.")

_NEVER_LISTENED = "never listened on "


def not_played(plan: Plan, scenario: Scenario, record: Record) -> Finding | None:
    """The program could not be played with at all: not built or started, or it never listened."""
    for event in record.of(What.UNBUILT):
        headline = f"The program could not be built: {event.note}."
        return _finding(scenario, headline, event, build_words(record))
    for event in record.of(What.BROKEN):
        if event.actor == PROGRAM and event.entry is None:
            return _finding(scenario, f"The program could not be started: {event.note}.", event)
    for event in record.of(What.GAVE_UP):
        if event.note.startswith(_NEVER_LISTENED):
            return _never_listened(scenario, record, event)
    if plan.role.listens is None or record.of(What.LISTENING):
        return None
    for event in record.of(What.EXITED):
        headline = f"The program ended before it listened ({exit_text(event)})."
        if crash := _crash(record):
            headline = f"The program crashed before it listened: {crash}."
        return _finding(scenario, headline, event, last_words(record))
    return None


def _never_listened(scenario: Scenario, record: Record, event: Event) -> Finding:
    elsewhere = str(event.facts.get("elsewhere", ""))
    place = event.note.removeprefix(_NEVER_LISTENED)
    headline = f"The program was told to listen on {place}, but never did."
    hint = f"it listens on {elsewhere} instead" if elsewhere else ""
    return _finding(scenario, headline, event, last_words(record), why=hint)


def faults_of_program(
    plan: Plan, scenario: Scenario, record: Record, awaited: Collection[float]
) -> tuple[list[Finding], list[Finding]]:
    """Findings to tell before those of the exchange, because they cause them, and after.

    `awaited` are the moments of ends that the exchange asked for.
    """
    first = [
        finding
        for life in record.lives
        for finding in _faults_of_life(plan, scenario, life, awaited)
    ]
    return first, _endings(scenario, record)


def _faults_of_life(
    plan: Plan, scenario: Scenario, life: Record, awaited: Collection[float]
) -> Iterator[Finding]:
    ended = next(iter(life.of(What.EXITED)), None)
    crash, died = _crash(life), _died(plan, scenario, life, awaited)
    words = last_words(life)
    if crash and ended and not _ours(life) and ended.facts.get("status") != 0:
        headline = f"The program crashed: {crash}."
        yield _finding(scenario, headline, ended, words, cause=True)
    elif died:
        yield _finding(scenario, f"{died}.", ended, words, why=crash, cause=True)
    elif crash:
        headline = f"An error went unhandled: {crash}."
        yield _finding(scenario, headline, None, level=Level.SHOULD)
    for event in life.of(What.FLOODED):
        headline = f"The program wrote without end to its {event.note}; it was stopped."
        yield _finding(scenario, headline, event, words, cause=True)
    for event in life.of(What.CROWDED):
        headline = f"The program started processes without end; {event.note} were killed."
        yield _finding(scenario, headline, event, words, cause=True)


def names_of_nobody(scenario: Scenario, record: Record) -> list[Finding]:
    """Names that the program asked for and that nobody has: often why it came no further.

    For the names of addresses (PTR) libraries ask on their own.
    """
    asked = {
        str(e.facts["unknown"]).lower(): e for e in record.of(What.SAID) if "unknown" in e.facts
    }
    return [
        _finding(
            scenario,
            f"The program asked for {shown_text(name)}; no actor has that name.",
            event,
            level=Level.MAY,
        )
        for name, event in asked.items()
        if event.facts["type"] != "PTR"
    ]


def _crash(record: Record) -> str:
    """What a traceback says: the error, and the last line of the program's own that it names."""
    for what in (What.ERRORS, What.SCREEN):
        text = printed(record, what)
        if found := [*_PYTHON.finditer(text)]:
            frames = _FRAME.findall(found[-1]["frames"])
            own = [frame for frame in frames if not _LIBRARY.search(frame[0])] or frames
            place = f" ({own[-1][0].rpartition('/')[2]}, line {own[-1][1]})" if own else ""
            return shown_line(found[-1]["error"].strip()) + place
        if wrong := _SYNTAX.search(text):
            place = f"{wrong['file'].rpartition('/')[2]}, line {wrong['line']}"
            return f"{shown_line(wrong['error'])} ({place})"
        if java := _JAVA.search(text):
            calls = [call.strip() for call in _CALL.findall(java["calls"])]
            own_calls = [call for call in calls if not call.startswith(_JAVA_LIBRARY)] or calls
            return shown_line(f"{java['error'].strip()} at {own_calls[0]}")
    return ""


def _ours(life: Record) -> bool:
    """Whether the harness, or the scenario, ended the program."""
    return any(life.of(What.STOPPED))


def _died(plan: Plan, scenario: Scenario, life: Record, awaited: Collection[float]) -> str:
    """Ended by a signal that was not ours, or a server that ended in the middle of the play."""
    exits = life.of(What.EXITED)
    if not exits or _ours(life) or allows_signal(scenario, exits[0]):
        return ""
    if "signal" in exits[0].facts:
        return f"The program was ended by {exit_text(exits[0])}"
    if plan.role.listens is not None and exits[0].at not in awaited:
        return f"The program ended in the middle of the play ({exit_text(exits[0])})"
    return ""


def _endings(scenario: Scenario, record: Record) -> list[Finding]:
    findings = []
    for event in record.of(What.STOPPED):
        if event.note == "it did not end by itself":
            after = f"it was stopped after {event.at:.1f} s{_limit_reached(record)}"
            headline = f"The program never ended; {after}."
            findings.append(_finding(scenario, headline, event, last_words(record)))
        elif event.note == PLAY_IS_OVER and _killed(record.lives[-1]):
            findings.append(_finding(scenario, KILLED, event, level=Level.SHOULD))
    findings += [
        _finding(scenario, KILLED_BY_SCENARIO, event, level=Level.SHOULD) for event in _deaf(record)
    ]
    for event in record.of(What.LEFTOVER):
        if event.facts.get("kind") == "socket":
            continue  # one of a process that is told itself
        findings.append(_finding(scenario, outlived(event), event, level=Level.SHOULD))
    for event in record.of(What.BROKEN):
        if event.entry is None and event.actor != PROGRAM and _shows_good(scenario, event.actor):
            headline = f"{event.actor}: {event.note}."
            findings.append(_finding(scenario, headline, event, level=Level.MAY))
    return findings


def _shows_good(scenario: Scenario, name: str) -> bool:
    """Whether a program has no reason to break off a handshake with an actor."""
    actor = scenario.cast.get(name)
    return actor is None or actor.certificate is Certificate.GOOD


def _limit_reached(record: Record) -> str:
    return next((f" ({event.note})" for event in record.of(What.GAVE_UP)), "")


def _killed(life: Record) -> bool:
    return any(event.facts.get("signal") == signal.SIGKILL for event in life.of(What.EXITED))


def _deaf(record: Record) -> Iterator[Event]:
    """When the scenario told the program to end, and only SIGKILL did."""
    for life in record.lives:
        stops = (event for event in life.of(What.STOPPED) if event.facts.get("act") == "stop")
        yield from stops if _killed(life) else ()


def _finding(
    scenario: Scenario,
    headline: str,
    event: Event | None,
    ladder: tuple[Rung, ...] = (),
    *,
    why: str = "",
    level: Level = Level.MUST,
    cause: bool = False,
) -> Finding:
    return Finding(
        level=level,
        actor=event.actor if event else PROGRAM,
        file=scenario.file,
        line=scenario.head_line,
        headline=headline,
        expected="",
        observed=event.note if event else "",
        why=why,
        at_s=event.at if event else None,
        ladder=ladder,
        cause=cause,
    )

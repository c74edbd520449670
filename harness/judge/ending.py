"""Findings about the end that was demanded: how, when, and what was left behind."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from harness.judge.evidence import last_words
from harness.judge.lines import fault_in
from harness.judge.wording import seconds, shown_text, signal_name
from harness.model.record import PROGRAM, Event, Record, What
from harness.model.scenario import ExitDemand, Lacks, Scenario, TextDemand, TimeDemand
from harness.model.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLED = "The program did not end when it was told to (SIGTERM); it was killed."
KILLED_BY_SCENARIO = (
    "The program did not end when the scenario told it to (SIGTERM); it was killed."
)


def _ended_as_told(life: Record) -> bool:
    """Whether the program ended by itself, or when it was told to, and not because it had to."""
    stops = life.of(What.STOPPED)
    return all("act" in stop.facts or stop.note == "the play is over" for stop in stops)


def unmet_exit(demand: ExitDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    """It ended in another way; that it never ended, or crashed, are findings of their own."""
    life = record.lives[-1]
    exits, stops = life.of(What.EXITED), life.of(What.STOPPED)
    if not exits or not _ended_as_told(life):
        return
    end = exits[-1]
    crashed = "signal" in end.facts and not stops
    if crashed or any(_is(end, way) for way in demand.allowed):
        return
    words = last_words(life)
    wanted = " or ".join(_shown(way) for way in demand.allowed)
    yield Finding(
        level=demand.level,
        actor=PROGRAM,
        file=scenario.file,
        line=demand.line,
        headline=_headline(end, wanted, demand, stops),
        expected=" or ".join(map(str, demand.allowed)),
        observed=exit_text(end).removeprefix("exit status "),
        at_s=end.at,
        ladder=words,
        missing=end.facts.get("status", 0) != 0 and not words,  # it says that it has failed
        cause=end.facts.get("status", 1) != 0 and not record.of(What.HEARD, What.OPENED),
    )


def allows_signal(scenario: Scenario, end: Event) -> bool:
    """Whether the scenario demands that the program ends by the signal that ended it."""
    exits = (demand for demand in scenario.demands if isinstance(demand, ExitDemand))
    return any(_is(end, way) for demand in exits for way in demand.allowed)


def _is(end: Event, way: int | str) -> bool:
    status = end.facts.get("status")
    if way == "nonzero":
        return status is not None and status != 0
    return _signal(end) == way if isinstance(way, str) else status == way


def _headline(end: Event, wanted: str, demand: ExitDemand, stops: tuple[Event, ...]) -> str:
    if demand.allowed == ("nonzero",) and end.facts.get("status") == 0:
        return "The program ended with exit status 0, as if nothing had gone wrong."
    if "signal" not in end.facts:
        return f"The program ended with {exit_text(end)}, where {wanted} was expected."
    if end.facts["signal"] == signal.SIGKILL and stops[-1].facts.get("act", "stop") == "stop":
        return KILLED_BY_SCENARIO if "act" in stops[-1].facts else KILLED
    ended = f"The program was ended by {exit_text(end)}"
    noun = "exit status " if isinstance(demand.allowed[0], int) else ""
    return f"{ended}, where {noun}{wanted} was expected."


def _shown(way: int | str) -> str:
    return "any status but 0" if way == "nonzero" else str(way)


def exit_text(end: Event) -> str:
    """`exit status 3`, or `signal 11, SIGSEGV`."""
    if "signal" not in end.facts:
        return f"exit status {end.facts.get('status')}"
    return signal_name(int(end.facts["signal"]))


def _signal(end: Event) -> str:
    """`SIGTERM`; `signal 64` where it has no name; empty if it was no signal."""
    if "signal" not in end.facts:
        return ""
    return signal_name(int(end.facts["signal"])).rpartition(", ")[2]


# -- time -----------------------------------------------------------------------------


def unmet_time(demand: TimeDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    """It took too long, or not long enough; a program that never ended is told elsewhere."""
    life = record.lives[-1]
    exits, begin = life.of(What.EXITED), _begin(demand, life)
    if not exits or begin is None:
        return
    took = max(exits[-1].at - begin, 0.0)
    if demand.least <= took <= demand.most:
        return
    since = {
        "until exit": "after the play began",
        "after last message": "after the last message",
        "after stop": "after SIGTERM",
    }[demand.span]
    late = took > demand.most
    bound = f"at most {seconds(demand.most)}" if late else f"at least {seconds(demand.least)}"
    verdict = "too late" if late else "too early"
    yield Finding(
        level=demand.level,
        actor=PROGRAM,
        file=scenario.file,
        line=demand.line,
        headline=f"The program ended {verdict}, {seconds(took)} {since} (expected: {bound}).",
        expected=bound,
        observed=seconds(took),
        at_s=exits[-1].at,
        ladder=last_words(record),
    )


def _begin(demand: TimeDemand, life: Record) -> float | None:
    """From when the time counts; None if that moment never came."""
    stops = life.of(What.STOPPED)
    if demand.span == "after stop":
        return stops[-1].at if stops and _ended_as_told(life) else None
    if stops:
        return None
    if demand.span == "until exit":
        return 0.0
    return max((event.at for event in life.of(What.HEARD, What.SAID)), default=0.0)


# -- leftovers ------------------------------------------------------------------------


def unmet_leftovers(demand: TextDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    """What the program left, a line each: `process: sleep 1000`, `socket: tcp 0.0.0.0:80`."""
    left = {f"{_kind(event)}: {event.note}": event for event in record.of(What.LEFTOVER)}
    forbidden = isinstance(demand.check, Lacks)
    for lines in [[line] for line in sorted(left)] if forbidden else [sorted(left)]:
        if fault := fault_in(demand.check, lines, "what the program left behind"):
            yield Finding(
                level=demand.level,
                actor=PROGRAM,
                file=scenario.file,
                line=demand.line,
                headline=outlived(left[lines[0]]) if forbidden else fault.headline,
                expected=fault.expected,
                observed=fault.observed,
                ladder=() if forbidden else fault.ladder,
            )


def _kind(event: Event) -> str:
    return str(event.facts.get("kind", "process"))


def outlived(event: Event) -> str:
    """That something is there still when the program has ended."""
    if _kind(event) == "socket":
        return f"A socket outlived the program: {shown_text(event.note)}."
    return f"A process outlived the program and was killed: {shown_text(event.note)}."

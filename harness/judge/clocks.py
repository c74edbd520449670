"""Findings about the clocks of an exchange: what came, but too early or too late."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from harness.follow import State
from harness.judge.exchange import demanded, finding
from harness.judge.wording import quoted_text
from harness.model.exchange import Clock
from harness.model.scenario import ActorKind
from harness.notation import format_clock, format_duration

if TYPE_CHECKING:
    from harness.follow import Follower, Line
    from harness.model.scenario import Scenario
    from harness.model.verdict import Finding


def untimely_lines(scenario: Scenario, follower: Follower) -> list[Finding]:
    """One finding for every clock by which something came too early or too late.

    Below a line that was missed no clock tells the truth: it would count from the miss.
    """
    broken = (State.MISSED, State.UNCHECKED)
    checked = takewhile(lambda line: line.state not in broken, follower.lines)
    first = {id(line.span): line for line in reversed([*checked]) if line.untimely}
    return [_untimely(scenario, follower, line) for line in reversed(first.values())]


def _untimely(scenario: Scenario, follower: Follower, line: Line) -> Finding:
    as_if_missed = finding(scenario, follower, replace(line, instead=line.came))
    *before, last = as_if_missed.ladder
    return replace(
        as_if_missed,
        headline=f"{_what_came(scenario, line)} {_how_untimely(follower, line)}.",
        expected=_allowed(line),
        observed=format_duration(_passed(line)),
        ladder=(*before, replace(last, remark="came, but not in time")),
        instead=False,
    )


def _what_came(scenario: Scenario, line: Line) -> str:
    actor, came = scenario.cast.get(line.entry.actor), line.came
    if actor is None:
        return "The program ended"
    if came is None or came.message is None:
        ended = "reset" if came and came.act == "reset" else "closed"
        return f"The program {ended} its connection with {actor.name}"
    shown = quoted_text(came.message.texts[0])
    if actor.kind is ActorKind.TERMINAL:
        return f"The program printed {shown} on its screen"
    return f"The program sent {shown} to {actor.name}"


def _how_untimely(follower: Follower, line: Line) -> str:
    """`too late: 2.31 s after ..., 2s are allowed`."""
    span, passed = line.span, _passed(line)
    above = _counted_from(follower, line)
    if passed < 0:
        return f"too early: before {above}"
    shown = f"{passed:.2f} s after {above}"
    if span and span.at_least is not None and passed < span.at_least:
        return f"too early: {shown}, at least {format_duration(span.at_least)} must pass"
    return f"too late: {shown}, {format_duration((span and span.within) or 0.0)} are allowed"


def _passed(line: Line) -> float:
    start = line.span.start if line.span else None
    return (line.at or 0.0) - (start or 0.0)


def _allowed(line: Line) -> str:
    span = line.span
    return format_clock(Clock((), span.at_least, span.within)).rstrip(":") if span else ""


def _counted_from(follower: Follower, line: Line) -> str:
    """The line above the clock that was settled last."""
    above = takewhile(lambda other: other.span is not line.span, follower.lines)
    settled = [other for other in above if other.state is State.DONE and not other.open_ended]
    if not settled:
        return "the start of the play"
    last = max(settled, key=lambda other: (other.at or 0.0, other.index))
    message = last.came.message if last.came else None
    said = message.texts[0] if message else demanded(last)
    shown = quoted_text(f"{last.entry.actor}{last.entry.arrow} {said}")
    return f"{shown} (line {last.entry.line})"

"""Findings about the exchange: lines that were missed, and what came instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.follow import Follower, Line, State, Utterance
from harness.judge.wording import shown_bytes, shown_text
from harness.model.exchange import Arrow, GroupKind
from harness.model.record import PROGRAM
from harness.model.scenario import Actor, ActorKind, Level, Scenario
from harness.model.verdict import Finding, Mark, Rung
from harness.notation import format_act, format_template

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEFORE = 3  # messages shown above the line that was missed


def missed_lines(scenario: Scenario, follower: Follower) -> list[Finding]:
    """One finding for every line of the exchange that was missed, from top to bottom."""
    missed = (line for line in follower.lines if line.state is State.MISSED)
    return [_finding(scenario, follower, line) for line in missed]


def _finding(scenario: Scenario, follower: Follower, line: Line) -> Finding:
    actor = scenario.cast.get(line.entry.actor)
    return Finding(
        level=Level.MUST,
        actor=line.entry.actor,
        file=scenario.file,
        line=line.entry.line,
        headline=_headline(line, actor),
        expected=_expected(line),
        observed=_observed(line.instead),
        why=line.entry.reason,
        at_s=line.instead.at if line.instead else None,
        ladder=tuple(_ladder(follower, line)),
    )


def _expected(line: Line) -> str:
    entry = line.entry
    if entry.act:
        return format_act(entry.act)
    return format_template(entry.text, heard=entry.heard)


def _observed(instead: Utterance | None) -> str:
    if instead is None:
        return "nothing"
    if instead.message:
        return shown_text(instead.message.texts[0])
    return {"eof": "end of the connection", "reset": "reset"}.get(instead.act, instead.act)


# -- sentences ------------------------------------------------------------------------


def _headline(line: Line, actor: Actor | None) -> str:
    act = line.entry.act.name if line.entry.act else ""
    if act == "expect silence":
        return _noise_headline(line)
    if act == "expect exit":
        return f"The program did not end as it should: {_observed(line.instead)}."
    if act.startswith("expect"):
        return _end_headline(line, act)
    if line.instead and line.instead.message is None and line.entry.arrow not in _HEARING:
        return f"{line.entry.actor} could not do its part: {line.instead.act}."
    if line.entry.arrow not in _HEARING and not (actor and actor.autonomous):
        return f"{line.entry.actor} never came to its line: the program did not go on."
    if line.group is GroupKind.NEVER:
        return f"The program sent {_observed(line.instead)} to {line.entry.actor}; it must not."
    return _heard_headline(line, actor)


_HEARING = (Arrow.HEARS, Arrow.MAY_HEAR)


def _noise_headline(line: Line) -> str:
    name = line.entry.actor
    if line.instead and line.instead.message:
        return f"The program sent {_observed(line.instead)} to {name}, where silence was due."
    return f"The program connected to {name}, which it should have left alone."


def _end_headline(line: Line, act: str) -> str:
    name, instead = line.entry.actor, line.instead
    wanted = {"expect reset": "reset", "expect eof": "close"}.get(act, "end")
    if instead is None:
        return f"The program did not {wanted} its connection with {name}."
    if instead.message:
        return f"The program sent {_observed(instead)} to {name} instead of closing."
    return f"The program ended its connection with {name} by {_ending(instead)}, not as expected."


def _ending(instead: Utterance) -> str:
    return "a reset" if instead.act == "reset" else "closing it"


def _heard_headline(line: Line, actor: Actor | None) -> str:
    name, expected, instead = line.entry.actor, _expected(line), line.instead
    if actor and actor.kind is ActorKind.TERMINAL:
        return f"The program never printed {expected} on its screen."
    answers = bool(actor and actor.to)
    if instead is None:
        return (
            f"The program never answered {name} with {expected}."
            if answers
            else f"The program never sent {expected} to {name}."
        )
    if instead.message is None:
        end = "reset" if instead.act == "reset" else "closed"
        return f"The program {end} its connection with {name} before {expected} came."
    verb = "answered" if answers else "sent"
    to = name if answers else f"to {name}"
    if answers:
        return f"The program {verb} {to} with {_observed(instead)} where {expected} was expected."
    return f"The program {verb} {_observed(instead)} {to} where {expected} was expected."


# -- the ladder -----------------------------------------------------------------------


def _ladder(follower: Follower, line: Line) -> Iterator[Rung]:
    """The last messages of the connection, the line that was due, and what came instead."""
    instead = line.instead
    place = follower.transcript.index(instead) if instead in follower.transcript else None
    before = [
        utterance
        for utterance in follower.transcript[:place]
        if utterance.actor == line.entry.actor
        and (line.at is None or utterance.at <= line.at)
        and (instead is None or utterance.connection in (instead.connection, 0))
        and utterance is not instead
    ]
    for utterance in before[-_BEFORE:]:
        yield Rung(Mark.HAPPENED, utterance.at, _spoken(utterance))
    name, arrow = line.entry.actor, line.entry.arrow
    never = line.group is GroupKind.NEVER
    remark = f"{'must not come' if never else 'expected'}  line {line.entry.line}"
    yield Rung(Mark.EXPECTED, None, f"{name}{arrow} {_expected(line)}", remark)
    if instead is not None:
        came = "came" if never else "came instead"
        yield Rung(Mark.INSTEAD, instead.at, _spoken(instead, whole=True), came)


def _spoken(utterance: Utterance, *, whole: bool = False) -> str:
    """A line of the transcript in the notation; `whole` shows its line end as well."""
    name = utterance.actor
    if utterance.connection > 1:
        name += f".{utterance.connection}"
    message = utterance.message
    if message is None:
        return f"{name}! {utterance.act}" if name != PROGRAM else utterance.act
    arrow = ">" if message.said else "<"
    is_text = message.listed and not message.body and not message.fields
    text = shown_bytes(message.data) if whole and is_text else shown_text(message.texts[0])
    return f"{name}{arrow} {text if whole else text.rstrip('␍␊')}"

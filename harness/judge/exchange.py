"""Findings about the exchange: lines that were missed, and what came instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.follow import Follower, Line, State, Utterance
from harness.judge.wording import quoted, quoted_text, shown_bytes, shown_pattern, shown_text
from harness.model.exchange import Arrow, GroupKind
from harness.model.record import PROGRAM
from harness.model.scenario import Actor, ActorKind, Level, LineEnd, Scenario
from harness.model.verdict import Finding, Mark, Rung
from harness.notation import format_act, format_template

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEFORE = 3  # messages shown above the line that was missed


def missed_lines(scenario: Scenario, follower: Follower) -> list[Finding]:
    """One finding for every line of the exchange that was missed, from top to bottom."""
    missed = (line for line in follower.lines if line.state is State.MISSED)
    return [finding(scenario, follower, line) for line in missed]


def finding(scenario: Scenario, follower: Follower, line: Line) -> Finding:
    """What is told of a line that was missed."""
    actor = scenario.cast.get(line.entry.actor)
    return Finding(
        level=Level.MUST,
        actor=line.entry.actor,
        file=scenario.file,
        line=line.entry.line,
        headline=_headline(follower, line, actor),
        expected=demanded(line),
        observed=_observed(line.instead),
        why=line.entry.reason,
        at_s=line.instead.at if line.instead else None,
        ladder=tuple(_ladder(follower, line)),
        instead=line.instead is not None and line.instead.message is not None,
    )


def demanded(line: Line) -> str:
    """What a line asks for, without its actor."""
    entry = line.entry
    if line.surplus:
        return "nothing more"
    if entry.act:
        return format_act(entry.act)
    return shown_pattern(entry.text) if entry.heard else format_template(entry.text, heard=False)


def _observed(instead: Utterance | None) -> str:
    if instead is None:
        return "nothing"
    if instead.message:
        return shown_text(instead.message.texts[0])
    return {"eof": "end of the connection", "reset": "reset"}.get(instead.act, instead.act)


# -- sentences ------------------------------------------------------------------------


def _headline(follower: Follower, line: Line, actor: Actor | None) -> str:
    name = line.entry.actor
    if line.surplus:
        return f"The program sent {_came(line)} to {name}, but nothing more was expected."
    if line.entry.act and line.entry.act.name.startswith("expect"):
        return _expectation_headline(line, line.entry.act.name)
    if line.entry.arrow not in _HEARING:
        return _part_headline(follower, line, actor)
    if line.group is GroupKind.NEVER:
        return f"The program sent {_came(line)} to {name}, which it must not."
    if actor and actor.kind is ActorKind.TERMINAL:
        return f"The program never printed {quoted(demanded(line))} on its screen."
    if actor and actor.to:
        return _answer_headline(line, actor)
    return _heard_headline(follower, line, actor)


def _expectation_headline(line: Line, act: str) -> str:
    if act == "expect silence":
        return _noise_headline(line)
    if act == "expect exit":
        return _exit_headline(line)
    return _end_headline(line, act)


def _exit_headline(line: Line) -> str:
    act, end = line.entry.act, line.instead.act if line.instead else ""
    status = act.status if act else None
    wanted = "a status other than 0" if status is None else f"exit status {status}"
    if not end:
        return f"The program did not end, where {wanted} was expected."
    how = f"was {end}" if end.startswith("ended") else f"ended with {end}"
    return f"The program {how}, where {wanted} was expected."


def _part_headline(follower: Follower, line: Line, actor: Actor | None) -> str:
    """Where the actor itself was to say or do something."""
    name = line.entry.actor
    if name == PROGRAM:
        return f"The program {line.instead.act}." if line.instead else _never_came_to(line)
    if line.instead and line.instead.message is None and line.instead.act not in _ACTS:
        return f"{name} could not do its part: {line.instead.act}."
    if _never_connected(follower, actor):
        return f"The program never connected to {name}."
    if actor and actor.autonomous:
        return f"{name} never had reason to say {quoted(demanded(line))}."
    return _never_came_to(line)


def _never_came_to(line: Line) -> str:
    name, what = line.entry.actor, demanded(line)
    came = f"It never came to {quoted(f'{name}! {what}')}"
    if name != PROGRAM:
        came = f"{name} never came to {quoted(what)}"
    return f"{came}: the program did not go on."


_HEARING = (Arrow.HEARS, Arrow.MAY_HEAR)


def _came(line: Line) -> str:
    message = line.instead.message if line.instead else None
    return quoted_text(message.texts[0]) if message else _observed(line.instead)


def _noise_headline(line: Line) -> str:
    name = line.entry.actor
    if line.instead and line.instead.message:
        return f"The program sent {_came(line)} to {name}, where silence was due."
    return f"The program connected to {name}, which it should have left alone."


def _end_headline(line: Line, act: str) -> str:
    name, instead = line.entry.actor, line.instead
    wanted = {"expect reset": "reset", "expect eof": "close"}.get(act, "end")
    if instead is None:
        return f"The program did not {wanted} its connection with {name}."
    if instead.message:
        return f"The program sent {_came(line)} to {name}, where it was to {wanted} the connection."
    if instead.act == "reset":
        return f"The program reset its connection with {name}, where a proper end was expected."
    return f"The program closed its connection with {name}, where a reset was expected."


def _ended(line: Line) -> str:
    end = "reset" if line.instead and line.instead.act == "reset" else "closed"
    name = line.entry.actor
    return f"The program {end} its connection with {name} before {quoted(demanded(line))} came."


def _answer_headline(line: Line, actor: Actor | None) -> str:
    """Where the actor asked, and the program was to answer."""
    name, expected, instead = line.entry.actor, quoted(demanded(line)), line.instead
    if instead is None:
        return f"The program never answered {name} with {expected}."
    if instead.message is None:
        return _ended(line)
    data, text = instead.message.data, instead.message.texts[0]
    if _ends_in_crlf(actor) and b"\n" in data and b"\r\n" not in data:
        return f"The program ended the lines of its answer to {name} by LF alone; {_CRLF}."
    if text.startswith("("):  # what is wrong with it
        return f"The program answered {name} with {text[1:].removesuffix(')')}."
    return f"The program answered {name} with {_came(line)} where {expected} was expected."


#: RFC 5321 2.3.8, RFC 9112 2.2: a line end is both octets.
_CRLF = r"lines of this protocol end in CRLF (\r\n)"
_END_OF_MAIL = "a line with nothing but a dot ends it (RFC 5321 4.1.1.4)"


def _ends_in_crlf(actor: Actor | None) -> bool:
    """Whether the protocol of this actor knows no other line end."""
    return actor is not None and (
        actor.kind in (ActorKind.SMTP, ActorKind.HTTP) or actor.eol is LineEnd.CRLF
    )


def _never_connected(follower: Follower, actor: Actor | None) -> bool:
    """Whether the program never came to an actor that waited for it."""
    if actor is None or actor.at is None or actor.transport != "tcp":
        return False
    return not any(utterance.actor == actor.name for utterance in follower.transcript)


def _heard_headline(follower: Follower, line: Line, actor: Actor | None) -> str:
    """Where the program was to speak by itself."""
    name, expected, instead = line.entry.actor, quoted(demanded(line)), line.instead
    if instead is None:
        if _never_connected(follower, actor):
            return f"The program never connected to {name}."
        return f"The program never sent {expected} to {name}."
    if instead.message is None:
        return _ended(line)
    message = instead.message
    if not message.whole and not message.listed:
        return f"The mail that the program sent to {name} has no end: {_END_OF_MAIL}."
    if not message.whole and b"\n" in message.data.replace(b"\r\n", b""):
        sent = quoted_text(message.texts[0].rstrip("\n"))
        return f"The program ended the line {sent} by LF alone; {_CRLF}."
    if not message.whole:
        return f"What the program sent to {name} last has no end; {expected} was expected."
    return f"The program sent {_came(line)} to {name} where {expected} was expected."


# -- the ladder -----------------------------------------------------------------------


def _ladder(follower: Follower, line: Line) -> Iterator[Rung]:
    """The last messages of the connection, the line that was due, and what came instead."""
    for utterance in _before(follower, line)[-_BEFORE:]:
        yield Rung(Mark.HAPPENED, utterance.at, _spoken(utterance))
    name, arrow, instead = line.entry.actor, line.entry.arrow, line.instead
    if line.group is GroupKind.NEVER:
        yield Rung(Mark.EXPECTED, None, f"{name}{arrow} {demanded(line)}", "must not come")
    elif line.surplus:
        yield Rung(Mark.EXPECTED, None, "(nothing more)", "expected")
    else:
        yield Rung(Mark.EXPECTED, None, f"{name}{arrow} {demanded(line)}", "expected")
    if instead is None:
        yield Rung(Mark.INSTEAD, None, "(nothing came)")
        return
    came = "came" if line.surplus or line.group is GroupKind.NEVER else "came instead"
    if instead.message and not instead.message.whole:
        came = "came, without its end"
    yield Rung(Mark.INSTEAD, instead.at, _spoken(instead, whole=True), came)


def _before(follower: Follower, line: Line) -> list[Utterance]:
    """What was said on the connection before the line was missed, the oldest first."""
    instead = line.instead
    known = instead is not None and instead in follower.transcript
    place = follower.transcript.index(instead) if instead is not None and known else None
    before = [
        utterance
        for utterance in follower.transcript[:place]
        if utterance.actor == line.entry.actor
        and (line.at is None or utterance.at <= line.at)
        and (instead is None or utterance.connection in (instead.connection, 0))
    ]
    if instead is not None and instead.message and not known:
        _drop_tail(before, instead.message.data)
    return before


def _drop_tail(before: list[Utterance], data: bytes) -> None:
    """Drop the chunks of a stream of which these bytes were the end."""
    while before and data and before[-1].message and not before[-1].said:
        chunk = before[-1].message.data
        if not data.endswith(chunk):
            return
        data = data[: len(data) - len(chunk)]
        before.pop()


_ACTS = {
    "opened": "{actor} and the program are connected",
    "eof": "the program closed the connection",
    "reset": "the program reset the connection",
    "left": "{actor} closed the connection",
    "stalled": "{actor} reads and speaks no more",
}


def _spoken(utterance: Utterance, *, whole: bool = False) -> str:
    """A line of the transcript in the notation; `whole` shows its line end as well."""
    name = utterance.actor
    if utterance.connection > 1:
        name += f".{utterance.connection}"
    message = utterance.message
    if message is None:
        return (
            f"({_ACTS[utterance.act].format(actor=name)})"
            if utterance.act in _ACTS
            else shown_text(f"({utterance.act})")
        )
    arrow = ">" if message.said else "<"
    is_text = message.listed and not message.body and not message.fields
    text = shown_bytes(message.data) if whole and is_text else shown_text(message.texts[0])
    return f"{name}{arrow} {text if whole else text.rstrip('␍␊')}"

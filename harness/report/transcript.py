"""What happened in a play, in the notation of the exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.follow import Follower, Utterance, followed
from harness.model.exchange import Arrow, Entry
from harness.model.template import Literal, Template, decode
from harness.notation import escape, format_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.plan import Plan
    from harness.model.record import Record
    from harness.model.scenario import Actor

_BODY_LIMIT = 40  # lines of a message's content


def transcript(plan: Plan, record: Record, follower: Follower | None = None) -> str:
    """All messages of a record in order of time, each line an entry with its time as reason.

    `follower` is the one of `followed`, if there is one already.
    """
    cast, follower = plan.scenario.cast, follower or followed(plan, record)
    return "".join(f"{line}\n" for u in follower.transcript for line in _lines(u, cast))


def _lines(utterance: Utterance, cast: Mapping[str, Actor]) -> list[str]:
    number = utterance.connection if utterance.connection > 1 else None
    name = f"{utterance.actor}.{number}" if number else utterance.actor
    time = f"{utterance.at:.3f} s"
    message = utterance.message
    if message is None:
        return [f"# {name}: {escape(utterance.act, heard=False)}  # {time}"]
    arrow = Arrow.SAYS if message.said else Arrow.HEARS
    if utterance.actor not in cast:  # whoever pastes this back has no such actor either
        return [f"# {name}{arrow} {message.texts[0]}  # {time}"]
    if not message.listed:
        shown, rest = _content(message.data)
        content = [f"#     {escape(line, heard=False)}" for line in shown]
        return [f"# {name}{arrow} {message.texts[0]}  # {time}", *content, *rest]
    shown, rest = _content(message.body)
    fields = [f"{field}: {value}" for field, value in message.fields]
    entry = Entry(
        actor=utterance.actor,
        arrow=arrow,
        text=_literal(message.texts[0].removesuffix("\n").removesuffix("\r")),
        reason=time,
        body=tuple(map(_literal, [*fields, "", *shown] if message.body else fields)),
        connection=number,
    )
    return [format_entry(entry), *rest]


def _literal(text: str) -> Template:
    return Template.of(Literal(text))


def _content(data: bytes) -> tuple[list[str], list[str]]:
    """The first lines of a content, and a comment on those that are left out."""
    lines = decode(data).replace("\r\n", "\n").split("\n")
    left = len(lines) - _BODY_LIMIT
    return lines[:_BODY_LIMIT], [f"# and {left} more lines"] if left > 0 else []

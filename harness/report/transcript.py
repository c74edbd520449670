"""What happened in a play, in the notation of the exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.follow import Follower, Utterance
from harness.model.template import decode, substitute
from harness.notation import escape

if TYPE_CHECKING:
    from harness.model.plan import Plan
    from harness.model.record import Record

_BODY_LIMIT = 40  # lines of a message's content


def transcript(plan: Plan, record: Record) -> str:
    """All messages of a record in order of time, each line an entry with its time as reason."""
    exchange = substitute(plan.scenario.exchange, record.addresses)
    follower = Follower(exchange, plan.scenario.cast)
    for event in record.events:
        follower.receive(event)
    return "".join(f"{line}\n" for u in follower.transcript for line in _lines(u))


def _lines(utterance: Utterance) -> list[str]:
    number = f".{utterance.connection}" if utterance.connection > 1 else ""
    name = f"{utterance.actor}{number}"
    time = f"  # {utterance.at:.3f} s"
    message = utterance.message
    if message is None:
        return [f"# {name}: {utterance.act}{time}"]
    arrow = ">" if message.said else "<"
    if not message.listed:
        content = decode(message.data).replace("\r\n", "\n").split("\n")
        shown = [f"#     {escape(line, heard=False)}" for line in content[:_BODY_LIMIT]]
        return [f"# {name}{arrow} {message.texts[0]}{time}", *shown]
    text = message.texts[0].removesuffix("\n").removesuffix("\r")
    body = [f"    {field}: {escape(value)}" for field, value in message.fields]
    if message.body:
        content = decode(message.body).replace("\r\n", "\n").split("\n")
        body += ["", *(f"    {escape(line)}" for line in content[:_BODY_LIMIT])]
    return [f"{name}{arrow} {escape(text, heard=not message.said)}{time}", *body]

"""What went over the connections of an actor, as messages and as lines, and findings about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from harness.framing import Message, framing_for
from harness.judge.evidence import last_messages
from harness.judge.lines import Line, fault_in, finding_of, lines_of
from harness.model.record import Event, Record, What
from harness.model.scenario import Lacks, Scenario, TextDemand
from harness.model.template import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.framing import Framing
    from harness.model.scenario import Actor
    from harness.model.verdict import Finding


def messages(actor: Actor, record: Record) -> int:
    """How many messages came that an entry could hear, in however many pieces."""
    return sum(message.listed and not message.said for message in _Cutter(actor).cut(record))


def unmet_wire(demand: TextDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    """What an actor heard, or said, is not what was demanded of it."""
    actor = scenario.cast[demand.actor]
    wire = _wire(actor, record, said=demand.said)
    forbidden = isinstance(demand.check, Lacks)
    lines = [*wire.lines, *wire.pieces] if forbidden else wire.lines
    name = f"what {actor.name} said" if demand.said else f"what the program sent to {actor.name}"
    if fault := fault_in(demand.check, lines, name):
        evidence = last_messages(record, actor.name, framing=framing_for(actor))
        yield finding_of(demand, scenario, fault, actor.name, None if forbidden else evidence)


class _Wire(NamedTuple):
    """Lines of whole messages, and those of what had no end or was no message."""

    lines: list[str]
    pieces: list[str]


def _wire(actor: Actor, record: Record, *, said: bool) -> _Wire:
    """Commands, requests, responses, datagrams; mails are what mailboxes hold."""
    if framing_for(actor) is None:
        return _Wire(_streams(actor, record, said=said), [])
    cutter, wire = _Cutter(actor), _Wire([], [])
    for message in cutter.cut(record):
        if message.said is said and message.listed:
            broken = message.texts[0].startswith("(") and not message.fields
            (wire.pieces if broken else wire.lines).extend(_lines(message, broken=broken))
    if not said:
        wire.pieces.extend(lines_of(decode(cutter.rest)))
    return wire


def _lines(message: Message, *, broken: bool) -> list[str]:
    """The first line with its spellings, header fields, and the lines of a content."""
    if broken:
        return list(lines_of(decode(message.data)))
    first, *more = lines_of(message.texts[0]) or [""]
    spellings = message.texts if not more else (first,)
    fields = [Line(f"{name}: {value}", field=True) for name, value in message.fields]
    return [Line(first, spellings), *more, *fields, *lines_of(decode(message.body))]


def _streams(actor: Actor, record: Record, *, said: bool) -> list[str]:
    """Lines of connections on which nothing but patterns tells messages apart."""
    streams: dict[int, bytes] = {}
    for event in record.of(What.SAID if said else What.HEARD):
        if event.actor == actor.name:
            streams[event.connection] = streams.get(event.connection, b"") + event.data
    return [line for data in streams.values() for line in lines_of(decode(data))]


class _Cutter:
    """Cuts what an actor heard and said into messages; `rest` is what has no end."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._framings: dict[int, Framing] = {}

    def cut(self, record: Record) -> Iterator[Message]:
        for event in record.of(What.HEARD, What.SAID, What.EOF):
            if event.actor == self._actor.name:
                yield from self._cut(event)

    def _cut(self, event: Event) -> Iterator[Message]:
        framing = self._framings.get(event.connection) or framing_for(self._actor)
        if framing:
            self._framings[event.connection] = framing
            said = event.what is What.SAID
            whole = event.what is not What.EOF
            yield from framing.feed(event.data, said=said) if whole else framing.end()

    @property
    def rest(self) -> bytes:
        return b"\n".join(filter(None, (framing.rest() for framing in self._framings.values())))

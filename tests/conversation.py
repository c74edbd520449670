"""Plays without sockets: events as a conversation, for tests of the follower and the judge.

A script is written in the notation itself, from the harness's point of view, one event a
line: `mail< QUIT` the actor heard, `mail> 250 ok` it said (`@n` in front: by entry n),
`mail! opened`, `mail! eof`, `mail! stands HOST PORT`, `program! exit 0`, `program! signal 11`,
`program! started`, `program! stopped WHY`, `program! told kill` (by the scenario), `screen: text`,
`errors: text`, `file NAME: text`, `mailbox NAME: mail`, `dns! unknown TYPE NAME`.
"""

from __future__ import annotations

import re

from harness.model.plan import Plan
from harness.model.program import Endpoint, Role
from harness.model.record import PROGRAM, Event, Record, What
from harness.model.scenario import Actor, ActorKind, Demand, LineEnd, Scenario
from harness.notation import parse_exchange, parse_text
from harness.peers.peer import spoken

_LINE = re.compile(
    r"(?:@(?P<entry>\d+) )?(?P<actor>[a-z]+)(?:\.(?P<n>\d))?(?P<arrow>[<>!]) ?(?P<text>.*)"
)
_OUTPUT = re.compile(r"(?P<what>screen|errors|file|mailbox)(?: (?P<name>\S+))?: ?(?P<text>.*)")


def cast(**kinds: Actor | ActorKind) -> dict[str, Actor]:
    """A cast of actors by name; a kind stands for a plain actor of that kind."""
    return {
        name: actor if isinstance(actor, Actor) else actor_of(name, actor)
        for name, actor in kinds.items()
    }


def actor_of(name: str, kind: ActorKind, **fields: object) -> Actor:
    place = {} if kind is ActorKind.TERMINAL or "to" in fields else {"at": "25"}
    return Actor(name, kind, **{**place, **fields})  # type: ignore[arg-type]


def events(script: str, eols: dict[str, LineEnd] | None = None) -> list[Event]:
    """The events of a script, a tenth of a second apart."""
    lines = [line.strip() for line in script.strip().splitlines() if line.strip()]
    return [_event(line, round(0.1 * n, 1), eols or {}) for n, line in enumerate(lines, 1)]


def _event(line: str, at: float, eols: dict[str, LineEnd]) -> Event:
    if output := _OUTPUT.fullmatch(line):
        return _output(output, at)
    found = _LINE.fullmatch(line)
    assert found, line
    actor, text, number = found["actor"], found["text"], int(found["n"] or 1)
    entry = int(found["entry"]) if found["entry"] else None
    if found["arrow"] == "!":
        return _act(actor, number, text, at, entry)
    what = What.HEARD if found["arrow"] == "<" else What.SAID
    eol = eols.get(actor, LineEnd.CRLF).spoken
    return Event(at, what, actor, number, _bytes(text) + eol, entry=entry)


def _output(found: re.Match[str], at: float) -> Event:
    what, name, data = found["what"], found["name"] or "", _bytes(found["text"])
    if what == "mailbox":
        return Event(at, What.MAIL, "mail", data=data, facts={"mailbox": name})
    return Event(at, What(what), PROGRAM, data=data, note=name)


def _act(actor: str, number: int, text: str, at: float, entry: int | None) -> Event:
    act, _, rest = text.partition(" ")
    if act in ("exit", "signal"):
        name = "status" if act == "exit" else act
        return Event(at, What.EXITED, PROGRAM, facts={name: int(rest)})
    if act == "unknown":  # what a name server says of a name that nobody has
        kind, name = rest.split()
        facts = {"name": name, "type": kind, "unknown": name}
        return Event(at, What.SAID, actor, number, facts=facts)
    if act == "told":  # by the scenario: kill, stop or restart
        return Event(at, What.STOPPED, PROGRAM, note="the scenario says so", facts={"act": rest})
    if act in ("stands", "listening"):
        host, port = rest.split()
        return Event(at, What(act), actor, facts={"host": host, "port": int(port)})
    if actor == PROGRAM:
        note, _, elsewhere = rest.partition(" elsewhere ")
        facts = {"elsewhere": elsewhere} if elsewhere else {}
        return Event(at, What(act), actor, 0, note=note, entry=entry, facts=facts)
    return Event(at, What(act), actor, number, note=rest, entry=entry)


def _bytes(text: str) -> bytes:
    return spoken(parse_text(text), {})


PROGRAM_ROLE = Role("smtp-client", "sends a mail", {}, {}, {}, LineEnd.CRLF)
SERVER_ROLE = Role(
    "echo-server",
    "sends back what comes",
    {"server": Endpoint("server", "listens", "tcp")},
    {},
    {},
    LineEnd.LF,
)


def plan(
    actors: dict[str, Actor],
    exchange: str = "",
    *demands: Demand,
    role: Role = PROGRAM_ROLE,
    **fields: object,
) -> Plan:
    """A plan as if it were from a file: the role in line 2, the exchange from line 8 on."""
    parsed, errors = parse_exchange(exchange, first_line=8)
    assert not errors, errors
    scenario = Scenario(
        id=f"{role.name}/example",
        file=f"scenarios/{role.name}/example.yaml",
        title="An example",
        role=role.name,
        cast=actors,
        exchange=parsed,
        demands=demands,
        lines={"title": 1, "role": 2, "exchange": 7},
        **fields,  # type: ignore[arg-type]
    )
    return Plan(scenario, role)


def record(script: str, eols: dict[str, LineEnd] | None = None) -> Record:
    """The record of a script; see `events`."""
    return Record(tuple(events(script, eols)))

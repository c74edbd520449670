"""Plays without sockets: events as a conversation, for tests of the follower and the judge.

A script is written in the notation itself, from the harness's point of view, one event a
line: `mail< QUIT` the actor heard, `mail> 250 ok` it said (`@n` in front: by entry n),
`mail! opened`, `mail! eof`, `program! exit 0`, `screen: text`.
"""

from __future__ import annotations

import re

from harness.model.record import PROGRAM, Event, What
from harness.model.scenario import Actor, ActorKind, LineEnd
from harness.notation import parse_text
from harness.peers.peer import spoken

_LINE = re.compile(
    r"(?:@(?P<entry>\d+) )?(?P<actor>[a-z]+)(?:\.(?P<n>\d))?(?P<arrow>[<>!]) ?(?P<text>.*)"
)
_ACTS = {
    "opened": What.OPENED,
    "eof": What.EOF,
    "reset": What.RESET,
    "left": What.LEFT,
    "acted": What.ACTED,
}


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
    if line.startswith("screen:"):
        return Event(at, What.SCREEN, PROGRAM, data=_bytes(line[8:]))
    found = _LINE.fullmatch(line)
    assert found, line
    actor, text, number = found["actor"], found["text"], int(found["n"] or 1)
    entry = int(found["entry"]) if found["entry"] else None
    if found["arrow"] == "!":
        if text.startswith("exit"):
            return Event(at, What.EXITED, PROGRAM, facts={"status": int(text.split()[1])})
        if text.startswith("broken"):
            return Event(at, What.BROKEN, actor, number, note=text[7:], entry=entry)
        return Event(at, _ACTS[text], actor, number, entry=entry)
    what = What.HEARD if found["arrow"] == "<" else What.SAID
    eol = eols.get(actor, LineEnd.CRLF).spoken
    return Event(at, what, actor, number, _bytes(text) + eol, entry=entry)


def _bytes(text: str) -> bytes:
    return spoken(parse_text(text), {})

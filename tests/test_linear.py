"""The follower and the matcher do work in proportion to what came: counted, not timed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from harness.follow import Follower
from harness.match import Search
from harness.model.record import PROGRAM, Event, What
from harness.model.scenario import ActorKind, LineEnd
from harness.notation import parse_exchange, parse_pattern

from tests.conversation import actor_of, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.model.scenario import Actor

SMTP = cast(mail=ActorKind.SMTP)
STRICT = cast(mail=actor_of("mail", ActorKind.SMTP, strict=True))
STREAM = cast(server=actor_of("server", ActorKind.TCP))
LINES = cast(server=actor_of("server", ActorKind.TCP, eol=LineEnd.CRLF))
USER = cast(user=ActorKind.TERMINAL)


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, ours and those of the interpreter."""
    count = 0

    def note(_frame: object, what: str, _argument: object) -> None:
        nonlocal count
        count += what in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def heard(*texts: str, actor: str = "mail") -> list[Event]:
    return [Event(0.1, What.HEARD, actor, 1, text.encode()) for text in texts]


def printed(*texts: str) -> list[Event]:
    return [Event(0.1, What.SCREEN, PROGRAM, data=text.encode()) for text in texts]


def said(size: int) -> list[Event]:
    return [Event(0.1, What.SAID, "server", 1, b"x\r\n", entry=n) for n in range(size)]


def turns(size: int) -> list[Event]:
    pairs = zip(said(2 * size)[::2], heard(*["y\r\n"] * size, actor="server"), strict=True)
    return [event for pair in pairs for event in pair]


#: An exchange of so many lines, a cast, and so many events.
PLAYS: dict[str, Callable[[int], tuple[str, dict[str, Actor], Sequence[Event]]]] = {
    "each line is met": lambda n: ("mail< NOOP\n" * n, SMTP, heard(*["NOOP\r\n"] * n)),
    "a strict actor": lambda n: ("mail< NOOP\n" * n, STRICT, heard(*["NOOP\r\n"] * n)),
    "all comes at once": lambda n: ("mail< NOOP\n" * n, SMTP, heard("NOOP\r\n" * n)),
    "nothing is met": lambda n: ("mail< RSET\n" * n, SMTP, heard(*["NOOP\r\n"] * n)),
    "a long play of few lines": lambda n: ("mail< RSET\n", SMTP, heard(*["NOOP\r\n"] * n)),
    "all of it is forbidden": lambda n: (
        "never:\n  mail< RSET\n" * n,
        SMTP,
        heard(*["NOOP\r\n"] * 20),
    ),
    "the actor speaks": lambda n: ("server> x\n" * n, LINES, said(n)),
    "both speak in turn": lambda n: ("server> x\nserver< y\n" * n, LINES, turns(n)),
    "a stream": lambda n: ("server< y\n" * n, STREAM, heard(*["y"] * n, actor="server")),
    "a stream at once": lambda n: ("server< y\n" * n, STREAM, heard("y" * n, actor="server")),
    "no end": lambda n: ("server< *end\n", STREAM, heard(*["y"] * n, actor="server")),
    "a screen": lambda n: ("user< y\n" * n, USER, printed(*["y\n"] * n)),
    "a screen that says other things": lambda n: ("user< x\n" * n, USER, printed(*["y\n"] * n)),
    "many connections": lambda n: (
        "".join(f"server.{k}< y\n" for k in range(1, n + 1)),
        LINES,
        [Event(0.1, What.HEARD, "server", k, b"y\r\n") for k in range(1, n + 1)],
    ),
    "connections that have ended": lambda n: (
        "".join(f"server.{k}! expect eof\n" for k in range(1, n + 1)),
        LINES,
        [Event(0.1, What.EOF, "server", k) for k in range(1, n + 1)],
    ),
}


def follow(size: int, name: str) -> int:
    exchange, actors, events = PLAYS[name](size)
    parsed, errors = parse_exchange(exchange)
    assert not errors

    def work() -> Any:
        follower = Follower(parsed, actors)
        for event in events:
            follower.receive(event)
            assert follower.due is not None
            assert follower.complete in (True, False)
            assert follower.open_until == 0
        follower.finish(9.0)

    return calls_of(work)


class Counted(str):
    """Text that counts the characters among which something is looked for in it."""

    __slots__ = ()
    searched = 0

    def find(self, sub: str, *place: Any) -> int:
        found = super().find(sub, *place)
        start = place[0] if place else 0
        Counted.searched += (found + len(sub) if found >= 0 else max(len(self), start)) - start
        return found


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("pattern", ["*end", "a*{name}b*end", "*aaab*", "*a*b*c*d*end", "{x}end"])
def test_a_stream_without_line_ends_is_searched_once(pattern: str, *, whole: bool) -> None:
    """However small the chunks are in which it comes."""
    text = "ab" * 1_000
    Counted.searched = 0
    search = Search(parse_pattern(pattern), {}, whole=whole)
    for size in range(1, len(text) + 1):
        assert search.match(Counted(text[:size])) is None
    # the characters at the end that more octets may change, and what may begin the text there
    assert Counted.searched <= 12 * len(text)


@pytest.mark.parametrize("name", PLAYS)
def test_twice_as_much_is_twice_the_work(name: str) -> None:
    follow(10, name)  # what is made once is made
    once, twice = follow(100, name), follow(200, name)
    assert twice < 2.2 * once, (once, twice)

"""One peer on a stage of its own, for tests that are the program."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from harness.model.pieces import WHOLE
from harness.model.record import What
from harness.network import Loopback, Place
from harness.notation import parse_exchange
from harness.peers import Authority, Peer, Setting, make_peer
from harness.record import Recorder

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Coroutine

    from harness.model.exchange import Entry
    from harness.model.record import Event
    from harness.model.scenario import Actor

DEADLINE_S = 5.0
_P = ParamSpec("_P")


@dataclass
class OnStage:
    peer: Peer
    recorder: Recorder
    typed: list[bytes] = field(default_factory=list)
    _index: int = 0

    @property
    def place(self) -> Place:
        facts = self.recorder.record.of(What.STANDS)[0].facts
        return Place(str(facts["host"]), int(facts["port"]))

    def told(self, *whats: What) -> list[bytes]:
        return [event.data for event in self.recorder.record.of(*whats)]

    async def seen(self, what: What, times: int = 1) -> tuple[Event, ...]:
        """The events of a kind, as soon as there are so many."""
        happened = asyncio.Event()
        self.recorder.listen(lambda _event: happened.set())
        async with asyncio.timeout(DEADLINE_S):
            while len(events := self.recorder.record.of(what)) < times:
                happened.clear()
                await happened.wait()
        return events

    async def play(self, line: str, **bound: str) -> None:
        """Have the peer perform an entry, written in the notation."""
        async with asyncio.timeout(DEADLINE_S):
            await self.peer.perform(entry(line), self._index, bound)
        self._index += 1


def entry(line: str) -> Entry:
    exchange, errors = parse_exchange(line)
    assert not errors
    (only,) = exchange.entries()
    return only


@asynccontextmanager
async def staged(
    actor: Actor,
    scenario: str = "",
    authority: Authority | None = None,
    *,
    luck: str = "",
    pieces: str = WHOLE,
) -> AsyncIterator[OnStage]:
    network, recorder = Loopback(), Recorder()
    trust = authority or Authority()
    typed: list[bytes] = []
    setting = Setting(network, recorder, trust, scenario, typed.append, luck, pieces)
    peer = make_peer(actor, setting)
    try:
        await peer.open()
        yield OnStage(peer, recorder, typed)
    finally:
        await peer.close()
        await network.close()
        trust.close()


def in_a_loop(test: Callable[_P, Coroutine[Any, Any, None]]) -> Callable[_P, None]:
    """A test that is a coroutine, run in an event loop of its own."""

    @wraps(test)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class Client:
    """The program's end of a connection, with deadlines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def connect(
        cls, place: Place, tls: ssl.SSLContext | None = None, name: str | None = None
    ) -> Client:
        async with asyncio.timeout(DEADLINE_S):
            return cls(*await asyncio.open_connection(*place, ssl=tls, server_hostname=name))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def line(self) -> str:
        async with asyncio.timeout(DEADLINE_S):
            return (await self._reader.readline()).decode().rstrip("\r\n")

    async def reply(self) -> str:
        """A reply of SMTP, all its lines."""
        lines = [await self.line()]
        while lines[-1][3:4] == "-":
            lines.append(await self.line())
        return "\n".join(lines)

    async def command(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return await self.reply()

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self._reader.readexactly(size)

    async def rest(self) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self._reader.read()

    async def close(self) -> None:
        self.writer.close()
        async with asyncio.timeout(DEADLINE_S):
            await self.writer.wait_closed()

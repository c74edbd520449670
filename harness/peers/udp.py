"""Actors over UDP: one that answers by itself, with faults by ordinal, and a scripted one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from harness.model.exchange import Arrow, Entry
from harness.model.record import What
from harness.peers.peer import HEARD_LIMIT, NotPlayedError, Peer, PeerError, shown_address, spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.model.scenario import Actor
    from harness.network import Place
    from harness.peers.peer import Setting

#: Datagrams that a peer takes from the program before it hears no more.
DATAGRAM_LIMIT = 10_000

_ANSWERS: dict[str, Callable[[bytes], bytes]] = {"echo": bytes, "upper": bytes.upper}
_DIAL_SECONDS = 5.0

Address = tuple[str, int]


class UdpPeer(Peer):
    """Hears datagrams; answers each by itself, or says what the exchange tells it to say.

    Datagrams are counted from 1 in the order in which they are heard; `lose` and `delay`
    go by that ordinal and concern the answer.  A scripted actor answers whoever spoke
    last; one that dials has a socket for each of its numbers.
    """

    def __init__(self, actor: Actor, setting: Setting) -> None:
        super().__init__(actor, setting)
        self._sockets: dict[int, _Datagrams] = {}
        self._heard = self._octets = 0
        self._later: dict[int, asyncio.TimerHandle] = {}
        self._program: Place | None = None

    @property
    def busy(self) -> bool:
        return bool(self._later)

    async def open(self) -> None:
        if self.actor.at is None:
            return
        sock = self._setting.network.listen(*self._address, "udp")
        host, port = sock.getsockname()[:2]
        loop = asyncio.get_running_loop()
        _, self._sockets[1] = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self, 1), sock=sock
        )
        self._stands(host, port)

    def program_listens(self, place: Place) -> None:
        self._program = place

    def hear(self, socket: _Datagrams, data: bytes, source: Address) -> None:
        """Take a datagram that has come to a socket."""
        self._heard += 1
        self._octets += len(data)
        name, number, ordinal = self.actor.name, socket.number, self._heard
        if ordinal > DATAGRAM_LIMIT or self._octets > HEARD_LIMIT:
            note = f"the program sent more than {ordinal - 1} datagrams"
            self._recorder.note(What.BROKEN, name, number, note=note)
            socket.close()
            return
        note = shown_address(source)
        self._recorder.note(What.HEARD, name, number, data, note=note, ordinal=ordinal)
        if answer := _ANSWERS.get(self.actor.answer or ""):
            self._answer(socket, answer(data), source, ordinal)

    def _answer(self, socket: _Datagrams, data: bytes, address: Address, ordinal: int) -> None:
        faults = self.actor.faults
        if ordinal in faults.lose:
            self._recorder.note(What.LOST, self.actor.name, socket.number, data, ordinal=ordinal)
        elif seconds := faults.delay.get(ordinal):
            loop = asyncio.get_running_loop()
            late = (socket, data, address, ordinal)
            self._later[ordinal] = loop.call_later(seconds, self._answer_late, *late)
        else:
            self._send(socket, data, address)

    def _answer_late(self, socket: _Datagrams, data: bytes, address: Address, ordinal: int) -> None:
        del self._later[ordinal]
        self._send(socket, data, address)

    def _send(
        self, socket: _Datagrams, data: bytes, address: Address, entry: int | None = None
    ) -> None:
        note = shown_address(address)
        name, number = self.actor.name, socket.number
        self._recorder.note(What.SAID, name, number, data, note=note, entry=entry)
        socket.send(data, address)

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        number = entry.connection or 1
        if entry.arrow is not Arrow.SAYS:
            await super().perform(entry, index, bound)
        data = spoken(entry.text, bound) + self.actor.eol.spoken
        if self.actor.to is not None:
            await self._dial(number)
        socket = self._sockets.get(number)
        if socket is None:
            raise NotPlayedError(f"{self.actor.name} has no connection {number} over UDP")
        if socket.partner is None:
            raise PeerError("no datagram has come that could be answered")
        self._send(socket, data, socket.partner, index)

    async def _dial(self, number: int) -> None:
        if number in self._sockets:
            return
        if self._program is None:
            raise PeerError("the program listens nowhere")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DIAL_SECONDS
        sock = await self._setting.network.dial(self._program, "udp", deadline=deadline)
        _, self._sockets[number] = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self, number, self._program), sock=sock
        )

    def unreachable(self, socket: _Datagrams) -> None:
        """A datagram was sent back: nobody is where the program should be (RFC 1122 4.1.3.1)."""
        note = "the program's port is unreachable"
        self._recorder.note(What.BROKEN, self.actor.name, socket.number, note=note)

    async def close(self) -> None:
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()
        for socket in self._sockets.values():
            socket.close()


class _Datagrams(asyncio.DatagramProtocol):
    """One socket of a peer; `partner` is who is spoken to: who spoke last, or the program."""

    def __init__(self, peer: UdpPeer, number: int, program: Place | None = None) -> None:
        self.number = number
        self.partner: Address | None = program
        self._peer = peer
        self._connected = program is not None
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.partner = addr
        self._peer.hear(self, data, addr)

    def error_received(self, exc: Exception) -> None:
        if self._connected and isinstance(exc, ConnectionRefusedError):
            self._peer.unreachable(self)

    def send(self, data: bytes, address: Address) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.sendto(data, None if self._connected else address)

    def close(self) -> None:
        if self._transport:
            self._transport.abort()

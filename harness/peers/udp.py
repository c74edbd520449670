"""Actors over UDP: one that answers by itself, with faults by ordinal, and a scripted one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.model.exchange import Arrow, Entry
from harness.model.record import What
from harness.peers.peer import Peer, PeerError, shown_address, spoken

if TYPE_CHECKING:
    import socket
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
    go by that ordinal and concern the answer.  A scripted actor answers whoever spoke last,
    or dials the program.
    """

    def __init__(self, actor: Actor, setting: Setting) -> None:
        super().__init__(actor, setting)
        self._transport: asyncio.DatagramTransport | None = None
        self._partner: Address | None = None  # who is spoken to
        self._heard = self._octets = 0
        self._later: dict[int, asyncio.TimerHandle] = {}
        self._program: Place | None = None

    @property
    def busy(self) -> bool:
        return bool(self._later)

    async def open(self) -> None:
        if self.actor.at is not None:
            sock = self._setting.network.listen(*self._address, "udp")
            host, port = sock.getsockname()[:2]
            await self._use(sock)
            self._stands(host, port)

    async def _use(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(self), sock=sock)

    def program_listens(self, place: Place) -> None:
        self._program = place

    def _note(self, what: What, data: bytes = b"", *, note: str = "", **facts: int) -> None:
        self._recorder.note(what, self.actor.name, 1, data, note=note, entry=None, **facts)

    def hear(self, data: bytes, source: Address) -> None:
        """Take a datagram."""
        self._heard += 1
        self._octets += len(data)
        if self._heard > DATAGRAM_LIMIT or self._octets > self.heard_limit:
            self._note(What.BROKEN, note=f"the program sent more than {self._heard - 1} datagrams")
            self._hang_up()
            return
        self._partner = source
        self._note(What.HEARD, data, note=shown_address(source), ordinal=self._heard)
        if answer := _ANSWERS.get(self.actor.answer or ""):
            self._answer(answer(data), source, self._heard)

    def _answer(self, data: bytes, address: Address, ordinal: int) -> None:
        faults = self.actor.faults
        if ordinal in faults.lose:
            self._note(What.LOST, data, ordinal=ordinal)
        elif seconds := faults.delay.get(ordinal):
            loop = asyncio.get_running_loop()
            late = loop.call_later(seconds, self._answer_late, data, address, ordinal)
            self._later[ordinal] = late
        else:
            self._send(data, address)

    def _answer_late(self, data: bytes, address: Address, ordinal: int) -> None:
        del self._later[ordinal]
        self._send(data, address)

    def _send(self, data: bytes, address: Address, entry: int | None = None) -> None:
        if self._transport:
            note = shown_address(address)
            self._recorder.note(What.SAID, self.actor.name, 1, data, note=note, entry=entry)
            self._transport.sendto(data, None if self.actor.to else address)

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        if entry.arrow is not Arrow.SAYS:
            await super().perform(entry, index, bound)
        data = spoken(entry.text, bound) + self.actor.eol.spoken
        if self.actor.to is not None and self._transport is None:
            await self._dial()
        if self._partner is None:
            raise PeerError("no datagram has come that could be answered")
        self._send(data, self._partner, index)

    async def _dial(self) -> None:
        if self._program is None:
            raise PeerError("the program listens nowhere")
        deadline = asyncio.get_running_loop().time() + _DIAL_SECONDS
        await self._use(await self._setting.network.dial(self._program, "udp", deadline=deadline))
        self._partner = self._program

    def refused(self) -> None:
        """A datagram came back: nobody is where it was sent (RFC 1122 4.1.3.1)."""
        if self.actor.to is not None:  # else it went to a client that has ended meanwhile
            self._note(What.BROKEN, note="the program's port is unreachable")

    async def close(self) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()
        transport, self._transport = self._transport, None
        if transport:
            transport.abort()


class _Ear(asyncio.DatagramProtocol):
    """The socket of a peer."""

    def __init__(self, peer: UdpPeer) -> None:
        self._peer = peer

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._peer.hear(data, addr)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, ConnectionRefusedError):
            self._peer.refused()

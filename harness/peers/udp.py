"""Actors over UDP: one that answers by itself and a scripted one, on ways with faults."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model.exchange import Arrow, Entry
from harness.model.record import What
from harness.peers.peer import Peer, PeerError, shown_address, spoken
from harness.peers.way import Way

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from harness.model.scenario import Actor
    from harness.network import Place
    from harness.peers.peer import Setting
    from harness.peers.way import Mishap, Parcel

#: Datagrams that a peer takes from the program before it hears no more.
DATAGRAM_LIMIT = 10_000

_ANSWERS: dict[str, Callable[[bytes], bytes]] = {"echo": bytes, "upper": bytes.upper}
_DIAL_SECONDS = 5.0
_WAYS = {"answer": "answer", "heard": "datagram"}

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whose datagram it is, or for whom; and the entry that asked for it."""

    address: Address
    entry: int | None = None


class UdpPeer(Peer):
    """Hears datagrams; answers each by itself, or says what the exchange tells it to say.

    Datagrams are counted from 1, on each of the two ways apart: as they arrive, and as they
    are said.  A scripted actor answers whoever spoke last, or dials the program.
    """

    def __init__(self, actor: Actor, setting: Setting) -> None:
        super().__init__(actor, setting)
        self._transport: asyncio.DatagramTransport | None = None
        self._sock: socket.socket  # of the transport
        self._stranger: socket.socket | None = None  # speaks from another port
        self._partner: Address | None = None  # who is spoken to
        self._arrived = self._octets = self._heard = 0
        luck = f"{setting.luck}/{actor.name}"
        self._there: Way[Ticket] = Way(actor.faults, f"{luck}/answer")
        self._here: Way[Ticket] = Way(actor.faults_heard, f"{luck}/heard")
        self._later: set[asyncio.TimerHandle] = set()
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
            if self.actor.faults.foreign.hits_any:
                self._stranger = self._setting.network.listen(self._address[0], 0, "udp")

    async def _use(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._sock = sock
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(self), sock=sock)

    def program_listens(self, place: Place) -> None:
        self._program = place

    def _note(
        self,
        what: What,
        data: bytes = b"",
        *,
        note: str = "",
        entry: int | None = None,
        **facts: str | int,
    ) -> None:
        self._recorder.note(what, self.actor.name, 1, data, note=note, entry=entry, **facts)

    # -- the way here -----------------------------------------------------------------

    def arrive(self, data: bytes, source: Address) -> None:
        """Take a datagram from the socket."""
        self._arrived += 1
        self._octets += len(data)
        if self._arrived > DATAGRAM_LIMIT or self._octets > self.heard_limit:
            limit = self._arrived - 1
            self._note(What.BROKEN, note=f"the program sent more than {limit} datagrams")
            self._hang_up()
            return
        passage = self._here.take(data, Ticket(source))
        for mishap in passage.mishaps:
            self._tell(mishap, data, "heard")
        for parcel in passage.parcels:
            self._in_time(parcel, self._hear)

    def _hear(self, parcel: Parcel[Ticket]) -> None:
        for _ in range(parcel.copies):
            self._heard += 1
            self._partner = source = parcel.ticket.address
            self._note(What.HEARD, parcel.data, note=shown_address(source), ordinal=self._heard)
            if (answer := self._answer_to(parcel.data, source)) is not None:
                self._say(answer, Ticket(source))

    def _answer_to(self, data: bytes, source: Address) -> bytes | None:  # noqa: ARG002 - for ICMP
        answer = _ANSWERS.get(self.actor.answer or "")
        return answer(data) if answer else None

    # -- the way there ----------------------------------------------------------------

    def _say(self, data: bytes, ticket: Ticket) -> None:
        passage = self._there.take(data, ticket)
        for mishap in passage.mishaps:
            self._tell(mishap, data, "answer", ticket.entry)
        for parcel in passage.parcels:
            self._in_time(parcel, self._send)

    def _send(self, parcel: Parcel[Ticket]) -> None:
        address, entry = parcel.ticket.address, parcel.ticket.entry
        for _ in range(parcel.copies):
            if not self._open:
                return
            self._note(What.SAID, parcel.data, note=shown_address(address), entry=entry)
            try:
                self._emit(parcel.data, address, foreign=parcel.foreign)
            except OSError as error:
                self.came_back(error)

    @property
    def _open(self) -> bool:
        return self._transport is not None

    def _emit(self, data: bytes, address: Address, *, foreign: bool) -> None:
        """Send it past asyncio, whose `sendto` drops a datagram without octets."""
        sock = self._stranger if foreign and self._stranger else self._sock
        if self.actor.to:  # the socket is connected
            sock.send(data)
        else:
            sock.sendto(data, address)

    # -- faults -----------------------------------------------------------------------

    def _tell(self, mishap: Mishap, data: bytes, way: str, entry: int | None = None) -> None:
        """Record a fault; with it, an actor has done what its entry asks."""
        words = f"{_WAYS[way]} {mishap.ordinal} {mishap.words}"
        where: dict[str, str | int] = {"way": way, "ordinal": mishap.ordinal}
        facts = {"fault": mishap.fault, **where, **mishap.facts}
        self._note(What.FAULT, data, note=words, entry=entry, **facts)

    def _in_time(self, parcel: Parcel[Ticket], deliver: Callable[[Parcel[Ticket]], None]) -> None:
        if not parcel.delay:
            deliver(parcel)
            return

        def late() -> None:
            self._later.discard(timer)
            deliver(parcel)

        timer = asyncio.get_running_loop().call_later(parcel.delay, late)
        self._later.add(timer)

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        if entry.arrow is not Arrow.SAYS:
            await super().perform(entry, index, bound)
        data = spoken(entry.text, bound) + self.actor.eol.spoken
        if self.actor.to is not None and self._transport is None:
            await self._dial()
        if self._partner is None:
            raise PeerError("no datagram has come that could be answered")
        self._say(data, Ticket(self._partner, index))

    async def _dial(self) -> None:
        if self._program is None:
            raise PeerError("the program listens nowhere")
        deadline = asyncio.get_running_loop().time() + _DIAL_SECONDS
        await self._use(await self._setting.network.dial(self._program, "udp", deadline=deadline))
        self._partner = self._program

    def came_back(self, error: Exception) -> None:
        """A datagram came back, as from where nobody is (RFC 1122 4.1.3.1)."""
        refused = isinstance(error, ConnectionRefusedError)
        if refused and self.actor.to is not None:  # else to a client that has ended meanwhile
            self._note(What.BROKEN, note="the program's port is unreachable")

    async def close(self) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        for timer in self._later:
            timer.cancel()
        self._later.clear()
        transport, self._transport = self._transport, None
        if transport:
            transport.abort()
        if self._stranger:
            self._stranger.close()


class _Ear(asyncio.DatagramProtocol):
    """The socket of a peer."""

    def __init__(self, peer: UdpPeer) -> None:
        self._peer = peer

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._peer.arrive(data, addr)

    def error_received(self, exc: Exception) -> None:
        self._peer.came_back(exc)

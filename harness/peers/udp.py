"""Actors over UDP: one that answers by itself, with faults by ordinal, and a scripted one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from harness.model.exchange import Arrow, Entry
from harness.model.record import What
from harness.peers.peer import Peer, PeerError, spoken
from harness.peers.tcp import shown_address, split_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.model.scenario import Actor
    from harness.network import Network
    from harness.record import Recorder

_ANSWERS: dict[str, Callable[[bytes], bytes]] = {"echo": bytes, "upper": bytes.upper}


class UdpPeer(Peer, asyncio.DatagramProtocol):
    """Hears datagrams; answers each by itself, or says what the exchange tells it to say.

    Datagrams are counted from 1 in the order in which they are heard; `lose` and `delay`
    go by that ordinal and concern the answer.
    """

    def __init__(self, actor: Actor, recorder: Recorder, network: Network) -> None:
        super().__init__(actor, recorder)
        self._network = network
        self._transport: asyncio.DatagramTransport | None = None
        self._heard = 0
        self._source: tuple[str, int] | None = None
        self._later: set[asyncio.TimerHandle] = set()

    async def open(self) -> None:
        sock = self._network.listen(*split_address(self.actor.at or "0"), "udp")
        address = sock.getsockname()
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=sock)
        self._stands(address[0], address[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._heard += 1
        self._source = addr
        note = shown_address(addr)
        self._recorder.note(What.HEARD, self.actor.name, 1, data, note=note, ordinal=self._heard)
        answer = _ANSWERS.get(self.actor.answer or "")
        if answer:
            self._answer(answer(data), addr, self._heard)

    def _answer(self, data: bytes, address: tuple[str, int], ordinal: int) -> None:
        faults = self.actor.faults
        if ordinal in faults.lose:
            self._recorder.note(What.LOST, self.actor.name, 1, data, ordinal=ordinal)
        elif seconds := faults.delay.get(ordinal):
            loop = asyncio.get_running_loop()
            self._later.add(loop.call_later(seconds, self._send, data, address))
        else:
            self._send(data, address)

    def _send(self, data: bytes, address: tuple[str, int], entry: int | None = None) -> None:
        if self._transport and not self._transport.is_closing():
            note = shown_address(address)
            self._recorder.note(What.SAID, self.actor.name, 1, data, note=note, entry=entry)
            self._transport.sendto(data, address)

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        if entry.arrow is not Arrow.SAYS:
            name = entry.act.name if entry.act else ""
            raise PeerError(f"`{name}` is not played by a udp actor")
        if self._source is None:
            raise PeerError("no datagram has come that could be answered")
        self._send(spoken(entry.text, bound) + self.actor.eol.spoken, self._source, index)

    async def close(self) -> None:
        for timer in self._later:
            timer.cancel()
        if self._transport:
            self._transport.close()

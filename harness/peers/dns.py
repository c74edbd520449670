"""The actor that answers for names (RFC 1035), at the address that programs' resolvers ask."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

from harness.errors import MachineError
from harness.model.record import What
from harness.peers.peer import Peer, shown_address
from harness.peers.udp import DATAGRAM_LIMIT, Address

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from harness.model.scenario import Actor
    from harness.network import Place, Transport
    from harness.peers.names import Answer
    from harness.peers.peer import Setting

_LARGEST = 65_535  # octets of a datagram
_LENGTH = 2  # octets, in front of each message over TCP (RFC 1035 4.2.2)


class DnsPeer(Peer):
    """Answers for every name that an actor has, and for those that the scenario declares.

    Over UDP and TCP alike; each message is one event, over TCP without its length.  What is
    known of names is looked up anew for every question: actors may get theirs while others
    ask already.
    """

    def __init__(self, actor: Actor, setting: Setting) -> None:
        super().__init__(actor, setting)
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._transports: set[asyncio.Transport] = set()
        self._accepting: set[asyncio.Task[object]] = set()
        self._heard = 0

    async def open(self) -> None:
        place = self._setting.network.resolver
        if place is None:
            raise MachineError(f"nobody asks for names on the rung {self._setting.network.rung}")
        # no transport and no server of asyncio: they cost more than most plays ask of names
        datagrams = self._listen(place, "udp", self._read)
        self._listen(place, "tcp", self._accept)
        host, port = datagrams.getsockname()[:2]
        self._recorder.note(What.STANDS, self.actor.name, host=host, port=port)

    def _listen(
        self, place: Place, transport: Transport, come: Callable[[socket.socket], None]
    ) -> socket.socket:
        sock = self._setting.network.listen(*place, transport)
        sock.setblocking(False)
        self._sockets.append(sock)
        self._loop.add_reader(sock.fileno(), come, sock)
        return sock

    def _read(self, datagrams: socket.socket) -> None:
        try:
            data, source = datagrams.recvfrom(_LARGEST)
        except OSError:  # a false alarm
            return
        reply = self.hear(data, source, tcp=False)
        if reply is not None:
            with contextlib.suppress(OSError):  # the program will ask again
                datagrams.sendto(reply, source)

    def _accept(self, streams: socket.socket) -> None:
        with contextlib.suppress(OSError):  # whoever came is gone
            connection, _ = streams.accept()
            task = self._loop.create_task(
                self._loop.connect_accepted_socket(lambda: _Stream(self), connection)
            )
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    def came(self, transport: asyncio.Transport) -> None:
        """Remember what is to be closed."""
        self._transports.add(transport)

    def went(self, transport: asyncio.Transport) -> None:
        """Forget what is closed."""
        self._transports.discard(transport)

    def hear(self, data: bytes, source: Address, *, tcp: bool) -> bytes | None:
        """Take a message, and return the answer to it."""
        self._heard += 1
        if self._heard > DATAGRAM_LIMIT:
            self._lose_patience()
            return None
        note = shown_address(source)
        self._note(What.HEARD, data, note)
        known = self._answer(data, tcp=tcp)
        if known is None:
            return None
        self._note(What.SAID, known.wire, note, **known.facts)
        return known.wire

    def _lose_patience(self) -> None:
        if self._heard == DATAGRAM_LIMIT + 1:
            self._note(What.BROKEN, b"", f"the program asked more than {DATAGRAM_LIMIT} times")
            self._hang_up()

    def _note(self, what: What, data: bytes, note: str, **facts: str) -> None:
        self._recorder.note(what, self.actor.name, 1, data, note=note, entry=None, **facts)

    def _answer(self, data: bytes, *, tcp: bool) -> Answer | None:
        from harness.peers import names  # noqa: PLC0415 - 80 ms, for plays in which somebody asks

        network = self._setting.network
        assert network.resolver is not None  # noqa: S101 - it could be opened
        try:
            table = names.table_of(self._setting.names, network.names, network.resolver.host)
            return names.answer(data, table, tcp=tcp)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program did not do it
            note = f"{self.actor.name} failed: {type(error).__name__}: {error}"
            self._recorder.note(What.BROKEN, self.actor.name, 1, note=note, ours=1)
            return None

    async def close(self) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._sockets.clear()
        for task in self._accepting:
            task.cancel()
        for transport in self._transports:
            transport.abort()
        self._transports.clear()


class _Stream(asyncio.Protocol):
    """One connection: messages with their length in front, any number of them (RFC 7766 6.2)."""

    def __init__(self, peer: DnsPeer) -> None:
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._peer.came(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (message := self._next()) is not None:
            self._reply(message)

    def _next(self) -> bytes | None:
        end = _LENGTH + int.from_bytes(self._buffer[:_LENGTH], "big")
        if len(self._buffer) < max(end, _LENGTH):
            return None
        message = bytes(self._buffer[_LENGTH:end])
        del self._buffer[:end]
        return message

    def _reply(self, message: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - something came on it
        source = self._transport.get_extra_info("peername")
        reply = self._peer.hear(message, source, tcp=True)
        if reply is not None:
            self._transport.write(len(reply).to_bytes(_LENGTH, "big") + reply)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the program's affair
        if self._transport:
            self._peer.went(self._transport)

"""Actors over TCP: connections that record themselves, and the scripted actor."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

from harness.model.exchange import Arrow, Entry
from harness.model.pieces import WHOLE
from harness.model.record import What
from harness.model.scenario import Certificate, Tls
from harness.network import Place
from harness.peers.handshake import encrypt
from harness.peers.pacing import PacedTransport
from harness.peers.peer import NotPlayedError, Peer, PeerError, spoken
from harness.peers.witness import Witness

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from harness.model.scenario import Actor
    from harness.network import LostSegments, Way
    from harness.peers.peer import Setting

_DIAL_SECONDS = 5.0
_CLOSE_SECONDS = 1.0


class StreamPeer(Peer):
    """An actor over TCP that listens; subclasses say what protocol a connection gets."""

    def __init__(self, actor: Actor, setting: Setting) -> None:
        super().__init__(actor, setting)
        self._server: asyncio.Server | None = None
        self._witnesses: list[Witness] = []
        self._losses: dict[Way, LostSegments] = {}

    async def open(self) -> None:
        sock = self._setting.network.listen(*self._address, "tcp")
        host, port = sock.getsockname()[:2]
        try:
            self._lose_segments(Place(host, port))
        except BaseException:
            sock.close()
            raise
        loop = asyncio.get_running_loop()
        # made before anything is awaited: whoever breaks off here must find it to close it
        self._server = await loop.create_server(lambda: _Door(self), sock=sock, start_serving=False)
        await self._server.start_serving()
        self._stands(host, port)

    def _lose_segments(self, place: Place, visitor: str = "") -> None:
        """See `Network.lose_segments`."""
        ways: dict[Way, tuple[int, ...]] = {
            "answer": self.actor.lost_segments,
            "heard": self.actor.lost_segments_heard,
        }
        for way, ordinals in ways.items():
            if ordinals:
                losing = self._setting.network.lose_segments(place, way, ordinals, visitor)
                self._losses[way] = losing

    def new_witness(self) -> Witness:
        """The witness of the next connection."""
        self._witnesses.append(Witness(self, len(self._witnesses) + 1, self._recorder))
        return self._witnesses[-1]

    def new_protocol(self, witness: Witness) -> asyncio.Protocol:
        """What speaks on a connection; it reports to the witness."""
        raise NotImplementedError

    def paced(self, transport: asyncio.Transport, witness: Witness) -> asyncio.Transport:
        """The transport over which a protocol speaks: in pieces, if the play is one of those."""
        if self._setting.pieces == WHOLE:
            return transport
        setting = self._setting
        witness.paced = PacedTransport(transport, witness, setting.pieces, setting.network)
        return witness.paced

    @property
    def busy(self) -> bool:
        return any(w.will_speak or (w.paced and w.paced.busy) for w in self._witnesses)

    def context(self) -> ssl.SSLContext:
        """The TLS context for the name at which the actor stands, and loopback's addresses.

        For an actor that dials it is one that takes every certificate: the program has its own.
        """
        authority = self._setting.authority
        if self.actor.to is not None:
            return authority.client_context()
        host, _ = self._address
        names = (host, "127.0.0.1", "::1", "localhost")
        return authority.context(*names, certificate=self.actor.certificate)

    def leave(self, connection: int) -> None:
        for witness in self._witnesses[connection - 1 : connection]:
            witness.leave()

    def sum_up(self) -> None:
        for way, losing in self._losses.items():
            whence = "from" if way == "heard" else "to"
            for ordinal, octets in losing.dropped().items():
                self._recorder.note(
                    What.FAULT,
                    self.actor.name,
                    note=f"data segment {ordinal} {whence} the program lost",
                    fault="segment",
                    way=way,
                    ordinal=ordinal,
                    octets=octets,
                )

    async def close(self) -> None:
        for losing in self._losses.values():
            losing.close()
        if self._server:
            self._server.close()
        live = [gone for witness in self._witnesses if (gone := witness.abort())]
        if live:
            await asyncio.wait(live, timeout=_CLOSE_SECONDS)


class _Door(asyncio.Protocol):
    """Takes a connection, encrypts it if the actor does so at once, and hands it to its protocol.

    The connection is recorded before the TLS handshake, so that a failed one is seen too.
    """

    def __init__(self, peer: StreamPeer) -> None:
        self._peer = peer
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        witness = self._peer.new_witness()
        witness.opened(transport)
        protocol = self._peer.new_protocol(witness)
        if self._peer.actor.tls is Tls.IMPLICIT:
            transport.pause_reading()
            encrypting = self._encrypt(transport, protocol, witness)
            self._task = asyncio.get_running_loop().create_task(encrypting)
        else:
            transport.set_protocol(protocol)
            protocol.connection_made(self._peer.paced(transport, witness))

    async def _encrypt(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, witness: Witness
    ) -> None:
        try:
            await encrypt(transport, protocol, witness, self._peer)
        except PeerError:
            pass  # the witness has told of it
        except Exception as error:  # noqa: BLE001 - whatever it is, the program did not do it
            witness.failed(error)
            witness.lost(None)
            transport.abort()


def act_on(transport: asyncio.Transport, witness: Witness, act: str) -> None:
    """Close, half-close, reset or stall a connection (`harness.model.instead.ACTS`)."""
    if act == "close":
        transport.close()
    elif act == "half-close":
        transport.write_eof()
    elif act == "reset":
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    elif act == "stall":
        transport.pause_reading()
        witness.stalled()


class Connection(asyncio.Protocol):
    """One connection that hears, and says what it is told to say."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._witness.heard(data):
            self.close()

    def eof_received(self) -> bool:
        self._witness.ended()
        return not self._encrypted  # over TLS a half-closed connection cannot be kept

    def connection_lost(self, exc: Exception | None) -> None:
        self._witness.lost(exc)

    @property
    def _encrypted(self) -> bool:
        return bool(self._transport and self._transport.get_extra_info("sslcontext"))

    @property
    def _open(self) -> asyncio.Transport:
        if self._transport is None or self._transport.is_closing():
            raise PeerError("the connection is closed")
        return self._transport

    def say(self, data: bytes, entry: int | None = None) -> None:
        """Send bytes to the program.

        Raises:
            PeerError: if the connection is gone.
        """
        if self._open:
            self._witness.say(data, entry)

    def hold(self) -> None:
        """Read nothing more in clear: what comes next is a TLS handshake."""
        if self._transport:
            self._transport.pause_reading()

    async def encrypt(self, peer: StreamPeer) -> None:
        """Go on over TLS.

        Raises:
            PeerError: if the connection is gone, or the handshake fails.
        """
        self._open.pause_reading()
        await encrypt(self._witness.below, self, self._witness, peer)

    def half_close(self) -> None:
        """Send FIN and go on hearing.

        Raises:
            PeerError: if the connection is gone.
            NotPlayedError: over TLS.
        """
        if not self._open.can_write_eof():
            raise NotPlayedError("`half-close` cannot be played over TLS")
        act_on(self._open, self._witness, "half-close")

    def stall(self) -> None:
        """Read and speak no more; the connection stays open, and its buffers fill up.

        Raises:
            PeerError: if the connection is gone.
        """
        act_on(self._open, self._witness, "stall")

    def close(self) -> None:
        """Close, if it is not closed yet."""
        if self._transport:
            self._transport.close()

    def reset(self) -> None:
        """Send RST (RFC 9293 3.10.4), by a linger time of 0.

        Raises:
            PeerError: if the connection is gone.
        """
        act_on(self._open, self._witness, "reset")


class ScriptedPeer(StreamPeer):
    """An actor whose every word stands in the exchange; it listens, or dials the program."""

    heard_limit = 2**20  # all of it is held against the patterns of the exchange

    def __init__(self, actor: Actor, setting: Setting) -> None:
        super().__init__(actor, setting)
        self._connections: dict[int, Connection] = {}
        self._arrived = asyncio.Event()
        self._program: Place | None = None
        self._visitor = ""  # the address from which it dials, if that matters

    async def open(self) -> None:
        if self.actor.at is not None:
            await super().open()

    def program_listens(self, place: Place) -> None:
        self._program = place

    def new_protocol(self, witness: Witness) -> Connection:
        return _ScriptedConnection(witness, self)

    def arrive(self, number: int, connection: Connection) -> None:
        """A connection can be spoken on from now on."""
        self._connections[number] = connection
        self._arrived.set()

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        number = entry.connection or 1
        if entry.arrow is Arrow.SAYS:
            message = self.message(entry, bound)
            connection = await self._connection(number)
            if index in self._setting.before_tls:
                connection.hold()
            connection.say(message, index)
            return
        connection = await self._connection(number)
        if entry.act and entry.act.name == "starttls":
            await self._encrypt(connection)
        else:
            self._act(connection, entry)
        self._acted(index, number)

    async def _encrypt(self, connection: Connection) -> None:
        try:
            await connection.encrypt(self)
        except PeerError:
            if self.actor.certificate is Certificate.GOOD:
                raise  # else the program is right to break it off

    def message(self, entry: Entry, bound: Mapping[str, str]) -> bytes:
        """The bytes of an entry: its text, with the actor's line end."""
        return spoken(entry.text, bound) + self.actor.eol.spoken

    def _act(self, connection: Connection, entry: Entry) -> None:
        name = entry.act.name if entry.act else ""
        if name == "close":
            connection.close()
        elif name == "half-close":
            connection.half_close()
        elif name == "reset":
            connection.reset()
        elif name == "stall":
            connection.stall()
        elif name not in ("accept", "connect"):
            raise NotPlayedError(f"`{name}` is not played by {self._kind}")

    async def _connection(self, number: int) -> Connection:
        while self.actor.to is not None and len(self._witnesses) < number:
            await self._dial()
        while number not in self._connections:
            self._arrived.clear()
            await self._arrived.wait()
        return self._connections[number]

    async def _dial(self) -> None:
        if self._program is None:
            raise PeerError("the program listens nowhere")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DIAL_SECONDS
        network, losing = self._setting.network, self.actor.loses_segments
        if losing and not self._visitor:
            self._visitor = network.visitor(self._program)
            self._lose_segments(self._program, self._visitor)
        try:
            sock = await network.dial(self._program, "tcp", deadline=deadline, source=self._visitor)
        except OSError as error:
            reason = error.strerror or "no answer"
            raise PeerError(f"cannot connect to {self._program}: {reason.lower()}") from error
        await loop.create_connection(lambda: _Door(self), sock=sock)


class _ScriptedConnection(Connection):
    """Tells its peer when it can be spoken on: over TLS that is after the handshake."""

    def __init__(self, witness: Witness, peer: ScriptedPeer) -> None:
        super().__init__(witness)
        self._peer = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._peer.arrive(self._witness.number, self)

"""Actors over TCP: connections that record themselves, scripted ones first of all."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from typing import TYPE_CHECKING, cast

from harness.model.exchange import Arrow, Entry
from harness.model.record import What
from harness.model.scenario import Tls
from harness.model.template import Template
from harness.peers.peer import HEARD_LIMIT, Peer, PeerError, spoken

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from harness.model.scenario import Actor
    from harness.network import Network, Place
    from harness.peers.tls import Authority
    from harness.record import Recorder

_DIAL_SECONDS = 5.0
_RESETS = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)


def shown_address(address: object) -> str:
    """`host:port` of what `getpeername` gave."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = str(address[0]), address[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ""


class Witness:
    """Tells the recorder what passes on one connection, and counts it.

    A mix-in for asyncio protocols, our own and those of libraries.
    """

    def __init__(self, name: str, number: int, recorder: Recorder) -> None:
        self._name = name
        self._recorder = recorder
        self._heard = 0
        self._ended = False
        self.number = number

    def opened(self, peer: object) -> None:
        self._recorder.note(What.OPENED, self._name, self.number, note=shown_address(peer))

    def heard(self, data: bytes) -> bool:
        """Record bytes of the program; False once it has sent more than anyone may."""
        self._heard += len(data)
        if self._heard > HEARD_LIMIT:
            note = f"more than {HEARD_LIMIT} octets came"
            self._recorder.note(What.BROKEN, self._name, self.number, note=note)
            return False
        self._recorder.note(What.HEARD, self._name, self.number, data)
        return True

    def said(self, data: bytes, entry: int | None = None) -> None:
        self._recorder.note(What.SAID, self._name, self.number, data, entry=entry)

    def ended(self) -> None:
        """The program sent FIN."""
        if not self._ended:
            self._ended = True
            self._recorder.note(What.EOF, self._name, self.number)

    def lost(self, error: Exception | None) -> None:
        """The connection is gone: reset by the program, or closed by us."""
        if self._ended:
            return
        self._ended = True
        reset = isinstance(error, OSError) and error.errno in _RESETS
        self._recorder.note(What.RESET if reset else What.LEFT, self._name, self.number)


class Connection(asyncio.Protocol):
    """One scripted connection: it hears, and says what it is told to say."""

    def __init__(self, witness: Witness, gone: Callable[[int], None] | None = None) -> None:
        self.witness = witness
        self._gone = gone
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self.witness.heard(data):
            self.close()

    def eof_received(self) -> bool:
        self.witness.ended()
        # over TLS a half-closed connection cannot be kept
        return self._transport is not None and not self._transport.get_extra_info("sslcontext")

    def connection_lost(self, exc: Exception | None) -> None:
        self.witness.lost(exc)
        if self._gone:
            self._gone(self.witness.number)

    def say(self, data: bytes, entry: int | None = None) -> None:
        """Send bytes to the program.

        Raises:
            PeerError: if the connection is gone.
        """
        if self._transport is None or self._transport.is_closing():
            raise PeerError("the connection is closed")
        self.witness.said(data, entry)
        self._transport.write(data)

    def half_close(self) -> None:
        if self._transport and self._transport.can_write_eof():
            self._transport.write_eof()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def reset(self) -> None:
        """Send RST (RFC 9293 3.10.4), by a linger time of 0."""
        if self._transport:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


class _Door(asyncio.Protocol):
    """Takes a connection, encrypts it if the actor does, and hands it to its protocol.

    The connection is recorded before the TLS handshake, so that a failed one is seen too.
    """

    def __init__(self, peer: StreamPeer) -> None:
        self._peer = peer
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        witness = self._peer.new_witness()
        witness.opened(transport.get_extra_info("peername"))
        protocol = self._peer.new_protocol(witness)
        if self._peer.actor.tls is Tls.IMPLICIT:
            transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(
                self._encrypt(transport, protocol, witness)
            )
        else:
            transport.set_protocol(protocol)
            protocol.connection_made(transport)

    async def _encrypt(
        self, transport: asyncio.Transport, protocol: asyncio.BaseProtocol, witness: Witness
    ) -> None:
        import ssl  # noqa: PLC0415 - only for actors that encrypt

        loop = asyncio.get_running_loop()
        try:
            encrypted = await loop.start_tls(
                transport, protocol, self._peer.context(), server_side=True
            )
        except (OSError, ssl.SSLError) as error:
            self._peer.broken(witness.number, f"the TLS handshake failed: {_tls_reason(error)}")
            witness.lost(error)
            transport.abort()
            return
        if encrypted is not None:
            protocol.connection_made(encrypted)


def _tls_reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or str(error) or "the program closed"
    return str(reason).replace("_", " ").lower()


class StreamPeer(Peer):
    """An actor over TCP that listens; subclasses say what protocol a connection gets."""

    def __init__(
        self, actor: Actor, recorder: Recorder, network: Network, authority: Authority
    ) -> None:
        super().__init__(actor, recorder)
        self._network = network
        self._authority = authority
        self._server: asyncio.Server | None = None
        self._host = ""
        self._count = 0
        self._live: set[asyncio.BaseProtocol] = set()

    async def open(self) -> None:
        host, port = split_address(self.actor.at or "0")
        sock = self._network.listen(host, port, "tcp")
        self._host = host
        address = sock.getsockname()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Door(self), sock=sock)
        self._stands(address[0], address[1])

    def new_witness(self) -> Witness:
        self._count += 1
        return Witness(self.actor.name, self._count, self._recorder)

    def new_protocol(self, witness: Witness) -> asyncio.Protocol:
        raise NotImplementedError

    def context(self) -> ssl.SSLContext:
        """The TLS context for the name at which the actor stands, and loopback's addresses."""
        return self._authority.context(self._host, "127.0.0.1", "::1", "localhost")

    def broken(self, connection: int, reason: str) -> None:
        self._recorder.note(What.BROKEN, self.actor.name, connection, note=reason)

    async def close(self) -> None:
        if self._server:
            self._server.close()


class ScriptedPeer(StreamPeer):
    """An actor whose every word stands in the exchange; it listens, or dials the program."""

    def __init__(
        self, actor: Actor, recorder: Recorder, network: Network, authority: Authority
    ) -> None:
        super().__init__(actor, recorder, network, authority)
        self._connections: dict[int, Connection] = {}
        self._arrived = asyncio.Condition()
        self._program: Place | None = None

    async def open(self) -> None:
        if self.actor.at is not None:
            await super().open()

    def program_listens(self, place: Place) -> None:
        self._program = place

    def new_protocol(self, witness: Witness) -> Connection:
        connection = Connection(witness)
        self._connections[witness.number] = connection
        asyncio.get_running_loop().create_task(self._announce())
        return connection

    async def _announce(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        number = entry.connection or 1
        connection = await self._connection(number)
        if entry.arrow is Arrow.SAYS:
            connection.say(self.message(entry, bound), index)
            return
        self._act(connection, entry)
        self._acted(index, number)

    def message(self, entry: Entry, bound: Mapping[str, str]) -> bytes:
        """The bytes of an entry: its text and body lines, each with the actor's line end."""
        eol = self.actor.eol.spoken
        lines = [entry.text, *(line for line in entry.body if isinstance(line, Template))]
        return b"".join(spoken(line, bound) + eol for line in lines)

    def _act(self, connection: Connection, entry: Entry) -> None:
        name = entry.act.name if entry.act else ""
        if name == "close":
            connection.close()
        elif name == "half-close":
            connection.half_close()
        elif name == "reset":
            connection.reset()
        elif name not in ("accept", "connect"):
            raise PeerError(f"`{name}` is not played by a {self.actor.kind} actor")

    async def _connection(self, number: int) -> Connection:
        if self.actor.to is not None:
            while number not in self._connections:
                await self._dial()
        async with self._arrived:
            await self._arrived.wait_for(lambda: number in self._connections)
        return self._connections[number]

    async def _dial(self) -> None:
        if self._program is None:
            raise PeerError("the program listens nowhere")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DIAL_SECONDS
        try:
            sock = await self._network.dial(self._program, "tcp", deadline=deadline)
        except OSError as error:
            reason = error.strerror or str(error) or "no answer"
            raise PeerError(f"cannot connect to {self._program}: {reason.lower()}") from error
        witness = self.new_witness()
        witness.opened(sock.getpeername())
        await loop.create_connection(lambda: self.new_protocol(witness), sock=sock)

    def leave(self, connection: int) -> None:
        if found := self._connections.get(connection):
            found.close()

    async def close(self) -> None:
        await super().close()
        for connection in self._connections.values():
            connection.close()


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`, `[v6]:port` or a bare port (then of `DEFAULT_HOST`)."""
    from harness.model.scenario import DEFAULT_HOST  # noqa: PLC0415

    host, _, port = address.rpartition(":")
    return host.strip("[]") or DEFAULT_HOST, int(port)

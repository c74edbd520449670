"""The asyncio skin of the SMTP client: plays a `smtp.Dialogue` over one connection."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from protocols.endpoints import Endpoint, reason_of, socket_endpoint
from protocols.smtp import (
    Dialogue,
    Envelope,
    Failure,
    Kind,
    Login,
    Phase,
    Reply,
    ReplyError,
    ReplyReader,
    Result,
    Step,
    untried,
)

if TYPE_CHECKING:
    import ssl

BLOCK = 64 * 1024

Observer = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The longest wait for each answer, in seconds: the minima of RFC 5321 4.5.3.2.

    The standard names none for connecting, the greeting's TLS, AUTH (RFC 4954 leaves
    it to us) and QUIT, after which nothing depends on the answer. `block` is for
    every piece of the content that the server has to take.
    """

    connect: float = 60
    greeting: float = 300
    hello: float = 300
    starttls: float = 120
    auth: float = 180
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    end: float = 600
    quit: float = 10

    @classmethod
    def all(cls, seconds: float) -> Timeouts:
        """The same time for every wait."""
        return cls(**{item.name: seconds for item in fields(cls)})

    def of(self, phase: Phase) -> float:
        """The time that the answer in this phase may take."""
        return float(getattr(self, phase.value))


@dataclass(frozen=True, slots=True)
class Server:
    """Where to send mail, and how.

    Attributes:
        endpoint: the host and port to connect to.
        tls: implicit TLS (RFC 8314 3.3); the certificate is verified against the
            system's authorities, or those in `SSL_CERT_FILE`.
        starttls: TLS by STARTTLS (RFC 3207), or no mail at all; verified in the same way.
        tls_name: the name to find in the certificate; by default the host.
        hello: our own name; by default the address literal of our end (RFC 5321 4.1.3).
        login: credentials, for a server that offers AUTH.
    """

    endpoint: Endpoint
    tls: bool = False
    starttls: bool = False
    tls_name: str | None = None
    hello: str | None = None
    login: Login | None = None
    timeouts: Timeouts = Timeouts()

    @property
    def certified_name(self) -> str:
        """The name for which its certificate must be."""
        return self.tls_name or self.endpoint.host


async def send_mail(
    server: Server, envelope: Envelope, content: bytes, observe: Observer = lambda _line: None
) -> Result:
    """Hand one mail to a server, and say what became of it for every recipient.

    `observe` is told every line of the dialogue, as `C: ...` and `S: ...`, credentials
    masked, and the connection that was made as `-- connected to ...`. Failures of the
    network and of the server are in the result; none is raised.
    """
    hide = server.login.hide if server.login else str
    wire = _Wire(ReplyReader(hide, lambda line: observe(f"S: {line}")))
    failure = await _connect(server, wire)
    if failure is not None:
        return untried(envelope.recipients, failure)
    try:
        observe(f"-- connected to {server.endpoint} ({wire.peer})")
        hello = server.hello or _literal(wire.local.host)
        dialogue = Dialogue(
            envelope,
            content,
            hello=hello,
            encrypted=server.tls,
            starttls=server.starttls,
            login=server.login,
        )
        await _play(dialogue, wire, server, observe)
        return dialogue.result()
    finally:
        await wire.close()


def _literal(host: str) -> str:
    address = ipaddress.ip_address(host.partition("%")[0])
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


async def _connect(server: Server, wire: _Wire) -> Failure | None:
    where = f"connect to {server.endpoint}"
    try:
        await _open(server, wire)
    except TimeoutError:
        reason = f"no answer within {server.timeouts.connect:g} s"
        return Failure(Kind.CONNECTION, where, reason=reason, status="4.4.1")
    except OSError as error:  # every ssl.SSLError is one
        return Failure(Kind.CONNECTION, where, reason=_connect_reason(error), status="4.4.1")
    except UnicodeError:  # the idna codec, for a name with an empty or over-long label
        return Failure(Kind.CONNECTION, where, reason="no possible host name", status="5.1.2")
    return None


async def _open(server: Server, wire: _Wire) -> None:
    context = _default_context() if server.tls else None
    name = server.certified_name if server.tls else None
    async with asyncio.timeout(server.timeouts.connect):
        await asyncio.get_running_loop().create_connection(
            lambda: wire,
            server.endpoint.host,
            server.endpoint.port,
            ssl=context,
            server_hostname=name,
        )


def _default_context() -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - the authorities take long to load; plain connections need none

    return ssl.create_default_context()


def _connect_reason(error: OSError) -> str:
    verdict = getattr(error, "verify_message", None)
    if verdict:
        return f"the server's certificate is not accepted: {verdict}"
    tls = getattr(error, "reason", None)
    return f"TLS failed: {tls}" if tls else reason_of(error)


async def _play(dialogue: Dialogue, wire: _Wire, server: Server, observe: Observer) -> None:
    talk = dialogue.run()
    step = next(talk)
    while True:
        try:
            reply = await _exchange(step, wire, server.timeouts, observe)
            if step.encrypts and reply.severity == 2:
                await _encrypt(wire, server)
                observe(f"-- encrypted, {wire.version}")
        except _LostError as error:
            dialogue.lost(
                Failure(error.kind, step.command, reason=str(error), status="4.4.2"),
                all_sent=step.phase is Phase.END and wire.all_sent,
            )
            return
        if not wire.all_sent:
            dialogue.interrupted()
        try:
            step = talk.send(reply)
        except StopIteration:
            return


async def _encrypt(wire: _Wire, server: Server) -> None:
    if not wire.silent:  # RFC 3207 6: it would be taken for a reply that came encrypted
        raise _LostError("the server said more before TLS began", Kind.PROTOCOL)
    try:
        async with asyncio.timeout(server.timeouts.starttls):
            await wire.encrypt(_default_context(), server.certified_name)
    except TimeoutError as error:
        reason = f"no TLS handshake within {server.timeouts.starttls:g} s"
        raise _LostError(reason) from error
    except OSError as error:  # every ssl.SSLError is one
        refused = getattr(error, "verify_message", None)
        kind = Kind.PERMANENT if refused else Kind.CONNECTION
        raise _LostError(_connect_reason(error), kind) from error


async def _exchange(step: Step, wire: _Wire, timeouts: Timeouts, observe: Observer) -> Reply:
    for line in step.shown:
        observe(f"C: {line}")
    try:
        await wire.send(step.wire, timeouts.block)
        async with asyncio.timeout(timeouts.of(step.phase)):
            return await wire.reply()
    except ReplyError as error:
        raise _LostError(str(error), Kind.PROTOCOL) from error
    except TimeoutError as error:
        raise _LostError(f"no answer within {timeouts.of(step.phase):g} s") from error
    except OSError as error:
        raise _LostError(reason_of(error)) from error


class _LostError(Exception):
    """Nothing more can be heard on this connection."""

    def __init__(self, reason: str, kind: Kind = Kind.CONNECTION) -> None:
        super().__init__(reason)
        self.kind = kind


class _Wire(asyncio.Protocol):
    """The connection.

    Replies are read as they arrive, also while content is being sent: a server that
    refuses in the middle and resets the connection is still understood.
    """

    def __init__(self, reader: ReplyReader) -> None:
        self._reader = reader
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()
        self._paused = False
        self._gone: OSError | None = None
        self._closed = asyncio.Event()
        self.all_sent = True
        self.peer = self.local = Endpoint("?", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's type is too wide
        self._transport = transport
        # Nothing is kept back here: what was written is with the kernel, or we are paused.
        transport.set_write_buffer_limits(high=0)
        self.peer = socket_endpoint(transport.get_extra_info("peername"))
        self.local = socket_endpoint(transport.get_extra_info("sockname"))

    def data_received(self, data: bytes) -> None:
        self._reader.receive_data(data)
        self._changed.set()

    def eof_received(self) -> None:
        self._gone = self._gone or ConnectionResetError("the server closed the connection")
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        closed = ConnectionResetError("the server closed the connection")
        self._gone = self._gone or (exc if isinstance(exc, OSError) else closed)
        self._changed.set()
        self._closed.set()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._changed.set()

    @property
    def silent(self) -> bool:
        """Whether the server has said nothing behind its last reply."""
        return self._reader.silent

    @property
    def version(self) -> str:
        """The version of TLS, as `TLSv1.3`."""
        assert self._transport is not None  # noqa: S101 - for the type checker: connected before
        return str(self._transport.get_extra_info("ssl_object").version())

    async def encrypt(self, context: ssl.SSLContext, name: str) -> None:
        """Go on over TLS, if the server's certificate is for this name.

        Raises:
            OSError: the certificate is not accepted, or the handshake fails otherwise.
        """
        assert self._transport is not None  # noqa: S101 - for the type checker: connected before
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(self._transport, self, context, server_hostname=name)
        except OSError as error:
            self._closed.set()  # by asyncio, which tells us of no end then
            if error.args:
                raise
            raise ConnectionResetError("the server closed the connection") from error
        if transport is None:
            raise ConnectionResetError("the server closed the connection")
        self._transport = transport
        transport.set_write_buffer_limits(high=0)

    async def reply(self) -> Reply:
        while True:
            reply = self._reader.next_reply()
            if reply is not None:
                return reply
            await self._change()

    async def send(self, data: bytes, block_timeout: float) -> None:
        """Send all of it in blocks; stop early if the server has something to say."""
        assert self._transport is not None  # noqa: S101 - for the type checker: connected before
        self.all_sent = not data
        for start in range(0, len(data), BLOCK):
            self._transport.write(memoryview(data)[start : start + BLOCK])
            try:
                async with asyncio.timeout(block_timeout):
                    await self._flushed()
            except TimeoutError as error:
                raise _LostError(f"the server took nothing for {block_timeout:g} s") from error
            if self._reader.pending and start + BLOCK < len(data):
                return
        self.all_sent = True

    async def _flushed(self) -> None:
        while self._paused:
            if self._reader.pending:
                return
            await self._change()

    async def _change(self) -> None:
        if self._gone is not None:
            raise self._gone
        self._changed.clear()
        await self._changed.wait()

    async def close(self) -> None:
        """Close; what has not gone out within a second (TLS says goodbye first) is dropped."""
        if self._transport is None:
            return
        self._transport.close()
        try:
            async with asyncio.timeout(1):
                await self._closed.wait()
        except TimeoutError:
            self._transport.abort()

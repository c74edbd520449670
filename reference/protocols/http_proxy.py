"""An HTTP/1.1 forward proxy (RFC 9110 7, RFC 9112) with a hook for taking requests over.

One task serves one client connection, one request after another:

    read head -> taken over?  -> read the body, answer it ourselves
              -> CONNECT      -> a tunnel, to the end of the connection
              -> absolute URL -> upload and download at the same time, in pieces
              -> anything else-> an error page

h11 does the framing on both sides, so whatever a client or an origin wrote is written anew,
unambiguously. The body never rests here: a side that reads slowly slows the other one down.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import h11

from protocols.endpoints import Endpoint, reason_of, socket_endpoint
from protocols.log import masked_head_line

BLOCK = 64 * 1024
MAX_HEAD = 128 * 1024
MAX_TAKEN_BODY = 32 * 1024 * 1024

Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The longest waits, in seconds.

    `idle`: for the next request; `head`: for a whole head; `body`: for the next piece of a
    body; `connect` and `response`: for the origin's connection and its next piece; `write`:
    for a peer to take what is sent; `tunnel`: for any byte in either direction.
    """

    idle: float = 75
    head: float = 30
    body: float = 60
    connect: float = 10
    response: float = 60
    write: float = 60
    tunnel: float = 600


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request for `http://host:port` + `target`, as a client sent it.

    `authority` is the host and port as the client wrote them; `target` is the origin-form
    (RFC 9112 3.2.1); `client` and `proxy` are the two ends of the client's connection.
    """

    method: str
    host: str
    port: int
    authority: str
    target: str
    fields: tuple[Field, ...]
    http_version: str
    client: Endpoint
    proxy: Endpoint

    def get(self, name: str) -> str:
        """The first value of a field, "" if there is none."""
        wanted = name.lower().encode()
        found = (value for key, value in self.fields if key.lower() == wanted)
        return next(found, b"").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of our own."""

    status: int
    body: bytes
    content_type: str = "text/html; charset=utf-8"


Responder = Callable[[bytes], Awaitable[Answer]]
# Looks at a head; a responder takes the request over and is given its whole body.
Hook = Callable[[RequestHead], Responder | None]


class RefusedError(Exception):
    """The request cannot be served; the client is told `status` and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _BrokenError(Exception):
    """The exchange broke off after part of the response had gone out: nothing can be added."""


def page(status: int, reason: str) -> Answer:
    """An error page for a person."""
    phrase = HTTPStatus(status).phrase
    text = (
        f"<!DOCTYPE html>\n<html><head><title>{status} {phrase}</title></head>\n"
        f"<body><h1>{status} {phrase}</h1>\n<p>{html.escape(reason)}</p>\n</body></html>\n"
    )
    return Answer(status, text.encode())


# The authority of RFC 3986 3.2 without userinfo: RFC 9110 4.2.4 has it treated as an error.
_AUTHORITY = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]+)(?::(?P<port>[0-9]*))?", re.ASCII
)
_ABSOLUTE = re.compile(r"(?i:http)://(?P<authority>[^/?#]*)(?P<rest>[/?][^#]*)?(?:#.*)?")


def parse_authority(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Read `host[:port]`; without a default the port must be there (CONNECT, RFC 9110 9.3.6).

    Raises:
        RefusedError: 400, naming what is wrong.
    """
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise RefusedError(400, f"{text!r} is no host and port")
    digits = found["port"] or ("" if default_port is None else str(default_port))
    if not digits:
        raise RefusedError(400, f"{text!r} names no port")
    if len(digits) > 5 or not 0 < int(digits) < 65536:
        raise RefusedError(400, f"{digits[:20]} is no port")
    return found["host"].strip("[]"), int(digits)


def parse_target(method: str, target: str) -> tuple[str, str, int, str]:
    """Split an absolute-form target: authority, host, port and the origin-form for the origin.

    Raises:
        RefusedError: 400, since the target is not `http://host/...`.
    """
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise RefusedError(
            400, "This is a proxy: it takes requests for http://host/path, and CONNECT for https"
        )
    host, port = parse_authority(found["authority"], 80)
    rest = found["rest"] or ""
    if not rest and method == "OPTIONS":  # RFC 9112 3.2.4: asks about the server as a whole
        return found["authority"], host, port, "*"
    return found["authority"], host, port, rest if rest.startswith("/") else f"/{rest}"


# Fields that speak about one connection only (RFC 9110 7.6.1). Transfer-Encoding is put
# back where the message is framed anew; a credential for this proxy is not the origin's.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection te transfer-encoding upgrade "
    b"proxy-authorization proxy-authentication-info".split()
)
# A client may not have these removed by naming them in Connection: the message would be
# framed or addressed differently from what was checked.
_NEVER_REMOVED = frozenset((b"content-length", b"host"))


def end_to_end(fields: Iterable[Field]) -> list[Field]:
    """Remove what concerns only one connection, the fields that Connection lists too."""
    fields = list(fields)
    named = {
        name.strip().lower()
        for key, value in fields
        if key.lower() == b"connection"
        for name in value.split(b",")
    }
    dropped = _HOP_BY_HOP | (named - _NEVER_REMOVED)
    return [(key, value) for key, value in fields if key.lower() not in dropped]


def _has(fields: Iterable[Field], name: bytes) -> bool:
    return any(key.lower() == name for key, _ in fields)


def _without(fields: Iterable[Field], name: bytes) -> list[Field]:
    return [(key, value) for key, value in fields if key.lower() != name]


def forwarded_request(head: RequestHead, via: str) -> h11.Request:
    """The request as the origin gets it: origin-form, Host from the URL, Via added.

    Raises:
        RefusedError: 508 if it came through this proxy before.
    """
    if any(via.encode() in value for key, value in head.fields if key.lower() == b"via"):
        raise RefusedError(508, "The request has come back to this proxy")
    fields = [(b"Host", head.authority.encode()), *_without(end_to_end(head.fields), b"host")]
    if head.http_version == "1.0":  # RFC 9110 10.1.1: an expectation from there means nothing
        fields = _without(fields, b"expect")
    if _has(head.fields, b"transfer-encoding"):
        fields.append((b"Transfer-Encoding", b"chunked"))
    fields += [(b"Via", f"{head.http_version} {via}".encode()), (b"Connection", b"close")]
    return h11.Request(method=head.method, target=head.target, headers=fields)


def forwarded_fields(response: h11.Response | h11.InformationalResponse, via: str) -> list[Field]:
    """The fields of a response as the client gets them."""
    raw = list(response.headers.raw_items())
    fields = end_to_end(raw)
    if _has(raw, b"transfer-encoding"):  # RFC 9112 6.3: it overrides the length
        fields = _without(fields, b"content-length")
    version = response.http_version.decode()
    return [*fields, (b"Via", f"{version} {via}".encode())]


class _Peer:
    """One connection with HTTP on it: h11's state and the streams under it."""

    def __init__(
        self, role: type[h11.CLIENT | h11.SERVER], streams: Streams, write_timeout: float
    ) -> None:
        self.http = h11.Connection(role, max_incomplete_event_size=MAX_HEAD)
        self.reader, self.writer = streams
        self._write_timeout = write_timeout

    async def wait(self, seconds: float) -> bool:
        """Wait for the first byte of a message; False if the peer closed instead.

        Empty lines before a request are skipped (RFC 9112 2.2).
        """
        async with asyncio.timeout(seconds):
            while not self.http.trailing_data[0]:
                data = await self.reader.read(BLOCK)
                if not data:
                    return False
                if data := data.lstrip(b"\r\n"):
                    self.http.receive_data(data)
        return True

    async def next_event(self, seconds: float) -> object:
        async with asyncio.timeout(seconds):
            while (event := self.http.next_event()) is h11.NEED_DATA:
                self.http.receive_data(await self.reader.read(BLOCK))
        return event

    async def send(self, event: h11.Event) -> None:
        await self.write(self.http.send(event) or b"")

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(self._write_timeout):
            await self.writer.drain()

    def reset(self) -> None:
        """Close so that the peer sees a reset: an orderly end would pass for the end of a body."""
        with contextlib.suppress(OSError):  # it may be gone already
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """Close in order; what the peer has not taken within a second is dropped."""
        self.writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self.writer.wait_closed()
        self.writer.transport.abort()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """The proxy as a listener: `start` it, and `stop` it.

    Args:
        hook: takes requests over; by default none.
        log: told every line of every head, credentials masked, and every refusal.
        timeouts: how long anybody may take.
    """

    def __init__(
        self,
        hook: Hook = lambda _head: None,
        log: Callable[[str], None] = lambda _line: None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.hook = hook
        self.log = log
        self.timeouts = timeouts or Timeouts()
        # Nobody else's, so that our own mark in a Via field means a loop (RFC 9110 7.6.3).
        self.via = f"wirelab-{secrets.token_hex(4)}"
        self.stopping = False
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[object], _Connection] = {}

    async def start(self, listen: Endpoint) -> Endpoint:
        """Listen, and give the endpoint (the port chosen, if it was 0).

        Raises:
            OSError: the address is in use, or not ours.
        """
        self._server = await asyncio.start_server(
            self._serve, listen.host, listen.port, backlog=1024, limit=BLOCK
        )
        return socket_endpoint(self._server.sockets[0].getsockname())

    async def stop(self, grace: float) -> None:
        """Stop listening; what is under way may take `grace` seconds more."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for task, connection in self._connections.items():
            if connection.idle:
                task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=grace)
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: we are in one
        connection = _Connection(self, (reader, writer))
        self._connections[task] = connection
        try:
            await connection.run()
        except asyncio.CancelledError:
            # Only `stop` cancels; asyncio would print what is passed on to it.
            connection.client.reset()
        finally:
            del self._connections[task]


class _Connection:
    """One client connection."""

    def __init__(self, proxy: Proxy, streams: Streams) -> None:
        self.idle = True
        self._method = b""
        self.client = _Peer(h11.SERVER, streams, proxy.timeouts.write)
        self._proxy = proxy
        self._times = proxy.timeouts
        self._end = socket_endpoint(streams[1].get_extra_info("peername"))
        self._own_end = socket_endpoint(streams[1].get_extra_info("sockname"))

    async def run(self) -> None:
        try:
            while await self._one_request():
                self.idle = True
            await self._linger()
        except (OSError, _BrokenError, h11.ProtocolError):
            # The client is gone or too slow, or must see that its response is not whole.
            self.client.reset()
        finally:
            await self.client.close()

    async def _one_request(self) -> bool:
        """Serve one request; says whether another one may follow."""
        if self._proxy.stopping or not await self._arrives():
            return False
        self.idle = False
        self._method = b""
        try:
            await self._serve_next()
        except RefusedError as error:
            await self._refuse(error)
        except h11.RemoteProtocolError as error:
            await self._refuse(RefusedError(error.error_status_hint, str(error)))
        if (self.client.http.our_state, self.client.http.their_state) != (h11.DONE, h11.DONE):
            return False
        self.client.http.start_next_cycle()
        return True

    async def _arrives(self) -> bool:
        try:
            return await self.client.wait(self._times.idle)
        except TimeoutError:
            return False

    async def _serve_next(self) -> None:
        try:
            event = await self.client.next_event(self._times.head)
        except TimeoutError as error:
            raise RefusedError(408, "The request did not arrive in time") from error
        if not isinstance(event, h11.Request):
            return  # closed before there was a request
        self._method = event.method
        self._log_head(">", _request_lines(event))
        if event.method == b"CONNECT":
            await self._tunnel(event)
            return
        head = self._head(event)
        responder = self._proxy.hook(head)
        if responder is not None:
            await self._take_over(responder)
        else:
            await self._forward(forwarded_request(head, self._proxy.via), head)

    def _head(self, request: h11.Request) -> RequestHead:
        method, version = request.method.decode(), request.http_version.decode()
        fields = tuple(request.headers.raw_items())
        # RFC 9112 6.1: both at once is how requests are smuggled; 1.0 knows no chunks.
        if _has(fields, b"transfer-encoding") and (
            _has(fields, b"content-length") or version < "1.1"
        ):
            raise RefusedError(400, "The request's length is ambiguous")
        authority, host, port, target = parse_target(method, request.target.decode("latin-1"))
        ends = (self._end, self._own_end)
        return RequestHead(method, host, port, authority, target, fields, version, *ends)

    async def _take_over(self, responder: Responder) -> None:
        body = await self._whole_body()
        await self._answer(await responder(body))

    async def _whole_body(self) -> bytes:
        if self.client.http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
            await self.client.send(go_on)
        body = bytearray()
        while not isinstance(event := await self._body_event(), h11.EndOfMessage):
            body += event.data
            if len(body) > MAX_TAKEN_BODY:
                raise RefusedError(413, f"More than {MAX_TAKEN_BODY} bytes cannot be taken")
        return bytes(body)

    async def _body_event(self) -> h11.Data | h11.EndOfMessage:
        try:
            event = await self.client.next_event(self._times.body)
        except TimeoutError as error:
            raise RefusedError(408, "The request's body did not arrive in time") from error
        assert isinstance(event, h11.Data | h11.EndOfMessage)  # noqa: S101 - h11 in SEND_BODY
        return event

    async def _answer(self, answer: Answer) -> None:
        fields = [
            ("Date", formatdate(usegmt=True)),
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
        ]
        if self._proxy.stopping or self.client.http.their_state is not h11.DONE:
            fields.append(("Connection", "close"))
        phrase = HTTPStatus(answer.status).phrase
        response = h11.Response(status_code=answer.status, headers=fields, reason=phrase)
        self._log_head("<", _response_lines(response))
        await self.client.send(response)
        if self.client.http.our_state is h11.SEND_BODY:
            if self._method != b"HEAD":
                await self.client.send(h11.Data(data=answer.body))
            await self.client.send(h11.EndOfMessage())

    async def _refuse(self, error: RefusedError) -> None:
        self._proxy.log(f"HTTP {self._end} refused: {error.status} {error.reason}")
        if self.client.http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            raise _BrokenError from error
        await self._answer(page(error.status, error.reason))

    async def _connect(self, host: str, port: int) -> _Peer:
        where = Endpoint(host, port)
        try:
            async with asyncio.timeout(self._times.connect):
                streams = await asyncio.open_connection(host, port, limit=BLOCK)
        except TimeoutError as error:
            raise RefusedError(504, f"{where} does not answer") from error
        except OSError as error:
            raise RefusedError(502, f"{where} cannot be reached: {reason_of(error)}") from error
        except UnicodeError as error:  # the idna codec: an empty or over-long label
            raise RefusedError(502, f"{host!r} is no possible host name") from error
        return _Peer(h11.CLIENT, streams, self._times.write)

    async def _forward(self, request: h11.Request, head: RequestHead) -> None:
        origin = await self._connect(head.host, head.port)
        try:
            await self._send_head(origin, request)
            await self._exchange(origin, head)
        finally:
            await origin.close()

    async def _send_head(self, origin: _Peer, request: h11.Request) -> None:
        try:
            await origin.send(request)
        except OSError as error:
            raise RefusedError(502, f"The origin is gone: {reason_of(error)}") from error

    async def _exchange(self, origin: _Peer, head: RequestHead) -> None:
        """Upload and download at once: an origin may answer before it has the whole body."""
        upload = asyncio.create_task(self._upload(origin))
        download = asyncio.create_task(self._download(origin, head))
        both = {upload, download}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not download.done() and upload.exception() is None:
                await asyncio.wait({download})
        finally:
            for task in both:
                task.cancel()
            results = await asyncio.gather(upload, download, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _upload(self, origin: _Peer) -> None:
        """Pass the body on; an origin that takes no more may still have answered."""
        while True:
            event = await self._body_event()
            if isinstance(event, h11.EndOfMessage):
                event = h11.EndOfMessage(headers=list(event.headers.raw_items()))
            try:
                await origin.send(event)
            except OSError:
                return
            if isinstance(event, h11.EndOfMessage):
                return

    async def _download(self, origin: _Peer, head: RequestHead) -> None:
        chunked = False
        while True:
            event = await self._origin_event(origin)
            if isinstance(event, h11.InformationalResponse):
                if head.http_version >= "1.1":
                    fields = forwarded_fields(event, self._proxy.via)
                    await self.client.send(
                        h11.InformationalResponse(
                            status_code=event.status_code, headers=fields, reason=event.reason
                        )
                    )
            elif isinstance(event, h11.Response):
                chunked = await self._start_response(event, head)
            elif isinstance(event, h11.EndOfMessage):
                trailers = list(event.headers.raw_items()) if chunked else []
                await self.client.send(h11.EndOfMessage(headers=trailers))
                return
            elif isinstance(event, h11.Data):
                await self.client.send(h11.Data(data=event.data))

    async def _start_response(self, event: h11.Response, head: RequestHead) -> bool:
        """Send the head of the response; says whether trailers may follow the body."""
        response = h11.Response(
            status_code=event.status_code,
            reason=event.reason,
            headers=forwarded_fields(event, self._proxy.via),
        )
        self._log_head("<", _response_lines(response))
        await self.client.send(response)
        chunked = _has(event.headers, b"transfer-encoding")
        return chunked and head.http_version >= "1.1" and head.method != "HEAD"

    async def _origin_event(self, origin: _Peer) -> object:
        try:
            event = await origin.next_event(self._times.response)
        except TimeoutError as error:
            raise self._origin_failed(504, "The origin does not answer") from error
        except OSError as error:
            reason = f"The origin broke off: {reason_of(error)}"
            raise self._origin_failed(502, reason) from error
        except h11.RemoteProtocolError as error:
            reason = f"The origin's answer is no HTTP, or not whole: {error}"
            raise self._origin_failed(502, reason) from error
        if isinstance(event, h11.ConnectionClosed):
            raise self._origin_failed(502, "The origin closed without an answer")
        return event

    def _origin_failed(self, status: int, reason: str) -> Exception:
        if self.client.http.our_state is h11.SEND_RESPONSE:
            return RefusedError(status, reason)
        self._proxy.log(f"HTTP {self._end} broken off: {reason}")
        return _BrokenError(reason)

    async def _tunnel(self, request: h11.Request) -> None:
        where = parse_authority(request.target.decode("latin-1"))
        if not isinstance(await self._body_event(), h11.EndOfMessage):
            raise RefusedError(400, "A CONNECT request has no body")
        origin = await self._connect(*where)
        try:
            response = h11.Response(status_code=200, headers=[], reason="Connection established")
            self._log_head("<", _response_lines(response))
            await self.client.send(response)
            # What came behind the head belongs to the tunnel already.
            await origin.write(self.client.http.trailing_data[0])
            self.idle = True  # nothing in it ever ends by itself: a stop need not wait for it
            await self._pump_both(origin)
        finally:
            await origin.close()

    async def _pump_both(self, origin: _Peer) -> None:
        async with asyncio.timeout(self._times.tunnel) as limit:
            directions = ((self.client, origin), (origin, self.client))
            pumps = [asyncio.create_task(self._pump(*ends, limit)) for ends in directions]
            try:
                await asyncio.gather(*pumps)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.wait(pumps)

    async def _pump(self, source: _Peer, sink: _Peer, limit: asyncio.Timeout) -> None:
        while data := await source.reader.read(BLOCK):
            limit.reschedule(asyncio.get_running_loop().time() + self._times.tunnel)
            await sink.write(data)
        sink.writer.write_eof()  # half-close: the other direction may still have much to say

    async def _linger(self) -> None:
        """Let the client read our answer before the connection goes.

        Closing with unread bytes from the client would reset the connection, and the
        reset may overtake the answer (RFC 9112 9.6).
        """
        self.client.writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while await self.client.reader.read(BLOCK):
                    pass

    def _log_head(self, direction: str, lines: list[str]) -> None:
        for line in lines:
            self._proxy.log(f"HTTP {self._end} {direction} {masked_head_line(line)}")


def _request_lines(request: h11.Request) -> list[str]:
    start = b" ".join((request.method, request.target, b"HTTP/" + request.http_version))
    return [start.decode("latin-1"), *_field_lines(request.headers.raw_items())]


def _response_lines(response: h11.Response) -> list[str]:
    start = f"HTTP/1.1 {response.status_code} {response.reason.decode('latin-1')}".rstrip()
    return [start, *_field_lines(response.headers.raw_items())]


def _field_lines(fields: Iterable[Field]) -> list[str]:
    return [f"{key.decode('latin-1')}: {value.decode('latin-1')}" for key, value in fields]

"""A server for many clients, over TCP and UDP at the same endpoint: sockets, signals, the end.

Programs say what is done with a client (`Service`); here stands what all of them need. No
client has a thread, and none holds up another: one event loop waits for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from protocols.endpoints import Endpoint, reason_of, socket_endpoint
from protocols.messages import LONGEST, PAUSES, Message, Messages
from protocols.screen import say
from protocols.sockets import LARGEST_DATAGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

UNREAD = 16 * 1024 * 1024
"""Octets that wait for a client who does not read. Beyond it he is not heard any more: a client
that first says everything and reads then is served up to here, and nobody fills the memory."""

_ENOUGH_FOR_ONCE = 64  # datagrams; then the connections have their turn
_GRACE = 2.0  # seconds in which clients may take what was said to them, when the server ends
_BACKLOG = 1024

EXIT_STATUS = (
    "exit status: 0 ended by SIGTERM, SIGINT or, where there is one, a farewell; 2 wrong usage; "
    "69 cannot listen there"
)
"""For the help text of the programs."""


class Connection:
    """One client over TCP.

    Attributes:
        peer: where the client is.
        own: where it found us.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framing: str
    ) -> None:
        self.peer = socket_endpoint(writer.get_extra_info("peername"))
        self.own = socket_endpoint(writer.get_extra_info("sockname"))
        self._reader = reader
        self._writer = writer
        self._messages = Messages(self.read, pause=PAUSES[framing])
        self._end = b"\n" if framing == "lines" else b""
        writer.transport.set_write_buffer_limits(high=UNREAD, low=UNREAD // 2)

    async def read(self) -> bytes:
        """Return some octets; none when the client has ended its direction."""
        return await self._reader.read(LONGEST)

    async def message(self) -> Message | None:
        """Return the next message; None when the client has ended its direction."""
        return await self._messages.next()

    async def send(self, octets: bytes) -> None:
        """Send, and wait as long as too much is unread."""
        self._writer.write(octets)
        await self._writer.drain()

    async def greet(self, words: str) -> None:
        """Send a message that is no answer."""
        await self.send(words.encode() + self._end)

    async def close(self) -> None:
        """End the connection once everything has been read."""
        self._writer.close()
        await self._writer.wait_closed()

    def abort(self) -> None:
        """End it at once."""
        self._writer.transport.abort()


class Service(ABC):
    """What a server does with its clients.

    Args:
        framing: how messages end over TCP, `none` or `lines`; see `protocols.messages`.
    """

    def __init__(self, framing: str = "none") -> None:
        self.framing = framing
        self._ended = asyncio.Event()

    @abstractmethod
    async def converse(self, client: Connection) -> None:
        """Serve a client over TCP; the connection ends when this returns."""

    @abstractmethod
    def answer(self, datagram: bytes, sender: Endpoint) -> bytes | None:
        """Return the answer to a datagram; None for none."""

    def end(self) -> None:
        """End the server, as SIGTERM does."""
        self._ended.set()

    async def ended(self) -> None:
        """Wait until it is told to end."""
        await self._ended.wait()


def run_server(
    name: str,
    make: Callable[[], Service],
    where: Endpoint,
    transports: Collection[str] = ("tcp", "udp"),
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status.

    Args:
        name: of the program, for its error messages.
        make: makes the service, inside the event loop.
        where: the endpoint to listen at; port 0 for any, which is printed.
        transports: "tcp", "udp", or both, then on the same port.
    """
    return asyncio.run(_serve(name, make, where, transports))


async def _serve(
    name: str, make: Callable[[], Service], where: Endpoint, transports: Collection[str]
) -> int:
    service = make()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.end)
    loop.set_exception_handler(_told)
    try:
        sockets = await _listeners(where, transports)
    except OSError as error:
        print(f"{name}: cannot listen on {where}: {_why(error)}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    async with contextlib.AsyncExitStack() as stack:
        for sock in sockets:
            if sock.type == socket.SOCK_STREAM:
                await stack.enter_async_context(_Streams(service, sock))
            else:
                stack.enter_context(_Datagrams(service, sock))
        for place in dict.fromkeys(socket_endpoint(sock.getsockname()) for sock in sockets):
            say(f"listening on {place} ({' and '.join(t.upper() for t in transports)})")
        await service.ended()
    return os.EX_OK


def _told(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say in a line what asyncio has to tell, such as that there are no more sockets."""
    error = context.get("exception")
    why = f": {reason_of(error)}" if isinstance(error, OSError) else f": {error!r}" if error else ""
    print(f"{context['message']}{why}", file=sys.stderr, flush=True)


# --- Sockets ---


async def _listeners(where: Endpoint, transports: Collection[str]) -> list[socket.socket]:
    """Return a socket for each address of the host and each transport, all on one port.

    Raises:
        OSError: the host has no address, or one of the sockets cannot be had.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        where.host or None, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for last_try in (False, False, False, True):
        with contextlib.ExitStack() as made:
            port = where.port
            sockets = []
            try:
                for family, _, _, _, address in dict.fromkeys(found):
                    for transport in transports:
                        place = (address[0], port, *address[2:])
                        sock = made.enter_context(_listener(family, transport, place))
                        sockets.append(sock)
                        port = port or sock.getsockname()[1]
            except OSError as error:
                # The port that the kernel chose for the first may be taken for another.
                if last_try or where.port or error.errno != errno.EADDRINUSE:
                    raise
                continue
            made.pop_all()
            return sockets
    raise AssertionError("the last try returns or raises")


def _listener(family: int, transport: str, place: tuple[Any, ...]) -> socket.socket:
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:  # the IPv4 address has a socket of its own
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transport == "tcp":
            # Old connections of ours may linger in TIME_WAIT (RFC 9293 3.6.1): listen all the
            # same. Over UDP it would let two servers share the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(place)
        if transport == "tcp":
            sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _why(error: OSError) -> str:
    clear = {
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.EADDRINUSE: "another program listens there",
        errno.EACCES: "ports below 1024 are for root",
    }
    return clear.get(error.errno or 0) or reason_of(error)


# --- The two ways to be asked ---


class _Streams:
    """Takes connections, and has each of them served beside the others."""

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self._service = service
        self._sock = sock
        self._clients: dict[asyncio.Task[None], Connection] = {}

    async def __aenter__(self) -> None:
        self._server = await asyncio.start_server(self._take, sock=self._sock)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._clients:
            task.cancel()
        if self._clients:
            await asyncio.wait(list(self._clients), timeout=_GRACE)
        for connection in self._clients.values():
            connection.abort()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Called as a function, so that the task is ours: it is ended with the server.
        connection = Connection(reader, writer, self._service.framing)
        task = asyncio.get_running_loop().create_task(self._converse(connection))
        self._clients[task] = connection
        task.add_done_callback(self._clients.pop)

    async def _converse(self, client: Connection) -> None:
        say(f"{client.peer} has connected")
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the server ends, and so does this
                await self._service.converse(client)
            await client.close()
        except OSError as error:
            client.abort()
            say(f"{client.peer} is lost: {reason_of(error)}")
        else:
            say(f"{client.peer} has left")


class _Datagrams:
    """Answers datagrams, each to its sender.

    Past asyncio's own transport, which does not send a datagram without octets.
    """

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self._service = service
        self._sock = sock

    def __enter__(self) -> None:
        asyncio.get_running_loop().add_reader(self._sock, self._take)

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def _take(self) -> None:
        for _ in range(_ENOUGH_FOR_ONCE):
            try:
                datagram, sender = self._sock.recvfrom(LARGEST_DATAGRAM)
            except OSError:  # there are no more, or the checksum of this one was wrong
                return
            answer = self._service.answer(datagram, socket_endpoint(sender))
            if answer is None:
                continue
            try:
                self._sock.sendto(answer, sender)
            except OSError as error:
                say(f"no answer to {socket_endpoint(sender)}: {reason_of(error)}")

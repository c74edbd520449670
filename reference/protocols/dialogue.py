"""A client for a person at a terminal: each line typed is sent, and its answer shown.

Over TCP or UDP. Whoever is waited for, it has an end: a silent server is told after a time-out,
one that ends the connection at once, also while the user thinks. Requirements K4, K5.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import signal
import socket
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocols.endpoints import Endpoint, reason_of, socket_endpoint
from protocols.messages import LONGEST, PAUSES, Cutter, Message, Messages
from protocols.screen import say
from protocols.sockets import LARGEST_DATAGRAM, is_own_peer

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

_FAREWELL_S = 1.0  # in which a server may end the connection when the user has taken leave


class DialogueError(Exception):
    """The dialogue cannot go on. The text is for the user; `status` is the program's."""

    status = 1


class UnreachableError(DialogueError):
    """Nobody is there."""

    status = os.EX_UNAVAILABLE


class SilentError(DialogueError):
    """No answer came in time."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What is usual between a client and its server.

    Attributes:
        farewell: the line with which the user takes leave.
        is_greeted: whether the server speaks first, over TCP.
        tells_farewell: whether the farewell is sent, or the client just goes.
        is_answered: whether a server answers a farewell sent by UDP.
    """

    farewell: str
    is_greeted: bool = False
    tells_farewell: bool = True
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """Whom to dial and how.

    Attributes:
        server: the server's endpoint; a name, an IPv4 or an IPv6 address.
        udp: UDP instead of TCP.
        family: AF_INET or AF_INET6 only, or AF_UNSPEC.
        local: the own end; None for any.
        timeout: seconds for a connection, and for each answer.
        framing: how messages end over TCP, `none` or `lines`; see `protocols.messages`.
    """

    server: Endpoint
    udp: bool = False
    family: int = socket.AF_UNSPEC
    local: Endpoint | None = None
    timeout: float = 5.0
    framing: str = "none"


EXIT_STATUS = (
    "exit status: 0 ended by the user; 1 no answer, or the server ended it; 2 wrong usage; "
    "69 nobody there; 130/143 ended by SIGINT/SIGTERM"
)
"""For the help text of the programs."""


def call_of(options: argparse.Namespace) -> Call:
    """Return the call that was asked for in the words of `arguments.add_place_to_dial`."""
    server = Endpoint(options.host, options.port)
    return Call(
        server, options.udp, options.family, options.local, options.timeout, options.framing
    )


def run_client(name: str, call: Call, manners: Manners) -> int:
    """Converse until the user or the server ends it; return the exit status."""

    async def until_a_signal() -> int:
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - for the type checker: it runs in one
        ended_by: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = (ended_by.append, number), (this.cancel,)
            asyncio.get_running_loop().add_signal_handler(number, _do_all, handler)
        try:
            return await _converse(call, manners)
        except asyncio.CancelledError:
            return 128 + ended_by[0]

    try:
        # Of the selectors only this one and poll wait for files, terminals and sockets alike.
        with asyncio.Runner(
            loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())
        ) as runner:
            return runner.run(until_a_signal())
    except DialogueError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.status


def _do_all(things: Any) -> None:
    for do, *arguments in things:
        do(*arguments)


async def _converse(call: Call, manners: Manners) -> int:
    async with _wire(call) as wire:
        say(f"talking to {wire.peer} from {wire.own}; `{manners.farewell}` ends it")
        dialogue = Dialogue(wire, call.timeout)
        try:
            if manners.is_greeted and not call.udp:
                say((await dialogue.hear()).words)
            answered = await _lines(dialogue, manners)
        except OSError as error:
            raise UnreachableError(f"{wire.peer} is lost: {reason_of(error)}") from error
        finally:
            await dialogue.close()
    return os.EX_OK if answered else SilentError.status


async def _lines(dialogue: Dialogue, manners: Manners) -> bool:
    """Send line by line; return whether all of them were answered."""
    answered = True
    while (line := await dialogue.line()) is not None and line != manners.farewell:
        try:
            await dialogue.ask(line)
        except SilentError as error:
            if dialogue.wire.is_stream:  # the answer may yet come, and be taken for the next one
                raise
            say(str(error))  # a datagram may be lost; the next one need not be
            answered = False
    if line is not None and manners.tells_farewell:
        await dialogue.take_leave(manners)
    await dialogue.hear_out()
    return answered


class Dialogue:
    """The user on one side, a wire on the other."""

    def __init__(self, wire: Wire, timeout: float) -> None:
        self.wire = wire
        self._timeout = timeout
        self._user = _Typed()
        self._typed: asyncio.Task[str | None] | None = None
        self._coming: asyncio.Task[Message | None] | None = None

    async def line(self) -> str | None:
        """Return what the user types next, None at the end; show what comes meanwhile.

        Raises:
            DialogueError: the server ends the connection.
            OSError: it is lost.
        """
        while True:
            self._typed = self._typed or asyncio.create_task(self._user.next())
            coming = self._next()
            await asyncio.wait({self._typed, coming}, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                say((await self.hear()).words)
                continue
            typed, self._typed = self._typed, None
            return typed.result()

    async def ask(self, line: str) -> None:
        """Send a line and show its answer. An empty one may be nothing that could be sent.

        Raises:
            DialogueError: the server does not answer, or ends the connection.
            OSError: it is lost.
        """
        octets = line.encode("utf-8", "surrogateescape")
        if not octets and not self.wire.can_send_nothing:
            return
        await self.wire.send(octets)
        say((await self.hear()).words)

    async def hear(self) -> Message:
        """Return the next message.

        Raises:
            SilentError: none came in time.
            DialogueError: none can come, for the server has ended the connection.
            OSError: the connection is lost.
        """
        coming, heard = self._next(), self.wire.octets_heard
        while not (await asyncio.wait({coming}, timeout=self._timeout))[0]:
            # One who speaks slowly is not silent.
            if heard == (heard := self.wire.octets_heard):
                raise SilentError(f"no answer from {self.wire.peer} within {self._timeout:g} s")
        self._coming = None
        message = coming.result()
        if message is None:
            raise DialogueError(f"{self.wire.peer} has closed the connection")
        return message

    async def take_leave(self, manners: Manners) -> None:
        """Tell the server that the user goes."""
        await self.wire.send(manners.farewell.encode())
        if manners.is_answered and not self.wire.is_stream:
            say((await self.hear()).words)

    async def hear_out(self) -> None:
        """Say no more, and show what the server has still to say."""
        if not self.wire.is_stream:
            return
        self.wire.say_no_more()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_FAREWELL_S):
                while (message := await self._next()) is not None:
                    self._coming = None
                    say(message.words)

    async def close(self) -> None:
        """Wait for nothing any more, so that the wire can be closed."""
        waiting = [task for task in (self._typed, self._coming) if task]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def _next(self) -> asyncio.Task[Message | None]:
        """The message that comes next; asked for once, however often the wait is broken off."""
        self._coming = self._coming or asyncio.create_task(self.wire.message())
        return self._coming


class _Typed:
    """The lines of standard input, be it a terminal, a pipe or a file."""

    def __init__(self) -> None:
        self._cutter = Cutter()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        try:
            asyncio.get_running_loop().add_reader(0, self._read)
        except OSError:  # closed
            self._lines.put_nowait(None)

    async def next(self) -> str | None:
        return await self._lines.get()

    def _read(self) -> None:
        try:
            octets = os.read(0, LONGEST)
        except OSError:  # the terminal was hung up
            octets = b""
        self._cutter.feed(octets)
        while line := self._cutter.line():
            self._lines.put_nowait(line.words)
        if not octets:
            if self._cutter:
                self._lines.put_nowait(self._cutter.rest().words)
            self._lines.put_nowait(None)
            asyncio.get_running_loop().remove_reader(0)


# --- The wires ---


class Wire(ABC):
    """What leads to the server: a connection, or a connected socket for datagrams.

    Attributes:
        own: the own end.
        peer: the server's.
        octets_heard: over a connection; with them it shows that the server is not silent.
    """

    is_stream: bool
    can_send_nothing = True
    """Whether an empty message is one."""

    def __init__(self, sock: Any) -> None:
        self.octets_heard = 0
        self.own = socket_endpoint(sock.getsockname())
        self.peer = socket_endpoint(sock.getpeername())

    @abstractmethod
    async def send(self, octets: bytes) -> None:
        """Send a message; over UDP as one datagram."""

    @abstractmethod
    async def message(self) -> Message | None:
        """Return the next message or datagram; None when no more can come."""

    @abstractmethod
    def say_no_more(self) -> None:
        """Tell the server that nothing more will be sent."""


class _StreamWire(Wire):
    is_stream = True

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framing: str
    ) -> None:
        super().__init__(writer.get_extra_info("socket"))
        self._writer = writer
        self._end = b"\n" if framing == "lines" else b""
        self.can_send_nothing = bool(self._end)
        self._reader = reader
        self._messages = Messages(self._read, pause=PAUSES[framing])

    async def _read(self) -> bytes:
        octets = await self._reader.read(LONGEST)
        self.octets_heard += len(octets)
        return octets

    async def send(self, octets: bytes) -> None:
        # Not waited for: a server that reads nothing before it has been read must not block us.
        self._writer.write(octets + self._end)

    async def message(self) -> Message | None:
        return await self._messages.next()

    def say_no_more(self) -> None:
        with contextlib.suppress(OSError):  # the server has gone
            self._writer.write_eof()


class _DatagramWire(Wire):
    is_stream = False

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._sock = sock

    async def send(self, octets: bytes) -> None:
        self._sock.send(octets)

    async def message(self) -> Message | None:
        loop = asyncio.get_running_loop()
        return Message.of(await loop.sock_recv(self._sock, LARGEST_DATAGRAM))

    def say_no_more(self) -> None:
        """No datagram tells that it was the last one."""


@contextlib.asynccontextmanager
async def _wire(call: Call) -> AsyncIterator[Wire]:
    """Dial; hang up at the end.

    Raises:
        UnreachableError: the server cannot be reached, or the own end not be had.
    """
    try:
        async with asyncio.timeout(call.timeout):
            sock = await _dial(call)
    except TimeoutError as error:
        raise UnreachableError(
            f"no connection to {call.server} within {call.timeout:g} s"
        ) from error
    except OSError as error:
        raise UnreachableError(f"cannot reach {call.server}: {reason_of(error)}") from error
    if call.udp:
        with sock:
            yield _DatagramWire(sock)
        return
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        yield _StreamWire(reader, writer, call.framing)
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await writer.wait_closed()


async def _dial(call: Call) -> socket.socket:
    """Return a socket connected to the first address that can be reached.

    Raises:
        UnreachableError: the own end cannot be had.
        OSError: the name is nobody's, or nobody answers at any address; the last reason.
    """
    loop = asyncio.get_running_loop()
    kind = socket.SOCK_DGRAM if call.udp else socket.SOCK_STREAM
    found = await loop.getaddrinfo(
        call.server.host, call.server.port, family=call.family, type=kind
    )
    trouble = OSError("no address")
    for family, _, _, _, address in found:
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        try:
            await _bind(sock, call.local)
            await loop.sock_connect(sock, address)
            if not is_own_peer(sock):
                return sock
            # On loopback the kernel may choose the server's port as ours: we met ourselves.
            trouble = ConnectionRefusedError()
        except OSError as error:
            trouble = error
        except BaseException:
            sock.close()
            raise
        sock.close()
    raise trouble


async def _bind(sock: socket.socket, local: Endpoint | None) -> None:
    """Choose the own end, in place of the kernel.

    Raises:
        UnreachableError: it cannot be had.
    """
    if local is None:
        return
    try:
        ((_, _, _, _, address), *_) = await asyncio.get_running_loop().getaddrinfo(
            local.host, local.port, family=sock.family, type=sock.type
        )
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        raise UnreachableError(f"cannot speak from {local}: {reason_of(error)}") from error

"""The rung that works everywhere: everybody on 127.0.0.1 and ::1, on ports the kernel picks.

The program runs as the user of the harness and sees the whole machine: this rung tests, it
does not guard.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import sys
import time
from typing import TYPE_CHECKING

from harness.errors import MachineError
from harness.network import helper, sockets
from harness.network.interface import Network, Place, Process, Reading, Transport
from harness.network.process import WardedProcess, order_of, start_process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_BACKLOG = 128
_TRIES = 64
_FILL_S = 1.0
# Of struct tcp_info; for a listening socket the lengths of its accept queue, now and at most.
_TCPI_UNACKED, _TCPI_SACKED = slice(24, 28), slice(28, 32)

# Ports that were promised to programs of this process and are not bound by us any more.
_promised: set[int] = set()


class Loopback(Network):
    """The network of one play on the loopback interface.

    The host and port that a scenario names choose no more than between 127.0.0.1 and ::1 (for
    an IPv6 literal).  A reserved port is let go just before the program starts, and so it is
    free for some milliseconds.  Nobody in this process takes it meanwhile; another process
    gets it only by chance, one in 14,000 for each socket it binds to port 0, and hardly ever
    by connecting: Linux gives odd ports to bind(2) and even ones to connect(2), as long as
    there are any (inet_csk_find_open_port and __inet_hash_connect).
    """

    rung = "loopback"
    offers = frozenset({"filtered-port"})

    def __init__(self) -> None:
        self._kept: list[socket.socket] = []
        self._reserved: list[socket.socket] = []
        self._released: set[int] = set()
        self._processes: list[WardedProcess] = []
        self._table: sockets.Table | None = None

    # -- places --------------------------------------------------------------------------

    def listen(self, host: str, port: int, transport: Transport) -> socket.socket:  # noqa: ARG002 - hints
        """See `Network`."""
        sock = _bind(_address(host), transport)
        if transport == "tcp":
            sock.listen(_BACKLOG)
        return sock

    def closed(self, host: str, port: int, transport: Transport) -> Place:  # noqa: ARG002 - hints
        """See `Network`."""
        sock = _bind(_address(host), transport)
        self._kept.append(sock)
        place = _place(sock)
        if transport == "udp":
            # It hears only itself now, so whatever comes from others is told "unreachable".
            sock.connect(place)
        return place

    def filtered(self, host: str, port: int) -> Place:  # noqa: ARG002 - hints
        """See `Network`: by a filter, or by a full backlog where a kernel leaves those to root."""
        sock = _bind(_address(host), "tcp")
        self._kept.append(sock)
        try:
            sockets.deafen(sock)
        except MachineError:
            return self._crowded(sock)
        sock.listen(_BACKLOG)
        return _place(sock)

    def _crowded(self, listener: socket.socket) -> Place:
        """Linux drops a SYN to a socket whose accept queue is full (`tcp_conn_request`).

        The queue of listen(1) takes two connections: with a backlog of 0 each SYN would look
        like a flood, and be answered by a cookie or not at all.
        """
        listener.listen(1)
        place = _place(listener)
        for _ in range(_TRIES):
            if _is_full(listener):
                return place
            self._kept.append(_fill(listener, place))
        raise MachineError("this kernel filters no sockets, and answers at a full backlog as well")

    def reserve(self, *transports: Transport, host: str = "", port: int = 0) -> Place:  # noqa: ARG002 - hints
        """See `Network`."""
        for _ in range(_TRIES):
            first = _bind("127.0.0.1", transports[0])
            self._reserved.append(first)
            place = _place(first)
            try:
                self._reserved += [_bind(place.host, other, place.port) for other in transports[1:]]
            except MachineError:
                continue  # somebody has this port of the other transport
            return place
        raise MachineError(f"no port is free for {' and '.join(transports)} together")

    def release(self) -> None:
        """See `Network`."""
        ports = {_place(sock).port for sock in self._reserved}
        self._released |= ports
        _promised.update(ports)
        _close_all(self._reserved)

    async def dial(
        self,
        place: Place,
        transport: Transport,
        *,
        deadline: float,
        source: str = "",  # noqa: ARG002 - there is one host only
    ) -> socket.socket:
        """See `Network`."""
        ipaddress.ip_address(place.host)  # a name would be looked up, by a thread at that
        sock = _socket(place.host, transport)
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.get_running_loop().sock_connect(sock, tuple(place))
            _refuse_self(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    # -- programs ------------------------------------------------------------------------

    async def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin_fd: int,
        stdout_fd: int,
        stderr_fd: int,
        tty: bool,
        raw: bool = False,  # noqa: ARG002 - this rung grants nothing
    ) -> WardedProcess:
        """See `Network`."""
        self.release()
        streams = (stdin_fd, stdout_fd, stderr_fd)
        process = await start_process(order_of(argv, cwd, env, tty=tty), streams)
        self._processes.append(process)
        return process

    def listening(self, process: Process, transport: Transport) -> set[Place]:
        """See `Network`."""
        inodes = self._inodes_of(process)
        return {place for inode, place in self._sockets.bound(transport) if inode in inodes}

    def listens(self, process: Process, place: Place, transport: Transport) -> bool:
        """See `Network`."""
        holder = self._sockets.holder(place, transport)
        return holder is not None and holder in self._inodes_of(process)

    def reading(self, connection: socket.socket) -> Reading:
        """See `Network`."""
        return self._sockets.reading(connection)

    async def close(self) -> None:
        """See `Network`."""
        _close_all(self._kept)
        _close_all(self._reserved)
        try:
            await asyncio.gather(*(process.end() for process in self._processes))
        finally:
            for process in self._processes:
                process.drop()
            self._processes.clear()
            _promised.difference_update(self._released)
            if self._table:
                self._table.close()
                self._table = None

    @property
    def _sockets(self) -> sockets.Table:
        if self._table is None:
            self._table = sockets.open_table()
        return self._table

    def _inodes_of(self, process: Process) -> set[int]:
        wardens = [known.warden for known in self._processes if known is process]
        programs = [pid for warden in wardens for pid in helper.children_of(warden)]
        return sockets.inodes_of(helper.tree_of(programs))


def _address(host: str) -> str:
    return "::1" if ":" in host else "127.0.0.1"


def _place(sock: socket.socket) -> Place:
    return Place(*sock.getsockname()[:2])


def _socket(host: str, transport: Transport) -> socket.socket:
    try:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, _KINDS[transport])
    except OSError as error:
        raise MachineError(f"no socket can be had: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def _refuse_self(sock: socket.socket) -> None:
    """Where nobody listens, a connect can meet itself (RFC 9293 3.5, figure 7)."""
    if sock.getsockname() == sock.getpeername():
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def _bind(host: str, transport: Transport, port: int = 0) -> socket.socket:
    """A socket bound to a port that nobody was promised."""
    rejected: list[socket.socket] = []  # held, or the kernel could offer the same one again
    try:
        while True:
            sock = _socket(host, transport)
            rejected.append(sock)
            sock.bind((host, port))
            if port or _place(sock).port not in _promised:
                return rejected.pop()
    except OSError as error:
        raise MachineError(f"no {transport} port of {host} can be had: {error.strerror}") from error
    finally:
        _close_all(rejected)


def _fill(listener: socket.socket, place: Place) -> socket.socket:
    """A connection of our own in the accept queue of `listener`."""
    before = _queued(listener)
    filler = _socket(place.host, "tcp")
    filler.settimeout(_FILL_S)
    try:
        filler.connect(place)
    except OSError as error:
        filler.close()
        raise MachineError(f"a backlog cannot be filled: {error}") from error
    until = time.monotonic() + _FILL_S
    while _queued(listener) == before and time.monotonic() < until:
        os.sched_yield()  # the last packet of the handshake is on its way, microseconds at most
    return filler


def _is_full(listener: socket.socket) -> bool:
    return _queued(listener) > _tcp_info(listener, _TCPI_SACKED)


def _queued(listener: socket.socket) -> int:
    return _tcp_info(listener, _TCPI_UNACKED)


def _tcp_info(sock: socket.socket, field: slice) -> int:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_SACKED.stop)
    return int.from_bytes(info[field], sys.byteorder)


def _close_all(held: list[socket.socket]) -> None:
    for sock in held:
        sock.close()
    held.clear()

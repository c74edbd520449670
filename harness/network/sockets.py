"""The kernel's tables of sockets: who listens where, learned without touching anybody.

Asked over netlink (sock_diag(7)): the tables in /proc cost ten times as much, since they list
connections too; they are the way out where the kernel has no sock_diag.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.errors import MachineError
from harness.network import helper
from harness.network.interface import Place, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.network.interface import Transport

NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_INET_DIAG_SKV6ONLY = 11
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_WAITING = {"tcp": 10, "udp": 7}  # TCP_LISTEN; TCP_CLOSE, which for UDP means not connected
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBBBI")  # struct inet_diag_req_v2 up to its id
_ID = struct.Struct("!HH16s16sIII")  # struct inet_diag_sockid
_FILTER = struct.Struct("=HBBI")  # struct sock_filter
_PROGRAM = struct.Struct("@HP")  # struct sock_fprog
_BPF_RET = 0x06
_SO_ATTACH_FILTER = 26
_ANY_COOKIE = (1 << 32) - 1
_FAMILY_AT, _ID_AT, _INODE_AT, _ATTRIBUTES_AT = 0, 4, 68, 72  # within struct inet_diag_msg
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_STATE_AT, _RQUEUE = 1, slice(56, 60)
_INET_DIAG_INFO = 2
_WITH_INFO = 1 << (_INET_DIAG_INFO - 1)
_HALF_OPEN = (3, 12)  # TCP_SYN_RECV, TCP_NEW_SYN_RECV
_CLOSED = (4, 5, 6, 7, 9, 11)  # FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, LAST_ACK, CLOSING
# Of struct tcp_info: octets that have come in; that are yet to go out, went out, and again.
_RECEIVED, _NOTSENT = slice(128, 136), slice(144, 148)
_SENT, _REPEATED, _TCP_INFO_SIZE = slice(200, 208), slice(208, 216), 216


class Table(Protocol):
    """The sockets of one network namespace."""

    def bound(self, transport: Transport) -> list[tuple[int, Place]]:
        """Inode and place of each socket that waits for peers, twice if it takes IPv4 and IPv6."""

    def holder(self, place: Place, transport: Transport) -> int | None:
        """The inode of the socket that would answer there now; cheaper than `bound`."""

    def reading(self, connection: socket.socket) -> Reading:
        """How far the other end of a TCP connection of ours is with what was sent to it."""

    def close(self) -> None:
        """Give back what it holds."""


def open_table() -> Table:
    """The table of our own network namespace."""
    try:
        table = DiagnosticsTable(
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        )
    except OSError:
        return ProcTable()
    try:
        table.bound("tcp")
        table.bound("udp")
    except OSError:  # this kernel lacks inet_diag, tcp_diag or udp_diag
        table.close()
        return ProcTable()
    return table


def inodes_of(pids: Iterable[int]) -> set[int]:
    """The inodes of all sockets that these processes hold."""
    inodes = set()
    for pid in pids:
        folder = f"/proc/{pid}/fd/"
        try:
            for fd in os.listdir(folder):  # noqa: PTH208 - a Path for each costs more than the rest
                target = os.readlink(folder + fd)  # noqa: PTH115 - as above
                if target.startswith("socket:["):
                    inodes.add(int(target[8:-1]))
        except OSError:
            continue  # it ended or closed something meanwhile, or it is another user's
    return inodes


def deafen(sock: socket.socket) -> None:
    """Have the kernel drop whatever comes for a socket, and tell nobody (`tcp_filter` in Linux).

    Raises:
        MachineError: this kernel filters no sockets.
    """
    attach_filter(sock, [(_BPF_RET, 0, 0, 0)])


def attach_filter(sock: socket.socket, instructions: Sequence[tuple[int, int, int, int]]) -> None:
    """Have a socket take only what a program of classic BPF lets pass (socket(7)).

    Args:
        sock: Any socket.
        instructions: `struct sock_filter`: code, jump if true, jump if false, operand.

    Raises:
        MachineError: this kernel filters no sockets.
    """
    program = array("B", b"".join(_FILTER.pack(*instruction) for instruction in instructions))
    head = _PROGRAM.pack(len(instructions), program.buffer_info()[0])
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)
    except OSError as error:
        raise MachineError(f"this kernel has no socket filters: {error.strerror}") from error


# -- sock_diag -----------------------------------------------------------------------------


class DiagnosticsTable:
    """Asks a NETLINK_SOCK_DIAG socket about the namespace in which that was made; owns it."""

    def __init__(self, netlink: socket.socket) -> None:
        self._netlink = netlink

        netlink.setblocking(True)  # the answer lies there as soon as a question is asked

    def close(self) -> None:
        """See `Table`."""
        self._netlink.close()

    def bound(self, transport: Transport) -> list[tuple[int, Place]]:
        """See `Table`."""
        return [
            (_inode(message), place)
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._dump(family, transport)
            for place in _places(message)
        ]

    def holder(self, place: Place, transport: Transport) -> int | None:
        """See `Table`."""
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        address = socket.inet_pton(family, place.host).ljust(16, b"\0")
        here, there = (place.port, address), (0, bytes(16))
        if transport == "udp":  # "swapped for historical reasons" (udp_dump_one in Linux)
            here, there = there, here
        (source, source_host), (target, target_host) = here, there
        identity = _ID.pack(source, target, source_host, target_host, 0, _ANY_COOKIE, _ANY_COOKIE)
        self._ask(family, transport, 0, identity)
        try:
            return _inode(next(self._answer()))
        except FileNotFoundError:
            return None

    def reading(self, connection: socket.socket) -> Reading:
        """See `Table`.

        What has come in is told under the lock of the socket (`tcp_get_info` in Linux): a read
        that is under way has returned by then.
        """
        try:
            sent = _sent(connection)
            theirs, ours = connection.getpeername(), connection.getsockname()
        except OSError:
            return Reading.GONE
        if sent is None:
            return Reading.UNKNOWN
        host, port = socket.inet_pton(connection.family, theirs[0]).ljust(16, b"\0"), theirs[1]
        our_host = socket.inet_pton(connection.family, ours[0]).ljust(16, b"\0")
        identity = _ID.pack(port, ours[1], host, our_host, 0, _ANY_COOKIE, _ANY_COOKIE)
        self._ask(connection.family, "tcp", 0, identity, extensions=_WITH_INFO)
        try:
            message = next(self._answer())
        except OSError as error:
            return Reading.GONE if error.errno == errno.ENOENT else Reading.UNKNOWN
        return _reading(message, sent)

    def _dump(self, family: int, transport: Transport) -> Iterator[bytes]:
        self._ask(family, transport, _NLM_F_DUMP, bytes(_ID.size))
        return self._answer()

    def _ask(
        self, family: int, transport: Transport, flags: int, identity: bytes, *, extensions: int = 0
    ) -> None:
        states = 1 << _WAITING[transport]
        request = _REQUEST.pack(family, _PROTOCOLS[transport], extensions, 0, states) + identity
        size = _HEADER.size + len(request)
        header = _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST | flags, 1, 0)
        self._netlink.send(header + request)

    def _answer(self) -> Iterator[bytes]:
        while True:
            for kind, payload in _split(self._netlink.recv(helper.MESSAGE_SIZE)):
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    code = -int.from_bytes(payload[:4], sys.byteorder, signed=True)
                    raise OSError(code, os.strerror(code))
                yield payload


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        size, kind, *_ = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + size]
        at += (size + 3) & ~3


def _inode(message: bytes) -> int:
    return int.from_bytes(message[_INODE_AT : _INODE_AT + 4], sys.byteorder)


def _sent(connection: socket.socket) -> int | None:
    """Octets that were written to a connection, each counted once; None if it is not told."""
    if not sys.platform.startswith("linux"):
        return None
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    if len(info) < _TCP_INFO_SIZE:  # before Linux 4.19
        return None
    waiting, sent, repeated = (_number(info[field]) for field in (_NOTSENT, _SENT, _REPEATED))
    return waiting + sent - repeated


def _reading(message: bytes, sent: int) -> Reading:
    """What a `struct inet_diag_msg` tells of the program's end, to which so much was sent."""
    state, held = message[_STATE_AT], _inode(message) != 0
    if state in _CLOSED and not held:
        return Reading.GONE
    info = _attribute(message, _INET_DIAG_INFO)
    if len(info) < _RECEIVED.stop:
        return Reading.BEHIND if state in _HALF_OPEN else Reading.GONE
    unread = _number(message[_RQUEUE])
    return Reading.DONE if _number(info[_RECEIVED]) - unread >= sent else Reading.BEHIND


def _number(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)


def _places(message: bytes) -> Iterator[Place]:
    port, _, address, *_ = _ID.unpack_from(message, _ID_AT)
    if message[_FAMILY_AT] == socket.AF_INET:
        yield Place(socket.inet_ntop(socket.AF_INET, address[:4]), port)
    else:
        yield from _places6(address, port, only6=_attribute(message, _INET_DIAG_SKV6ONLY) == b"\1")


def _places6(address: bytes, port: int, *, only6: bool) -> Iterator[Place]:
    host = socket.inet_ntop(socket.AF_INET6, address)
    if host.startswith("::ffff:"):
        yield Place(host.removeprefix("::ffff:"), port)
        return
    yield Place(host, port)
    if host == "::" and not only6:
        yield Place("0.0.0.0", port)


def _attribute(message: bytes, wanted: int) -> bytes:
    at = _ATTRIBUTES_AT
    while at + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == wanted:
            return message[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3
    return b""


# -- /proc/net -------------------------------------------------------------------------------


class ProcTable:
    """Reads /proc/net; it does not tell whether an IPv6 wildcard takes IPv4: taken to do so."""

    def close(self) -> None:
        """See `Table`."""

    def bound(self, transport: Transport) -> list[tuple[int, Place]]:
        """See `Table`."""
        return [
            entry
            for family in ("", "6")
            for line in _lines(Path(f"/proc/net/{transport}{family}"))
            for entry in _entries(line, _WAITING[transport])
        ]

    def reading(self, connection: socket.socket) -> Reading:  # noqa: ARG002 - it does not tell
        """See `Table`."""
        return Reading.UNKNOWN

    def holder(self, place: Place, transport: Transport) -> int | None:
        """See `Table`."""
        wildcard = Place("::" if ":" in place.host else "0.0.0.0", place.port)
        bound = self.bound(transport)
        return next((inode for inode, at in bound if at in (place, wildcard)), None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").splitlines()[1:]
    except FileNotFoundError:  # no IPv6
        return []


def _entries(line: str, state: int) -> Iterator[tuple[int, Place]]:
    _, local, _, state_hex, *rest = line.split()
    if int(state_hex, 16) != state:
        return
    host, _, port = local.partition(":")
    words = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
    address = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    inode = int(rest[5])
    if len(words) == 1:
        yield inode, Place(socket.inet_ntop(socket.AF_INET, address), int(port, 16))
    else:
        for place in _places6(address, int(port, 16), only6=False):
            yield inode, place

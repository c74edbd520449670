"""The rung where everything is true: a private Internet for each play.

The program lives on a host of its own, behind a router, and every address behind that router
is one at which an actor can stand: names, addresses and privileged ports that are hard-coded
in it are simply there, in forty plays at once.  Linux only; no root is needed, but user
namespaces are.  The peers stay in the harness's event loop: only their sockets belong to the
play's Internet.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import signal
import socket
import struct
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import HarnessError, MachineError
from harness.model.needs import (
    CAPTURE,
    FILTERED_PORT,
    ICMP_ERRORS,
    LOST_SEGMENTS,
    NAMES,
    PRIVATE_ADDRESSES,
    RAW_ICMP,
)
from harness.network import helper, icmp, room
from harness.network.interface import Network, Place, Process, Reading, Transport, Way
from harness.network.process import (
    WardedProcess,
    fork_server,
    order_of,
    receive_from,
    start_process,
)
from harness.network.segments import NETLINK_NETFILTER, LostSegments
from harness.network.sockets import NETLINK_SOCK_DIAG, DiagnosticsTable, deafen
from harness.network.tap import Tap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from harness.model.capture import Capture

#: From where the actors that dial come: blocks for documentation (RFC 5737, RFC 3849).
VISITOR, VISITOR6 = "203.0.113.80", "2001:db8::80"
_NEAR_VISITORS = ipaddress.ip_address("127.0.1.0")
#: Where a server listens that leaves the port to us.
DEFAULT_PORT = 8000

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_BACKLOG = 128
_PATIENCE_S = 20.0  # a room takes 5 ms, on a machine that has nothing else to do
_NAMES_FROM = int(ipaddress.IPv4Address("198.18.1.0"))
_NAMES = 0xFE00  # addresses for names, from there on
_OWN_NAMES = {"localhost": "127.0.0.1", room.HOST_NAME: room.ADDRESS}
_WILDCARDS = {"": room.ADDRESS, "0.0.0.0": room.ADDRESS, "::": room.ADDRESS6}
_HOSTS = f"""\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
{room.ADDRESS} {room.HOST_NAME}
"""


class Private(Network):
    """The network of one play, on a private Internet; made by `open`."""

    resolver = Place(room.NAME_SERVER, 53)
    rung = "private"
    offers = frozenset(
        {NAMES, PRIVATE_ADDRESSES, FILTERED_PORT, ICMP_ERRORS, LOST_SEGMENTS, RAW_ICMP, CAPTURE}
    )

    def __init__(
        self,
        channel: socket.socket,
        keeper: int,
        name_server: tuple[socket.socket, socket.socket],
        tap: socket.socket,
    ) -> None:
        self._channel = channel
        self._tap = Tap(tap)
        self._name_server: dict[Transport, socket.socket] = dict(
            zip(("udp", "tcp"), name_server, strict=True)
        )
        self._keeper = keeper
        self._keeper_fd = os.pidfd_open(keeper)
        self._names: dict[str, str] = {}
        self._names_in_hosts = True
        self._own_addresses = {room.ADDRESS, room.ADDRESS6}
        self._own_inodes: set[int] = set()
        self._visitors = 0
        self._kept: list[socket.socket] = []
        self._process: WardedProcess | None = None
        self._started = False
        self._table: DiagnosticsTable | None = None

    @classmethod
    async def open(cls) -> Self:
        """See `Network`."""
        channel = _new_room()
        channel.setblocking(False)
        loop, fd = asyncio.get_running_loop(), channel.fileno()
        readable = asyncio.Event()
        loop.add_reader(fd, readable.set)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await readable.wait()
            return cls(channel, *_keeper_of(channel))
        except TimeoutError:
            channel.close()
            raise MachineError("the private network was not set up in time") from None
        except BaseException:
            channel.close()
            raise
        finally:
            loop.remove_reader(fd)

    @classmethod
    def check(cls) -> None:
        """Set one up and throw it away.

        Raises:
            MachineError: it cannot be had here; says which step failed, and what to do.
        """
        channel = _new_room()
        try:
            channel.settimeout(_PATIENCE_S)
            _, name_server, tap = _keeper_of(channel)
            for sock in (*name_server, tap):
                sock.close()
        except TimeoutError:
            raise MachineError("the private network was not set up in time") from None
        finally:
            channel.close()

    # -- places --------------------------------------------------------------------------

    def known_as(self, host: str, place: Place) -> Place:
        """See `Network`."""
        return Place(host, place.port)

    @property
    def names(self) -> Mapping[str, str]:
        """See `Network`."""
        return {**_OWN_NAMES, **self._names}

    def keep_names_out_of_hosts(self) -> None:
        """See `Network`."""
        self._names_in_hosts = False

    def add_names(self, names: Mapping[str, str]) -> None:
        """See `Network`; a name that an actor already has keeps its address."""
        for name, address in names.items():
            self._names.setdefault(name.lower(), str(ipaddress.ip_address(address)))
        if self._started:
            self._ask("hosts", self._hosts())

    def capture(self, curtain_ns: int, secrets: bytes) -> Capture:
        """See `Network`."""
        return self._tap.capture(curtain_ns, self.names, secrets)

    def trust(self, files: Mapping[str, bytes]) -> None:
        """See `Network`."""
        self._ask("trust", dict(files))

    def listen(self, host: str, port: int, transport: Transport) -> socket.socket:
        """See `Network`."""
        place = Place(self._address(host), port)
        if place == self.resolver and transport in self._name_server:
            return self._name_server.pop(transport)
        sock = self._bind(place, transport)
        if transport == "tcp":
            sock.listen(_BACKLOG)
        return sock

    def closed(self, host: str, port: int, transport: Transport) -> Place:  # noqa: ARG002 - nobody is anywhere
        """See `Network`: where nobody listens, the kernel of the Internet's side refuses."""
        return Place(self._address(host), port)

    def filtered(self, host: str, port: int) -> Place:
        """See `Network`."""
        return self._silent(host, port, "tcp")

    def echo(self, host: str) -> icmp.EchoSocket:
        """See `Network`."""
        address = self._address(host)
        side = room.HOST if self._is_near(address) else room.INTERNET
        self._ask("silence", side)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = self._socket_of(side, family, socket.SOCK_RAW, icmp.PROTOCOLS[family])
        try:
            sock.bind((address, 0))
        except OSError as error:
            sock.close()
            raise MachineError(f"nobody can stand at {address}: {error.strerror}") from error
        return icmp.EchoSocket(address, sock)

    def unreachable(
        self, host: str, port: int, transport: Transport | Literal["icmp"]
    ) -> icmp.Router:
        """See `Network`."""
        if transport == "icmp":
            place = Place(self._address(host), 0)
            self._ask("silence", room.INTERNET)
        else:
            place = self._silent(host, port, transport)
        if self._is_near(place.host):
            raise MachineError(f"no router lies between a program and its own host, at {place}")
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        kind = socket.htons(icmp.ETHERTYPES[family])
        tap = self._socket_of(room.INTERNET, socket.AF_PACKET, socket.SOCK_DGRAM, kind)
        voice = self._socket_of(room.INTERNET, family, socket.SOCK_RAW, icmp.PROTOCOLS[family])
        voice.bind((room.ROUTER6 if ":" in place.host else room.ROUTER, 0))
        return icmp.Router(place, transport, tap, voice)

    def lose_segments(
        self, place: Place, way: Way, ordinals: Sequence[int], visitor: str = ""
    ) -> LostSegments:
        """See `Network`."""
        anywhere = Place("", 0)
        actor, program = (Place(visitor, 0), place) if visitor else (place, anywhere)
        near = way == "answer" or self._is_near(actor.host)
        netlink = self._socket_of(
            room.HOST if near else room.INTERNET,
            socket.AF_NETLINK,
            socket.SOCK_RAW,
            NETLINK_NETFILTER,
        )
        source, target = (actor, program) if way == "answer" else (program, actor)
        return LostSegments(netlink, source, target, ordinals)

    def visitor(self, place: Place) -> str:
        """See `Network`."""
        self._visitors += 1
        if _on_loopback(place.host):
            return "::1" if ":" in place.host else str(_NEAR_VISITORS + self._visitors)
        return str(
            ipaddress.ip_address(VISITOR6 if ":" in place.host else VISITOR) + self._visitors
        )

    def _silent(self, host: str, port: int, transport: Transport) -> Place:
        """A place whose socket hears nothing, so that the kernel answers nobody there."""
        sock = self._bind(Place(self._address(host), port), transport)
        self._kept.append(sock)
        deafen(sock)
        if transport == "tcp":
            sock.listen(_BACKLOG)
        return Place(*sock.getsockname()[:2])

    def reserve(self, *transports: Transport, host: str = "", port: int = 0) -> Place:  # noqa: ARG002 - all are free
        """See `Network`."""
        address = _WILDCARDS.get(host) or self._address(host)
        if not _on_loopback(address) and address not in self._own_addresses:
            self._ask("address", address)
            self._own_addresses.add(address)
        return Place(address, port or DEFAULT_PORT)

    def release(self) -> None:
        """See `Network`: nobody holds a place of the program's here."""

    async def dial(
        self, place: Place, transport: Transport, *, deadline: float, source: str = ""
    ) -> socket.socket:
        """See `Network`."""
        address = str(ipaddress.ip_address(place.host))
        near = _on_loopback(address)
        sock = self._socket(room.HOST if near else room.INTERNET, address, transport)
        try:
            if source or not near:
                sock.bind((source or (VISITOR6 if ":" in address else VISITOR), 0))
            async with asyncio.timeout_at(deadline):
                await asyncio.get_running_loop().sock_connect(sock, (address, place.port))
        except BaseException:
            sock.close()
            raise
        return sock

    def _address(self, host: str) -> str:
        """The address of a host: itself, or the one that its name has in this play."""
        if address := _numeric(host):
            return address
        name = host.lower()
        if name in _OWN_NAMES:
            return _OWN_NAMES[name]
        if name not in self._names:
            self.add_names({name: self._free_address(name)})
        return self._names[name]

    def _free_address(self, name: str) -> str:
        """The same one in every play, unless another name there has it."""
        number = zlib.crc32(name.encode())
        while True:
            address = str(ipaddress.IPv4Address(_NAMES_FROM + number % _NAMES))
            if address not in self._names.values():
                return address
            number += 1

    def _bind(self, place: Place, transport: Transport) -> socket.socket:
        side = room.HOST if self._is_near(place.host) else room.INTERNET
        sock = self._socket(side, place.host, transport)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, transport == "tcp")
            sock.bind(place)
        except OSError as error:
            sock.close()
            raise MachineError(f"nobody can stand at {place}: {error.strerror}") from error
        return sock

    def _is_near(self, address: str) -> bool:
        return _on_loopback(address) or address in self._own_addresses

    def _socket(self, side: str, host: str, transport: Transport) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = self._socket_of(side, family, _KINDS[transport])
        if side == room.HOST:
            self._own_inodes.add(os.fstat(sock.fileno()).st_ino)
        return sock

    def _socket_of(self, side: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
        (fd,) = self._ask("socket", side, int(family), int(kind), protocol)
        return socket.socket(family, kind, protocol, fileno=fd)

    def _ask(self, *message: Any) -> list[int]:
        """Have process 1 do something; the descriptors that it answers with.

        Raises:
            MachineError: the kernel refuses.
            HarnessError: process 1 has died or is stuck.
        """
        self._channel.settimeout(_PATIENCE_S)
        try:
            helper.send(self._channel, *message)
            answer, fds = helper.receive(self._channel)
        except TimeoutError:
            raise HarnessError("process 1 of a private network is stuck") from None
        match answer:
            case ("done",):
                return fds
            case ("failed", what, code):
                raise MachineError(f"the private network refuses {what}: {os.strerror(code)}")
        raise HarnessError("process 1 of a private network was killed")

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
        raw: bool = False,
    ) -> WardedProcess:
        """See `Network`; there is one program at a time, and all that runs here belongs to it."""
        if self._process and not self._process.over:
            raise HarnessError("there is a program already in this private network")
        self._started = True
        self._close_name_server()
        order = order_of(argv, cwd, env, tty=tty, raw=raw)
        streams = (stdin_fd, stdout_fd, stderr_fd)
        self._process = await start_process(order, streams, self._hand_over, self._keeper)
        return self._process

    def _close_name_server(self) -> None:
        """If nobody stands there; who asks for names then learns so at once."""
        for sock in self._name_server.values():
            sock.close()
        self._name_server.clear()

    def _hand_over(self, channel: socket.socket) -> None:
        helper.send(
            self._channel,
            "program",
            self._hosts(),
            ancillary=[(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", channel.fileno()))],
        )

    def _hosts(self) -> str:
        told = self._names if self._names_in_hosts else {}
        return _HOSTS + "".join(f"{address} {name}\n" for name, address in told.items())

    def listening(self, process: Process, transport: Transport) -> set[Place]:
        """See `Network`; whatever socket on the host is not ours is the program's."""
        if process is not self._process:
            return set()
        bound = self._sockets.bound(transport)
        return {place for inode, place in bound if inode not in self._own_inodes}

    def listens(self, process: Process, place: Place, transport: Transport) -> bool:
        """See `Network`."""
        if process is not self._process:
            return False
        holder = self._sockets.holder(place, transport)
        return holder is not None and holder not in self._own_inodes

    def reading(self, connection: socket.socket) -> Reading:
        """See `Network`."""
        return self._sockets.reading(connection)

    @property
    def _sockets(self) -> DiagnosticsTable:
        if self._table is None:
            self._table = DiagnosticsTable(
                self._socket_of(room.HOST, socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
            )
        return self._table

    # -- its end -------------------------------------------------------------------------

    async def close(self) -> None:
        """See `Network`."""
        self._tap.close()
        for sock in self._kept:
            sock.close()
        self._kept.clear()
        self._close_name_server()
        if self._table:
            self._table.close()
            self._table = None
        process, self._process = self._process, None
        try:
            if process:
                await process.end()
        finally:
            if process:
                process.drop()
            await self._close_room()
            self._tap.wait_closed()

    async def _close_room(self) -> None:
        """Hang up, and wait until process 1 is gone, and all the others with it."""
        self._channel.close()
        if self._keeper_fd < 0:
            return
        fd, self._keeper_fd = self._keeper_fd, -1
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(fd, gone.set)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await gone.wait()
        except TimeoutError:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            raise HarnessError("process 1 of a private network did not end") from None
        finally:
            loop.remove_reader(fd)
            os.close(fd)


@lru_cache(maxsize=1024)  # ten microseconds, and every play asks for the same few
def _numeric(host: str) -> str:
    """An address in its shortest form; empty for a name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""


@lru_cache(maxsize=1024)
def _on_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


# -- the room --------------------------------------------------------------------------------


def _new_room() -> socket.socket:
    """The socket through which process 1 of a new room speaks; it is being set up."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    with theirs:
        try:
            fork_server().hand_over(theirs, "room")
        except BaseException:
            ours.close()
            raise
    return ours


def _keeper_of(
    channel: socket.socket,
) -> tuple[int, tuple[socket.socket, socket.socket], socket.socket]:
    """The process id of process 1, and sockets, once it is ready.

    Those where names are asked for, and the one that hears every frame.

    Raises:
        MachineError: it cannot be; says which step failed, and what to do.
        HarnessError: it died.
    """
    message, keeper, fds = receive_from(channel)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
    match message:
        case ("ready",):
            datagrams, streams, tap = (socket.socket(fileno=fd) for fd in fds)
            return keeper, (datagrams, streams), tap
        case ("failed", step, code):
            raise MachineError(
                f"the private network cannot be had: {step}: {os.strerror(code)}; "
                f"{_remedy(step, code)}, or use --network loopback"
            )
    raise HarnessError("process 1 of a private network died while it was set up")


def refused_step() -> tuple[str, int] | None:
    """Set a room up and throw it away; the step that was refused and its errno, None if none was.

    Raises:
        MachineError: it was not set up in time.
        HarnessError: process 1 died.
    """
    with _new_room() as channel:
        channel.settimeout(_PATIENCE_S)
        try:
            message, _, fds = receive_from(channel)
        except TimeoutError:
            raise MachineError("the private network was not set up in time") from None
    for fd in fds:
        os.close(fd)
    match message:
        case ("ready",):
            return None
        case ("failed", str(step), int(code)):
            return step, code
    raise HarnessError("process 1 of a private network died while it was set up")


def _remedy(step: str, code: int) -> str:
    if code == errno.ENOSPC:
        return "raise sysctl user.max_user_namespaces and user.max_net_namespaces"
    if code == errno.EOPNOTSUPP and "veth" in step:
        return "load the kernel's module (modprobe veth)"
    if code == errno.EAFNOSUPPORT and "frame" in step:
        return "load the kernel's module (modprobe af_packet)"
    if code == errno.EROFS or (code in (errno.EPERM, errno.EACCES) and "/proc" in step):
        return _PROC
    if code in (errno.EPERM, errno.EACCES):
        return _PERMITTED
    if code in (errno.EINVAL, errno.ENOSYS):
        return "it takes Linux 5.11 or newer with user and network namespaces"
    return "see that the kernel has user and network namespaces, veth and tmpfs"


_PROC = (
    "have the container show all of /proc, to be written too (Docker: --security-opt "
    "systempaths=unconfined; Podman: --security-opt unmask=ALL)"
)
_PERMITTED = (
    "let unprivileged users make user namespaces (sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu, "
    "kernel.unprivileged_userns_clone=1 on Debian; in a container, "
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined)"
)

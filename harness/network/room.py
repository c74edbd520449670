"""A room: the namespaces of one play, and process 1 in them, which makes, guards and ends it.

Forked by the helper, so its imports are counted.  Two network namespaces belong to one user
namespace: the *host*, where the program lives, and the *Internet*, where every address is
local.  Process 1 keeps its capabilities, does what it is asked for through its socket, and
ends with it; the kernel then ends everything else in the room.

It hears ("socket", side, family, type, protocol), ("address", host), ("hosts", text),
("silence", side), ("trust", files) with octets by path, and ("program", text) with the socket of a
warden, the text being for /etc/hosts.
It says ("ready",) once, with the sockets at which names are asked for, datagrams first, and one
that hears every frame on the host's side; and to each but the last ("done",), with the socket if
one was asked for, or ("failed", what could not
be done, errno).
"""

from __future__ import annotations

import _socket
import ctypes
import errno
import fcntl
import os
import resource
import struct
from _signal import SIGCHLD, SIGKILL, SIGSTOP  # type: ignore[import-not-found]

from harness.network import helper, netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST, INTERNET = "host", "internet"
HOST_NAME = "lab"
#: Who the program is: an ordinary user, whoever runs the harness.
USER = 1000
MTU = 1500
#: Where the program lives, and the router that takes it to everybody else.  All of it lies in
#: the blocks for benchmarks of networks (RFC 2544, RFC 5180), where no program means to go.
ADDRESS, ROUTER = "198.19.255.2", "198.19.255.1"
ADDRESS6, ROUTER6 = "2001:2:0:ffff::2", "2001:2:0:ffff::1"
NAME_SERVER = "198.18.0.53"

_BACKLOG = 128
#: How many processes and threads a program may have: a thread for each port of a scan is fair.
PROCESSES = 2048

_CROWD = PROCESSES // 4  # so many at once are no program's intention
_RESERVED_PIDS = 300  # these come only once (RESERVED_PIDS in Linux)
_OWN_PID_MAX, _LIMIT_OF_NAMESPACE = (6, 14), (5, 14)
_LINK = 2  # the number of the link on either side
_HOST_MAC, _ROUTER_MAC = bytes.fromhex("0200c6120002"), bytes.fromhex("0200c6120001")

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_ALL = _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWIPC
_CLONE3 = 435  # the same number on every architecture
_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}  # elsewhere its arguments differ
_CLONE_ARGS = struct.Struct("=8Q")  # struct clone_args, version 0
_MS_RDONLY, _MNT_DETACH = 0x1, 0x2
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC = 0x2, 0x4, 0x8, 0x1000, 0x4000
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 38, 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_NET_RAW = 13
_CAPABILITIES = 64
_CAPABILITY_VERSION = 0x20080522
_ETH_P_ALL = 3
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM, _ETHTOOL_SGSO = 0x17, 0x24

#: Folders that all programs of a machine share, and how large they may become in a room.
_SHARED = (
    ("/tmp", "size=256m,nr_inodes=64k"),  # noqa: S108 - that is why
    ("/var/tmp", "size=256m,nr_inodes=64k"),  # noqa: S108 - as above
    ("/dev/shm", "size=64m,nr_inodes=4k"),  # noqa: S108 - as above
)
#: What stands between the paths of an argument such as `-cp /tmp/a.jar:/tmp/b.jar`.
_AROUND_PATHS = b" \t\n:;,'\"()<>|&=`"
#: Folders in which systems keep the authorities that they trust, and bundles that lie elsewhere:
#: Debian and Alpine; Fedora; openSUSE, Arch.
_AUTHORITIES = ("/etc/ssl/certs", "/etc/pki/tls/certs")
_BUNDLES = (
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
)

_NAME_SERVICE = """\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
"""

# Keeps the interpreter's lock, which a forked child could not get back from nobody.
_libc = ctypes.PyDLL(None, use_errno=True)


_NAMESPACES = "make a user namespace"


def recipe() -> list[str]:
    """The steps by which a room is made, in order, as a refused one is told."""
    unused = _socket.socket()
    unused.close()
    return [_NAMESPACES, *(what for what, _ in Room(unused, (USER, USER))._steps())]  # noqa: SLF001 - our own


def fork() -> int:
    """Fork a child that is process 1 of new namespaces, and all-powerful in them.

    One clone3(2) in place of unshare(2) and a second fork, since each fork costs as much as
    three namespaces.  Filters of containers that are older than that call say that there is none;
    then it is clone(2), as libraries do it.

    Raises:
        OSError: the kernel refuses.
    """
    arguments = _CLONE_ARGS.pack(_ALL, 0, 0, 0, SIGCHLD, 0, 0, 0)
    try:
        return _check(_libc.syscall(_CLONE3, arguments, len(arguments)))
    except OSError as error:
        clone = _CLONE.get(os.uname().machine)
        if error.errno != errno.ENOSYS or clone is None:
            raise
    nothing = ctypes.c_void_p()
    flags = ctypes.c_ulong(_ALL | SIGCHLD)
    return _check(_libc.syscall(clone, flags, nothing, nothing, nothing, nothing))


def _check(result: int) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


class Room:
    """Process 1 of a play.

    Args:
        channel: Through which the harness speaks.
        user: Who the program is outside: user and group.
    """

    def __init__(self, channel: _socket.socket, user: tuple[int, int]) -> None:
        self._channel = channel
        self._user = user
        self._namespaces: dict[str, int] = {}
        self._hosts = ""
        self._name_server: list[_socket.socket] = []
        self._tap: _socket.socket | None = None
        self._covered: dict[str, int] = {}  # what lay in a shared folder, by its path
        self._warden: RoomWarden | None = None

    def live(self) -> None:
        """Set everything up, say so, and serve until the harness hangs up."""
        for what, do in self._steps():
            try:
                do()
            except OSError as error:
                helper.send(self._channel, "failed", what, error.errno)
                return
        self._children = helper.Children()
        self._say("ready", *self._name_server, *filter(None, [self._tap]))
        while self._serve():
            pass

    # -- setting up ------------------------------------------------------------------------

    def _steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "map the user of a user namespace", self._map_user
        yield "set up the kernel of the Internet's side", self._set_internet
        yield "make a network namespace", self._make_host
        yield "set up the kernel of the host's side", self._set_host
        yield "join two network namespaces by a veth pair", self._join
        yield "give the host its addresses", self._address_host
        yield "make every address local", self._address_internet
        yield "stand where names are asked for", self._open_name_server
        yield "set the host's name", lambda: _socket.sethostname(HOST_NAME)
        yield "mount a /proc of its own", self._mount_proc
        yield "mount an empty /run", self._mount_run
        yield "put /etc/hosts and its like in place", self._mount_names
        yield "mount empty folders for temporary files", self._mount_temporary
        yield "limit how many processes run at once", _limit_processes
        yield "hear every frame on the wire", self._open_tap
        yield "give up capabilities", self._bound

    def _map_user(self) -> None:
        user, group = self._user
        _write("/proc/self/setgroups", "deny")  # else only root may map groups
        _write("/proc/self/uid_map", f"{USER} {user} 1")
        _write("/proc/self/gid_map", f"{USER} {group} 1")

    def _set_internet(self) -> None:
        """It forwards, lets actors stand anywhere, and never holds an ICMP error back."""
        self._namespaces[INTERNET] = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _write("/proc/sys/net/ipv4/ip_forward", "1")
        _write("/proc/sys/net/ipv4/ip_nonlocal_bind", "1")
        _write("/proc/sys/net/ipv4/icmp_ratemask", "0")  # of 100 closed UDP ports all are told
        if _has_ipv6():
            _write("/proc/sys/net/ipv6/conf/all/forwarding", "1")
            _write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1")
            _write("/proc/sys/net/ipv6/icmp/ratelimit", "0")

    def _make_host(self) -> None:
        _check(_libc.unshare(_CLONE_NEWNET))
        self._namespaces[HOST] = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _set_host(self) -> None:
        _write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
        _write("/proc/sys/net/ipv4/ping_group_range", f"{USER} {USER}")
        _write("/proc/sys/net/ipv4/icmp_ratemask", "0")

    def _join(self) -> None:
        netlink.ask(
            netlink.new_pair(
                "eth0",
                _HOST_MAC,
                peer="wire",
                peer_mac=_ROUTER_MAC,
                peer_namespace=self._namespaces[INTERNET],
                index=_LINK,
                mtu=MTU,
            )
        )

    def _address_host(self) -> None:
        ways = [
            netlink.up(netlink.LOOPBACK_INDEX),
            netlink.up(_LINK),
            netlink.address(ADDRESS, 30, _LINK),
            netlink.neighbour(ROUTER, _ROUTER_MAC, _LINK),
            netlink.route("0.0.0.0", 0, _LINK, gateway=ROUTER),
        ]
        if _has_ipv6():
            ways.insert(0, netlink.no_own_ipv6(_LINK))
            ways += [
                netlink.address(ADDRESS6, 64, _LINK),
                netlink.neighbour(ROUTER6, _ROUTER_MAC, _LINK),
                netlink.route("::", 0, _LINK, gateway=ROUTER6),
            ]
        netlink.ask(*ways)
        _plain_frames("eth0")

    def _address_internet(self) -> None:
        ways = [
            netlink.up(netlink.LOOPBACK_INDEX),
            netlink.up(_LINK),
            netlink.address(ROUTER, 30, _LINK),
            netlink.neighbour(ADDRESS, _HOST_MAC, _LINK),
            netlink.everything_local(_socket.AF_INET),
        ]
        if _has_ipv6():
            ways.insert(0, netlink.no_own_ipv6(_LINK))
            ways += [
                netlink.address(ROUTER6, 64, _LINK),
                netlink.neighbour(ADDRESS6, _HOST_MAC, _LINK),
                netlink.everything_local(_socket.AF_INET6),
            ]
        with self._inside(INTERNET):
            netlink.ask(*ways)
            _plain_frames("wire")

    def _open_name_server(self) -> None:
        """In every play, so it is not worth being asked for."""
        with self._inside(INTERNET):
            for kind in (_socket.SOCK_DGRAM, _socket.SOCK_STREAM):
                server = _socket.socket(_socket.AF_INET, kind | _socket.SOCK_NONBLOCK)
                server.bind((NAME_SERVER, 53))
                self._name_server.append(server)
        self._name_server[-1].listen(_BACKLOG)

    def _open_tap(self) -> None:
        """On the host, where a program's frames to itself are heard too."""
        kind = _socket.SOCK_RAW | _socket.SOCK_NONBLOCK
        self._tap = _socket.socket(_socket.AF_PACKET, kind, _socket.htons(_ETH_P_ALL))

    def _mount_proc(self) -> None:
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)

    def _mount_run(self) -> None:
        """Name caches answer over Unix sockets in /run, which no network namespace holds back."""
        for folder in {os.path.realpath("/run"), os.path.realpath("/var/run")}:
            if os.path.isdir(folder):  # noqa: PTH112 - no pathlib here
                _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=16m")

        self._show_own_links()

    def _show_own_links(self) -> None:
        """Have /sys tell of the links of the host in place of the machine's.

        Where a container hides parts of /sys the kernel allows no other one: it stays as it is.
        """
        own = "/run/.sys"
        os.mkdir(own)  # noqa: PTH102 - no pathlib here
        try:
            _mount("sysfs", own, "sysfs", _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
            for folder in ("/class/net", "/devices/virtual/net"):
                _mount(own + folder, "/sys" + folder, "none", _MS_BIND | _MS_REC)
            _check(_libc.umount2(own.encode(), _MNT_DETACH))
        except OSError:
            pass
        os.rmdir(own)  # noqa: PTH106 - as above

    def _mount_names(self) -> None:
        self._hosts = _put("/etc/hosts", "127.0.0.1 localhost\n")
        _put("/etc/resolv.conf", f"nameserver {NAME_SERVER}\n")
        _put("/etc/nsswitch.conf", _NAME_SERVICE)

    def _mount_temporary(self) -> None:
        """Folders in which everybody may leave files: empty, limited, and gone with the room."""
        for folder, options in _SHARED:
            real = os.path.realpath(folder)
            if os.path.isdir(real) and real not in self._covered:  # noqa: PTH112 - no pathlib here
                self._covered[real] = os.open(real, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                _mount("tmpfs", real, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=1777,{options}")

    def _uncover(self, order: helper.Order) -> None:
        """Bring back what a program is told of: its folders, its interpreter, files named to it.

        Whatever else lies in a shared folder of the machine is as far away as on another one.
        """
        for word in (order.cwd, *order.argv, *order.env.values()):
            for name, fd in self._covered.items():
                folder, old = os.fsencode(name), b"/proc/self/fd/%d" % fd
                for path in _paths_in(word, folder, old):
                    _bring_back(path, folder, old)

    def _bound(self) -> None:
        """Nothing that the program starts can get a capability, whatever files may offer.

        Raw sockets can still be granted, through the inheritable set.
        """
        _set_capabilities(inheritable=1 << _CAP_NET_RAW)
        for capability in range(_CAPABILITIES):
            if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                return  # EINVAL: this kernel knows no more

    # -- serving ----------------------------------------------------------------------------

    def _serve(self) -> bool:
        fds = [self._channel.fileno(), self._children.wake]
        if self._warden:
            fds.append(self._warden.channel.fileno())
        asked, ended, *ordered = helper.readable(*fds)
        if ended and not self._warden:
            for _ in self._children.reap():
                pass
        elif ended and self._warden:
            self._warden.note(self._children.reap())
        if self._warden and any(ordered) and not self._warden.obey():
            self._warden.channel.close()
            self._warden = None
        return not asked or self._obey()

    def _obey(self) -> bool:
        message, fds = helper.receive(self._channel)
        if not message:
            return False
        if message[0] == "program":
            _write(self._hosts, message[1])
            channel = _socket.socket(fileno=fds[0])
            self._warden = RoomWarden(channel, self._children, self._uncover)
            return True
        try:
            made = self._do(message)
        except OSError as error:
            helper.send(self._channel, "failed", str(message), error.errno)
        else:
            self._say("done", *made)
        return True

    def _say(self, word: str, *made: _socket.socket) -> None:
        """Say something, and hand over sockets."""
        passed = struct.pack(f"{len(made)}i", *(sock.fileno() for sock in made))
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, passed)] if made else []
        helper.send(self._channel, word, ancillary=ancillary)
        for sock in made:
            sock.close()

    def _do(self, message: tuple[object, ...]) -> list[_socket.socket]:
        match message:
            case ("socket", str(side), int(family), int(kind), int(protocol)):
                with self._inside(side):
                    return [_socket.socket(family, kind | _socket.SOCK_NONBLOCK, protocol)]
            case ("address", str(host)):
                self._add_address(host)
            case ("hosts", str(text)):
                _write(self._hosts, text)
            case ("silence", str(side)):
                with self._inside(side):
                    _answer_no_echo()
            case ("trust", dict(files)):
                _put_authorities(files)
        return []

    def _add_address(self, host: str) -> None:
        """The program's host gets another address, and is reached there from the Internet."""
        length = 128 if ":" in host else 32
        gateway = ADDRESS6 if ":" in host else ADDRESS
        netlink.ask(netlink.address(host, length, _LINK))
        with self._inside(INTERNET):
            netlink.ask(netlink.route(host, length, _LINK, gateway=gateway))

    def _inside(self, side: str) -> _Inside:
        return _Inside(self._namespaces[side], self._namespaces[HOST])


class _Inside:
    """What is done in a `with` is done in another network namespace."""

    def __init__(self, namespace: int, home: int) -> None:
        self._namespace = namespace
        self._home = home

    def __enter__(self) -> None:
        if self._namespace != self._home:
            _check(_libc.setns(self._namespace, _CLONE_NEWNET))

    def __exit__(self, *_: object) -> None:
        if self._namespace != self._home:
            _check(_libc.setns(self._home, _CLONE_NEWNET))


class RoomWarden(helper.Warden):
    """A warden that is process 1: whatever else is in its room belongs to its program."""

    def __init__(
        self,
        channel: _socket.socket,
        children: helper.Children,
        prepare: Callable[[helper.Order], None],
    ) -> None:
        super().__init__(channel, children)
        self._prepare = prepare
        self._processes = 0  # the most that ran when the program was sent a signal, or ended

    def _spawn(self, order: helper.Order, streams: list[int]) -> int:
        self._prepare(order)
        return helper.spawn(order, streams, prepare=lambda: _become_ordinary(raw=order.raw))

    def _tell_started(self) -> None:
        """The kernel translates the process id in the credentials for its reader."""
        credentials = struct.pack("iII", self._program, USER, USER)
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_CREDENTIALS, credentials)]
        helper.send(self.channel, "started", 0, 0, ancillary=ancillary)

    def _signal(self, number: int) -> None:
        self._others()
        super()._signal(number)

    def _others(self) -> list[int]:
        """Whoever runs in the room beside us."""
        others = [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]  # noqa: PTH208 - no pathlib here
        self._processes = max(self._processes, len(others))
        return others

    def _crowd(self) -> int:
        return self._processes if self._processes >= _CROWD else 0

    def _end(self) -> list[str]:
        # kill(2) of -1 from process 1 reaches everybody else in its namespace in one step, and
        # the kernel lets nobody fork meanwhile.
        helper.kill(-1, SIGSTOP)
        others = self._others()
        outlived = self._commands_of(others)
        helper.kill(-1, SIGKILL)
        self.note(self._children.reap_all())
        return outlived


# -- small steps ---------------------------------------------------------------------------------


def _limit_processes() -> None:
    """Have fork(2) fail before the machine is full, by the highest process id of the room.

    Where that is not a room's own (before Linux 6.14), each program is limited for itself.
    """
    if _release() >= _OWN_PID_MAX:
        _write("/proc/sys/kernel/pid_max", str(_RESERVED_PIDS + PROCESSES))


def _limit_program() -> None:
    """As `_limit_processes`, by the user's processes in this user namespace.

    Before Linux 5.14 all those of the user outside would count.  It never holds root.
    """
    if _LIMIT_OF_NAMESPACE <= _release() < _OWN_PID_MAX:
        resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))


def _release() -> tuple[int, int]:
    """The version of this kernel: (6, 14).

    It is not tried out, since an older one would set the machine's own limit, for root.
    """
    first, second, *_ = os.uname().release.split(".")
    digits = second[: len(second) - len(second.lstrip("0123456789"))]
    return int(first), int(digits or 0)


def _become_ordinary(*, raw: bool) -> None:
    """In the program, before it is executed: no capability now, and none to be had."""
    _limit_program()
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if raw:
        _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_NET_RAW, 0, 0))
        granted = 1 << _CAP_NET_RAW
        _set_capabilities(permitted=granted, inheritable=granted)
    else:
        _set_capabilities(permitted=0, inheritable=0)


def _set_capabilities(*, permitted: int | None = None, inheritable: int) -> None:
    """What is permitted is effective too; None leaves that as it is."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION, 0))
    sets = ctypes.create_string_buffer(24)
    if permitted is None:
        _check(_libc.capget(header, sets))
        low, _, _, high, _, _ = struct.unpack("=6I", sets.raw[:24])
        permitted = low | high << 32
    halves = [
        (bits >> shift) & 0xFFFFFFFF
        for shift in (0, 32)
        for bits in (permitted, permitted, inheritable)
    ]
    # struct __user_cap_data_struct: effective, permitted, inheritable; twice, low bits first
    _check(_libc.capset(header, struct.pack("=6I", *halves)))


def _has_ipv6() -> bool:
    return os.path.isdir("/proc/sys/net/ipv6")  # noqa: PTH112 - no pathlib here


def _answer_no_echo() -> None:
    """Leave it to the actors to answer echo requests."""
    _write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1")
    if _has_ipv6():
        _write("/proc/sys/net/ipv6/icmp/echo_ignore_all", "1")


def _plain_frames(link: str) -> None:
    """The kernel computes checksums and cuts segments itself, so that captures tell the truth."""
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    for command in (_ETHTOOL_STXCSUM, _ETHTOOL_SGSO):
        value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
        request = struct.pack("16sP16x", link.encode(), ctypes.addressof(value))
        fcntl.ioctl(sock.fileno(), _SIOCETHTOOL, request)
    sock.close()


def _paths_in(word: bytes, folder: bytes, old: bytes) -> Iterator[bytes]:
    """The paths below a covered folder that an argument or a variable names, wherever in it."""
    tokens = [word]
    if not (word.startswith(folder + b"/") and os.path.exists(old + word[len(folder) :])):  # noqa: PTH110 - no pathlib here
        for octet in _AROUND_PATHS:
            tokens = [part for token in tokens for part in token.split(bytes([octet]))]
    for token in tokens:
        before, found, rest = token.partition(folder + b"/")
        if found and b"/" not in before:  # /var/tmp/x is nothing in /tmp
            yield os.path.normpath(folder + b"/" + rest)


def _bring_back(path: bytes, folder: bytes, old: bytes) -> None:
    """Have a path below a covered folder be what it was.

    With a file comes the folder in which it lies, with a `bin` what lies beside it.  What is not
    there, or leads elsewhere, is left out: who asks for it is told so by the kernel.
    """

    def there(path: bytes) -> bytes:
        return old + path[len(folder) :]

    if not path.startswith(folder + b"/"):
        return
    if not os.path.isdir(there(path)) and os.path.dirname(path) != folder:  # noqa: PTH112, PTH120 - no pathlib here
        path = os.path.dirname(path)  # noqa: PTH120 - as above
    if os.path.basename(path) == b"bin" and os.path.dirname(path) != folder:  # noqa: PTH119, PTH120 - as above
        path = os.path.dirname(path)  # noqa: PTH120 - as above
    if not os.path.exists(there(path)) or _is_same(path, there(path)):  # noqa: PTH110 - as above
        return
    if os.path.isdir(there(path)):  # noqa: PTH112 - as above
        os.makedirs(path, exist_ok=True)  # noqa: PTH103 - as above
    else:
        os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))
    _mount(there(path), path, "none", _MS_BIND | _MS_REC)


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether both are one file: it was brought back already, perhaps with a folder above it."""
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - no pathlib here
    except FileNotFoundError:
        return False


def _mount(
    source: str | bytes, target: str | bytes, kind: str, flags: int, options: str = ""
) -> None:
    words = [os.fsencode(word) for word in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None))


def _put_authorities(files: dict[str, bytes]) -> None:
    """Have these be the authorities that the system trusts, and no others."""
    bundles = {os.path.realpath(path) for path in _BUNDLES}
    for folder in {os.path.realpath(path) for path in _AUTHORITIES}:
        if os.path.isdir(folder):  # noqa: PTH112 - no pathlib here
            bundles = {path for path in bundles if not path.startswith(f"{folder}/")}
            _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=1m")
            for name, content in files.items():
                path = f"{folder}/{name}"
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)  # noqa: PTH103, PTH120 - as above
                _write(path, content)
    for path in bundles:
        _put(path, files["ca-certificates.crt"])


def _put(path: str, text: str | bytes) -> str:
    """Have a file say something else in this mount namespace; where it can be written again.

    A file that is not there is not missed: who looks for it has a default.  A link into /run
    is given what it points to.
    """
    real = os.path.realpath(path)
    if real.startswith(("/run/", "/var/run/")):
        os.makedirs(os.path.dirname(real), exist_ok=True)  # noqa: PTH103, PTH120 - no pathlib here
        _write(real, text)
    elif os.path.exists(real):  # noqa: PTH110 - no pathlib here
        source = "/run/.wirelab"
        _write(source, text)
        _mount(source, real, "none", _MS_BIND)
        os.unlink(source)  # noqa: PTH108 - no pathlib here
    return real


def _write(path: str, text: str | bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    fd = os.open(path, flags, 0o644)
    try:
        os.write(fd, text if isinstance(text, bytes) else text.encode())
    finally:
        os.close(fd)


def no_room(channel: _socket.socket, error: OSError) -> None:
    """Tell that not even the namespaces can be had."""
    helper.send(channel, "failed", _NAMESPACES, error.errno or errno.EIO)

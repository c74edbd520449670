"""The helper: a small single-threaded process that starts programs and ends them.

Run in an isolated interpreter, so that forking is safe (no threads), fast (few imports,
little memory) and tells nothing (no environment).  It is a fork server: for each socket that
it is handed it forks a *warden*, which starts one program as its child, watches over
everything that descends from it, and ends it all when it is told to, or when its socket
closes: even a harness that was killed leaves nothing behind.  Or it forks process 1 of a
*room*, a network of its own (`harness.network.room`).

Every message is one packet of a SOCK_SEQPACKET socket, a marshalled tuple whose first item
says what it is; a start order, which may be long, lies in a memory file passed along.
"""

# Imports are counted in milliseconds here: no socket, signal, typing, contextlib or pathlib.
from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # typeshed knows the wrapper only
import _socket
import ctypes
import errno
import fcntl
import gc
import marshal
import os
import resource
import select
import sys
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, NoReturn

MESSAGE_SIZE = 65_536
FDS = 4  # the most descriptors that come with one message: an order and three streams

_PR_SET_CHILD_SUBREAPER = 36
_END_S = 8.0  # a process that has not died of SIGKILL by then sleeps in the kernel
_ROUND_MS = 10  # a child forked just before its parent was stopped announces itself by nothing
_LEFTOVERS = 64
_COMMAND_SIZE = 200
_READ_SIZE = 1 << 20
_OPEN_FILES = 1_024  # as in a login shell, whatever the harness was given
_FILE_SIZE = 1 << 30

_libc = ctypes.CDLL(None, use_errno=True)


class Order:
    """What to start, in bytes as execve(2) takes them."""

    def __init__(
        self,
        argv: list[bytes],
        cwd: bytes,
        env: dict[bytes, bytes],
        *,
        tty: bool,
        raw: bool = False,
    ) -> None:
        self.argv = argv
        self.cwd = cwd
        self.env = env
        self.tty = tty
        self.raw = raw  # whether it may open raw sockets, in a room

    def write(self, fd: int) -> None:
        """Write it to a file, from its beginning."""
        with os.fdopen(os.dup(fd), "wb") as file:
            marshal.dump((self.argv, self.cwd, self.env, self.tty, self.raw), file)
        os.lseek(fd, 0, os.SEEK_SET)

    @classmethod
    def read(cls, fd: int) -> Order:
        """The one that was written to a file; closes it."""
        with os.fdopen(fd, "rb") as file:
            argv, cwd, env, tty, raw = marshal.load(file)  # noqa: S302 - from our own kind only
        return cls(argv, cwd, env, tty=tty, raw=raw)


# -- messages --------------------------------------------------------------------------


def send(
    channel: _socket.socket, *message: Any, ancillary: Iterable[tuple[int, int, bytes]] = ()
) -> None:
    """Send one message; nothing happens when nobody is there to read it."""
    try:
        channel.sendmsg([marshal.dumps(message)], ancillary, _socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError):
        return  # the next receive tells


def unpack(packet: bytes) -> tuple[Any, ...]:
    """The message of a packet; `()` for none, which is the end."""
    if not packet:
        return ()
    message: tuple[Any, ...] = marshal.loads(packet)  # noqa: S302 - only our own kind holds a socket
    return message


def receive(channel: _socket.socket) -> tuple[tuple[Any, ...], list[int]]:
    """The next message and the descriptors that came with it; `()` at the end."""
    space = _socket.CMSG_SPACE(FDS * 4)
    try:
        data, ancillary, *_ = channel.recvmsg(MESSAGE_SIZE, space, _socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return (), []
    return unpack(data), descriptors(ancillary)


def descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors among what came with a message."""
    return [
        int.from_bytes(content[at : at + 4], sys.byteorder)
        for _level, kind, content in ancillary
        if kind == _socket.SCM_RIGHTS
        for at in range(0, len(content) - 3, 4)
    ]


# -- the tree of processes ----------------------------------------------------------------


def children_of(pid: int) -> list[int]:
    """The children of all threads of a process; none if there is no such process."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - no pathlib here
    except OSError:
        return []
    lists = [_read(f"/proc/{pid}/task/{thread}/children") for thread in threads]
    return [int(child) for children in lists for child in children.split()]


def tree_of(pids: Iterable[int]) -> list[int]:
    """These processes and all that descend from them, parents first."""
    tree = list(pids)
    for pid in tree:
        tree += children_of(pid)
    return tree


def _read(path: str) -> bytes:
    """What a small file says; nothing if it went away with its process."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - no pathlib here
            return file.read(_READ_SIZE)
    except OSError:
        return b""


def kill(pid: int, number: int) -> None:
    """Send a signal to whoever is still there."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # gone, or another user's by now: then it is out of anybody's reach


def _freeze(pids: Callable[[], Iterable[int]], until: float) -> list[int]:
    """Stop these processes and their descendants; a stopped parent neither forks nor reaps.

    So the tree holds still, no pid in it can come to mean another process, and a fork bomb
    cannot outrun the one who kills it.
    """
    frozen: dict[int, None] = {}
    before = -1
    while before < len(frozen) and time.monotonic() < until:
        before = len(frozen)
        tree = list(pids())
        for pid in tree:
            if pid not in frozen:
                frozen[pid] = None
                kill(pid, signal.SIGSTOP)
            tree += children_of(pid)
    return list(frozen)


def _command(pid: int) -> str:
    """The command line of a process to show; empty for one that has already ended."""
    words = _read(f"/proc/{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ")
    return words[:_COMMAND_SIZE].decode("utf-8", "backslashreplace")


class Children:
    """The children of this process, adopted orphans among them.

    `wake` becomes readable when one of them ends.
    """

    def __init__(self) -> None:
        if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), "PR_SET_CHILD_SUBREAPER")
        self.wake, self._signalled = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only a handled signal writes there
        signal.set_wakeup_fd(self._signalled, warn_on_full_buffer=False)

    def close(self) -> None:
        """Leave the signal to the one who comes next: after a fork, the child."""
        signal.set_wakeup_fd(-1)
        os.close(self.wake)
        os.close(self._signalled)

    def reap(self) -> Iterator[tuple[int, int]]:
        """The pid and wait status of each child that has ended."""
        if any(readable(self.wake, within_ms=0)):
            os.read(self.wake, MESSAGE_SIZE)
        try:
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                yield ended
        except ChildProcessError:
            return  # there are none

    def reap_all(self) -> Iterator[tuple[int, int]]:
        """As `reap`, until no child is left or time is up; they have been killed before."""
        until = time.monotonic() + _END_S
        while time.monotonic() < until:
            yield from self.reap()
            try:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            readable(self.wake, within_ms=_ROUND_MS)

    def destroy(self, spared: Iterable[int] = ()) -> Iterator[tuple[int, int]]:
        """Kill all children but the spared, and all their descendants; yields as `reap`."""
        until = time.monotonic() + _END_S

        def doomed() -> list[int]:
            return [pid for pid in children_of(os.getpid()) if pid not in spared]

        while doomed() and time.monotonic() < until:
            for pid in _freeze(doomed, until):
                kill(pid, signal.SIGKILL)
            readable(self.wake, within_ms=_ROUND_MS)
            yield from self.reap()


def readable(*fds: int, within_ms: int | None = None) -> list[bool]:
    """Whether something can be read, for each of the descriptors; None waits without end."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(within_ms)}
    return [fd in ready for fd in fds]


# -- the fork server -----------------------------------------------------------------------


def serve(channel: _socket.socket) -> set[int]:
    """Fork a warden for each socket that comes along, until the harness hangs up.

    Returns:
        The process ids of the wardens that are still at work.
    """
    children = Children()
    wardens: set[int] = set()
    while True:
        channel_speaks, child_ended = readable(channel.fileno(), children.wake)
        if child_ended:
            _sweep(children, wardens)
        if channel_speaks:
            message, fds = receive(channel)
            if not message:
                return wardens
            fork = _fork_room if message == ("room",) else _fork_warden
            if pid := fork(channel, children, fds[0]):
                wardens.add(pid)


def settle() -> None:
    """Set once what all programs inherit, and what makes forking cheap."""
    # Python ignores SIGPIPE, nohup SIGHUP, a shell's background job SIGINT: undo them all.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)
    # What is safe for any program; not processes, which count all those of the user here.
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, _FILE_SIZE)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    gc.disable()  # a collection would touch, and so copy, every page after a fork
    gc.freeze()


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(kind, (most, most))


def _fork_warden(channel: _socket.socket, children: Children, fd: int) -> int:
    pid = os.fork()
    if not pid:
        with _last_words():
            channel.close()  # or the harness would not notice that the fork server is gone
            children.close()
            Warden(_socket.socket(fileno=fd), Children()).watch()
    os.close(fd)
    return pid


def _fork_room(channel: _socket.socket, children: Children, fd: int) -> int:
    """As `_fork_warden`, for process 1 of a room; 0 if there can be none."""
    from harness.network import room  # noqa: PLC0415 - not on every rung

    user = (os.getuid(), os.getgid())
    try:
        pid = room.fork()
    except OSError as error:
        room.no_room(_socket.socket(fileno=fd), error)
        return 0
    if not pid:
        with _last_words():
            channel.close()
            children.close()
            room.Room(_socket.socket(fileno=fd), user).live()
    os.close(fd)
    return pid


def _sweep(children: Children, wardens: set[int]) -> None:
    """Bury wardens; where one was killed, end the orphans that come to us instead."""
    ended = dict(children.reap())
    wardens.difference_update(ended)
    if any(ended.values()):
        for pid, _ in children.destroy(spared=wardens):
            wardens.discard(pid)


class _last_words:  # noqa: N801 - reads as the statement that it is
    """A forked child never returns into its parent's code, whatever happens in it."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> NoReturn:
        if kind is not None and error is not None:
            sys.excepthook(kind, error, trace)
        os._exit(0 if kind is None else 1)


# -- the warden --------------------------------------------------------------------------------


class Warden:
    """Starts one program, tells how it ended, and ends all that descends from it.

    It hears ("start",) with four descriptors, ("signal", number) and ("end",); it says
    ("started", pid, its own pid) or ("failed", errno, file name), ("exited", wait status)
    and ("ended", command lines of what had outlived the program, how many processes there were
    if they were far too many, else 0).
    """

    def __init__(self, channel: _socket.socket, children: Children) -> None:
        self.channel = channel
        self._children = children
        self._program = 0
        self._running = False
        self._told_to_go = False

    def watch(self) -> None:
        """Serve one program until the harness has had enough of it, or is no more."""
        while True:
            channel_speaks, child_ended = readable(self.channel.fileno(), self._children.wake)
            if child_ended:
                self.note(self._children.reap())
            if channel_speaks and not self.obey():
                return

    def obey(self) -> bool:
        """Do what the next message says; False after the last one."""
        message, fds = receive(self.channel)
        match message:
            case ("start",):
                self._start(fds)
            case ("signal", number):
                self._signal(number)
            case _:
                outlived = self._end()
                send(self.channel, "ended", outlived, self._crowd())
                return False
        return True

    def _start(self, fds: list[int]) -> None:
        try:
            self._program = self._spawn(Order.read(fds[0]), fds[1:])
        except OSError as error:
            send(self.channel, "failed", error.errno, error.filename)
        else:
            self._running = True
            self._tell_started()
        for fd in fds[1:]:
            os.close(fd)

    def _spawn(self, order: Order, streams: list[int]) -> int:
        return spawn(order, streams)

    def _tell_started(self) -> None:
        send(self.channel, "started", self._program, os.getpid())

    def _signal(self, number: int) -> None:
        if self._running:
            self._told_to_go = True
            os.killpg(self._program, number)

    def note(self, ended: Iterable[tuple[int, int]]) -> None:
        """Take in which children have ended, and how; tell of the program."""
        for pid, status in ended:
            if pid == self._program:
                self._running = False
                send(self.channel, "exited", status)

    def _crowd(self) -> int:
        """How many processes there were in the end, if they were far too many; else 0."""
        return 0

    def _end(self) -> list[str]:
        frozen = _freeze(lambda: children_of(os.getpid()), time.monotonic() + _END_S)
        outlived = self._commands_of(frozen)
        self.note(self._children.destroy())
        return outlived

    def _commands_of(self, frozen: Iterable[int]) -> list[str]:
        """The command lines of those that have outlived the program."""
        outlived = [command for pid in frozen if self._outlived(pid) and (command := _command(pid))]
        if len(outlived) > _LEFTOVERS:
            outlived[_LEFTOVERS:] = [f"... and {len(outlived) - _LEFTOVERS} more"]
        return outlived

    def _outlived(self, pid: int) -> bool:
        if not (self._running or self._told_to_go):
            return True
        try:
            return os.getpgid(pid) != self._program
        except ProcessLookupError:
            return False


# -- the program -------------------------------------------------------------------------------


def spawn(order: Order, streams: list[int], prepare: Callable[[], None] = lambda: None) -> int:
    """Start a program; its pid, once it is really running.

    `prepare` is called in the child, as the last thing that it does with our rights.

    Raises:
        OSError: as execve(2) and chdir(2); `filename` (bytes) is what could not be used.
    """
    report, told = os.pipe2(os.O_CLOEXEC)  # so a successful exec closes it
    pid = os.fork()
    if not pid:
        with _last_words():
            _become(order, streams, prepare, told)
    os.close(told)
    with os.fdopen(report, "rb") as file:
        trouble = file.read()
    if trouble:
        os.waitpid(pid, 0)
        code, name = unpack(trouble)
        raise OSError(code, os.strerror(code), name)
    return pid


def _become(order: Order, streams: list[int], prepare: Callable[[], None], told: int) -> None:
    try:
        os.setsid()
        for target, fd in enumerate(streams):
            os.dup2(fd, target)
        if order.tty:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        with open("/proc/self/oom_score_adj", "wb") as file:  # noqa: PTH123 - no pathlib here
            file.write(b"1000")  # rather the program than the harness
        prepare()
        os.chdir(order.cwd)
        _execute(order)
    except OSError as error:
        os.write(told, marshal.dumps((error.errno, error.filename)))
    except ValueError:  # a NUL within an argument
        os.write(told, marshal.dumps((errno.EINVAL, order.argv[0])))


def _execute(order: Order) -> NoReturn:
    """As execvpe(3), but it says what is missing, and runs no shell on what is no program."""
    command = order.argv[0]
    if b"/" in command:
        _try(command, order)
    refusal = FileNotFoundError(errno.ENOENT, "", command)
    for folder in order.env.get(b"PATH", os.defpath.encode()).split(b":"):
        try:
            _try(os.path.join(folder, command), order)  # noqa: PTH118 - no imports to spare
        except (FileNotFoundError, NotADirectoryError) as error:
            if error.filename != command:
                raise
        except PermissionError as error:
            refusal = error  # type: ignore[assignment]
    raise refusal


def _try(path: bytes, order: Order) -> NoReturn:
    try:
        os.execve(path, order.argv, order.env)  # noqa: S606 - to run programs is its purpose
    except OSError as error:
        interpreter = _interpreter(path) if error.errno == errno.ENOENT else b""
        raise OSError(error.errno, "", interpreter or order.argv[0]) from None


def _interpreter(path: bytes) -> bytes:
    """What the first line of a script asks for."""
    first, _, _ = _read(os.fsdecode(path)).partition(b"\n")
    return first[2:].strip(b" \t").partition(b" ")[0] if first.startswith(b"#!") else b""


def main(fd: int, folder: str) -> None:
    """Be the helper of the harness at the other end of this socket.

    `folder` is removed when harness and programs are gone: the harness may have been killed.
    """
    settle()
    wardens = serve(_socket.socket(fileno=fd))
    try:
        while wardens:  # each ends when its own socket closes
            wardens.discard(os.wait()[0])
    except ChildProcessError:
        pass
    from harness.network.tree import remove_tree  # noqa: PLC0415 - the last thing that is done

    try:
        remove_tree(folder)
    except OSError:
        os._exit(1)

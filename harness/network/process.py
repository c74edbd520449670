"""The harness's end of the helper: programs started, watched and ended from an event loop."""

from __future__ import annotations

import asyncio
import atexit
import marshal
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, MachineError
from harness.network import helper
from harness.network.interface import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CREDENTIALS = struct.Struct("=iII")  # struct ucred
_END_S = 12.0  # longer than the warden takes to give up by itself
_NEEDED = ("LD_LIBRARY_PATH",)  # an interpreter may not start without it
# Modules of this package without what its packages import, which would cost 40 ms.
_BOOT = """
import sys
for name, folder in zip(("harness", "harness.network"), sys.argv[3:]):
    sys.modules[name] = package = type(sys)(name)
    package.__path__ = [folder]
from harness.network import helper
helper.main(int(sys.argv[1]), sys.argv[2])
"""
_PACKAGES = (str(Path(__file__).parents[1]), str(Path(__file__).parent))


class WardedProcess:
    """A program in the care of a warden; see `harness.network.Process`."""

    def __init__(self, channel: socket.socket, warden: int = 0) -> None:
        self.pid = 0
        self.warden = warden
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[OSError | None] = self._loop.create_future()
        self._exited: asyncio.Future[Exit | None] = self._loop.create_future()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self.crowd = 0
        self._leftovers: list[str] = []
        self._loop.add_reader(channel.fileno(), self._read)

    async def wait(self) -> Exit:
        """See `Process.wait`."""
        ended = await asyncio.shield(self._exited)
        if ended is None:
            raise HarnessError("the process that watched over the program was killed")
        return ended

    def signal(self, number: int) -> None:
        """See `Process.signal`."""
        if not self._exited.done():
            self._tell("signal", int(number))

    async def end(self) -> list[str]:
        """See `Process.end`."""
        self._tell("end")
        try:
            async with asyncio.timeout(_END_S):
                await asyncio.shield(self._over)
        except TimeoutError:  # the program has stopped its warden
            os.kill(self.warden, signal.SIGKILL)  # it is alive, or its socket would have closed
            await asyncio.shield(self._over)
        return self._leftovers

    @property
    def over(self) -> bool:
        """Whether its warden has ended, and with it all that descended from the program."""
        return self._over.done()

    @property
    def outlived(self) -> bool:
        """See `Process.outlived`."""
        return bool(helper.children_of(self.warden))

    async def begin(self, order: helper.Order, streams: Sequence[int]) -> None:
        """Have the program started.

        Raises:
            OSError: as `Network.start`.
            HarnessError: as `Network.start`.
        """
        memory = os.memfd_create("order")
        try:
            order.write(memory)
            socket.send_fds(self._channel, [marshal.dumps(("start",))], [memory, *streams])
        except BrokenPipeError as error:
            raise HarnessError("the helper that starts programs has died") from error
        finally:
            os.close(memory)
        trouble = await asyncio.shield(self._started)
        if trouble:
            raise trouble

    def drop(self) -> None:
        """Hang up; the warden then kills whatever is left."""
        if not self._over.done():
            self._loop.remove_reader(self._channel.fileno())
            self._channel.close()
            self._settle()

    def _tell(self, *message: Any) -> None:
        if not self._over.done():
            try:
                helper.send(self._channel, *message)
            except BlockingIOError:
                raise HarnessError("the process that watches over the program is stuck") from None

    def _read(self) -> None:
        try:
            message, pid, _ = receive_from(self._channel)
        except (BlockingIOError, ConnectionResetError):
            return  # what was said before the reset can still be read
        if message:
            self._hear(message, pid)
        else:
            self.drop()

    def _hear(self, message: tuple[Any, ...], sender: int) -> None:
        match message:
            case ("started", pid, warden):
                self.pid, self.warden = pid or sender, warden or self.warden
                self._started.set_result(None)
            case ("failed", code, name):
                name = os.fsdecode(name) if name is not None else None
                self._started.set_result(OSError(code, os.strerror(code), name))
            case ("exited", status):
                self._exited.set_result(_exit_of(status))
            case ("ended", leftovers, crowd):
                self._leftovers, self.crowd = leftovers, crowd

    def _settle(self) -> None:
        if not self._started.done():
            self._started.set_exception(HarnessError("the helper that starts programs has died"))
            self._started.exception()  # nobody may be left to hear it
        if not self._exited.done():
            self._exited.set_result(None)
        self._over.set_result(None)


def receive_from(channel: socket.socket) -> tuple[tuple[Any, ...], int, list[int]]:
    """The next message, the process that it names as its sender, and descriptors.

    The sender is 0 where the socket does not tell it.  The kernel translates the process id, which
    is another one inside a pid namespace.
    """
    space = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(helper.FDS * 4)
    data, ancillary, *_ = channel.recvmsg(helper.MESSAGE_SIZE, space, socket.MSG_CMSG_CLOEXEC)
    senders = [
        _CREDENTIALS.unpack(content)[0]
        for _level, kind, content in ancillary
        if kind == socket.SCM_CREDENTIALS
    ]
    return helper.unpack(data), senders[0] if senders else 0, helper.descriptors(ancillary)


def _exit_of(status: int) -> Exit:
    code = os.waitstatus_to_exitcode(status)
    return Exit(status=code) if code >= 0 else Exit(signal=-code)


async def start_process(
    order: helper.Order,
    streams: Sequence[int],
    hand_over: Callable[[socket.socket], None] | None = None,
    warden: int = 0,
) -> WardedProcess:
    """Start a program under a warden; see `Network.start`.

    Args:
        order: What to start.
        streams: Its standard input, output and error.
        hand_over: Gives a socket to the warden; by default to a new one.
        warden: The process id of that warden, if it is known.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    with theirs:
        try:
            (hand_over or fork_server().hand_over)(theirs)
        except BaseException:
            ours.close()
            raise
    ours.setblocking(False)
    process = WardedProcess(ours, warden)
    try:
        await process.begin(order, streams)
    except BaseException:
        process.drop()
        raise
    return process


def order_of(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], *, tty: bool, raw: bool = False
) -> helper.Order:
    """What to start, as the helper takes it."""
    return helper.Order(
        argv=[_encoded(word) for word in argv],
        cwd=os.fsencode(cwd),
        env={_encoded(name): _encoded(value) for name, value in env.items()},
        tty=tty,
        raw=raw,
    )


def _encoded(word: str) -> bytes:
    """As programs are started: in UTF-8, whatever the locale of the harness is."""
    return word.encode("utf-8", "surrogateescape")


# -- the fork server -----------------------------------------------------------------------


class ForkServer:
    """The helper's process: one for each process of the harness, shared by all its threads.

    Attributes:
        folder: For what plays need on disk; the helper removes it when the harness is gone,
            even if that was killed.
    """

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="wirelab-")
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        boot = [sys.executable, "-I", "-S", "-c", _BOOT]
        command = [*boot, str(theirs.fileno()), self.folder, *_PACKAGES]
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own file
                    command,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    # Programs of the same user can read it in /proc: it holds no secrets.
                    env={name: os.environ[name] for name in _NEEDED if name in os.environ},
                    start_new_session=True,  # Ctrl-C is for the harness alone
                )
            except OSError as error:
                self._channel.close()
                os.rmdir(self.folder)  # noqa: PTH106 - as mkdtemp made it
                raise MachineError(f"the helper cannot be started: {error}") from error

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def hand_over(self, channel: socket.socket, what: str = "fork") -> None:
        """Have a warden forked that serves this socket; or, for "room", a room set up.

        Raises:
            HarnessError: the fork server has died.
        """
        try:
            socket.send_fds(self._channel, [marshal.dumps((what,))], [channel.fileno()])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise HarnessError("the helper that starts programs has died") from error

    def close(self) -> None:
        """End it; the wardens stay until their plays are over."""
        self._channel.close()
        self._process.wait()

    def abandon(self) -> None:
        """In a forked child of the harness: it is the parent's, not ours."""
        self._channel.close()
        self._process.returncode = 0


_lock = threading.Lock()
_server: ForkServer | None = None


def fork_server() -> ForkServer:
    """The one of this process; a new one if the last has died."""
    global _server  # noqa: PLW0603 - one for each process, whoever asks first
    with _lock:
        if _server is None or not _server.alive:
            if _server is not None:
                _server.close()
            _server = ForkServer()
        return _server


def scratch_folder() -> str:
    """Where this process keeps what its plays need on disk; gone with the process.

    Raises:
        MachineError: the helper that removes it cannot be started.
    """
    return fork_server().folder


def _forget_server() -> None:
    global _lock, _server  # noqa: PLW0603 - the lock may have been held as we were forked
    _lock = threading.Lock()
    if _server is not None:
        _server.abandon()
        _server = None


def _close_server() -> None:
    if _server is not None:
        _server.close()


os.register_at_fork(after_in_child=_forget_server)
atexit.register(_close_server)

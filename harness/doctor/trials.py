"""What a play does, done once: each raises an OSError, or a MachineError, if it cannot be."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.network import Loopback, Network, Place, Private
from harness.network.sockets import open_table

if TYPE_CHECKING:
    from harness.network import Exit

OLDEST = (3, 11)
FREE_BYTES = 64 * 2**20
OPEN_FILES = 256
PROCESSES = 64
_PATIENCE_S = 20.0
_SILENCE_S = 0.3  # a connect on this machine is answered in a thousandth of it, if at all
_NAME = "wirelab-doctor.example.test"
_PORT = 25

# Forked in a process that has no threads, and whose children end with it.
_FORK = f"""
import os, sys
read, write = os.pipe()
children = []
try:
    for _ in range({PROCESSES}):
        child = os.fork()
        if not child:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        children.append(child)
except OSError as error:
    status = error.errno
else:
    status = 0
os.close(write)
for child in children:
    os.waitpid(child, 0)
os._exit(status)
"""


def python() -> None:
    """The interpreter is new enough."""
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:2]))
        raise OSError(errno.ENOSYS, f"this is Python {version}")


def temporary_folder() -> None:
    """A file can be written where scratch copies are made, and there is room for more."""
    folder = tempfile.gettempdir()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(bytes(2**16))
        file.flush()
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise OSError(errno.ENOSPC, f"{free // 2**20} MB are left in {folder}")


def open_files() -> None:
    """Forty plays hold some descriptors each."""
    with contextlib.ExitStack() as held:
        for _ in range(OPEN_FILES):
            held.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


def processes() -> None:
    """Each play takes two processes, and what its program starts."""
    command = [sys.executable, "-I", "-S", "-c", _FORK]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE_S)  # noqa: S603 - our own code
    if done.returncode:
        code = done.returncode if done.returncode > 0 else errno.EAGAIN
        raise OSError(code, os.strerror(code))


def terminal() -> None:
    """A pseudo-terminal can be had (pty(7))."""
    for fd in os.openpty():
        os.close(fd)


def socket_table() -> None:
    """The tables of sockets can be read, by sock_diag(7) or from /proc/net."""
    table = open_table()
    with contextlib.closing(table), socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not any(place.port == port for _, place in table.bound("tcp")):
            raise OSError(errno.ENOENT, "a socket that listens is not in the kernel's tables")


def filtered_port() -> None:
    """A connect to a filtered port on loopback stays without an answer."""

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            network = await Loopback.open()
            stack.push_async_callback(network.close)
            place = network.filtered("127.0.0.1", 0)
            _expect_silence(place)

    asyncio.run(main())


def _expect_silence(place: Place) -> None:
    with socket.socket() as sock:
        sock.settimeout(_SILENCE_S)
        with contextlib.suppress(TimeoutError):
            sock.connect(place)
            raise OSError(errno.EISCONN, "the kernel answers there")


def loopback_play() -> None:
    """A program on loopback connects to an actor."""
    _meet(Loopback, "127.0.0.1")


def private_play() -> None:
    """A program in a private network finds an actor by its name."""
    _meet(Private, _NAME)


def _meet(rung: type[Network], host: str) -> None:
    """A program is started, connects to an actor that stands at `host`, and ends."""
    with Path(os.devnull).open("r+b") as nothing:
        asyncio.run(_play(rung, host, nothing.fileno()))


async def _play(rung: type[Network], host: str, nothing: int) -> None:
    network = await rung.open()
    try:
        with network.listen(host, _PORT, "tcp") as listener:
            place = network.known_as(host, Place(*listener.getsockname()[:2]))
            async with asyncio.timeout(_PATIENCE_S):
                ended = await _visit(network, place, nothing)
            if ended.status:
                raise OSError(errno.EHOSTUNREACH, "the program did not reach the server")
    finally:
        await network.close()


async def _visit(network: Network, place: Place, nothing: int) -> Exit:
    code = f"import socket; socket.create_connection(({place.host!r}, {place.port}), 10).close()"
    process = await network.start(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=Path("/"),
        env={"PATH": os.environ.get("PATH", os.defpath)},
        stdin_fd=nothing,
        stdout_fd=nothing,
        stderr_fd=nothing,
        tty=False,
    )
    return await process.wait()

"""Small programs under test, and what is needed to run them on a network."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.network import Network, open_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from harness.network.process import WardedProcess

PYTHON = (sys.executable, "-I", "-S", "-c")
PATH = {"PATH": "/usr/bin:/bin"}

#: Leaves a daemon in a session of its own, which tells that it is there and stays.
DAEMON = """
import os, signal
if not os.fork():
    os.setsid()
    if not os.fork():
        os.write(1, b"daemon\\n")
        while True: signal.pause()
    os._exit(0)
os.wait()
"""


@asynccontextmanager
async def opened() -> AsyncIterator[Network]:
    network = await open_network("loopback")
    try:
        yield network
    finally:
        await network.close()


async def started(
    network: Network,
    argv: Sequence[str],
    *,
    stdout: int | None = None,
    stdin: int | None = None,
    env: Mapping[str, str] = PATH,
    cwd: Path = Path("/"),
    tty: bool = False,
) -> WardedProcess:
    null = os.open(os.devnull, os.O_RDWR)
    try:
        process = await network.start(
            argv,
            cwd=cwd,
            env=env,
            stdin_fd=null if stdin is None else stdin,
            stdout_fd=null if stdout is None else stdout,
            stderr_fd=null if stdout is None else stdout,
            tty=tty,
        )
    finally:
        os.close(null)
    return process  # type: ignore[return-value]


async def output_of(network: Network, argv: Sequence[str], **how: object) -> str:
    """All that a program and its children write, once nobody can write any more."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file:
        try:
            process = await started(network, argv, stdout=writer, **how)  # type: ignore[arg-type]
        finally:
            os.close(writer)
        output = asyncio.create_task(asyncio.to_thread(file.read))
        await process.wait()
        await process.end()
        return (await output).decode()

"""The reference programs as processes: started, talked to, ended."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parents[2] / "reference"
LONG = 20.0
"""Seconds: a time-out that must not run out."""


def command(program: str, *arguments: object) -> list[str]:
    return [sys.executable, str(REFERENCE / program), *map(str, arguments)]


@contextmanager
def server(
    program: str, *arguments: str, host: str = "127.0.0.1", port: int = 0
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server, at a port of the kernel's choice unless one is given; ended at the end."""
    process = subprocess.Popen(
        command(program, host, port, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = re.search(r"listening on \S*:(\d+) ", process.stdout.readline())
        assert ready is not None
        yield process, int(ready[1])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LONG)


def run(program: str, *arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
    """A client from its start to its end; `typed` is its standard input."""
    return subprocess.run(
        command(program, *arguments),
        input=typed,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def dialled(port: int, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, port), timeout=LONG)


def datagrams(port: int, host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(LONG)
    sock.connect((host, port))
    return sock


def to_the_end(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65_536), b""))


def octets(sock: socket.socket, count: int) -> bytes:
    """Exactly so many."""
    got = b""
    while len(got) < count:
        more = sock.recv(count - len(got))
        assert more, got
        got += more
    return got


def closed_port() -> int:
    """A TCP and UDP port at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])

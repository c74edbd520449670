"""Where a server is: endpoints as people write them, and why one could not be reached."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host (name or address, IPv6 without brackets) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Read `HOST:PORT`; an IPv6 address stands in brackets, as in a URI (RFC 3986 3.2.2).

    Port 0 is allowed: a listener asks for any free port with it.

    Raises:
        ValueError: the text is no endpoint; the message names it and what is missing.
    """
    found = re.fullmatch(
        r"(?:\[(?P<six>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>.*)", text
    )
    if found is None:
        raise ValueError(f"{text!r} is not HOST:PORT (an IPv6 address stands in brackets)")
    port = found["port"]
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{text!r}: the port must be a number from 0 to 65535")
    return Endpoint(found["six"] or found["host"], int(port))


def socket_endpoint(name: object) -> Endpoint:
    """Turn what `getsockname` or `getpeername` gave into an endpoint (`?:0` if it gave nothing)."""
    if isinstance(name, tuple) and len(name) >= 2:
        return Endpoint(str(name[0]), int(name[1]))
    return Endpoint("?", 0)


def reason_of(error: OSError) -> str:
    """Say in a clause why a connection could not be made, or was lost."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return f"unknown host ({error.strerror})"
    if isinstance(error, TimeoutError):
        return "timed out"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    # asyncio tried several addresses and joined what each of them said into one text.
    causes = {
        os.strerror(int(number)).lower() for number in re.findall(r"\[Errno (\d+)\]", str(error))
    }
    return " / ".join(sorted(causes)) or str(error) or type(error).__name__

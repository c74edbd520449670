"""One GET request over a socket, and the response with what became of it.

h11 does the framing (RFC 9112); the socket, the time-outs and the limits are ours.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import h11

from protocols.endpoints import Endpoint, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_SIZE = 65_536
MAX_HEAD = 65_536  # octets of a status line with its header fields
_PORT = 80
_KEPT = "/:@!$&'()*+,;=~%"  # of a path, RFC 3986 3.3; a `%` begins what is encoded already


class FetchError(Exception):
    """There is no whole response.

    `reached` tells whether the server was: whether a connection could be made.
    """

    def __init__(self, message: str, *, reached: bool = True) -> None:
        super().__init__(message)
        self.reached = reached


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask, for what: `path` is in origin form, ready for a request line."""

    server: Endpoint
    path: str

    @property
    def host(self) -> str:
        """The value of the field Host; the port only where it is not 80 (RFC 9110 7.2)."""
        shown = str(self.server)
        return shown.removesuffix(f":{_PORT}") if self.server.port == _PORT else shown


def target_of_url(url: str) -> Target:
    """Read an http URL (RFC 9110 4.2.1); its fragment stays at home.

    Raises:
        ValueError: it is none, or not of the scheme http; the message names it.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() != "http":
        raise ValueError(f"{url!r} is not an http:// URL")
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host")
    if not parts.hostname.isascii():
        raise ValueError(f"{url!r}: write the host's name in its ASCII form (RFC 5890)")
    path = origin_form(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    return Target(Endpoint(parts.hostname, _PORT if parts.port is None else parts.port), path)


def origin_form(path: str) -> str:
    """A path as a request line takes it: absolute, and percent-encoded where it must be.

    >>> origin_form("计.html?q=a b")
    '/%E8%AE%A1.html?q=a%20b'
    """
    path, mark, query = path.partition("?")
    return "/" + quote(path.removeprefix("/"), _KEPT) + mark + quote(query, _KEPT + "?")


def fetch(target: Target, *, timeout: float) -> Iterator[h11.Response | bytes]:
    """Ask for a page; the head of the final response comes first, then its content in pieces.

    Interim responses are passed over, any number of them (RFC 9110 15.2).

    Args:
        target: What to ask for.
        timeout: Seconds of the longest wait, for the connection and for each piece.

    Raises:
        FetchError: the server cannot be reached, falls silent, does not speak HTTP, or ends
            the connection before the response is whole (RFC 9112 8).
    """
    with _connected(target.server, timeout) as sock:
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        try:
            sock.sendall(_request(http, target))
            yield from _response(http, sock)
        except h11.RemoteProtocolError as error:
            raise FetchError(_broken(error)) from error
        except OSError as error:
            raise FetchError(f"the response broke off: {_reason(error, timeout)}") from error


def _connected(server: Endpoint, timeout: float) -> socket.socket:
    try:
        return socket.create_connection((server.host, server.port), timeout)
    except OSError as error:
        reason = _reason(error, timeout)
        raise FetchError(f"cannot connect to {server}: {reason}", reached=False) from error
    except UnicodeError as error:  # by the codec of host names
        raise FetchError(f"{server.host!r} is no host name", reached=False) from error


def _reason(error: OSError, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    return reason_of(error)


def _request(http: h11.Connection, target: Target) -> bytes:
    """Who sends one request only says so, and nobody waits for another (RFC 9112 9.6)."""
    fields = [
        ("Host", target.host),
        ("User-Agent", "wirelab-http-client"),
        ("Accept", "*/*"),
        ("Connection", "close"),
    ]
    head = http.send(h11.Request(method="GET", target=target.path, headers=fields)) or b""
    return head + (http.send(h11.EndOfMessage()) or b"")


def _response(http: h11.Connection, sock: socket.socket) -> Iterator[h11.Response | bytes]:
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            http.receive_data(sock.recv(READ_SIZE))
        elif isinstance(event, h11.Response):
            yield event
        elif isinstance(event, h11.Data):
            yield bytes(event.data)


def _broken(error: h11.RemoteProtocolError) -> str:
    """Why what came is no whole HTTP response, in words for the user."""
    text = str(error)
    if "without sending complete message body" in text or "incomplete chunked read" in text:
        return f"the content was cut short: {text}"
    if "unexpectedly closed" in text or "ConnectionClosed" in text:
        return "the server closed the connection without a whole response"
    told = re.sub(r"bytearray\(b(.*?)\)", r"\1", text)
    return f"the server does not speak HTTP: {told}"

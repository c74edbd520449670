"""Endpoints as people write them, and reasons as people understand them."""

from __future__ import annotations

import errno
import socket

import pytest

from protocols.endpoints import Endpoint, parse_endpoint, reason_of, socket_endpoint


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("smtp.qq.com:25", Endpoint("smtp.qq.com", 25)),
        ("127.0.0.1:0", Endpoint("127.0.0.1", 0)),
        ("[::1]:2525", Endpoint("::1", 2525)),
    ],
)
def test_an_endpoint_is_read_and_written_the_same(text: str, endpoint: Endpoint) -> None:
    """What was read is written as it was."""
    assert parse_endpoint(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "text", ["", "host", "host:", "host:x", "::1:25", "host:65536", "a b:1", "h:²"]
)
def test_what_is_no_endpoint_is_named(text: str) -> None:
    """The message holds the text that was wrong."""
    with pytest.raises(ValueError, match=r"HOST:PORT|port") as caught:
        parse_endpoint(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused"),
        (
            socket.gaierror(-2, "Name or service not known"),
            "unknown host (Name or service not known)",
        ),
        (OSError(errno.ENETUNREACH, "whatever"), "network is unreachable"),
        (TimeoutError(), "timed out"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b"), "connection refused"),
        (OSError(), "OSError"),
    ],
)
def test_reasons_are_clauses(error: OSError, reason: str) -> None:
    """No errno, no class name where there is a better word."""
    assert reason_of(error) == reason


def test_a_socket_without_a_name_has_an_endpoint_too() -> None:
    """A connection that is gone already gives None for its peer."""
    assert socket_endpoint(("::1", 25, 0, 0)) == Endpoint("::1", 25)
    assert str(socket_endpoint(None)) == "?:0"

"""The program http_client.py as a person uses it, and the client beneath it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import http_client
from protocols.endpoints import Endpoint
from protocols.http_client import Target, origin_form, target_of_url

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(http_client.__file__)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100\r\n\r\n"


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.run(command, capture_output=True, timeout=20, check=False)


class Origin:
    """Answers one connection with fixed octets and closes; keeps what it heard."""

    def __init__(self, answer: bytes, *, closes: bool = True) -> None:
        self.heard = b""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(20)
        self.port = str(self._listener.getsockname()[1])
        self._closes = closes
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            connection.settimeout(20)
            while b"\r\n\r\n" not in self.heard:
                self.heard += connection.recv(1000)
            connection.sendall(self._answer)
            if not self._closes:
                assert connection.recv(1) == b""  # the client is the one who closes

    @contextmanager
    def serving(self) -> Iterator[Origin]:
        self._thread.start()
        yield self
        self._thread.join(20)
        assert not self._thread.is_alive()


def fetched(answer: bytes, *, closes: bool = True) -> subprocess.CompletedProcess[bytes]:
    with Origin(answer, closes=closes).serving() as origin:
        return run("127.0.0.1", origin.port, "index.html", "--timeout", "10")


def test_it_asks_as_the_standard_says_and_prints_what_came() -> None:
    """A5: HOST PORT FILE; the path is absolute, Host is sent, one request is announced."""
    with Origin(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nhi\n").serving() as origin:
        done = run("127.0.0.1", origin.port, "index.html")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"HTTP/1.1 200 OK\nContent-Length: 3\nX-A: b\n\nhi\n"
    line, *fields = origin.heard.decode().split("\r\n")
    assert line == "GET /index.html HTTP/1.1"
    assert f"Host: 127.0.0.1:{origin.port}" in fields
    assert "Connection: close" in fields


def test_a_url_will_do() -> None:
    with Origin(b"HTTP/1.0 404 Not Found\r\n\r\nno").serving() as origin:
        done = run(f"http://127.0.0.1:{origin.port}/a b?c=d#e")
    assert done.returncode == 0
    assert done.stdout == b"HTTP/1.0 404 Not Found\n\nno"
    assert origin.heard.startswith(b"GET /a%20b?c=d HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokand more",
        CHUNKED + b"1;x=y\r\no\r\n01\r\nk\r\n0\r\nT: u\r\n\r\n",
        INTERIM + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["length", "chunks", "interim responses"],
)
def test_the_response_tells_where_it_ends(answer: bytes) -> None:
    """The origin keeps the connection, and is not waited for."""
    done = fetched(answer, closes=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"\n\nok")


def test_the_end_of_the_connection_may_be_the_end_of_the_page() -> None:
    done = fetched(b"HTTP/1.1 200 OK\r\n\r\n\x00\xff binary")
    assert done.returncode == 0
    assert done.stdout.endswith(b"\n\n\x00\xff binary")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "cut short"),
        (CHUNKED + b"5\r\nhel", "cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-", "without a whole response"),
        (b"", "without a whole response"),
        (b"220 mail.test ready\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, "does not speak HTTP"),
    ],
    ids=["length", "chunk", "head", "nothing", "smtp", "endless head"],
)
def test_what_is_no_whole_response_is_an_error(answer: bytes, words: str) -> None:
    done = fetched(answer)
    assert done.returncode == 76
    assert words in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_what_came_of_a_page_that_was_cut_short_is_shown() -> None:
    done = fetched(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    assert done.stdout.endswith(b"\n\nhalf")


def test_field_values_do_nothing_to_the_screen() -> None:
    done = fetched(b"HTTP/1.1 200 OK\r\nX: \x9b2J\r\nContent-Length: 0\r\n\r\n")
    assert b"X: \\x9b2J" in done.stdout


def test_a_silent_server_is_not_waited_for() -> None:
    """K5: told, with the time that was given to it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = run("127.0.0.1", str(silent.getsockname()[1]), "/", "--timeout", "0.2")
    assert done.returncode == 76
    assert "no answer within 0.2 s" in done.stderr.decode()


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        done = run("127.0.0.1", str(bound.getsockname()[1]), "/")
    assert done.returncode == 69
    assert re.search(
        r"cannot connect to 127\.0\.0\.1:\d+: connection refused", done.stderr.decode()
    )


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["127.0.0.1", "80"],
        ["127.0.0.1", "eighty", "/"],
        ["https://x.test/"],
        ["http:///index.html"],
        ["http://x.test:99999/"],
        ["x", "80", "/", "more"],
        ["http://计.test/"],
        ["http://x.test/", "--timeout", "nan"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_told_with_the_usage(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert b"usage: http_client.py (HOST PORT FILE | URL)" in done.stderr


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://a.test", Target(Endpoint("a.test", 80), "/"), "a.test"),
        ("HTTP://A.test:8080/x", Target(Endpoint("a.test", 8080), "/x"), "a.test:8080"),
        ("http://[::1]/x?y", Target(Endpoint("::1", 80), "/x?y"), "[::1]"),
        ("http://[::1]:81", Target(Endpoint("::1", 81), "/"), "[::1]:81"),
    ],
)
def test_urls(url: str, target: Target, host: str) -> None:
    assert target_of_url(url) == target
    assert target.host == host


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("index.html", "/index.html"),
        ("", "/"),
        ("/a%20b", "/a%20b"),
        ("/a\r\nX: y", "/a%0D%0AX:%20y"),
        ("/计?q=是/?", "/%E8%AE%A1?q=%E6%98%AF/?"),
    ],
)
def test_a_path_goes_into_the_request_line_whatever_it_is(path: str, form: str) -> None:
    assert origin_form(path) == form

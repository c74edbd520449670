"""The echo client, as a process: what it sends and shows, and how it ends (A1, A2, K4, K5)."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.reference.programs import LONG, closed_port, command, octets, run, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(LONG)
        yield sock


def shown(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What it shows behind its first line, which tells who talks to whom."""
    first, *lines = result.stdout.splitlines()
    assert re.fullmatch(r"talking to \S+:\d+ from \S+:\d+; `bye` ends it", first)
    return lines


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("transport", ["--tcp", "--udp"])
def test_a_conversation(host: str, transport: str) -> None:
    with server("echo_server.py", host=host) as (_, port):
        result = run("echo_client.py", host, port, transport, typed="hello\ngood day\nbye\n")
    greeting, last = (["Welcome"], []) if transport == "--tcp" else ([], ["I see u."])
    assert shown(result) == [*greeting, "HELLO", "GOOD DAY", *last]
    assert (result.returncode, result.stderr) == (0, "")


def test_lines_may_come_from_a_file_without_a_last_line_end(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("one\n\ntwo")
    with server("echo_server.py") as (_, port), lines.open() as file:
        result = subprocess.run(
            command("echo_client.py", "127.0.0.1", port),
            stdin=file,
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )
    assert shown(result) == ["Welcome", "ONE", "TWO"]


@pytest.mark.parametrize(("mode", "answer"), [("plain", "hello"), ("reverse", "olleh")])
def test_other_modes_have_no_greeting_and_no_farewell(mode: str, answer: str) -> None:
    with server("echo_server.py", f"--mode={mode}") as (_, port):
        result = run("echo_client.py", "127.0.0.1", port, f"--mode={mode}", typed="hello\nbye\n")
    assert shown(result) == [answer]
    assert result.returncode == 0


def test_the_own_end_can_be_chosen(listener: socket.socket) -> None:
    port = closed_port()
    arguments = ("127.0.0.1", listener.getsockname()[1], f"--local=127.0.0.2:{port}")
    client = subprocess.Popen(command("echo_client.py", *arguments, "--timeout=20"))
    peer, address = listener.accept()
    assert address == ("127.0.0.2", port)
    peer.close()
    assert client.wait(LONG) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["127.0.0.1"], 2, "required: port"),
        (["127.0.0.1", "0"], 2, "'0' is no port: a number from 1 to 65535"),
        (["127.0.0.1", "7", "--local=here"], 2, "'here' is not HOST:PORT"),
        (["nobody.invalid", "7"], 69, "cannot reach nobody.invalid:7: unknown host"),
        (
            ["127.0.0.1", "7", "--local=192.0.2.1:50001"],
            69,
            "cannot speak from 192.0.2.1:50001: cannot assign requested address",
        ),
    ],
)
def test_what_cannot_be_is_told(arguments: list[str], status: int, told: str) -> None:
    result = run("echo_client.py", *arguments)

    assert (result.returncode, result.stdout) == (status, "")
    assert told in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("transport", ["--tcp", "--udp"])
def test_a_closed_port_is_told(transport: str) -> None:
    result = run("echo_client.py", "127.0.0.1", closed_port(), transport, typed="hello\n")
    assert result.returncode == 69
    assert "connection refused" in result.stderr


def test_a_silent_server_is_told(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    result = run("echo_client.py", "127.0.0.1", port, "--timeout=0.2", typed="hello\n")
    assert result.returncode == 1
    assert result.stderr == f"echo_client.py: no answer from 127.0.0.1:{port} within 0.2 s\n"


def test_a_lost_datagram_is_told_and_the_next_line_is_sent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        arguments = ("127.0.0.1", sock.getsockname()[1], "--udp", "--timeout=0.2")
        result = run("echo_client.py", *arguments, typed="one\ntwo\n")
        assert [sock.recv(100), sock.recv(100)] == [b"one", b"two"]
    assert (result.returncode, result.stderr) == (1, "")
    assert len(shown(result)) == 2
    assert all(line.startswith("no answer from") for line in shown(result))


def test_the_end_of_the_connection_is_told_while_the_user_thinks(listener: socket.socket) -> None:
    client = subprocess.Popen(
        command("echo_client.py", "127.0.0.1", listener.getsockname()[1]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peer, _ = listener.accept()
    with peer:
        peer.sendall(b"Welcome")
    assert client.stderr is not None
    assert "has closed the connection" in client.stderr.readline()
    client.communicate(timeout=LONG)
    assert client.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: int, listener: socket.socket) -> None:
    client = subprocess.Popen(
        command("echo_client.py", "127.0.0.1", listener.getsockname()[1], "--timeout=60"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peer, _ = listener.accept()
    assert client.stdout is not None
    assert "talking to" in client.stdout.readline()
    client.send_signal(number)
    with peer:
        peer.settimeout(LONG)
        assert peer.recv(100) == b""
    _, errors = client.communicate(timeout=LONG)
    assert (client.returncode, errors) == (128 + number, "")


def test_what_a_server_sends_cannot_move_the_cursor(listener: socket.socket) -> None:
    client = subprocess.Popen(
        command("echo_client.py", "127.0.0.1", listener.getsockname()[1]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    peer, _ = listener.accept()
    with peer:
        peer.sendall(b"\x1b[2J\n")
        assert client.stdin is not None
        client.stdin.write("hi\n")
        client.stdin.flush()
        assert octets(peer, 2) == b"hi"
    output, _ = client.communicate(timeout=LONG)
    assert output.splitlines()[1] == r"\x1b[2J"

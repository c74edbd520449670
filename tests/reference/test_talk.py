"""Talk server and client, as processes (requirements N1, N2)."""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime

import pytest

import talk_server
from protocols.endpoints import Endpoint
from protocols.messages import Message
from tests.reference.programs import datagrams, dialled, octets, run, server, to_the_end

NOON = datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC)
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def own(sock: socket.socket) -> Endpoint:
    return Endpoint(*sock.getsockname()[:2])


def test_an_answer_has_time_address_and_text_and_the_line_end_of_the_message() -> None:
    answer = talk_server.reply(Message(b"hello", b"\r\n"), Endpoint("2001:db8::1", 40_001), NOON)

    assert answer == b"2026-11-21 12:00:01 [2001:db8::1]:40001 hello\r\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_client_is_told_who_it_is(host: str) -> None:
    with server("talk_server.py", host=host) as (_, port), dialled(port, host) as client:
        greeting = f"Welcome, {own(client)}"
        assert octets(client, len(greeting)).decode() == greeting
        client.sendall("你好\n".encode())
        client.sendall(b"q!")
        answer = to_the_end(client).decode()
        assert re.fullmatch(rf"{TIME} {re.escape(str(own(client)))} 你好\n", answer)


def test_each_sender_of_datagrams_is_told_who_it_is() -> None:
    with server("talk_server.py") as (_, port), datagrams(port) as ann, datagrams(port) as bo:
        ann.send(b"q!")  # is not answered: the next answer is that to the next datagram
        for sock in (ann, bo, ann):
            sock.send(b"hello")
            answer = sock.recv(100).decode()
            assert re.fullmatch(rf"{TIME} {re.escape(str(own(sock)))} hello", answer)


def test_by_the_own_name_of_the_machine() -> None:
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        pytest.skip("this machine does not know its own name")
    with server("talk_server.py", host=name) as (_, port):
        result = run("talk_client.py", name, port, typed="hello\nq!\n")
    assert result.returncode == 0
    assert re.search(rf"(?m)^Welcome, \S+\n{TIME} \S+ hello$", result.stdout)


@pytest.mark.parametrize("transport", ["--tcp", "--udp"])
def test_a_conversation(transport: str) -> None:
    with server("talk_server.py") as (_, port):
        result = run("talk_client.py", "127.0.0.1", port, transport, typed="one\ntwo\nq!\n")
    first, *lines = result.stdout.splitlines()
    me = re.fullmatch(r"talking to \S+ from (\S+); `q!` ends it", first)
    assert me is not None
    if transport == "--tcp":
        assert lines.pop(0) == f"Welcome, {me[1]}"
    assert [line.split(maxsplit=2)[2] for line in lines] == [f"{me[1]} one", f"{me[1]} two"]
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("program", ["talk_server.py", "talk_client.py"])
def test_help(program: str) -> None:
    result = run(program, "--help")
    assert result.returncode == 0
    assert "N1, N2" in result.stdout

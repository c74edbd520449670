"""Calculator server and client, as processes (requirement K3)."""

from __future__ import annotations

import pytest

from tests.reference.programs import datagrams, dialled, octets, run, server, to_the_end

SUMS = b"3+4*2\r\n(3+4)*2\n\n1/0\n0.1+0.2"
VALUES = b"11\r\n14\nerror: division by zero\n0.3"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_sums_on_a_connection(host: str) -> None:
    with server("calc_server.py", host=host) as (_, port), dialled(port, host) as client:
        client.sendall(SUMS)
        client.shutdown(1)
        assert to_the_end(client) == VALUES


def test_a_sum_may_come_octet_by_octet() -> None:
    with server("calc_server.py") as (_, port), dialled(port) as client:
        for place in range(len(SUMS)):
            client.sendall(SUMS[place : place + 1])
        assert octets(client, len(VALUES)) == VALUES


def test_a_message_without_end_is_told_and_not_kept() -> None:
    with server("calc_server.py") as (_, port), dialled(port) as client:
        client.sendall(b"1+" * 100_000 + b"1\n2+2\n")
        client.shutdown(1)
        answers = to_the_end(client)
    assert answers.startswith(b"error: the sum is longer than 1000 characters")
    assert answers.endswith(b"\n4\n")


def test_datagrams() -> None:
    with server("calc_server.py") as (_, port), datagrams(port) as sock:
        for question, answer in {
            b"6*7": b"42",
            b"": b"error: a number is missing at the end",
            b"\xff": b"error: '\\udcff' belongs in no sum",
        }.items():
            sock.send(question)
            assert sock.recv(100) == answer
        sock.send(b"error: not me")  # an answer, which is not answered: the next answer is another
        sock.send(b"2*3\n")
        assert sock.recv(100) == b"6\n"


@pytest.mark.parametrize("transport", ["--tcp", "--udp"])
@pytest.mark.parametrize("farewell", ["quit\n", ""])
def test_a_conversation(transport: str, farewell: str) -> None:
    typed = f"3+4*2\n1/0\n{farewell}"
    with server("calc_server.py") as (_, port):
        result = run("calc_client.py", "127.0.0.1", port, transport, typed=typed)
    assert result.stdout.splitlines()[1:] == ["11", "error: division by zero"]
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("program", ["calc_server.py", "calc_client.py"])
def test_help(program: str) -> None:
    result = run(program, "--help")
    assert result.returncode == 0
    assert "K3" in result.stdout

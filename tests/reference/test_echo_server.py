"""The echo server, as a process: what clients get, and how it ends.

Behaviours EC01 to EC04, requirements A1, A2, K6, K7, K9.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading

import pytest

from tests.reference.programs import (
    LONG,
    datagrams,
    dialled,
    octets,
    run,
    server,
    to_the_end,
)

TEN_MIB = 10 * 1024 * 1024
GREETING = b"Welcome"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_capitals_for_ipv4_and_ipv6(host: str) -> None:
    with server("echo_server.py", host=host) as (_, port), dialled(port, host) as client:
        client.sendall(b"gut")
        client.sendall("e Grüße\n".encode())
        wanted = GREETING + "GUTE GRÜSSE\n".encode()
        assert octets(client, len(wanted)) == wanted
        with datagrams(port, host) as sock:
            sock.send(b"hello")
            assert sock.recv(100) == b"HELLO"


def test_ten_mib_come_back_while_they_are_sent() -> None:
    data = os.urandom(TEN_MIB)
    with server("echo_server.py", "--mode=plain") as (_, port), dialled(port) as client:

        def say_all() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=say_all)
        sender.start()
        assert to_the_end(client) == data
        sender.join()


def test_ten_mib_come_back_to_a_client_that_sends_all_of_them_first() -> None:
    data = os.urandom(TEN_MIB)
    with server("echo_server.py", "--mode=plain") as (_, port), dialled(port) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert to_the_end(client) == data


def test_a_text_without_any_line_end_may_be_long() -> None:
    with server("echo_server.py") as (_, port), dialled(port) as client:
        client.sendall(b"a" * TEN_MIB)
        client.shutdown(socket.SHUT_WR)
        assert to_the_end(client) == GREETING + b"A" * TEN_MIB


@pytest.mark.parametrize("length", [0, 1, 1_472, 65_507])
def test_datagrams_of_all_lengths_come_back(length: int) -> None:
    data = os.urandom(length)
    with server("echo_server.py", "--mode=plain") as (_, port), datagrams(port) as sock:
        sock.send(data)
        assert sock.recv(70_000) == data


def test_an_answer_that_is_too_long_for_a_datagram_is_told() -> None:
    """In capitals the letter has three octets, and one more than before."""
    text = "\N{LATIN SMALL LETTER TURNED A}" * 32_000
    with server("echo_server.py") as (process, port), datagrams(port) as sock:
        sock.send(text.encode())
        assert process.stdout is not None
        assert "message too long" in process.stdout.readline()
        sock.send(b"still there?")
        assert sock.recv(100) == b"STILL THERE?"


def test_a_hundred_clients_among_them_one_that_stalls_and_one_that_breaks_off() -> None:
    with server("echo_server.py") as (_, port):
        clients = [dialled(port) for _ in range(100)]
        stalled, broken, *others = clients
        stalled.sendall(b"no end")
        stalled.setblocking(False)
        broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        broken.sendall(b"x" * 100_000)
        broken.close()
        for number, client in enumerate(others):
            client.sendall(b"client %d\n" % number)
        for number, client in enumerate(others):
            wanted = GREETING + b"CLIENT %d\n" % number
            assert octets(client, len(wanted)) == wanted
        for client in clients:
            client.close()


def test_it_can_listen_again_at_once() -> None:
    with server("echo_server.py") as (process, port), dialled(port) as client:
        octets(client, len(GREETING))
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0
        assert to_the_end(client) == b""
        # Our side has not closed: the server's old connection is still there (FIN-WAIT-2).
        with socket.socket() as probe, pytest.raises(OSError, match="in use"):
            probe.bind(("127.0.0.1", port))
        with server("echo_server.py", port=port) as (_, again), dialled(again) as other:
            assert octets(other, len(GREETING)) == GREETING


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_its_clients(number: int) -> None:
    with server("echo_server.py") as (process, port), dialled(port) as client:
        octets(client, len(GREETING))
        process.send_signal(number)
        assert to_the_end(client) == b""
        assert process.wait(LONG) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_client_that_reads_nothing_does_not_keep_it_from_ending() -> None:
    with server("echo_server.py", "--mode=plain") as (process, port), dialled(port) as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(100 * TEN_MIB))  # so much nobody keeps
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0


def test_two_echo_services_do_not_answer_each_other() -> None:
    import echo_server
    from protocols.endpoints import Endpoint

    service = echo_server.PlainEcho()
    assert service.answer(b"x", Endpoint("192.0.2.1", 7)) is None
    assert service.answer(b"x", Endpoint("192.0.2.1", 40_000)) == b"x"


def test_one_transport_only() -> None:
    with server("echo_server.py", "--tcp") as (_, port), datagrams(port) as sock:
        sock.send(b"hello")
        with pytest.raises(ConnectionRefusedError):
            sock.recv(100)
    with (
        server("echo_server.py", "--udp") as (_, port),
        pytest.raises(ConnectionRefusedError),
    ):
        dialled(port)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["127.0.0.1"], 2, "required: port"),
        (["127.0.0.1", "x"], 2, "'x' is no port: a number from 0 to 65535"),
        (["127.0.0.1", "65536"], 2, "'65536' is no port"),
        (["127.0.0.1", "7", "--mode=lower"], 2, "invalid choice: 'lower'"),
        (["192.0.2.1", "50001"], 69, "cannot listen on 192.0.2.1:50001: this machine has no such"),
        (["nobody.invalid", "7"], 69, "cannot listen on nobody.invalid:7: unknown host"),
    ],
)
def test_what_cannot_be_is_told(arguments: list[str], status: int, told: str) -> None:
    result = run("echo_server.py", *arguments)

    assert (result.returncode, result.stdout) == (status, "")
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_told() -> None:
    with server("echo_server.py") as (_, port):
        result = run("echo_server.py", "127.0.0.1", port)
    assert result.returncode == 69
    assert f"cannot listen on 127.0.0.1:{port}: another program listens there" in result.stderr


def test_help() -> None:
    result = run("echo_server.py", "--help")
    assert result.returncode == 0
    assert "Echo Protocol (RFC 862)" in result.stdout

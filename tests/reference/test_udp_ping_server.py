"""The UDP ping server: which datagrams it loses, and that the ping client lives with it (A6)."""

from __future__ import annotations

import signal

import pytest

from protocols.endpoints import Endpoint
from tests.reference.programs import LONG, datagrams, run, server
from udp_ping_server import PingService

CLIENT = Endpoint("192.0.2.7", 40_001)


def answered(loss: float, seed: int, count: int = 1000) -> list[bool]:
    service = PingService(loss, seed)
    return [service.answer(b"Ping", CLIENT) is not None for _ in range(count)]


def test_about_so_many_are_lost() -> None:
    assert 550 < sum(answered(40, seed=7)) < 650


@pytest.mark.parametrize(("loss", "count"), [(0, 1000), (100, 0)])
def test_none_and_all(loss: float, count: int) -> None:
    assert sum(answered(loss, seed=7)) == count


def test_the_same_seed_loses_the_same_ones() -> None:
    assert answered(40, seed=7) == answered(40, seed=7) != answered(40, seed=8)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("data", [b"", b"Ping 1 2.5", b"\xff\x00", b"x" * 65_507])
def test_an_answer_is_in_capitals(host: str, data: bytes) -> None:
    with (
        server("udp_ping_server.py", "--loss=0", host=host) as (_, port),
        datagrams(port, host) as sock,
    ):
        sock.send(data)
        assert sock.recv(70_000) == data.upper()


def test_the_ping_client_counts_what_the_server_has_lost() -> None:
    with server("udp_ping_server.py", "--seed=3") as (process, port):
        result = run("udp_ping_client.py", "127.0.0.1", port, "--timeout=0.5")
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=LONG)
        assert process.returncode == 0
    received, lost = told.splitlines()[-1].removesuffix(" lost").split(" received, ")
    assert received == "10"
    assert 0 < int(lost) < 10
    assert f"10 sent, {10 - int(lost)} received, {lost} lost" in result.stdout


@pytest.mark.parametrize("share", ["x", "-1", "101", "nan"])
def test_a_share_that_is_none_is_told(share: str) -> None:
    result = run("udp_ping_server.py", "127.0.0.1", 0, f"--loss={share}")
    assert result.returncode == 2
    assert f"'{share}' is no share: a number from 0 to 100" in result.stderr

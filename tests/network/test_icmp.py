"""Routers that tell by ICMP what cannot be reached, as a small program sees it."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import pytest
from harness import network as network_module
from harness.errors import HarnessError, MachineError
from harness.network import Code, Loopback, Place, Private, icmp

from tests.network.test_private import AS_USER, as_user, python_of_all, run, told, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.network import Transport

    Over = Transport | Literal["icmp"]

TROUBLE = network_module._trouble()
on_private = pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)
ROOT = Path(__file__).parents[2]
HOST, HOST6 = "192.0.2.7", "2001:db8::7"


@contextmanager
def unreachable(network: Private, place: Place, transport: Over, code: Code) -> Iterator[None]:
    """A router that tells at once, for as long as the `with` lasts."""
    router = network.unreachable(*place, transport)
    loop = asyncio.get_running_loop()

    def tell() -> None:
        for packet in router.packets():
            router.tell(packet, code)

    loop.add_reader(router.fileno(), tell)
    try:
        yield
    finally:
        loop.remove_reader(router.fileno())
        router.close()


def seen(place: Place, transport: Over, code: Code, program: str) -> Any:
    """What a program tells that knows `family`, `there` and `error`."""
    program = (
        f"there = {tuple(place)!r}\n"
        "family = socket.AF_INET6 if ':' in there[0] else socket.AF_INET\n"
        "def error(do):\n"
        "    try: do()\n"
        "    except OSError as error: return errno.errorcode[error.errno]\n"
        f"{program}"
    )

    async def play(network: Private) -> Any:
        with unreachable(network, place, transport, code):
            return await told(network, program)

    return run(play)


each_code = pytest.mark.parametrize(
    ("host", "code", "name"),
    [
        (HOST, "host", "EHOSTUNREACH"),
        (HOST, "net", "ENETUNREACH"),
        (HOST, "admin", "EHOSTUNREACH"),
        (HOST, "expired", "EHOSTUNREACH"),
        (HOST6, "host", "EHOSTUNREACH"),
        (HOST6, "net", "ENETUNREACH"),
        (HOST6, "admin", "EACCES"),
        (HOST6, "expired", "EHOSTUNREACH"),
    ],
)


@on_private
@each_code
def test_a_connect_fails_by_the_error_of_the_code(host: str, code: Code, name: str) -> None:
    program = "tell(error(lambda: socket.socket(family).connect(there)))"
    assert seen(Place(host, 80), "tcp", code, program) == name


ECHOES = """
six = family == socket.AF_INET6
SOL, RECVERR = (socket.IPPROTO_IPV6, 25) if six else (socket.SOL_IP, 11)
sock = socket.socket(family, socket.SOCK_DGRAM, 58 if six else 1)
sock.setsockopt(SOL, RECVERR, 1)
sock.settimeout(20)
head = bytes([128 if six else 8, 0, 0, 0, 0, 0, 0, 1])
told = []
for _ in range(2):
    sock.sendto(head, there)
    failed = error(lambda: sock.recv(9))
    _, ancillary, _, _ = sock.recvmsg(100, 512, socket.MSG_ERRQUEUE)
    kind, code = ancillary[0][2][5:7]  # of struct sock_extended_err
    told.append([failed, kind, code])
tell(told)
"""


@on_private
@pytest.mark.parametrize(
    ("host", "code", "error"),
    [
        (HOST, "host", ["EHOSTUNREACH", 3, 1]),
        (HOST, "net", ["ENETUNREACH", 3, 0]),
        (HOST, "admin", ["EHOSTUNREACH", 3, 13]),
        (HOST, "expired", ["EHOSTUNREACH", 11, 0]),
        (HOST6, "host", ["EHOSTUNREACH", 1, 3]),
        (HOST6, "net", ["ENETUNREACH", 1, 0]),
        (HOST6, "admin", ["EACCES", 1, 1]),
        (HOST6, "expired", ["EHOSTUNREACH", 3, 0]),
    ],
)
def test_an_echo_request_is_told_the_error_of_the_code(
    host: str, code: Code, error: list[Any]
) -> None:
    assert seen(Place(host, 0), "icmp", code, ECHOES) == [error, error]


OTHERS = """
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.settimeout(20)
udp.connect((there[0], 7))
udp.send(b"x")
tell(error(lambda: udp.recv(1)))
"""


@on_private
@pytest.mark.parametrize("host", [HOST, HOST6])
def test_a_router_that_tells_of_echo_requests_lets_datagrams_pass(host: str) -> None:
    """Nobody listens there, so the host itself refuses them."""
    assert seen(Place(host, 0), "icmp", "host", OTHERS) == "ECONNREFUSED"


DATAGRAMS = """
SOL, RECVERR = (socket.SOL_IP, 11) if family == socket.AF_INET else (socket.IPPROTO_IPV6, 25)
def sent(curious):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(SOL, RECVERR, curious)
    sock.settimeout(20)
    sock.connect(there)
    sock.send(b"hello")
    return sock
plain, curious = sent(0), sent(1)
heard = error(lambda: curious.recv(1))
plain.setblocking(False)
tell([error(lambda: plain.recv(1)), heard])
"""


@on_private
@each_code
def test_a_datagram_s_error_is_told_to_whoever_asks_and_of_a_wall_to_all(
    host: str, code: Code, name: str
) -> None:
    """The error of the second datagram comes behind that of the first."""
    plain = name if code == "admin" else "EAGAIN"
    assert seen(Place(host, 53), "udp", code, DATAGRAMS) == [plain, name]


@on_private
def test_other_ports_and_transports_of_the_host_are_as_they_were() -> None:
    program = (
        "tell([error(lambda: socket.socket().connect((there[0], port))) for port in (79, 80, 81)])"
    )

    async def play(network: Private) -> Any:
        with (
            network.listen(HOST, 79, "tcp"),
            unreachable(network, Place(HOST, 80), "udp", "host"),
            unreachable(network, Place(HOST, 81), "tcp", "host"),
        ):
            return await told(network, f"there = {(HOST,)!r}\n{ERROR}{program}")

    assert run(play) == [None, "ECONNREFUSED", "EHOSTUNREACH"]


ERROR = """
def error(do):
    try: do()
    except OSError as error: return errno.errorcode[error.errno]
"""


@on_private
def test_a_later_fragment_is_told_nobody() -> None:
    """Of three fragments only the first has a port, whatever the others hold there."""
    program = (
        "sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"sock.sendto((53).to_bytes(2) * 2000, ({HOST!r}, 53)); tell(1)"
    )

    async def play(network: Private) -> list[int]:
        router = network.unreachable(HOST, 53, "udp")
        try:
            await told(network, program)
            return [len(packet) for packet in router.packets()]
        finally:
            router.close()

    assert run(play) == [1500]


@on_private
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "lab"])
def test_no_router_lies_before_the_program_s_own_host(host: str) -> None:
    async def play(network: Private) -> None:
        with pytest.raises(MachineError, match="no router lies"):
            network.unreachable(host, 80, "tcp")

    run(play)


def test_there_are_no_routers_on_loopback() -> None:
    with pytest.raises(HarnessError, match="no routers on the rung loopback"):
        Loopback().unreachable(HOST, 80, "tcp")


IPV4 = bytes.fromhex("45000028000040004006") + bytes(2) + bytes([10, 0, 0, 1, 192, 0, 2, 7])


@pytest.mark.parametrize("code", get_args(Code))
@pytest.mark.parametrize("size", [20, 21, 1480])
def test_an_error_quotes_what_fits_and_has_a_true_checksum(code: Code, size: int) -> None:
    error = icmp.error_about(IPV4 + bytes(range(256)) * 6, code)
    short = icmp.error_about((IPV4 + bytes(range(256)) * 6)[: 20 + size], code)

    assert total(error) == total(short) == 0
    assert len(error) + 20 == 576
    assert short[8:] == (IPV4 + bytes(range(256)) * 6)[: min(20 + size, 548)]


def test_an_error_of_ipv6_fills_its_least_mtu() -> None:
    error = icmp.error_about(bytes([0x60]) + bytes(1499), "host")

    assert error[:2] == bytes([1, 3])
    assert len(error) + 40 == 1280


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(AS_USER in os.environ, reason="this is the other user already")
@pytest.mark.timeout(180)
@on_private
def test_all_of_this_holds_for_an_ordinary_user() -> None:
    command = [python_of_all(), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    played = as_user(command, cwd=ROOT)
    assert played.returncode == 0, played.stdout
    assert "1 skipped" in played.stdout

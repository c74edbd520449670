"""Places on the loopback rung: where actors stand, and where nobody answers."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from harness.errors import HarnessError, MachineError
from harness.network import Loopback, Place, open_network, rung_of

from tests.network.programs import PYTHON, opened, started

if TYPE_CHECKING:
    from harness.network import Network, Transport
    from harness.network.process import WardedProcess

SERVER = """
import signal, socket, sys
kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[sys.argv[3]]
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, kind)
if len(sys.argv) > 4:
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(sys.argv[4]))
server.bind((sys.argv[1], int(sys.argv[2])))
if sys.argv[3] == "tcp":
    server.listen()
sys.stdout.write("bound\\n")
sys.stdout.flush()
while True: signal.pause()
"""


def soon() -> float:
    return asyncio.get_running_loop().time() + 10


async def served(network: Network, *arguments: object) -> WardedProcess:
    """A server program that is bound already."""
    reader, writer = os.pipe()
    try:
        process = await started(network, [*PYTHON, SERVER, *map(str, arguments)], stdout=writer)
    finally:
        os.close(writer)
    try:
        told = await asyncio.to_thread(os.read, reader, 1000)
    finally:
        os.close(reader)
    assert told == b"bound\n"
    return process


# -- the ladder ----------------------------------------------------------------------------


def test_the_loopback_rung_is_open_to_all() -> None:
    assert rung_of("loopback") is Loopback
    assert Loopback.rung == "loopback"
    assert Loopback.offers == {"filtered-port"}


def test_who_does_not_choose_gets_it_where_there_is_no_private_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.network._trouble", lambda: "why")
    assert rung_of("auto") is Loopback
    assert isinstance(asyncio.run(open_network()), Loopback)


def test_there_are_no_names_here() -> None:
    async def play() -> None:
        async with opened() as network:
            with pytest.raises(HarnessError, match="no names on the rung loopback"):
                network.add_names({"smtp.qq.com": "1.2.3.4"})
            assert network.known_as("smtp.qq.com", Place("127.0.0.1", 7)).host == "127.0.0.1"

    asyncio.run(play())


def test_an_unknown_rung_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no such network: 'moon'"):
        rung_of("moon")


# -- listening ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "where"),
    [
        ("smtp.qq.com", "127.0.0.1"),
        ("192.168.10.211", "127.0.0.1"),
        ("2001:db8::7", "::1"),
    ],
)
def test_an_actor_stands_on_loopback_whatever_the_scenario_names(host: str, where: str) -> None:
    async def main() -> None:
        async with opened() as network:
            with network.listen(host, 25, "tcp") as server:
                assert server.getsockname()[0] == where
                assert not server.getblocking()
                place = Place(*server.getsockname()[:2])
                with await network.dial(place, "tcp", deadline=soon()) as client:
                    accepted, peer = await asyncio.get_running_loop().sock_accept(server)
                    accepted.close()
                    assert peer == client.getsockname()

    asyncio.run(main())


def test_a_udp_actor_hears_what_is_dialled() -> None:
    async def main() -> None:
        async with opened() as network:
            with network.listen("127.0.0.1", 12000, "udp") as server:
                place = Place(*server.getsockname())
                with await network.dial(place, "udp", deadline=soon()) as client:
                    client.send(b"ping")
                    assert await asyncio.get_running_loop().sock_recv(server, 100) == b"ping"

    asyncio.run(main())


def test_two_actors_of_the_same_port_do_not_clash() -> None:
    async def main() -> None:
        async with opened() as first, opened() as second:
            with first.listen("a", 25, "tcp") as one, second.listen("a", 25, "tcp") as two:
                assert one.getsockname() != two.getsockname()

    asyncio.run(main())


# -- where nobody answers -------------------------------------------------------------------


@pytest.mark.parametrize("host", ["10.0.0.1", "::1"])
def test_a_closed_tcp_port_refuses_for_the_whole_play(host: str) -> None:
    async def main() -> None:
        async with opened() as network:
            place = network.closed(host, 25, "tcp")
            for _ in range(20):
                with pytest.raises(ConnectionRefusedError):
                    await network.dial(place, "tcp", deadline=soon())
            family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
            with socket.socket(family) as other, pytest.raises(OSError, match="in use"):
                other.bind(place)

    asyncio.run(main())


@pytest.mark.parametrize("host", ["10.0.0.1", "::1"])
def test_a_closed_udp_port_is_told_unreachable(host: str) -> None:
    async def main() -> None:
        async with opened() as network:
            place = network.closed(host, 53, "udp")
            with await network.dial(place, "udp", deadline=soon()) as client:
                client.send(b"anybody?")
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.get_running_loop().sock_recv(client, 100)

    asyncio.run(main())


@pytest.mark.parametrize("host", ["10.0.0.1", "::1"])
@pytest.mark.parametrize("filters", [True, False], ids=["by a filter", "by a full backlog"])
def test_a_filtered_port_never_answers(
    filters: bool, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some kernels let only root filter the sockets of the whole machine."""
    if not filters:
        monkeypatch.setattr("harness.network.sockets._SO_ATTACH_FILTER", 9999)

    async def main() -> None:
        async with opened() as network:
            place = network.filtered(host, 81)
            for _ in range(2):
                deadline = asyncio.get_running_loop().time() + 0.2
                with pytest.raises(TimeoutError):
                    await network.dial(place, "tcp", deadline=deadline)
                assert asyncio.get_running_loop().time() >= deadline

    asyncio.run(main())


def test_a_kernel_that_answers_all_the_same_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.network.sockets._SO_ATTACH_FILTER", 9999)
    monkeypatch.setattr("harness.network.loopback._is_full", lambda _: False)
    monkeypatch.setattr("harness.network.loopback._TRIES", 2)

    async def main() -> None:
        async with opened() as network:
            with pytest.raises(MachineError, match="answers at a full backlog as well"):
                network.filtered("10.0.0.1", 81)

    asyncio.run(main())


def test_dialling_a_name_is_refused() -> None:
    async def main() -> None:
        async with opened() as network:
            with pytest.raises(ValueError, match="localhost"):
                await network.dial(Place("localhost", 80), "tcp", deadline=soon())

    asyncio.run(main())


def test_a_connect_that_meets_itself_is_a_refused_one() -> None:
    async def main() -> None:
        async with opened() as network:
            place = network.reserve("tcp")
            network.release()
            real = socket.socket.setblocking

            def bound_first(sock: socket.socket, flag: bool) -> None:
                sock.bind(place)
                real(sock, flag)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(socket.socket, "setblocking", bound_first)
                with pytest.raises(ConnectionRefusedError):
                    await network.dial(place, "tcp", deadline=soon())

    asyncio.run(main())


# -- the program's place ------------------------------------------------------------------------


def test_a_reserved_port_is_held_until_it_is_released() -> None:
    async def main() -> None:
        async with opened() as network:
            place = network.reserve("tcp", "udp")
            assert place.host == "127.0.0.1"
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(type=kind) as other, pytest.raises(OSError) as caught:
                    other.bind(place)
                assert caught.value.errno == errno.EADDRINUSE
            network.release()
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(type=kind) as program:
                    program.bind(place)

    asyncio.run(main())


def test_no_two_plays_get_the_same_port_even_after_release() -> None:
    async def main() -> None:
        async with opened() as first, opened() as second:
            places = set()
            for network in [first, second] * 100:
                places.add(network.reserve("tcp"))
                network.release()
            assert len(places) == 200

    asyncio.run(main())


def test_a_promised_port_is_not_given_to_anybody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    class Promised(set[int]):
        """Every port, for the first two that are offered."""

        asked = 0

        def __contains__(self, _: object) -> bool:
            self.asked += 1
            return self.asked < 3

    promised = Promised()
    monkeypatch.setattr("harness.network.loopback._promised", promised)

    async def main() -> None:
        async with opened() as network:
            network.listen("x", 1, "tcp").close()
            assert promised.asked == 3

    asyncio.run(main())


def test_the_place_is_released_as_the_program_starts() -> None:
    async def main() -> None:
        async with opened() as network:
            place = network.reserve("tcp")
            process = await served(network, *place, "tcp")
            assert network.listens(process, place, "tcp")
            with await network.dial(place, "tcp", deadline=soon()) as client:
                assert client.getpeername() == place

    asyncio.run(main())


# -- where the program listens --------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("bound", "told"),
    [
        (["127.0.0.1"], {"127.0.0.1"}),
        (["0.0.0.0"], {"0.0.0.0"}),
        (["::1"], {"::1"}),
        (["::", 1], {"::"}),
        (["::", 0], {"::", "0.0.0.0"}),
        (["::ffff:127.0.0.1", 0], {"127.0.0.1"}),
    ],
)
def test_what_the_program_has_bound_is_told(
    transport: Transport, bound: list[Any], told: set[str]
) -> None:
    async def main() -> None:
        async with opened() as network:
            host, *only6 = bound
            place = network.reserve("tcp", "udp")
            process = await served(network, host, place.port, transport, *only6)
            assert network.listening(process, transport) == {Place(h, place.port) for h in told}
            other: Transport = "udp" if transport == "tcp" else "tcp"
            assert network.listening(process, other) == set()
            reached = told & {"127.0.0.1", "0.0.0.0"}
            assert network.listens(process, place, transport) is bool(reached)
            assert not network.listens(process, place, other)

    asyncio.run(main())


def test_a_server_in_a_daemon_counts_as_the_programs() -> None:
    async def main() -> None:
        async with opened() as network:
            place = network.reserve("tcp")
            daemon = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\n" + SERVER
            reader, writer = os.pipe()
            process = await started(
                network, [*PYTHON, daemon, place.host, str(place.port), "tcp"], stdout=writer
            )
            os.close(writer)
            assert await asyncio.to_thread(os.read, reader, 100) == b"bound\n"
            os.close(reader)
            assert (await process.wait()).status == 0
            assert network.listens(process, place, "tcp")
            await process.end()
            assert not network.listens(process, place, "tcp")

    asyncio.run(main())


def test_somebody_elses_server_is_not_the_programs() -> None:
    async def main() -> None:
        async with opened() as network:
            process = await started(network, [*PYTHON, "import signal; signal.pause()"])
            with network.listen("x", 1, "tcp") as server:
                place = Place(*server.getsockname())
                assert not network.listens(process, place, "tcp")
                assert network.listening(process, "tcp") == set()

    asyncio.run(main())


def test_closing_twice_is_closing_once() -> None:
    async def main() -> None:
        network = await open_network()
        network.reserve("tcp")
        network.closed("x", 1, "udp")
        network.filtered("x", 1)
        await network.close()
        await network.close()

    asyncio.run(main())

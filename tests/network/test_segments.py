"""Segments of TCP that are lost, and what a small program notices of it: nothing but the time."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import network as network_module
from harness.errors import HarnessError, MachineError
from harness.network import Loopback, Place, Private, Way, room, segments

from tests.network.programs import PYTHON, output_of
from tests.network.test_private import AS_USER, accept, as_user, python_of_all, read, run

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

TROUBLE = network_module._trouble()
on_private = pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)
ROOT = Path(__file__).parents[2]

#: Sends a word and waits for it to come back, three times: each word is one segment.
TALK = """
import socket, sys
sock = socket.create_connection((sys.argv[1], 80))
for word in (b"one", b"two", b"three"):
    sock.sendall(word)
    print(sock.recv(9).decode())
"""


async def talk(network: Private, host: str, listener: socket.socket) -> str:
    """What the program prints while an echo server answers it."""
    talking = asyncio.create_task(output_of(network, [*PYTHON, TALK, host]))
    met, _ = await accept(listener)
    with met:
        while word := await read(met):
            await asyncio.get_running_loop().sock_sendall(met, word)
    return await talking


@on_private
@pytest.mark.parametrize("way", ["heard", "answer"])
@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("ordinals", "lost"),
    [([1], [1]), ([2, 3], [2, 3]), ([3, 2], [2, 3]), ([2, 4], [2, 4]), ([99], [])],
)
def test_segments_are_lost_and_everything_arrives_all_the_same(
    host: str, way: Way, ordinals: Sequence[int], lost: list[int]
) -> None:
    async def play(network: Private) -> None:
        with network.listen(host, 80, "tcp") as listener:
            losing = network.lose_segments(Place(host, 80), way, ordinals)
            try:
                assert await talk(network, host, listener) == "one\ntwo\nthree\n"
                assert sorted(losing.dropped()) == lost
            finally:
                losing.close()

    run(play)


@on_private
def test_each_place_has_its_own_losses() -> None:
    async def play(network: Private) -> None:
        here, there = "192.0.2.7", "192.0.2.8"
        with network.listen(here, 80, "tcp") as listener:
            losing = network.lose_segments(Place(here, 80), "heard", [2])
            others = [
                network.lose_segments(place, "heard", [1])
                for place in (Place(there, 80), Place(here, 81))
            ]
            try:
                await talk(network, here, listener)
                assert losing.dropped() == {2: 20 + 32 + len("two")}  # IPv4, TCP with time stamps
                assert [other.dropped() for other in others] == [{}, {}]
            finally:
                for each in (losing, *others):
                    each.close()

    run(play)


#: Answers each word on three connections, and tells from where they come.
SERVE = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
listener = socket.create_server((sys.argv[1], 8000), family=family)
for _ in range(2):
    met, (host, *_) = listener.accept()
    print(host)
    while word := met.recv(9):
        met.sendall(word.upper())
"""


@on_private
@pytest.mark.parametrize(
    ("place", "visitors"),
    [
        (Place(room.ADDRESS, 8000), ["203.0.113.81", "203.0.113.82"]),
        (Place(room.ADDRESS6, 8000), ["2001:db8::81", "2001:db8::82"]),
        (Place("127.0.0.1", 8000), ["127.0.1.1", "127.0.1.2"]),
        (Place("::1", 8000), ["::1", "::1"]),
    ],
)
def test_segments_of_who_dials_are_lost_each_way_apart(place: Place, visitors: list[str]) -> None:
    async def play(network: Private) -> None:
        serving = asyncio.create_task(output_of(network, [*PYTHON, SERVE, place.host]))
        while not (network._process and network.listens(network._process, place, "tcp")):  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.002)
        assert [network.visitor(place) for _ in visitors] == visitors
        sent = network.lose_segments(place, "answer", [2], visitors[0])
        heard = network.lose_segments(place, "heard", [1, 4], visitors[0])
        loop = asyncio.get_running_loop()
        try:
            for visitor in visitors:
                deadline = loop.time() + 20
                met = await network.dial(place, "tcp", deadline=deadline, source=visitor)
                with met:
                    for word in (b"one", b"two", b"three"):
                        await loop.sock_sendall(met, word)
                        assert await read(met) == word.upper()
            assert (await serving).split() == visitors
            assert (list(sent.dropped()), list(heard.dropped())) == ([2], [1, 4])
        finally:
            sent.close()
            heard.close()

    run(play)


def test_no_segment_is_lost_on_loopback() -> None:
    with pytest.raises(HarnessError, match="no segment is lost on the rung loopback"):
        Loopback().lose_segments(Place("127.0.0.1", 80), "heard", [1])
    with pytest.raises(HarnessError, match="all actors dial from one address"):
        Loopback().visitor(Place("127.0.0.1", 80))


class Refusing:
    """A netlink socket of a kernel that has no nf_tables."""

    def setblocking(self, _: bool) -> None:
        pass

    def send(self, _: bytes) -> None:
        pass

    def recv(self, _: int) -> bytes:
        code = (-errno.EOPNOTSUPP).to_bytes(4, sys.byteorder, signed=True)
        return segments._HEADER.pack(20, segments._ERROR, 0, 0, 0) + code


def test_a_kernel_without_nf_tables_is_told() -> None:
    netlink: Any = Refusing()
    with pytest.raises(MachineError, match=r"cannot lose segments .*: Operation not supported"):
        segments.LostSegments(netlink, Place("", 0), Place("192.0.2.7", 80), [1])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(AS_USER in os.environ, reason="this is the other user already")
@pytest.mark.timeout(180)
@on_private
def test_all_of_this_holds_for_an_ordinary_user() -> None:
    command = [python_of_all(), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    played = as_user(command, cwd=ROOT)
    assert played.returncode == 0, played.stdout
    assert "1 skipped" in played.stdout

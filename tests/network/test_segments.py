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
from harness.network import Loopback, Place, Private, segments

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
@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("ordinals", "lost"),
    [([1], [1]), ([2, 3], [2, 3]), ([3, 2], [2, 3]), ([2, 4], [2, 4]), ([99], [])],
)
def test_segments_are_lost_and_everything_arrives_all_the_same(
    host: str, ordinals: Sequence[int], lost: list[int]
) -> None:
    async def play(network: Private) -> None:
        with network.listen(host, 80, "tcp") as listener:
            losing = network.lose_segments(Place(host, 80), ordinals)
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
            losing = network.lose_segments(Place(here, 80), [2])
            others = [
                network.lose_segments(place, [1]) for place in (Place(there, 80), Place(here, 81))
            ]
            try:
                await talk(network, here, listener)
                assert losing.dropped() == {2: 20 + 32 + len("two")}  # IPv4, TCP with time stamps
                assert [other.dropped() for other in others] == [{}, {}]
            finally:
                for each in (losing, *others):
                    each.close()

    run(play)


def test_no_segment_is_lost_on_loopback() -> None:
    with pytest.raises(HarnessError, match="no segment is lost on the rung loopback"):
        Loopback().lose_segments(Place("127.0.0.1", 80), [1])


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
        segments.LostSegments(netlink, Place("192.0.2.7", 80), [1])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(AS_USER in os.environ, reason="this is the other user already")
@pytest.mark.timeout(180)
@on_private
def test_all_of_this_holds_for_an_ordinary_user() -> None:
    command = [python_of_all(), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    played = as_user(command, cwd=ROOT)
    assert played.returncode == 0, played.stdout
    assert "1 skipped" in played.stdout

"""Actors that cannot be reached, or not at once: what the record tells of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from harness import network as network_module
from harness.errors import MachineError
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind
from harness.network import Private
from harness.peers import Authority, NotPlayedError, Peer, Setting, make_peer
from harness.record import Recorder

from tests.network.programs import PYTHON, output_of
from tests.peers.stage import entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.network import Network

TROUBLE = network_module._trouble()
pytestmark = pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)

CONNECT = """
import errno, socket
for _ in range(2):
    print(errno.errorcode[socket.socket().connect_ex(("192.0.2.7", 80))])
"""
SEND = """
import socket
udp = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(3):
    udp.sendto(b"hello", ("192.0.2.7", 80))
"""


@asynccontextmanager
async def played(actor: Actor) -> AsyncIterator[tuple[Network, Peer, Recorder]]:
    network, recorder, authority = await Private.open(), Recorder(), Authority()
    peer = make_peer(actor, Setting(network, recorder, authority, "", lambda _keys: None))
    try:
        await peer.open()
        yield network, peer, recorder
    finally:
        await peer.close()
        await network.close()
        authority.close()


def test_each_error_is_recorded_in_words_with_its_number() -> None:
    async def main() -> None:
        actor = Actor("gone", ActorKind.UNREACHABLE, at="192.0.2.7:80", code="net")
        async with played(actor) as (network, _, recorder):
            said = await output_of(network, [*PYTHON, CONNECT])
            (stands,) = recorder.record.of(What.STANDS)
            told = recorder.record.of(What.FAULT)
        assert said == "ENETUNREACH\n" * 2
        assert stands.facts == {"host": "192.0.2.7", "port": 80}
        assert [(event.actor, event.note) for event in told] == [
            ("gone", "ICMP: network unreachable")
        ] * 2
        assert [event.facts["ordinal"] for event in told] == [1, 2]

    asyncio.run(main())


def test_datagrams_that_nobody_waits_for_have_their_errors_too() -> None:
    async def main() -> None:
        actor = Actor("gone", ActorKind.UNREACHABLE, at="192.0.2.7:80", over="udp")
        async with played(actor) as (network, peer, recorder):
            happened = asyncio.Event()
            recorder.listen(lambda _event: happened.set())
            await output_of(network, [*PYTHON, SEND])
            async with asyncio.timeout(20):
                while len(recorder.record.of(What.FAULT)) < 3:
                    happened.clear()
                    await happened.wait()
            assert not peer.busy

    asyncio.run(main())


def test_it_does_nothing_else() -> None:
    async def main() -> None:
        actor = Actor("gone", ActorKind.UNREACHABLE, at="192.0.2.7:80")
        async with played(actor) as (_, peer, _):
            with pytest.raises(NotPlayedError, match=r"`accept` is not played by .* unreachable"):
                await peer.perform(entry("gone! accept"), 0, {})

    asyncio.run(main())


HELLO = """
import socket
sock = socket.create_connection(("192.0.2.7", 80))
sock.sendall(b"hello")
sock.recv(1)
"""


def test_lost_segments_are_recorded_when_all_is_over() -> None:
    async def main() -> None:
        actor = Actor("late", ActorKind.TCP, at="192.0.2.7:80", lost_segments_heard=(1, 2, 9))
        async with played(actor) as (network, peer, recorder):
            recorder.listen(lambda event: peer.leave(1) if event.what is What.HEARD else None)
            await output_of(network, [*PYTHON, HELLO])
            assert recorder.record.of(What.FAULT) == ()
            peer.sum_up()
            told = recorder.record.of(What.FAULT)
            assert recorder.record.text(What.HEARD) == b"hello"
        assert [event.note for event in told] == [
            "data segment 1 from the program lost",
            "data segment 2 from the program lost",
        ]
        assert [event.facts["octets"] for event in told] == [20 + 32 + 5] * 2

    asyncio.run(main())


def test_a_machine_that_cannot_lose_segments_keeps_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise MachineError("this kernel cannot lose segments")

    async def main() -> None:
        actor = Actor("late", ActorKind.TCP, at="192.0.2.7:80", lost_segments=(1,))
        monkeypatch.setattr(Private, "lose_segments", refuse)
        with pytest.raises(MachineError, match="cannot lose"):
            async with played(actor):
                pass

    asyncio.run(main())


GREETED = """
import socket
sock = socket.create_connection(("192.0.2.7", 80))
print(sock.recv(9).decode())
sock.sendall(b"bye")
"""


def test_lost_segments_to_the_program_are_sent_again_and_recorded() -> None:
    async def main() -> None:
        actor = Actor("late", ActorKind.TCP, at="192.0.2.7:80", lost_segments=(1, 2))
        async with played(actor) as (network, peer, recorder):
            greeting = asyncio.create_task(peer.perform(entry("late> welcome"), 0, {}))
            assert await output_of(network, [*PYTHON, GREETED]) == "welcome\n"
            await greeting
            peer.sum_up()
            told = recorder.record.of(What.FAULT)
        assert [event.note for event in told] == [
            "data segment 1 to the program lost",
            "data segment 2 to the program lost",
        ]
        assert {event.facts["way"] for event in told} == {"answer"}

    asyncio.run(main())

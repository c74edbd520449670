"""UDP actors: answers, and faults by ordinal."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from harness.model.faults import Choice, Faults
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind
from harness.network import Place
from harness.peers import NotPlayedError, PeerError, udp

from tests.peers.stage import DEADLINE_S, OnStage, staged


def pong(**fields: Any) -> Actor:
    return Actor("pong", ActorKind.UDP, at="12000", **fields)


class Pinger:
    """The program: a socket that waits, with a deadline."""

    def __init__(self, stage: OnStage) -> None:
        self._loop = asyncio.get_running_loop()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect(stage.place)

    def send(self, *texts: bytes) -> None:
        for text in texts:
            self.sock.send(text)

    async def hears(self) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self._loop.sock_recv(self.sock, 2_048)


@pytest.mark.parametrize(("answer", "reply"), [("echo", b"Ping"), ("upper", b"PING")])
def test_it_answers_by_itself(answer: str, reply: bytes) -> None:
    async def main() -> None:
        async with staged(pong(answer=answer)) as stage:
            pinger = Pinger(stage)
            with pinger.sock:
                pinger.send(b"Ping")
                assert await pinger.hears() == reply
            assert stage.told(What.HEARD, What.SAID) == [b"Ping", reply]

    asyncio.run(main())


def test_answers_are_lost_and_delayed_by_their_ordinal() -> None:
    async def main() -> None:
        faults = Faults(lose=Choice({2: None}), delay=Choice({1: 0.05}))
        async with staged(pong(answer="echo", faults=faults)) as stage:
            pinger = Pinger(stage)
            with pinger.sock:
                pinger.send(b"one", b"two", b"three")
                assert await pinger.hears() == b"three"
                assert stage.peer.busy
                assert await pinger.hears() == b"one"
            assert not stage.peer.busy
            assert stage.told(What.FAULT) == [b"one", b"two"]

    asyncio.run(main())


def test_what_is_still_delayed_is_never_said_after_the_play() -> None:
    async def main() -> None:
        async with staged(pong(answer="echo", faults=Faults(delay=Choice({1: 60.0})))) as stage:
            pinger = Pinger(stage)
            with pinger.sock:
                pinger.send(b"one")
                await stage.seen(What.HEARD)
        assert not stage.peer.busy
        assert stage.told(What.SAID) == []

    asyncio.run(main())


def test_a_scripted_one_answers_whoever_spoke_last() -> None:
    async def main() -> None:
        async with staged(pong(answer="nothing")) as stage:
            first, second = Pinger(stage), Pinger(stage)
            with first.sock, second.sock:
                with pytest.raises(PeerError, match="no datagram has come"):
                    await stage.play("pong> too early")
                first.send(b"one")
                await stage.seen(What.HEARD)
                second.send(b"two")
                await stage.seen(What.HEARD, 2)
                await stage.play("pong> {word}!", word="two")
                assert await second.hears() == b"two!"

    asyncio.run(main())


def test_it_dials_a_program_and_notices_that_nobody_is_there() -> None:
    async def main() -> None:
        async with staged(Actor("client", ActorKind.UDP, to="server")) as stage:
            with pytest.raises(PeerError, match="listens nowhere"):
                await stage.play("client> hello")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
                silent.bind(("127.0.0.1", 0))
                silent.connect(silent.getsockname())  # so it refuses all others
                stage.peer.program_listens(Place(*silent.getsockname()))
                await stage.play("client> hello")
                (broken,) = await stage.seen(What.BROKEN)
            assert broken.note == "the program's port is unreachable"

    asyncio.run(main())


def test_it_hears_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "DATAGRAM_LIMIT", 2)

    async def main() -> None:
        async with staged(pong(answer="echo", faults=Faults(delay=Choice({1: 60.0})))) as stage:
            pinger = Pinger(stage)
            with pinger.sock:
                pinger.send(b"1", b"2", b"3")
                (broken,) = await stage.seen(What.BROKEN)
            assert broken.note == "the program sent more than 2 datagrams"
            assert stage.told(What.HEARD) == [b"1", b"2"]
            assert not stage.peer.busy

    asyncio.run(main())


def test_it_acts_only_by_speaking() -> None:
    async def main() -> None:
        async with staged(pong()) as stage:
            with pytest.raises(NotPlayedError, match="`close` is not played"):
                await stage.play("pong! close")

    asyncio.run(main())

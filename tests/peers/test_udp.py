"""UDP actors: answers, and faults on the way there and back; test_way.py has their rules."""

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


def test_a_fault_is_told_before_what_comes_of_it() -> None:
    async def main() -> None:
        faults = Faults(truncate=Choice({1: 0}), repeat=Choice({1: None}))
        async with staged(pong(answer="upper", faults=faults)) as stage:
            pinger = Pinger(stage)
            with pinger.sock:
                pinger.send(b"one")
                assert await pinger.hears() == await pinger.hears() == b""
            cut, repeated = stage.recorder.record.of(What.FAULT)
            assert (cut.data, cut.note) == (b"ONE", "answer 1 is cut to 0 of 3 octets")
            where = {"way": "answer", "ordinal": 1}
            assert cut.facts == {"fault": "truncate", **where, "octets": 0}
            assert repeated.facts == {"fault": "repeat", **where, "copies": 1}
            assert stage.told(What.SAID) == [b"", b""]

    asyncio.run(main())


def test_what_it_hears_has_faults_of_its_own() -> None:
    async def main() -> None:
        faults = Faults(lose=Choice({1: None}), repeat=Choice({2: None}))
        async with staged(pong(answer="echo", faults_heard=faults)) as stage:
            pinger = Pinger(stage)
            with pinger.sock:
                pinger.send(b"one", b"two")
                assert await pinger.hears() == await pinger.hears() == b"two"
            assert [event.note for event in stage.recorder.record.of(What.FAULT)] == [
                "datagram 1 is lost",
                "datagram 2 is repeated",
            ]
            assert stage.told(What.HEARD) == [b"two", b"two"]

    asyncio.run(main())


def test_a_foreign_answer_comes_from_a_port_to_which_nothing_was_sent() -> None:
    async def main() -> None:
        faults = Faults(foreign=Choice({1: None}))
        async with staged(pong(answer="echo", faults=faults)) as stage:
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(b"one", stage.place)
                sock.sendto(b"two", stage.place)
                async with asyncio.timeout(DEADLINE_S):
                    data, stranger = await loop.sock_recvfrom(sock, 2_048)
                    assert (data, stranger == stage.place) == (b"one", False)
                    assert await loop.sock_recvfrom(sock, 2_048) == (b"two", stage.place)

    asyncio.run(main())


def test_the_same_luck_loses_the_same_answers() -> None:
    async def lost(luck: str) -> list[bytes]:
        faults = Faults(lose=Choice(rate=0.5))
        async with staged(pong(answer="echo", faults=faults), luck=luck) as stage:
            pinger = Pinger(stage)
            with pinger.sock:
                pinger.send(*(str(number).encode() for number in range(30)))
                await stage.seen(What.HEARD, 30)
            return stage.told(What.FAULT)

    async def main() -> None:
        assert await lost("7/plan") == await lost("7/plan") != await lost("8/plan")

    asyncio.run(main())


def test_a_scripted_one_has_done_its_part_when_its_words_are_lost() -> None:
    async def main() -> None:
        faults = Faults(lose=Choice({1: None}))
        async with staged(pong(faults=faults)) as stage:
            pinger = Pinger(stage)
            with pinger.sock:
                pinger.send(b"hello")
                await stage.seen(What.HEARD)
                await stage.play("pong> nobody hears this")
                await stage.play("pong> but this")
                assert await pinger.hears() == b"but this"
            (lost,), (said,) = (stage.recorder.record.of(w) for w in (What.FAULT, What.SAID))
            assert (lost.entry, said.entry) == (0, 1)

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

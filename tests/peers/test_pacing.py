"""Actors that speak in pieces: what a program gets by each of its reads."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind, LineEnd, Tls
from harness.network import Loopback, Reading
from harness.peers import Authority, pacing
from harness.peers.tcp import StreamPeer

from tests.peers.stage import DEADLINE_S, Client, OnStage, in_a_loop, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.model.record import Event

SCRIPTED = Actor("server", ActorKind.TCP, at="12000", eol=LineEnd.CRLF)
MAIL = Actor("mail", ActorKind.SMTP, at="25", mailboxes=("bo@example.test",))


class Reader:
    """A program that reads when it is told to, with one recv(2) each time."""

    def __init__(self, stage: OnStage) -> None:
        self.sock = socket.create_connection(stage.place, timeout=DEADLINE_S)

    async def read(self) -> bytes:
        return await asyncio.to_thread(self.sock.recv, 65_536)

    async def all_reads(self) -> list[bytes]:
        reads = []
        while data := await self.read():
            reads.append(data)
        return reads


@asynccontextmanager
async def connected(actor: Actor, pieces: str) -> AsyncIterator[tuple[OnStage, Reader]]:
    async with staged(actor, pieces=pieces) as stage:
        reader = Reader(stage)
        try:
            yield stage, reader
        finally:
            reader.sock.close()


@pytest.mark.parametrize(
    ("pieces", "reads"),
    [
        ("bytewise", [b"2", b"5", b"0", b" ", b"o", b"k", b"\r", b"\n"]),
        ("3", [b"250", b" ok", b"\r\n"]),
        ("at-line-ends", [b"250 ok\r\n"]),
        ("whole", [b"250 ok\r\n"]),
    ],
)
@in_a_loop
async def test_every_read_gives_one_piece(pieces: str, reads: list[bytes]) -> None:
    async with connected(SCRIPTED, pieces) as (stage, program):
        await stage.play("server> 250 ok")
        await stage.play("server! close")

        assert await program.all_reads() == reads
        assert stage.told(What.SAID) == reads


@in_a_loop
async def test_the_entry_is_done_with_the_last_piece() -> None:
    async with connected(SCRIPTED, "3") as (stage, program):
        await stage.play("server> 250 ok")
        await program.read()
        await program.read()
        await program.read()

        said = await stage.seen(What.SAID, 3)
        assert [event.entry for event in said] == [None, None, 0]


@in_a_loop
async def test_a_program_that_does_not_read_gets_the_rest_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pacing, "_PATIENCE_S", 0.05)
    async with connected(SCRIPTED, "3") as (stage, program):
        await stage.play("server> 250 ok")
        (hurried,) = await stage.seen(What.HURRIED)
        await stage.seen(What.SAID, 2)

        assert hurried.note == "the program did not read on for 0.05 s"
        assert stage.told(What.SAID) == [b"250", b" ok\r\n"]
        assert await program.read() == b"250 ok\r\n"


@in_a_loop
async def test_as_long_as_a_piece_waits_the_actor_is_busy() -> None:
    async with connected(SCRIPTED, "7") as (stage, program):
        await stage.play("server> 250 ok")
        await stage.seen(What.SAID, 1)
        assert stage.peer.busy

        await program.read()
        await stage.seen(What.SAID, 2)
        await program.read()
        assert not stage.peer.busy


@in_a_loop
async def test_where_nothing_tells_what_is_read_the_pieces_follow_and_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Loopback, "reading", lambda *_: Reading.UNKNOWN)
    async with connected(SCRIPTED, "3") as (stage, program):
        await stage.play("server> 250 ok")
        await stage.play("server! close")

        assert b"".join(await program.all_reads()) == b"250 ok\r\n"
        assert stage.told(What.SAID) == [b"250", b" ok", b"\r\n"]
        (hurried,) = stage.recorder.record.of(What.HURRIED)
        assert hurried.note == "when the program has read a piece is not told here"


@in_a_loop
async def test_a_program_that_hangs_up_within_a_message_leaves_nothing_to_wait_for() -> None:
    async with connected(SCRIPTED, "bytewise") as (stage, program):
        done = asyncio.Event()

        def note(event: Event) -> None:
            if event.entry == 0:
                done.set()

        stage.recorder.listen(note)
        await stage.play("server> 221 bye")
        await program.read()
        program.sock.close()

        async with asyncio.timeout(DEADLINE_S):
            await done.wait()
        assert not stage.recorder.record.of(What.BROKEN)


@in_a_loop
async def test_nothing_waits_for_what_was_not_begun_when_the_program_left() -> None:
    async with connected(SCRIPTED, "3") as (stage, _):
        await stage.play("server! accept")
        assert isinstance(stage.peer, StreamPeer)
        witness = stage.peer._witnesses[0]
        assert witness.paced
        witness.say(b"250 ok", 7)
        witness.paced.stop()

        assert not stage.peer.busy
        assert [event.entry for event in stage.recorder.record.of(What.ACTED)][-1] == 7
        async with asyncio.timeout(DEADLINE_S):
            await witness.all_said()


@in_a_loop
async def test_to_end_its_own_direction_waits_for_what_is_to_be_said() -> None:
    async with connected(SCRIPTED, "3") as (stage, program):
        await stage.play("server> 250 ok")
        await stage.play("server! half-close")

        assert await program.all_reads() == [b"250", b" ok", b"\r\n"]


@in_a_loop
async def test_a_mail_server_speaks_in_pieces_to_its_last_word() -> None:
    async with connected(MAIL, "at-line-ends") as (_, program):
        assert (await program.read()).startswith(b"220 ")
        program.sock.sendall(b"EHLO me\r\n")
        lines = [await program.read() for _ in range(4)]
        assert [line[:4] for line in lines] == [b"250-", b"250-", b"250-", b"250 "]
        program.sock.sendall(b"QUIT\r\n")
        assert await program.all_reads() == [b"221 Bye\r\n"]


@in_a_loop
async def test_over_tls_each_piece_is_a_record() -> None:
    authority = Authority()
    actor = Actor("mail", ActorKind.SMTP, at="mail.example.test:465", tls=Tls.IMPLICIT)
    async with staged(actor, authority=authority, pieces="9") as stage:
        trust = ssl.create_default_context(cafile=str(authority.bundle))
        client = await Client.connect(stage.place, trust, "mail.example.test")

        assert (await client.line()).startswith("220 ")
        said = stage.told(What.SAID)
        assert len(said) > 1
        assert all(len(piece) == 9 for piece in said[:-1])
        await client.close()

"""Actors that do something else at a step, as the program meets it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind, Page

from tests.peers.stage import DEADLINE_S, Client, OnStage, in_a_loop, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

MAIL = b"Subject: TEST\r\n\r\ntext\r\n.\r\n"
UP_TO_MAIL = ("EHLO me", "MAIL FROM:<ann@example.test>", "RCPT TO:<bo@example.test>", "DATA")


def server(**instead: str) -> Actor:
    steps = {step.replace("_", "-"): words for step, words in instead.items()}
    return server_with(steps)


def server_with(instead: dict[str, str]) -> Actor:
    return Actor("mail", ActorKind.SMTP, at="25", mailboxes=("bo@example.test",), instead=instead)


@asynccontextmanager
async def met(actor: Actor) -> AsyncIterator[tuple[OnStage, Client]]:
    """An actor, and a client that is connected to it."""
    async with staged(actor) as stage:
        client = await Client.connect(stage.place)
        try:
            yield stage, client
        finally:
            with suppress(ConnectionError):
                await client.close()


async def after(client: Client, commands: Sequence[str]) -> list[str]:
    """The replies to the greeting and to these commands."""
    greeting = await client.reply()
    return [greeting, *[await client.command(line) for line in commands]]


def deviations(stage: OnStage) -> list[str]:
    return [event.note for event in stage.recorder.record.of(What.FAULT)]


def mails(stage: OnStage) -> int:
    return len(stage.recorder.record.of(What.MAIL))


@pytest.mark.parametrize(
    ("step", "commands"),
    [
        ("greeting", ()),
        ("hello", ("EHLO me",)),
        ("hello", ("HELO me",)),
        ("HELO", ("HELO me",)),
        ("MAIL", UP_TO_MAIL[:2]),
        ("RCPT", UP_TO_MAIL[:3]),
        ("DATA", UP_TO_MAIL),
        ("STARTTLS", ("EHLO me", "STARTTLS")),
        ("RSET", ("RSET",)),
        ("QUIT", ("QUIT",)),
    ],
)
@in_a_loop
async def test_behind_421_the_server_says_no_more_and_still_hears(
    step: str, commands: Sequence[str]
) -> None:
    async with met(server_with({step: "421 4.3.2 closing"})) as (stage, client):
        assert (await after(client, commands))[-1] == "421 4.3.2 closing"
        client.send(b"NOOP\r\n")
        assert await client.rest() == b""
        client.writer.close()
        await stage.seen(What.EOF)

        assert b"".join(stage.told(What.HEARD)).endswith(b"NOOP\r\n")
        assert deviations(stage) == [f"another reply at {step}"]


@pytest.mark.parametrize("step", ["greeting", "hello", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("act", ["close", "half-close", "reset"])
@in_a_loop
async def test_a_connection_breaks_off_at_a_step(step: str, act: str) -> None:
    before = {"greeting": 0, "hello": 1, "MAIL": 2, "RCPT": 3, "DATA": 4}[step]
    async with met(server_with({step: act})) as (stage, client):
        if before:
            await after(client, UP_TO_MAIL[: before - 1])
            client.send(UP_TO_MAIL[before - 1].encode() + b"\r\n")
        if act == "reset":
            with pytest.raises(ConnectionResetError):
                await client.rest()
        else:
            assert await client.rest() == b""
        assert deviations(stage) == [f"{act} at {step}"]


@in_a_loop
async def test_a_server_that_stalls_neither_speaks_nor_hears() -> None:
    async with met(server(RCPT="stall")) as (stage, client):
        await after(client, UP_TO_MAIL[:2])
        client.send(UP_TO_MAIL[2].encode() + b"\r\n")
        await stage.seen(What.STALLED)
        said = stage.told(What.SAID)
        client.send(b"QUIT\r\n")
        other = await Client.connect(stage.place)  # by its greeting QUIT would long be heard
        await other.reply()
        await other.close()
        said.append(b"220 server.example.test Wirelab\r\n")

        assert b"QUIT\r\n" not in b"".join(stage.told(What.HEARD))
        assert stage.told(What.SAID) == said


@in_a_loop
async def test_a_refusal_takes_the_place_of_what_the_command_does() -> None:
    async with met(server(RCPT="450 4.2.0 later")) as (_stage, client):
        replies = await after(client, UP_TO_MAIL)
        assert replies[3] == "450 4.2.0 later"
        assert replies[4].startswith("503")  # there is no recipient


@in_a_loop
async def test_other_words_of_success_change_nothing_else() -> None:
    instead = {
        "greeting": "220-me\n220 welcome",
        "hello": "250-me\n250 SIZE 1000",
        "MAIL": "250 sender taken",
        "RCPT": "251 forwarded",
        "DATA": "354 go",
        "end-of-data": "250 kept",
        "QUIT": "221 so long",
    }
    async with met(server_with(instead)) as (stage, client):
        assert await after(client, UP_TO_MAIL) == [
            "220-me\n220 welcome",
            "250-me\n250 SIZE 1000",
            "250 sender taken",
            "251 forwarded",
            "354 go",
        ]
        client.send(MAIL)
        assert await client.reply() == "250 kept"
        assert await client.command("QUIT") == "221 so long"
        assert await client.rest() == b""
        assert mails(stage) == 1


@pytest.mark.parametrize("words", ["554 5.6.0 no", "421 4.3.2 closing", "451-first\n451 then"])
@in_a_loop
async def test_a_mail_that_is_refused_at_its_end_is_in_no_mailbox(words: str) -> None:
    async with met(server(end_of_data=words)) as (stage, client):
        await after(client, UP_TO_MAIL)
        client.send(MAIL)
        assert await client.reply() == words
        assert mails(stage) == 0
        if not words.startswith("421"):
            assert await client.command("QUIT") == "221 Bye"


@in_a_loop
async def test_a_greeting_that_refuses_leaves_only_quit() -> None:
    async with met(server(greeting="554 5.3.2 not today")) as (_stage, client):
        assert await client.reply() == "554 5.3.2 not today"
        assert (await client.command("EHLO me")).startswith("503")
        assert await client.command("QUIT") == "221 Bye"
        assert await client.rest() == b""


@in_a_loop
async def test_within_a_mail_octets_are_counted_from_the_reply_354() -> None:
    async with met(server_with({"body@20": "reset"})) as (stage, client):
        await after(client, UP_TO_MAIL)
        client.send(b"x" * 19)
        heard = sum(map(len, stage.told(What.HEARD)))
        async with asyncio.timeout(DEADLINE_S):
            while sum(map(len, stage.told(What.HEARD))) < heard + 19:
                await stage.seen(What.HEARD, len(stage.told(What.HEARD)) + 1)
        assert deviations(stage) == []
        client.send(b"x")
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert deviations(stage) == ["reset at body@20"]


@in_a_loop
async def test_within_a_mail_the_server_may_end_its_service() -> None:
    async with met(server_with({"body@5": "421 4.3.2 closing"})) as (stage, client):
        await after(client, UP_TO_MAIL)
        client.send(MAIL)
        assert await client.rest() == b"421 4.3.2 closing\r\n"
        assert mails(stage) == 0


# -- http ------------------------------------------------------------------------------

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


def origin(instead: dict[str, str]) -> Actor:
    pages = {"/a": Page(text="the page")}
    return Actor("server", ActorKind.HTTP, at="80", pages=pages, instead=instead)


@in_a_loop
async def test_an_origin_answers_with_another_status() -> None:
    async with met(origin({"request": "503 Not Now"})) as (stage, client):
        client.send(REQUEST)
        assert await client.line() == "HTTP/1.1 503 Not Now"
        assert deviations(stage) == ["another reply at request"]


@pytest.mark.parametrize(
    ("step", "got"), [("connect", 0), ("request@3", 0), ("request", 0), ("response@30", 30)]
)
@in_a_loop
async def test_an_origin_hangs_up_at_a_step(step: str, got: int) -> None:
    async with met(origin({step: "close"})) as (stage, client):
        if step != "connect":
            client.send(REQUEST)
        assert len(await client.rest()) == got
        assert deviations(stage) == [f"close at {step}"]


@in_a_loop
async def test_a_response_that_is_shorter_than_the_place_is_whole() -> None:
    async with met(origin({"response@100000": "close"})) as (stage, client):
        client.send(REQUEST + REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert (await client.rest()).count(b"the page") == 2
        assert deviations(stage) == []

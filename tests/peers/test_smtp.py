"""The SMTP peer: a server that behaves, whoever talks to it."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind, Tls
from harness.peers import Authority
from harness.peers.smtp import _Mailboxes

from tests.peers.stage import Client, OnStage, staged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ANN = "ann@qq.com"
MAIL = b"Subject: TEST\r\n\r\n..a dot\r\n.\r\n"


def server(**fields: Any) -> Actor:
    return Actor("mail", ActorKind.SMTP, at="smtp.qq.com:25", mailboxes=(ANN,), **fields)


def talk(actor: Actor, program: Callable[[OnStage, Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged(actor) as stage:
            client = await Client.connect(stage.place)
            assert await client.reply() == "220 smtp.qq.com Wirelab"
            await program(stage, client)
            await client.close()

    asyncio.run(main())


async def send(client: Client, recipient: str = ANN) -> str:
    await client.command("MAIL FROM:<bo@163.com>")
    await client.command(f"RCPT TO:<{recipient}>")
    await client.command("DATA")
    client.send(MAIL)
    return await client.reply()


def test_a_mail_for_a_mailbox_is_kept_as_it_was_sent() -> None:
    async def program(stage: OnStage, client: Client) -> None:
        await client.command("EHLO me")
        assert await send(client, "ANN@qq.com") == "250 2.0.0 OK: taken"
        (event,) = stage.recorder.record.of(What.MAIL)
        assert event.facts == {"mailbox": ANN, "sender": "bo@163.com"}
        assert event.data == b"Subject: TEST\r\n\r\n.a dot\r\n"

    talk(server(), program)


def test_others_are_refused_and_replies_go_by_address() -> None:
    async def program(_stage: OnStage, client: Client) -> None:
        await client.command("EHLO me")
        await client.command("MAIL FROM:<>")
        assert await client.command("RCPT TO:<no@qq.com>") == "550 5.1.1 No such user: no@qq.com"
        assert await client.command("RCPT TO:<Full@qq.com>") == "452 4.2.2 full"
        assert await client.command("RCPT TO:<far@qq.com>") == "251 2.1.5 will forward"
        assert (await client.command("DATA")).startswith("354")

    replies = {"full@qq.com": "452 4.2.2 full", "far@qq.com": "251 2.1.5 will forward"}
    talk(server(replies=replies), program)


def test_replies_answer_senders_too() -> None:
    """RFC 5321 4.1.1.2: MAIL may be refused; then there is no mail to name recipients for."""

    async def program(stage: OnStage, client: Client) -> None:
        await client.command("EHLO me")
        assert await client.command("MAIL FROM:<Spam@qq.com>") == "550 5.7.1 Not from you"
        assert (await client.command(f"RCPT TO:<{ANN}>")).startswith("503")
        assert await client.command("MAIL FROM:<far@qq.com>") == "250 OK"
        await client.command(f"RCPT TO:<{ANN}>")
        await client.command("DATA")
        client.send(MAIL)
        await client.reply()
        (event,) = stage.recorder.record.of(What.MAIL)
        assert event.facts["sender"] == "far@qq.com"

    replies = {"spam@qq.com": "550 5.7.1 Not from you", "far@qq.com": "251 2.1.5 will forward"}
    talk(server(replies=replies), program)


def test_without_users_no_auth_is_offered() -> None:
    async def program(_stage: OnStage, client: Client) -> None:
        assert "AUTH" not in await client.command("EHLO me")

    talk(server(), program)


@pytest.mark.parametrize(("password", "code"), [("s3cret", "235"), ("wrong", "535")])
def test_users_log_in_by_plain_and_login(password: str, code: str) -> None:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    async def program(stage: OnStage, client: Client) -> None:
        assert "AUTH LOGIN PLAIN" in await client.command("EHLO me")
        plain = encoded(f"\0{ANN}\0{password}")
        assert (await client.command(f"AUTH PLAIN {plain}")).startswith(code)
        again = await Client.connect(stage.place)
        await again.reply()
        await again.command("EHLO me")
        await again.command("AUTH LOGIN")
        await again.command(encoded(ANN))
        assert (await again.command(encoded(password))).startswith(code)
        await again.close()

    talk(server(users={ANN: "s3cret"}), program)


def test_a_limit_is_announced_and_kept() -> None:
    async def program(stage: OnStage, client: Client) -> None:
        assert "250-SIZE 10" in await client.command("EHLO me")
        assert (await client.command("MAIL FROM:<a@b.example> SIZE=11")).startswith("552")
        assert (await send(client)).startswith("552")
        assert stage.recorder.record.of(What.MAIL) == ()

    talk(server(limit=10), program)


def test_two_sessions_do_not_share_limits() -> None:
    async def program(stage: OnStage, first: Client) -> None:
        await first.command("EHLO me")
        second = await Client.connect(stage.place)
        await second.reply()
        await second.command("EHLO me")
        long = "x" * 900
        assert (await first.command(f"NOOP {long}")).startswith("250")
        assert (await second.command(f"NOOP {long}")).startswith("250")
        await second.close()

    talk(server(), program)


def test_a_session_ends_by_quit_and_nothing_behind_it_is_taken() -> None:
    async def program(stage: OnStage, client: Client) -> None:
        client.send(b"EHLO me\r\nQUIT\r\nMAIL FROM:<a@b.example>\r\n")
        assert (await client.rest()).endswith(b"221 Bye\r\n")
        assert [event.what for event in stage.recorder.record.of(What.LEFT, What.EOF)] == [
            What.LEFT
        ]

    talk(server(), program)


def test_a_mail_is_taken_although_the_client_closes_without_waiting() -> None:
    commands = f"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n".encode()

    async def program(stage: OnStage, client: Client) -> None:
        client.send(commands + MAIL)
        client.writer.write_eof()
        assert (await client.rest()).endswith(b"250 2.0.0 OK: taken\r\n")
        assert len(stage.recorder.record.of(What.MAIL)) == 1

    talk(server(), program)


def test_over_tls_too() -> None:
    commands = f"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n".encode()

    async def main() -> None:
        authority = Authority()
        trust = ssl.create_default_context(cafile=authority.bundle)
        async with staged(server(tls=Tls.IMPLICIT), authority=authority) as stage:
            client = await Client.connect(stage.place, trust, "smtp.qq.com")
            client.send(commands + MAIL)
            await client.close()
            await stage.seen(What.EOF)
            assert len(await stage.seen(What.MAIL)) == 1

    asyncio.run(main())


def distrust(place: tuple[str, int]) -> None:
    """A program that does not know the authority."""
    context = ssl.create_default_context()
    with (
        socket.create_connection(place, timeout=5) as sock,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(sock, server_hostname="smtp.qq.com")


def test_a_handshake_that_fails_is_recorded() -> None:
    async def main() -> None:
        async with staged(server(tls=Tls.IMPLICIT)) as stage:
            await asyncio.to_thread(distrust, stage.place)
            (broken,) = await stage.seen(What.BROKEN)
            await stage.seen(What.EOF)  # the program has said that it will not go on
            assert broken.note == "the TLS handshake failed: tlsv1 alert unknown ca"
            assert "ours" not in broken.facts

    asyncio.run(main())


@pytest.mark.parametrize(
    ("first_words", "reason", "end"),
    [
        (b"EHLO me\r\n", "what the program sent is no TLS", What.LEFT),
        (b"", "the program hung up", What.EOF),
    ],
    ids=["plain text", "nothing"],
)
def test_a_client_that_does_not_encrypt_is_recorded(
    first_words: bytes, reason: str, end: What
) -> None:
    async def main() -> None:
        async with staged(server(tls=Tls.IMPLICIT)) as stage:
            client = await Client.connect(stage.place)
            client.send(first_words)
            client.writer.write_eof()
            (broken,) = await stage.seen(What.BROKEN)
            assert broken.note == f"the TLS handshake failed: {reason}"
            await stage.seen(end)
            await client.close()

    asyncio.run(main())


def test_a_handshake_that_never_ends_holds_up_nobody() -> None:
    async def main() -> None:
        async with staged(server(tls=Tls.IMPLICIT)) as stage:
            client = await Client.connect(stage.place)
            client.send(b"\x16\x03")
            await stage.seen(What.OPENED)
        client.writer.transport.abort()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_an_exception_of_ours_is_no_verdict_on_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: object) -> str:
        raise RuntimeError("a mistake of ours")

    async def program(stage: OnStage, client: Client) -> None:
        await client.command("EHLO me")
        await client.command("MAIL FROM:<>")
        assert (await client.command(f"RCPT TO:<{ANN}>")).startswith("451")
        (broken,) = stage.recorder.record.of(What.BROKEN)
        assert broken.note == "mail failed: RuntimeError: a mistake of ours"
        assert broken.facts == {"ours": 1}

    monkeypatch.setattr(_Mailboxes, "handle_RCPT", fail)
    talk(server(), program)


def test_a_client_that_sends_without_end_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.peers.smtp import SmtpPeer

    monkeypatch.setattr(SmtpPeer, "heard_limit", 1_000)

    async def program(stage: OnStage, client: Client) -> None:
        client.send(b"x" * 2_000)
        (broken,) = await stage.seen(What.BROKEN)
        assert broken.note == "the program sent more than 1000 octets"
        await stage.seen(What.LEFT)

    talk(server(), program)


def test_a_tls_connection_that_was_closed_twice_can_break() -> None:
    """The TLS transport of asyncio then forgets what it stands on."""

    async def main() -> None:
        actor = server(tls=Tls.IMPLICIT)
        authority = Authority()
        async with staged(actor, authority=authority) as stage:
            trust = ssl.create_default_context(cafile=authority.bundle)
            client = await Client.connect(stage.place, trust, "smtp.qq.com")
            await client.reply()
            (witness,) = stage.peer._witnesses  # type: ignore[attr-defined]
            for _ in range(2):
                witness.transport.close()
            witness.lost(ConnectionResetError())
            assert stage.recorder.record.of(What.LEFT)
            client.writer.transport.abort()

    asyncio.run(main())

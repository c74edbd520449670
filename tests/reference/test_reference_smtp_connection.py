"""The SMTP client over real sockets: scripted servers that misbehave, and aiosmtpd."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from protocols import smtp_connection
from protocols.endpoints import Endpoint
from protocols.smtp import Envelope, Fate, Kind, Login, Result
from protocols.smtp_connection import Server, Timeouts, send_mail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONTENT = b"Subject: x\r\n\r\nhello\n.\nbye"
ENVELOPE = Envelope("ann@a.test", ("bo@b.test", "nobody@b.test"))
SOON = Timeouts.all(5)

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(talk: Talk) -> AsyncIterator[Endpoint]:
    """A server that does what `talk` says, and then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])


def script(*replies: str | None, reset: bool = False) -> Talk:
    """Say each reply, the first at once and the others to a line each; then close."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, reply in enumerate(replies):
            if number:
                await reader.readuntil(b"\r\n")
            if reply is not None:
                writer.write(reply.replace("|", "\r\n").encode() + b"\r\n")
        if reset:
            writer.transport.abort()

    return talk


async def send_to(
    talk: Talk, timeouts: Timeouts = SOON, content: bytes = CONTENT
) -> tuple[Result, list[str]]:
    lines: list[str] = []
    async with scripted(talk) as where:
        result = await send_mail(
            Server(where, hello="me", timeouts=timeouts), ENVELOPE, content, lines.append
        )
    return result, lines


def fates(result: Result) -> list[Fate]:
    return [item.fate for item in result.outcomes]


class Handler:
    """Knows everybody but `nobody`, and keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 who?"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - the same
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content))
        return "250 2.0.0 taken"


@asynccontextmanager
async def mail_server(
    handler: Handler, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", **options: Any
) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, **options), host, 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_a_mail_arrives() -> None:
    """W5, W8: byte-exact after the line ends were put right."""

    async def scene() -> None:
        handler = Handler()
        lines: list[str] = []
        async with mail_server(handler) as port:
            server = Server(Endpoint("127.0.0.1", port), timeouts=SOON)
            result = await send_mail(server, ENVELOPE, CONTENT, lines.append)
        assert fates(result) == [Fate.ACCEPTED, Fate.REFUSED]
        body = b"Subject: x\r\n\r\nhello\r\n.\r\nbye\r\n"
        assert handler.mails == [("ann@a.test", ["bo@b.test"], body)]
        assert lines[0].startswith("-- connected to 127.0.0.1")
        assert "C: EHLO [127.0.0.1]" in lines
        assert "S: 550 5.1.1 who?" in lines
        assert lines[-2:] == ["C: QUIT", "S: 221 Bye"]

    asyncio.run(scene())


def test_a_large_mail_arrives_over_ipv6() -> None:
    """A11: much more than the kernel takes at once."""

    async def scene() -> None:
        handler = Handler()
        content = b"x: y\r\n\r\n" + b".line of text\r\n" * 200_000
        async with mail_server(handler, host="::1") as port:
            server = Server(Endpoint("::1", port), timeouts=SOON)
            result = await send_mail(server, Envelope("", ("bo@b.test",)), content)
        assert fates(result) == [Fate.ACCEPTED]
        assert handler.mails[0][2] == content

    asyncio.run(scene())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN"])
def test_login_over_tls(
    mechanism: str, authority: trustme.CA, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SC20, SC26: with a certificate for another name than the address; nothing secret is shown."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    seen: list[tuple[bytes, bytes]] = []

    def check(
        _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        seen.append((data.login, data.password))
        return AuthResult(success=True)

    async def scene() -> tuple[Result, list[str]]:
        lines: list[str] = []
        options: dict[str, Any] = {
            "authenticator": check,
            "auth_require_tls": False,
            "auth_exclude_mechanism": {"LOGIN", "PLAIN"} - {mechanism},
        }
        async with mail_server(Handler(), tls_server(authority, "mail.test"), **options) as port:
            login = Login("ann@a.test", "s3cret")
            where = Endpoint("127.0.0.1", port)
            server = Server(where, tls=True, tls_name="mail.test", login=login, timeouts=SOON)
            return await send_mail(server, ENVELOPE, CONTENT, lines.append), lines

    result, lines = asyncio.run(scene())
    assert fates(result)[0] is Fate.ACCEPTED
    assert seen == [(b"ann@a.test", b"s3cret")]
    shown = "\n".join(lines)
    assert f"C: AUTH {mechanism}" in shown
    assert "********" in shown
    for secret in ("s3cret", *Login("ann@a.test", "s3cret").secrets()):
        assert secret not in shown


@pytest.mark.parametrize(
    ("name", "trusted", "reason"),
    [("other.test", True, "Hostname mismatch"), ("mail.test", False, "unable to get local issuer")],
)
def test_a_bad_certificate_is_refused(
    name: str, reason: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    """SC27: nothing is said to a server that is not who it should be."""

    def context() -> ssl.SSLContext:
        made = ssl.create_default_context()
        if trusted:
            authority.configure_trust(made)
        return made

    monkeypatch.setattr(smtp_connection, "_default_context", context)

    async def scene() -> Result:
        handler = Handler()
        async with mail_server(handler, tls_server(authority, name)) as port:
            server = Server(
                Endpoint("127.0.0.1", port), tls=True, tls_name="mail.test", timeouts=SOON
            )
            return await send_mail(server, ENVELOPE, CONTENT)

    result = asyncio.run(scene())
    assert result.failure is not None
    assert result.failure.kind is Kind.CONNECTION
    assert "certificate is not accepted" in str(result.failure)
    assert reason in str(result.failure)


def starttls_server(port: int, **options: Any) -> Server:
    where = Endpoint("127.0.0.1", port)
    return Server(where, starttls=True, tls_name="mail.test", hello="me", timeouts=SOON, **options)


def test_a_mail_is_sent_over_starttls(
    authority: trustme.CA, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 3207: EHLO again, and the login over TLS only."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    async def scene() -> tuple[Result, list[str], Handler]:
        lines: list[str] = []
        handler = Handler()
        context = tls_server(authority, "mail.test")
        checks: dict[str, Any] = {"authenticator": lambda *_: AuthResult(success=True)}
        async with mail_server(handler, tls_context=context, **checks) as port:
            server = starttls_server(port, login=Login("ann@a.test", "s3cret"))
            return await send_mail(server, ENVELOPE, CONTENT, lines.append), lines, handler

    result, lines, handler = asyncio.run(scene())
    assert fates(result) == [Fate.ACCEPTED, Fate.REFUSED]
    assert len(handler.mails) == 1
    said = [line for line in lines if line.startswith(("C: ", "-- encrypted"))]
    assert said[:2] == ["C: EHLO me", "C: STARTTLS"]
    assert said[2].startswith("-- encrypted, TLSv1.")
    assert said[3:5] == ["C: EHLO me", "C: AUTH LOGIN"]


def test_a_bad_certificate_is_refused_behind_starttls(authority: trustme.CA) -> None:
    """Nothing of the mail is said to a server that is not who it should be."""

    async def scene() -> tuple[Result, list[str]]:
        lines: list[str] = []
        async with mail_server(Handler(), tls_context=tls_server(authority, "mail.test")) as port:
            return await send_mail(starttls_server(port), ENVELOPE, CONTENT, lines.append), lines

    result, lines = asyncio.run(scene())
    assert result.failure is not None
    assert result.failure.kind is Kind.PERMANENT
    assert "STARTTLS -> the server's certificate is not accepted" in str(result.failure)
    assert [line for line in lines if line.startswith("C: ")] == ["C: EHLO me", "C: STARTTLS"]


@pytest.mark.parametrize(
    ("replies", "kind", "reason", "last"),
    [
        (("220 hi", "250 me", "221 bye"), Kind.PERMANENT, "does not offer it", "C: QUIT"),
        (
            ("220 hi", "250-me|250 STARTTLS", "454 not now", "221 bye"),
            Kind.TEMPORARY,
            "454 not now",
            "C: QUIT",
        ),
        (
            ("220 hi", "250-me|250 STARTTLS", "220 go|250 injected"),
            Kind.PROTOCOL,
            "more before TLS began",
            "C: STARTTLS",
        ),
        (
            ("220 hi", "250-me|250 STARTTLS", "220 go|25"),
            Kind.PROTOCOL,
            "more before TLS began",
            "C: STARTTLS",
        ),
        (
            ("220 hi", "250-me|250 STARTTLS", "220 go"),
            Kind.CONNECTION,
            "the server closed the connection",
            "C: STARTTLS",
        ),
    ],
)
def test_without_tls_nothing_is_sent(
    replies: tuple[str, ...], kind: Kind, reason: str, last: str
) -> None:
    """Whatever keeps TLS from beginning, the mail does not go in clear."""

    async def scene() -> tuple[Result, list[str]]:
        lines: list[str] = []
        async with scripted(script(*replies)) as where:
            server = starttls_server(where.port)
            return await send_mail(server, ENVELOPE, CONTENT, lines.append), lines

    result, lines = asyncio.run(scene())
    assert fates(result) == [Fate.NOT_SENT, Fate.NOT_SENT]
    assert result.failure is not None
    assert result.failure.command == "STARTTLS"
    assert result.failure.kind is kind
    assert reason in str(result.failure)
    assert [line for line in lines if line.startswith("C: ")][-1] == last


@pytest.mark.parametrize(
    ("replies", "kind", "reason"),
    [
        ((), Kind.CONNECTION, "greeting -> connection reset by peer"),
        (("SSH-2.0-x",), Kind.PROTOCOL, "greeting -> no SMTP reply"),
        (("x" * 10_000,), Kind.PROTOCOL, "more than 2048 octets"),
        (("220 x", "250-a|251 b"), Kind.PROTOCOL, "began with 250 goes on with 251"),
        (("220 x",), Kind.CONNECTION, "EHLO me -> "),
        (("220 x", "250 x"), Kind.CONNECTION, "MAIL FROM:<ann@a.test> -> "),
        (("220 x", "250 x", "250 x"), Kind.CONNECTION, "RCPT TO:<bo@b.test> -> "),
        (("220 x", "250 x", "250 x", "250 x", "250 x"), Kind.CONNECTION, "DATA -> "),
    ],
)
@pytest.mark.parametrize("reset", [False, True])
def test_a_server_that_breaks_off(
    replies: tuple[str, ...], kind: Kind, reason: str, *, reset: bool
) -> None:
    """SC32, SC34, SC38: told with the step; nobody is said to have the mail."""
    if reset and kind is Kind.PROTOCOL:
        return  # what was said may be lost with the connection
    result, _ = asyncio.run(send_to(script(*replies, reset=reset)))
    assert result.failure is not None
    assert result.failure.kind is kind
    if replies or kind is Kind.PROTOCOL:
        assert reason in str(result.failure)
    assert fates(result) == [Fate.NOT_SENT, Fate.NOT_SENT]


def test_lost_after_the_dot_is_uncertain() -> None:
    """SC35: the server had everything and said nothing."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await script("220 x", "250 x", "250 x", "250 x", "550 x", "354 x")(reader, writer)
        await reader.readuntil(b"\r\n.\r\n")

    result, _ = asyncio.run(send_to(talk))
    assert fates(result) == [Fate.UNCERTAIN, Fate.REFUSED]


def test_lost_within_the_content_is_certain() -> None:
    """SC34: without its end the server cannot have taken the mail."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await script("220 x", "250 x", "250 x", "250 x", "550 x", "354 x")(reader, writer)
        await reader.readexactly(1000)
        writer.transport.abort()

    result, _ = asyncio.run(send_to(talk, content=b"x" * 50_000_000))
    assert fates(result) == [Fate.NOT_SENT, Fate.REFUSED]
    assert result.failure is not None
    assert result.failure.command == "end of data"


def test_a_refusal_within_the_content_is_heard() -> None:
    """A server that says 552 half-way and hangs up is understood; it is told nothing more."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await script("220 x", "250 x", "250 x", "250 x", "550 x", "354 x")(reader, writer)
        await reader.readexactly(1000)
        writer.write(b"552 too big\r\n")
        await writer.drain()
        assert b"QUIT" not in await reader.read()

    result, lines = asyncio.run(send_to(talk, content=b"x" * 50_000_000))
    assert fates(result) == [Fate.REFUSED, Fate.REFUSED]
    assert str(result.failure) == "end of data -> 552 too big"
    assert "C: QUIT" not in lines


@pytest.mark.parametrize("step", range(6))
def test_a_silent_server_is_not_waited_for(step: int) -> None:
    """SC36: at each step there is a deadline; QUIT's is no failure."""
    replies = ["220 x", "250 x", "250 x", "250 x", "550 x", "354 x"][:step]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await script(*replies)(reader, writer)
        await reader.read()

    result, _ = asyncio.run(send_to(talk, Timeouts.all(0.1)))
    assert result.failure is not None
    assert result.failure.reason == "no answer within 0.1 s"


def test_silence_after_quit_is_no_failure() -> None:
    """SC15, ER12."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await script("220 x", "250 x", "250 x", "250 x", "250 x", "354 x")(reader, writer)
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        await reader.read()

    result, _ = asyncio.run(send_to(talk, Timeouts.all(0.2)))
    assert result.failure is None
    assert fates(result) == [Fate.ACCEPTED, Fate.ACCEPTED]


def test_replies_in_single_bytes() -> None:
    """SC03: on the wire too."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"220-a\r\n220 b\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
        await reader.readuntil(b"\r\n")
        writer.write(b"550 no\r\n")
        await reader.readuntil(b"\r\n")
        writer.write(b"221 bye\r\n")

    result, lines = asyncio.run(send_to(talk))
    assert str(result.failure) == "EHLO me -> 550 no"
    assert lines[1:3] == ["S: 220-a", "S: 220 b"]


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (Endpoint("127.0.0.1", 1), "connect to 127.0.0.1:1 -> connection refused"),
        (Endpoint("a..b", 25), "connect to a..b:25 -> no possible host name"),
    ],
)
def test_a_server_that_is_not_there(where: Endpoint, reason: str) -> None:
    """Nothing was sent to anybody, and why."""
    result = asyncio.run(send_mail(Server(where, timeouts=SOON), ENVELOPE, CONTENT))
    assert str(result.failure) == reason
    assert fates(result) == [Fate.NOT_SENT, Fate.NOT_SENT]

"""The program webmail_proxy.py from its start to its stop, with mail servers around it."""

from __future__ import annotations

import asyncio
import email
import os
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager
from email import policy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult

import webmail_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROGRAM = Path(webmail_proxy.__file__)


class Handler:
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
    handler: Handler, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, **options), "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def program(*arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        PROGRAM,
        "--listen",
        "127.0.0.1:0",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **variables},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def read_until(process: asyncio.subprocess.Process, text: str) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(15):
        while not lines or text not in lines[-1]:
            line = await process.stdout.readline()
            assert line, "".join(lines)
            lines.append(line.decode())
    return "".join(lines)


async def connect(
    process: asyncio.subprocess.Process,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    ready = await read_until(process, "listening on 127.0.0.1:")
    return await asyncio.open_connection("127.0.0.1", int(ready.rpartition(":")[2]))


def compose(**fields: str) -> bytes:
    body = urlencode(fields).encode()
    head = (
        "POST http://mail.qq.com/cgi-bin/compose_send?sid=yFRN HTTP/1.1\r\nHost: mail.qq.com\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def test_a_mail_through_the_whole_program(tmp_path: Path) -> None:
    """W2-W12: one bad recipient, the report over TLS with a login, the screen, the files."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("smtp.qq.com").configure_cert(tls)
    mails, reports = Handler(), Handler()
    logins: list[bytes] = []

    def check(
        _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        logins.append(data.password)
        return AuthResult(success=True)

    async def scene() -> str:
        async with (
            mail_server(mails) as mail,
            mail_server(reports, tls, authenticator=check, auth_require_tls=False) as report,
            program(
                *(
                    "--mail-server",
                    mail,
                    "--report-server",
                    report,
                    "--report-tls-name",
                    "smtp.qq.com",
                ),
                *("--user", "ann@qq.com", "--directory", str(tmp_path), "--limit", "1000"),
                SSL_CERT_FILE=str(tmp_path / "ca.pem"),
                MAIL_PASSWORD="s3cret",
            ) as process,
        ):
            reader, writer = await connect(process)
            fields = {
                "sendmailname": "ann@qq.com",
                "subject": "实验",
                "content__html": "<div>你好</div>",
            }
            writer.write(compose(to='"Bo"<bo@163.com>;nobody@qq.com,chengli;', **fields))
            page = (await reader.readuntil(b"</html>")).decode()
            assert "bo@163.com: accepted for delivery" in page
            assert "chengli: refused" in page
            screen = await read_until(process, "error report to")
            writer.close()
            process.send_signal(signal.SIGTERM)
            out, errors = await asyncio.wait_for(process.communicate(), 10)
            assert (process.returncode, errors) == (0, b"")
            return screen + out.decode()

    screen = asyncio.run(scene())
    [(sender, to, content)] = mails.mails
    assert (sender, to) == ("ann@qq.com", ["bo@163.com"])
    message = email.message_from_bytes(content, policy=policy.default)
    text = message.get_body(("plain",))
    assert message["Subject"] == "实验"
    assert text is not None
    assert text.get_content().split() == ["你好"]
    [(sender, to, content)] = reports.mails
    assert (sender, to) == ("<>", ["ann@qq.com"])
    assert b"Final-Recipient: rfc822; nobody@qq.com" in content
    assert logins == [b"s3cret"]
    for part in ("sender: ann@qq.com", "recipients: bo@163.com, nobody@qq.com", "length: 6 bytes"):
        assert part in screen
    [log] = tmp_path.glob("Log-*.txt")
    recorded = log.read_text("utf-8")
    assert "> POST http://mail.qq.com/cgi-bin/compose_send?sid=******** HTTP/1.1" in recorded
    assert "C: RCPT TO:<nobody@qq.com>" in recorded
    assert "s3cret" not in recorded + screen
    assert "czNjcmV0" not in recorded + screen
    [saved] = (tmp_path / "mails").iterdir()
    assert saved.read_text("utf-8").endswith("\n\n你好\n")


def test_it_stops_in_time_though_a_server_is_silent(tmp_path: Path) -> None:
    """W13: SIGINT; the mail that was under way is told; no traceback."""

    async def scene() -> tuple[int | None, str, str]:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        where = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        arguments = (
            "--mail-server",
            where,
            "--directory",
            str(tmp_path),
            "--timeout",
            "0.5",
            "--retry",
            "60",
        )
        async with server, program(*arguments) as process:
            reader, writer = await connect(process)
            writer.write(compose(sendmailname="ann@qq.com", to="bo@163.com", content__html="x"))
            await reader.readuntil(b"</html>")
            await read_until(process, "connected to")
            process.send_signal(signal.SIGINT)
            out, errors = await asyncio.wait_for(process.communicate(), 10)
            writer.close()
            return process.returncode, out.decode(), errors.decode()

    status, out, errors = asyncio.run(scene())
    assert (status, errors) == (0, "")
    assert "not finished when the program was stopped" in out


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_port_in_use(tmp_path: Path) -> None:
    """One line, exit 69."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        done = run("--listen", where, "--directory", str(tmp_path))
    assert done.returncode == 69
    assert done.stderr == f"webmail_proxy: cannot listen on {where}: address already in use\n"


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """One line, exit 73."""
    (tmp_path / "file").touch()
    done = run("--listen", "127.0.0.1:0", "--directory", str(tmp_path / "file"))
    assert done.returncode == 73
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("--limit", "x"), ("--listen", "x"), ("--retry", "-1"), ("--ehlo", "a b")]
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    """Exit 2."""
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_help() -> None:
    """Says what the limit counts."""
    done = run("--help")
    assert done.returncode == 0
    assert "bytes of the readable text" in " ".join(done.stdout.split())

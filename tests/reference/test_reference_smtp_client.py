"""The program smtp_client.py as a person uses it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import smtp_client
from protocols.smtp import Failure, Fate, Kind, Outcome, Reply, Result

PROGRAM = Path(smtp_client.__file__)
MAIL = ("--from", "ann@a.test", "--subject", "x", "--text", "hi")


def run(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, **variables},
    )


class Server(threading.Thread):
    """Answers one connection's lines by their first word; keeps what it heard."""

    def __init__(self, **replies: str) -> None:
        super().__init__(daemon=True)
        self.replies = {"DATA": "354 go", "QUIT": "221 bye", **replies}
        self.heard: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.where = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.start()

    def run(self) -> None:
        self.listener.settimeout(20)
        with self.listener, self.listener.accept()[0] as connection:
            connection.settimeout(20)
            connection.sendall(b"220 ready\r\n")
            content = False
            for raw in connection.makefile("rb"):
                line = raw.decode().rstrip("\r\n")
                self.heard.append(line)
                content = content and line != "."
                if not content:
                    word = line.split(" ")[0]
                    connection.sendall(self.replies.get(word, "250 ok").encode() + b"\r\n")
                    content = word == "DATA"


def test_it_says_what_became_of_the_mail() -> None:
    """A9: the dialogue, then a line per recipient; exit 0."""
    server = Server()
    done = run(
        "--server", server.where, *MAIL, "--to", "bo@b.test", "cy@c.test", "--ehlo", "me.test"
    )
    server.join(20)
    assert (done.returncode, done.stderr) == (0, "")
    assert "S: 220 ready\nC: EHLO me.test\nS: 250 ok\nC: MAIL FROM:<ann@a.test>\n" in done.stdout
    assert done.stdout.endswith("bo@b.test: accepted\ncy@c.test: accepted\n")
    assert "hi" in server.heard


def test_a_closed_screen_does_not_stop_the_mail() -> None:
    """As in `smtp_client.py ... | head -1`: sent all the same, and no traceback."""
    server = Server()
    arguments = [sys.executable, str(PROGRAM), "--server", server.where, *MAIL, "--to", "bo@b.test"]
    with subprocess.Popen(arguments, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(20)
    server.join(20)
    assert (process.returncode, errors) == (0, "")
    assert server.heard[-1] == "QUIT"


def test_no_password_is_told() -> None:
    """Without a terminal there is nobody to ask: exit 77."""
    variables = {key: value for key, value in os.environ.items() if key != "SMTP_PASSWORD"}
    done = subprocess.run(
        [
            sys.executable,
            PROGRAM,
            "--server",
            "127.0.0.1:1",
            *MAIL,
            "--to",
            "b@c.test",
            "--user",
            "x",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=variables,
        start_new_session=True,
    )
    assert done.returncode == 77
    assert done.stderr == "smtp_client: no password: set SMTP_PASSWORD, or run it in a terminal\n"


def test_the_text_may_come_from_standard_input() -> None:
    """And be Chinese: then it is encoded."""
    server = Server()
    done = run("--server", server.where, "--from", "a@b.test", "--to", "bo@b.test", stdin="你好\n")
    server.join(20)
    assert done.returncode == 0
    assert "5L2g5aW9DQo=" in server.heard


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("chengli", "no domain: there is no @"),
        ("chengli@", "empty domain: nothing follows the @"),
        ("bupt.edu.cn", "no local part before an @"),
        ("a@b.test\x1b[2J", "a control character is not allowed"),
    ],
)
@pytest.mark.parametrize("as_sender", [False, True])
def test_no_connection_for_an_address_that_is_none(
    address: str, reason: str, *, as_sender: bool
) -> None:
    """W6: told on the screen and as an error; exit 65."""
    addresses = (address, "bo@b.test") if as_sender else ("ann@a.test", address)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        done = run("--server", where, "--from", addresses[0], "--to", addresses[1], "--text", "x")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert done.returncode == 65
    assert reason in done.stdout
    assert reason in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1


def test_a_refused_recipient() -> None:
    """SC11: exit 67, the reply and its command named."""
    server = Server(RCPT="550 5.1.1 who?")
    done = run("--server", server.where, *MAIL, "--to", "nobody@b.test")
    assert done.returncode == 67
    assert "nobody@b.test: refused: RCPT TO:<nobody@b.test> -> 550 5.1.1 who?\n" in done.stdout


def test_a_refused_login_shows_no_password() -> None:
    """SC21: exit 77, though the server echoes it."""
    server = Server(
        EHLO="250-x\r\n250 AUTH LOGIN", AUTH="334 ?", YW5u="334 ?", czNjcmV0="535 s3cret czNjcmV0"
    )
    arguments = ("--user", "ann", "--auth-in-clear", "--to", "bo@b.test")
    done = run("--server", server.where, *MAIL, *arguments, SMTP_PASSWORD="s3cret")
    assert done.returncode == 77
    assert "C: ********\nS: 535 ******** ********\n" in done.stdout
    for secret in ("s3cret", "czNjcmV0", "YW5u"):
        assert secret not in done.stdout + done.stderr


def test_a_closed_port() -> None:
    """One line, no traceback; exit 69."""
    done = run("--server", "127.0.0.1:1", *MAIL, "--to", "bo@b.test")
    assert done.returncode == 69
    assert done.stderr == "smtp_client: connect to 127.0.0.1:1 -> connection refused\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--server", "x"),
        ("--server", "a:1", "--plain", "--tls", *MAIL, "--to", "b@c.test"),
        ("--server", "a:1", *MAIL, "--to", "b@c.test", "--timeout", "0"),
        ("--server", "a:1", *MAIL, "--to", "b@c.test", "--ehlo", "a b"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    """Exit 2, and no traceback."""
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "usage:" in done.stderr


def test_help() -> None:
    """Names the exit statuses."""
    done = run("--help")
    assert done.returncode == 0
    assert "exit status" in done.stdout


def test_an_interrupted_client_says_so() -> None:
    """Exit 130, one line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        arguments = [sys.executable, str(PROGRAM), "--server", where, *MAIL, "--to", "bo@b.test"]
        with subprocess.Popen(arguments, stdout=-1, stderr=-1, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("-- connected")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "smtp_client: interrupted\n")


def result(*fates: tuple[Fate, Kind | None], whole: Failure | None = None) -> Result:
    outcomes = [
        Outcome(str(number), fate, Failure(kind, "RCPT", Reply(550, ("x",))) if kind else None)
        for number, (fate, kind) in enumerate(fates)
    ]
    return Result(tuple(outcomes), whole)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (result((Fate.ACCEPTED, None)), 0),
        (result((Fate.ACCEPTED, None), (Fate.REFUSED, Kind.PERMANENT)), 67),
        (result((Fate.REFUSED, Kind.TEMPORARY)), 75),
        (result((Fate.UNCERTAIN, Kind.CONNECTION)), 75),
        (result((Fate.REFUSED, Kind.PERMANENT), whole=Failure(Kind.PERMANENT, "end of data")), 69),
        (
            result((Fate.NOT_SENT, Kind.PERMANENT), whole=Failure(Kind.CONNECTION, "connect to x")),
            69,
        ),
        (result((Fate.NOT_SENT, Kind.PERMANENT), whole=Failure(Kind.PROTOCOL, "greeting")), 76),
        (result((Fate.NOT_SENT, Kind.PERMANENT), whole=Failure(Kind.PERMANENT, "AUTH PLAIN")), 77),
        (result((Fate.NOT_SENT, Kind.PERMANENT), whole=Failure(Kind.TEMPORARY, "AUTH PLAIN")), 75),
    ],
)
def test_the_exit_status(found: Result, status: int) -> None:
    """After sysexits.h."""
    assert smtp_client.exit_status(found) == status

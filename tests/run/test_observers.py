"""What is demanded of programs when the play is over, in real plays: right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.theatre import Played, Theatre, play_once

ROOT = Path(__file__).parents[2]
SERVER = """
    import signal, socket, sys, time
    signal.signal(signal.SIGTERM, HANDLER)
    server = socket.create_server((sys.argv[1], int(sys.argv[2])))
    while True:
        connection, _ = server.accept()
        while data := connection.recv(100):
            connection.sendall(data)
        connection.close()
"""
DAEMON = """
    import os, socket, signal
    reader, writer = os.pipe()
    if os.fork():
        os.read(reader, 1)
    else:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        server = socket.create_server(("127.0.0.1", 0))
        os.write(writer, b"x")
        signal.pause()
"""


def client(theatre: Theatre, program: str, expect: str) -> Played:
    cast = "server: {kind: tcp, at: 12000}"
    more = f"patience: 2s\nexpect: {expect}"
    return play_once(theatre.plan("", program, role="echo-client", cast=cast, more=more))


def server(theatre: Theatre, handler: str, expect: str) -> Played:
    plan = theatre.plan(
        "browser! connect\nbrowser> hello\nbrowser< hello\nbrowser! close",
        SERVER.replace("HANDLER", handler),
        role="echo-server",
        cast="browser: {kind: tcp, to: server}",
        more=f"expect: {expect}",
    )
    return play_once(plan)


@pytest.mark.parametrize(
    ("handler", "expect", "fault"),
    [
        ("signal.SIG_DFL", "SIGTERM", ""),
        (
            "signal.SIG_DFL",
            "0",
            "was ended by signal 15, SIGTERM, where exit status 0 was expected",
        ),
        ("lambda *_: sys.exit(0)", "[0, SIGTERM]", ""),
        ("lambda *_: sys.exit(3)", "[0, SIGTERM]", "exit status 3, where 0 or SIGTERM"),
        ("signal.SIG_IGN", "0", "did not end when it was told to (SIGTERM)"),
    ],
)
def test_a_server_ends_as_it_should_when_it_is_told_to(
    theatre: Theatre, handler: str, expect: str, fault: str
) -> None:
    result = server(theatre, handler, f"{{exit: {expect}}}")

    assert result.outcome == ("failed" if fault else "passed")
    assert fault in result.headline


def test_a_client_that_takes_too_long_is_told(theatre: Theatre) -> None:
    slow = "import time\ntime.sleep(0.3)"

    assert client(theatre, slow, "{time: {until exit: at most 30s}}").outcome == "passed"
    late = client(theatre, slow, "{time: {until exit: at most 1ms}}")
    early = client(theatre, slow, "{time: {after last message: at least 30s}}")
    assert late.tells("too late", "at most 0.001 s")
    assert early.tells("too early", "at least 30 s")


def test_a_server_that_takes_too_long_to_end_is_told(theatre: Theatre) -> None:
    leaves = "lambda *_: sys.exit(0)"

    assert server(theatre, leaves, "{time: {after stop: at most 30s}}").outcome == "passed"
    ignores = server(theatre, "signal.SIG_IGN", "{time: {after stop: at most 1ms}}")
    assert ignores.tells("too late", "after SIGTERM")


def test_what_a_program_leaves_behind_fails_it_where_that_is_demanded(theatre: Theatre) -> None:
    left = client(theatre, DAEMON, "{leftovers: none}")
    socket = client(theatre, DAEMON, "{leftovers: {lacks: socket}}")

    assert client(theatre, "print('done')", "{leftovers: none}").outcome == "passed"
    assert client(theatre, DAEMON, "{exit: 0}").outcome == "passed"
    assert (left.outcome, socket.outcome) == ("failed", "failed")
    assert left.tells("A process outlived the program")
    assert socket.tells("A socket outlived the program: tcp 127.0.0.1:")


SENDER = """
    import socket, sys
    server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    replies = server.makefile("rb")
    replies.readline()
    for command in COMMANDS:
        server.sendall(command.encode() + b"\\r\\n")
        replies.readline()
"""


def sender(theatre: Theatre, *commands: str) -> Played:
    plan = theatre.plan(
        "",
        SENDER.replace("COMMANDS", repr(commands)),
        role="smtp-client",
        cast="mail: {kind: smtp, at: 25, mailboxes: [bo@example.test]}",
        more="""
            expect:
              wire:
                mail:
                  has: HELO me
                  lacks: s3cret
                  count: {"RCPT TO:*": 1}
                  said: {lacks: "500"}
        """,
    )
    return play_once(plan)


@pytest.mark.parametrize(
    ("commands", "fault"),
    [
        (("QUIT",), ""),
        (("RCPT TO:<bo@example.test>", "QUIT"), "2 lines of what the program sent to mail"),
        (("VRFY s3cret", "QUIT"), "must not show `s3cret`"),
        (("NOTHING", "QUIT"), "What mail said must not show `500`"),
    ],
)
def test_what_went_over_the_wire(theatre: Theatre, commands: tuple[str, ...], fault: str) -> None:
    mail = ("helo me", "MAIL FROM:<ann@example.test>", "RCPT TO:<bo@example.test>")
    result = sender(theatre, *mail, *commands)

    assert result.outcome == ("failed" if fault else "passed")
    assert fault in result.headline


WRITER = """
    import os, pathlib
    os.remove("old.txt") if REMOVES else pathlib.Path("old.txt").write_text("changed")
    pathlib.Path("form.yaml").write_bytes(DATA)
    print("done")
"""


@pytest.mark.parametrize(
    ("removes", "extra", "fault"),
    [
        (True, b"", ""),
        (False, b"", "removed no file old.txt"),
        (True, b"x", "The file form.yaml has "),
    ],
)
def test_what_became_of_files(theatre: Theatre, *, removes: bool, extra: bytes, fault: str) -> None:
    form = ROOT / "fixtures" / "forms" / "to-two-domains.yaml"
    (theatre.folder / "fixtures").mkdir()
    (theatre.folder / "fixtures" / "form.yaml").write_bytes(form.read_bytes())
    old = theatre.author / "old.txt"
    old.write_text("old")
    program = WRITER.replace("REMOVES", str(removes)).replace(
        "DATA", repr(form.read_bytes() + extra)
    )
    expect = (
        '{files: {form.yaml: {same as: form.yaml}, old.txt: {is: removed}, "*.part": {is: absent}}}'
    )
    result = client(theatre, program, expect)
    old.unlink()

    assert result.outcome == ("failed" if fault else "passed")
    assert fault in result.headline

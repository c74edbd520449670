"""Several lives of a program in one play: it is told to end, killed, and started again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from harness.judge import judge, satisfied
from harness.model.record import What
from harness.network import _trouble
from harness.report import transcript
from harness.run import Stage, play

from tests.run.theatre import Played

if TYPE_CHECKING:
    from tests.run.theatre import Theatre

CLIENT = "client: {kind: tcp, to: server}"
AGAIN = """
client> hello
client< HELLO
program! restart
client! expect close
client.2> again
client.2< AGAIN
"""
#: An echo server; what is done before `bind` makes the difference.
SERVER = """
    import socket, sys
    listener = socket.socket()
    {before}
    listener.bind((sys.argv[1], int(sys.argv[2])))
    listener.listen()
    while True:
        client, _ = listener.accept()
        while data := client.recv(1024):
            client.sendall(data.upper())
        client.close()
"""
REUSES = SERVER.format(before="listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)")
FORGETS = SERVER.format(before="")
#: What a server does that is told to end (SIGTERM).
ENDS_WELL = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
ENDS_BADLY = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
QUIET = "patience: 1s\nexpect: {heard: {client: 1 connection}}"

every_rung = pytest.mark.parametrize(
    "rung",
    [
        "loopback",
        pytest.param("private", marks=pytest.mark.skipif(bool(_trouble()), reason="no namespaces")),
    ],
)


def played_on(rung: str, theatre: Theatre, exchange: str, program: str, more: str) -> Played:
    plan = theatre.plan(exchange, program, role="echo-server", cast=CLIENT, more=more)
    stage = Stage(rung, satisfied)
    record = asyncio.run(play(plan, stage))
    return Played(judge(plan, record), record)


def served(theatre: Theatre, exchange: str, program: str, more: str = QUIET) -> Played:
    return played_on("loopback", theatre, exchange, program, more)


@every_rung
def test_a_server_that_can_come_back_passes(rung: str, theatre: Theatre) -> None:
    more = "expect: {heard: {client: 2 connections}}"
    result = played_on(rung, theatre, AGAIN, REUSES, more)

    assert (result.outcome, result.headlines) == ("passed", [])
    assert result.record.of(What.EXITED)[0].facts == {"signal": 9}
    assert len(result.record.of(What.STARTED)) == len(result.record.of(What.LISTENING)) == 2


@every_rung
def test_a_server_without_so_reuseaddr_cannot_listen_again_at_once(
    rung: str, theatre: Theatre
) -> None:
    """The connection of its last life lingers: the client has not closed its side yet."""
    result = played_on(rung, theatre, AGAIN, FORGETS, QUIET)

    assert result.outcome == "failed"
    assert result.tells("crashed", "Address already in use")
    assert any("did not listen again" in headline for headline in result.headlines)


def test_a_restart_finds_what_the_last_life_has_left_in_its_folder(theatre: Theatre) -> None:
    counts = 'open("lives", "a").write("*")\nprint("life", len(open("lives").read()), flush=True)\n'
    more = "expect: {screen: {in order: [life 1, life 2, life 3]}, files: {lives: '\\*\\*\\*'}}"
    exchange = "program! restart\nprogram! restart\nclient> x\nclient< X"
    program = "\n".join([counts, *(line[4:] for line in REUSES.splitlines())])
    result = served(theatre, exchange, program, more)

    assert result.headlines == []


def test_all_processes_of_the_last_life_are_gone_before_the_next_one(theatre: Theatre) -> None:
    """Else the child of the first would still hold the port."""
    forks = "    import os\n    if os.fork(): os.wait()\n"
    result = served(theatre, AGAIN, forks + REUSES, "expect: {heard: {client: 2 connections}}")

    assert result.headlines == []


@pytest.mark.parametrize(
    ("program", "exchange", "right"),
    [
        (ENDS_WELL, "program! stop\nprogram! expect exit 0", True),
        (ENDS_BADLY, "program! stop\nprogram! expect exit 0", False),
        (ENDS_BADLY, "program! stop\nprogram! expect exit 3", True),
        (ENDS_BADLY, "program! stop\nprogram! expect exit nonzero", True),
        (ENDS_WELL, "program! stop\nprogram! expect exit nonzero", False),
        ("", "program! stop\nprogram! expect exit 0", False),
        ("", "program! kill\nprogram! expect exit nonzero", True),
        (ENDS_WELL, "program! stop\nprogram! restart\nclient.2> x\nclient.2< X", True),
        (ENDS_WELL, "program! kill\nclient! expect close\nprogram! restart", True),
    ],
)
def test_acts_on_a_server(program: str, exchange: str, right: bool, theatre: Theatre) -> None:
    source = program + "\n".join(line[4:] for line in REUSES.splitlines())
    more = "patience: 1s\nexpect: {screen: {lacks: nothing}}"
    result = served(theatre, f"client> hello\nclient< HELLO\n{exchange}", source, more)

    assert (result.outcome == "passed") is right, result.headlines


def test_the_exit_status_is_that_of_the_last_life(theatre: Theatre) -> None:
    source = ENDS_WELL + "\n".join(line[4:] for line in REUSES.splitlines())
    exchange = "client> hello\nclient< HELLO\nprogram! restart\nprogram! stop"

    assert served(theatre, exchange, source, "expect: {exit: 0}").headlines == []
    [headline] = served(theatre, exchange, REUSES, "expect: {exit: 0}").headlines
    assert headline.startswith("The program was ended by signal 15, SIGTERM, where exit status 0")


def test_a_client_is_started_again_and_goes_through_it_all_once_more(theatre: Theatre) -> None:
    program = """
        import socket, sys
        with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as server:
            server.sendall(b"hello\\n")
            server.recv(10)
    """
    cast = "server: {kind: tcp, at: 12000, eol: lf}"
    exchange = """
        server! accept
        server< hello
        program! restart
        server! expect close
        server.2! accept
        server.2< hello
        server.2> bye
        server.2! expect eof
        program! expect exit 0
    """
    plan = theatre.plan(exchange, program, role="echo-client", cast=cast)
    record = asyncio.run(play(plan, Stage("loopback", satisfied)))
    told = [line.split("  #")[0] for line in transcript(plan, record).splitlines()]

    assert [finding.headline for finding in judge(plan, record).findings] == []
    killed, again = "# program: killed, to be started again", "# program: started again"
    assert told.index("server< hello") < told.index(killed) < told.index(again)
    assert told.index(again) < told.index("server.2< hello")


def test_a_program_that_has_ended_cannot_be_killed(theatre: Theatre) -> None:
    program = "import sys\nprint(sys.argv[1])\n"
    cast = "server: {kind: tcp, at: 12000}\nuser: {kind: terminal}"
    exchange = "user< *\nprogram! expect exit 0\nprogram! kill"
    plan = theatre.plan(exchange, program, role="echo-client", cast=cast)
    record = asyncio.run(play(plan, Stage("loopback", satisfied)))

    [finding] = judge(plan, record).findings
    assert finding.headline == "The program had ended already when `program! kill` came."

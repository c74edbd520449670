"""Scripted actors and the terminal, played with small programs that are right or wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from harness.model.exchange import Act, Exchange
from harness.model.record import What
from harness.report import transcript

from tests.run.theatre import Played, play_once

if TYPE_CHECKING:
    from tests.run.theatre import Theatre

ECHO = """
server! accept
server> Welcome
user< *Welcome*
user> hello
server< hello
server> HELLO
user< *HELLO*  # the answer is shown to the user
user> bye
server< bye
server! expect eof
"""
SERVER = "server: {kind: tcp, at: 12000}"
SERVER_AND_USER = f"{SERVER}\nuser: {{kind: terminal}}"
READY = "patience: 700ms\nexpect: {screen: '*ready*'}"
CLIENT = "client: {kind: tcp, to: server}"


def as_server(theatre: Theatre, exchange: str, program: str, more: str = "") -> Played:
    """A play in which the program is a client of our server."""
    return play_once(
        theatre.plan(exchange, program, role="echo-client", cast=SERVER_AND_USER, more=more)
    )


def as_client(
    theatre: Theatre, exchange: str, program: str = "echo_server.py", more: str = ""
) -> Played:
    """A play in which our client dials the program."""
    plan = theatre.plan(exchange, program, role="echo-server", cast=CLIENT, more=more or READY)
    return play_once(plan)


# -- an actor that listens, and the terminal -------------------------------------------


def test_a_right_echo_client_passes_the_first_scenario(theatre: Theatre) -> None:
    result = as_server(theatre, ECHO, "echo_client.py")

    assert (result.outcome, result.headlines) == ("passed", [])
    assert result.heard("server") == b"hellobye"


def test_a_wrong_one_fails_at_the_line_with_its_reason(theatre: Theatre) -> None:
    more = "patience: 500ms\nexpect: {exit: 0}"
    result = as_server(theatre, ECHO, "echo_client_that_never_shows.py", more)

    finding = result.verdict.findings[0]
    assert result.outcome == "failed"
    assert "*HELLO*" in finding.headline
    assert finding.why == "the answer is shown to the user"


def test_a_prompt_without_a_line_end_is_read(theatre: Theatre) -> None:
    exchange = "user< name?\nuser> Ann\nuser< hello Ann"
    program = """
        import sys
        print("name?", end="", flush=True)
        print("hello", sys.stdin.readline(), end="")
    """

    assert as_server(theatre, exchange, program).headlines == []


def test_a_client_that_speaks_before_the_greeting_is_heard_out_of_turn(theatre: Theatre) -> None:
    exchange = "server! accept\nserver> Welcome\nserver< hello\nserver> HELLO"
    program = """
        import socket, sys
        with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as server:
            server.sendall(b"hello")
            assert server.recv(7, socket.MSG_WAITALL) == b"Welcome"
            assert server.recv(5, socket.MSG_WAITALL) == b"HELLO"
    """

    assert as_server(theatre, exchange, program).headlines == []


def test_what_a_client_sends_just_before_it_exits_is_always_heard(theatre: Theatre) -> None:
    program = """
        import os, socket, sys
        server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
        server.sendall(b"x" * 300_000 + b"the end")
        os._exit(0)
    """
    result = as_server(theatre, "server! accept\nserver< x*the end\nserver! expect eof", program)

    assert result.headlines == []
    assert len(result.heard("server")) == 300_007


def test_a_connection_that_is_opened_just_before_the_exit_counts(theatre: Theatre) -> None:
    program = """
        import os, socket, sys
        there = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(20)]
        os._exit(0)
    """
    more = "expect: {heard: {server: 20 connections}}"

    assert as_server(theatre, "server! accept", program, more).headlines == []


def test_what_a_program_says_behind_a_failed_write_is_heard(theatre: Theatre) -> None:
    """The actor speaks twice to a connection that the program has reset after its last word."""
    exchange = "server! accept\nserver> one\nserver> two\nserver> three\nserver< last words"
    program = """
        import os, socket, struct, sys
        server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
        server.sendall(b"last words")
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()
    """
    result = as_server(theatre, exchange, program)

    assert result.heard("server") == b"last words"


def test_two_connections_are_told_apart(theatre: Theatre) -> None:
    exchange = """
        server! accept
        server.2! accept
        server.2< second
        server.2> to the second
        server> to the first
        server< first
    """
    program = """
        import socket, sys
        one, two = (socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(2))
        two.sendall(b"second")
        assert one.recv(12, socket.MSG_WAITALL) == b"to the first"
        assert two.recv(13, socket.MSG_WAITALL) == b"to the second"
        one.sendall(b"first")
    """

    assert as_server(theatre, exchange, program).headlines == []


@pytest.mark.parametrize(
    ("how", "expected"),
    [("eof", True), ("close", True), ("reset", False)],
)
def test_a_close_is_no_reset(theatre: Theatre, how: str, expected: bool) -> None:
    exchange = f"server! accept\nserver! expect {how}"
    program = """
        import socket, sys
        socket.create_connection((sys.argv[1], int(sys.argv[2]))).close()
    """

    assert (as_server(theatre, exchange, program).outcome == "passed") is expected


# -- an actor that dials ---------------------------------------------------------------


@pytest.mark.parametrize(
    "exchange",
    [
        "client! connect\nclient> hello\nclient< HELLO\nclient! close",
        "client> hello\nclient< HELLO\nclient! half-close\nclient< bye\nclient! expect eof",
        "client> leave\nclient! expect eof",
        "client> reset\nclient! expect reset",
        "client> reset\nclient! expect close",
        "client> hello\nclient< HELLO\nclient! expect silence 100ms\nclient> you\nclient< YOU",
        "client> hello\nclient! settle\nclient< HELLO",
        "client> hello\nclient! wait 50ms\nclient< HELLO",
        "client> one\nclient< ONE\nclient.2> two\nclient.2< TWO\nclient> three\nclient< THREE",
        "client! connect\nclient! expect silence",
        "client> hello\nclient< HELLO\nprogram! stop",
        "client> hello\nclient< HELLO\nprogram! kill\nclient! expect close",
    ],
)
def test_an_echo_server_passes(theatre: Theatre, exchange: str) -> None:
    result = as_client(theatre, exchange)

    assert (result.outcome, result.headlines) == ("passed", [])
    assert result.gave_up() == []


def test_a_client_that_resets_is_noticed_by_the_server(theatre: Theatre) -> None:
    more = "patience: 700ms\nexpect: {screen: '*the client has gone*'}"

    assert as_client(theatre, "client! connect\nclient! reset", more=more).headlines == []


def test_a_server_that_never_closes_has_not_closed_when_it_is_ended(theatre: Theatre) -> None:
    result = as_client(theatre, "client> hello\nclient< HELLO\nclient! expect eof")

    assert result.headlines == ["The program did not close its connection with client."]
    assert result.gave_up() == ["nothing happened for 0.7 s"]


def test_a_server_that_stays_silent_is_told_what_was_due(theatre: Theatre) -> None:
    result = as_client(theatre, "client> hello\nclient< GOODBYE")

    assert result.tells("answered", "HELLO", "GOODBYE")


def test_noise_in_a_silence_is_a_finding(theatre: Theatre) -> None:
    result = as_client(theatre, "client> hello\nclient! expect silence 400ms")

    assert result.tells("HELLO", "silence")


def test_a_late_word_of_a_server_breaks_a_silence_to_the_end(theatre: Theatre) -> None:
    """All that is demanded is there at once; what must not come does so a moment later."""
    program = """
        import socket, sys, time
        listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
        print("ready", flush=True)
        client, _ = listener.accept()
        time.sleep(0.1)
        client.sendall(b"too much")
        client.recv(1)
    """
    result = as_client(theatre, "client! connect\nclient! expect silence", program)

    assert result.tells("too much", "silence")


def test_an_exit_status_is_waited_for(theatre: Theatre) -> None:
    program = """
        import socket, sys
        listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
        print("ready", flush=True)
        client, _ = listener.accept()
        client.recv(10)
        sys.exit(3)
    """
    exchange = "client> bye\nprogram! expect exit 3"
    findings = as_client(theatre, exchange, program).verdict.findings

    assert [f for f in findings if f.expected] == []


def test_a_udp_server_is_dialled(theatre: Theatre) -> None:
    program = """
        import socket, sys
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((sys.argv[1], int(sys.argv[2])))
        while True:
            data, client = server.recvfrom(2048)
            server.sendto(data.upper(), client)
    """
    plan = theatre.plan(
        "client> one\nclient< ONE\nclient> two\nclient< TWO",
        program,
        role="echo-server",
        cast="client: {kind: udp, to: server}",
        more="patience: 700ms\nexpect: {heard: {client: 2 datagrams}}",
    )
    result = play_once(plan)

    assert (result.outcome, result.headlines) == ("passed", [])


def test_a_delayed_answer_is_waited_for_longer_than_the_patience(theatre: Theatre) -> None:
    program = """
        import socket, sys
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.sendto(b"ping", (sys.argv[1], int(sys.argv[2])))
        print(client.recv(100).decode())
    """
    plan = theatre.plan(
        "",
        program,
        role="udp-ping-client",
        cast="pong: {kind: udp, at: 12000, answer: upper, delay: {1: 500ms}}",
        more="patience: 250ms\nexpect: {exit: 0, screen: PING}",
    )

    assert play_once(plan).headlines == []


def test_a_server_under_test_can_be_sent_damaged_datagrams(theatre: Theatre) -> None:
    """A line whose datagram is lost, or waits for the next one, has been played."""
    program = """
        import socket, sys
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((sys.argv[1], int(sys.argv[2])))
        while True:
            data, client = server.recvfrom(2048)
            server.sendto(data.upper(), client)
    """
    plan = theatre.plan(
        "client> one\nclient> two\nclient> three\nclient< THREE\nclient< TW\nclient< TW",
        program,
        role="echo-server",
        cast="client: {kind: udp, to: server, lose: [1], reorder: [2], truncate: {2: 2}, "
        "hear: {repeat: [2]}}",
        more="patience: 700ms\nexpect: {heard: {client: 3 datagrams}}",
    )

    assert play_once(plan).headlines == []


PINGER = """
    import socket, sys
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(1)
    lost = 12
    for number in range(lost):
        client.sendto(b"%d" % number, (sys.argv[1], int(sys.argv[2])))
    try:
        while client.recv(100):
            lost -= 1
    except TimeoutError:
        print(f"lost: {lost + WRONG}")
"""


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_seed_plays_the_same_losses_and_tells_how_many(theatre: Theatre, wrong: int) -> None:
    plan = theatre.plan(
        "",
        PINGER.replace("WRONG", str(wrong)),
        role="udp-ping-client",
        cast="pong: {kind: udp, at: 12000, answer: upper, lose: 40%, hear: {lose: 20%}}",
        more='expect: {screen: [{number: {near: lost, is: "${pong.lost}"}}]}',
    )
    first, again, other = (play_once(plan, seed=seed) for seed in (7, 7, 8))

    assert first.faults() == again.faults() != other.faults()
    assert plan.scenario.by_chance
    outcome = "failed" if wrong else "passed"
    assert [played.outcome for played in (first, again, other)] == [outcome] * 3


# -- stalling --------------------------------------------------------------------------


def test_an_actor_that_stalls_neither_reads_nor_speaks_nor_closes(theatre: Theatre) -> None:
    """What the program does from there on is not seen, so nothing of it is waited for."""
    program = """
        import socket, sys
        sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.2)
        sock.sendall(b"hello")
        try:
            while True:
                sock.sendall(bytes(65_536))
        except TimeoutError:
            print("stuck")
    """
    plan = theatre.plan(
        "server! accept\nserver< hello\nserver! stall",
        program,
        role="echo-client",
        cast="server: {kind: tcp, at: 12000}",
        more="expect: {exit: 0, screen: stuck}",
    )
    result = play_once(plan)

    assert (result.headlines, result.gave_up()) == ([], [])
    assert len(result.record.of(What.STALLED)) == 1
    assert result.record.of(What.EOF, What.RESET, What.LEFT) == ()
    assert "# server: stalled" in transcript(plan, result.record)


def test_one_that_has_stalled_can_still_reset(theatre: Theatre) -> None:
    program = """
        import socket, sys
        sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
        sock.sendall(b"hello")
        try:
            sock.recv(1)
        except ConnectionResetError:
            print("reset")
    """
    plan = theatre.plan(
        "server! accept\nserver< hello\nserver! stall\nserver! reset",
        program,
        role="echo-client",
        cast="server: {kind: tcp, at: 12000}",
        more="expect: {exit: 0, screen: reset}",
    )

    assert play_once(plan).headlines == []


# -- what is not the program's fault ---------------------------------------------------


def test_an_act_that_nobody_plays_is_an_error_of_ours(theatre: Theatre) -> None:
    plan = theatre.plan(
        "client! connect", "echo_server.py", role="echo-server", cast=CLIENT, more=READY
    )
    (entry,) = plan.scenario.exchange.entries()
    exchange = Exchange((replace(entry, act=Act("sing")),))
    result = play_once(replace(plan, scenario=replace(plan.scenario, exchange=exchange)))

    assert result.outcome == "error"
    assert result.headline == (
        f"{plan.scenario.file}:{entry.line}: `sing` is not played by an actor of kind tcp"
    )


def test_closing_the_terminal_ends_the_input(theatre: Theatre) -> None:
    program = """
        import sys
        print(len(sys.stdin.readlines()), "lines")
    """
    exchange = "user> one\nuser> two\nuser! close\nuser< 2 lines"

    assert as_server(theatre, exchange, program).headlines == []

"""Programs that misbehave: each is told what it did, and nothing of it is left."""

from __future__ import annotations

import pytest
from harness.model.record import What
from harness.model.scenario import Level
from harness.peers.tcp import ScriptedPeer

from tests.run.theatre import Played, Theatre, play_once

BRIEF = "timeout: 3s\npatience: 300ms\nexpect: {exit: 0}"
CONNECTED = """
import os, signal, socket, sys, time
server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
"""


def client(theatre: Theatre, program: str, exchange: str = "", more: str = BRIEF) -> Played:
    """A play with a client: it is expected to end by itself."""
    cast = "server: {kind: tcp, at: 12000}"
    return play_once(theatre.plan(exchange, program, role="echo-client", cast=cast, more=more))


def server(
    theatre: Theatre, program: str, exchange: str = "browser! connect", more: str = BRIEF
) -> Played:
    cast = "browser: {kind: tcp, to: server}"
    return play_once(theatre.plan(exchange, program, role="echo-server", cast=cast, more=more))


# -- programs that never end, or too early ---------------------------------------------


@pytest.mark.parametrize(
    "program",
    ["import time\ntime.sleep(600)", "while 1:\n    pass", "input()"],
    ids=["sleeps", "spins", "reads"],
)
def test_a_program_that_hangs_is_stopped_in_time(theatre: Theatre, program: str) -> None:
    result = client(theatre, program)

    assert result.outcome == "failed"
    assert result.headline.startswith("The program never ended; it was stopped after 0.")
    assert result.gave_up() == ["nothing happened for 0.3 s"]


def test_a_program_that_prints_for_ever_is_stopped_at_the_limit_of_the_play(
    theatre: Theatre,
) -> None:
    program = "import time\nwhile 1:\n    print('.', flush=True)\n    time.sleep(0.01)"
    result = client(theatre, program, more=BRIEF.replace("3s", "600ms"))

    assert result.headline.startswith("The program never ended")
    assert result.gave_up() == ["the play took longer than 0.6 s"]


def test_a_program_that_stops_itself_is_ended(theatre: Theatre) -> None:
    program = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"

    assert client(theatre, program).headline.startswith("The program never ended")


def test_a_program_that_ignores_sigterm_is_killed(theatre: Theatre) -> None:
    program = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.pause()"
    result = client(theatre, program)

    assert result.headline.startswith("The program never ended")
    assert [event.facts for event in result.record.of(What.EXITED)] == [{"signal": 9}]


def test_a_server_that_ignores_sigterm_passes_with_a_remark(theatre: Theatre) -> None:
    program = """
        import signal, socket, sys
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
        listener.accept()
        print("accepted", flush=True)
        signal.pause()
    """
    more = "patience: 300ms\nexpect: {screen: accepted}"
    result = server(theatre, program, more=more)

    assert result.outcome == "passed"
    assert result.headlines == [
        "The program did not end when it was told to (SIGTERM); it was killed."
    ]


def test_a_client_that_exits_before_the_exchange_ends(theatre: Theatre) -> None:
    program = CONNECTED + "server.sendall(b'hello')\nserver.recv(5, socket.MSG_WAITALL)"
    result = client(theatre, program, "server! accept\nserver< hello\nserver> HELLO\nserver< bye")

    assert result.outcome == "failed"
    assert result.tells("closed its connection with server", "bye"), result.headlines


def test_a_client_that_dies_in_the_middle(theatre: Theatre) -> None:
    program = CONNECTED + "server.sendall(b'hello')\nos.kill(os.getpid(), signal.SIGSEGV)"
    result = client(theatre, program, "server! accept\nserver< hello\nserver< bye")

    assert result.headline == "The program was ended by signal 11, SIGSEGV."


def test_a_server_that_ends_in_the_middle(theatre: Theatre) -> None:
    program = """
        import socket, sys
        listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
        listener.accept()
        sys.exit(4)
    """
    result = server(theatre, program, "browser> hello\nbrowser< HELLO")

    assert result.headline == "The program ended in the middle of the play (exit status 4)."


# -- programs that crash or do not start -----------------------------------------------


def test_a_crash_at_the_start_is_told_with_its_place(theatre: Theatre) -> None:
    result = client(theatre, "greeting = 1\ngreeting.upper()\n", "server! accept")

    assert result.outcome == "failed"
    assert result.tells("AttributeError", "(program.py, line 2)"), result.headlines


def test_a_traceback_of_a_program_that_goes_on_is_told(theatre: Theatre) -> None:
    program = (
        "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()"
    )

    headline = client(theatre, program).headline

    assert "ZeroDivisionError: division by zero (program.py, line 3)" in headline


def test_a_server_that_crashes_before_it_listens(theatre: Theatre) -> None:
    result = server(theatre, "raise SystemExit(7)")

    assert result.headline == "The program ended before it listened (exit status 7)."


def test_a_command_that_is_not_there(theatre: Theatre) -> None:
    plan = theatre.plan_of(
        "server! accept",
        "[no-such-command]",
        role="echo-client",
        cast="server: {kind: tcp, at: 12000}",
    )
    (theatre.author / "program.py").touch()
    result = play_once(plan)

    assert result.outcome == "failed"
    assert result.headline == (
        "The program could not be started: the command 'no-such-command' was not found in PATH."
    )


def test_a_server_that_never_listens_is_not_waited_for_beyond_the_play(theatre: Theatre) -> None:
    result = server(theatre, "import signal\nsignal.pause()", more=BRIEF.replace("3s", "400ms"))

    assert result.outcome == "failed"
    assert result.headline.endswith(", but never did.")


def test_a_server_that_listens_elsewhere_is_told_where(theatre: Theatre) -> None:
    program = """
        import signal, socket
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        signal.pause()
    """
    result = server(theatre, program, more=BRIEF.replace("3s", "600ms"))
    port = result.record.text(What.SCREEN).decode().strip()

    assert result.headline.endswith(", but never did.")
    assert result.verdict.findings[0].why == f"it listens on 127.0.0.1:{port} instead"


def test_a_server_of_another_transport_is_told(theatre: Theatre) -> None:
    """The right port, but datagrams where connections are asked for."""
    program = """
        import signal, socket, sys
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", int(sys.argv[2])))
        print(sock.getsockname()[1], flush=True)
        signal.pause()
    """
    result = server(theatre, program, more=BRIEF.replace("3s", "600ms"))
    port = result.record.text(What.SCREEN).decode().strip()

    assert result.headline.endswith(", but never did.")
    assert result.verdict.findings[0].why == f"it listens on 0.0.0.0:{port} over UDP instead"


# -- programs that do too much ---------------------------------------------------------


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_of_output_is_cut_off(theatre: Theatre, stream: str) -> None:
    program = f"import sys\nwhile 1:\n    sys.{stream}.write('flood ' * 10_000)"
    result = client(theatre, program)

    name = "terminal" if stream == "stdout" else "standard error"
    assert result.outcome == "failed"
    assert "without end" in result.headline
    assert name in result.headline


def test_endless_bytes_to_an_actor_are_cut_off(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedPeer, "heard_limit", 100_000)
    program = CONNECTED + "while 1:\n    server.sendall(b'x' * 65_536)"
    result = client(theatre, program, "server! accept\nserver< *the end")

    assert result.outcome == "failed"
    assert [event.note for event in result.record.of(What.BROKEN)] == [
        "the program sent more than 100000 octets"
    ]


def test_endless_datagrams_are_cut_off(theatre: Theatre) -> None:
    program = """
        import socket, sys
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while 1:
            client.sendto(b"ping", (sys.argv[1], int(sys.argv[2])))
    """
    plan = theatre.plan(
        "",
        program,
        role="udp-ping-client",
        cast="pong: {kind: udp, at: 12000, answer: echo}",
        more="timeout: 1s\npatience: 300ms\nexpect: {exit: 0}",
    )
    result = play_once(plan)

    assert result.outcome == "failed"
    assert "The program never ended" in " ".join(result.headlines)


def test_a_daemon_is_ended_and_told(theatre: Theatre) -> None:
    program = """
        import os, signal
        if not os.fork():
            os.setsid()
            if not os.fork():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                while True:
                    signal.pause()
            os._exit(0)
        os.wait()
    """
    result = client(theatre, program)

    assert result.outcome == "passed"
    (finding,) = result.verdict.findings
    assert finding.level is Level.SHOULD
    assert finding.headline.startswith("A process outlived the program and was killed: ")
    assert theatre.marker in result.record.of(What.LEFTOVER)[0].note


def test_a_daemon_that_holds_a_connection_and_the_terminal_holds_up_nobody(
    theatre: Theatre,
) -> None:
    program = CONNECTED + (
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "if not os.fork():\n    os.setsid()\n    while True:\n        time.sleep(600)"
    )
    result = client(theatre, program, "server! accept\nserver! expect eof")

    assert "The program did not close its connection with server." in result.headlines


def test_a_daemon_that_prints_without_end_is_ended_with_the_play(theatre: Theatre) -> None:
    program = """
        import os, signal
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # its parent's end is the terminal's
        if not os.fork():
            os.setsid()
            while True:
                os.write(1, b"still here ")
        os._exit(0)
    """
    result = client(theatre, program)

    # a fast machine lets it write more than is recorded, which is then told as well, and first
    assert any(line.startswith("A process outlived the program") for line in result.headlines)


# -- connections that do not end as they should ----------------------------------------


def test_a_client_that_never_closes(theatre: Theatre) -> None:
    program = CONNECTED + "server.sendall(b'bye')\nsignal.pause()"
    result = client(theatre, program, "server! accept\nserver< bye\nserver! expect eof")

    assert result.headlines[0] == "The program did not close its connection with server."
    assert result.headlines[1].startswith("The program never ended")


def test_a_client_that_resets_has_not_closed(theatre: Theatre) -> None:
    program = CONNECTED + (
        "import struct\n"
        "server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
        "server.close()"
    )
    result = client(theatre, program, "server! accept\nserver! expect eof")

    assert result.outcome == "failed"
    assert result.tells("reset", "server"), result.headlines


def test_a_client_that_half_closes_can_still_be_spoken_to(theatre: Theatre) -> None:
    program = CONNECTED + (
        "server.shutdown(socket.SHUT_WR)\nassert server.recv(3, socket.MSG_WAITALL) == b'bye'"
    )
    result = client(theatre, program, "server! accept\nserver! expect eof\nserver> bye")

    assert result.headlines == []


def test_a_client_that_goes_on_after_a_mismatch_is_hung_up_on(theatre: Theatre) -> None:
    program = CONNECTED + "server.sendall(b'wrong')\nserver.recv(100)"
    result = client(theatre, program, "server! accept\nserver< right\nserver> RIGHT")

    assert result.tells("wrong", "right"), result.headlines
    assert len(result.headlines) == 1


def test_the_programs_own_files_are_collected_and_the_authors_stay(theatre: Theatre) -> None:
    program = "open('new.txt', 'w').write('new')\nopen('program.py', 'w').write('changed')"
    result = client(theatre, program)

    assert {event.note: event.data for event in result.record.of(What.FILE)} == {
        "new.txt": b"new",
        "program.py": b"changed",
    }
    assert "changed" not in (theatre.author / "program.py").read_text().splitlines()

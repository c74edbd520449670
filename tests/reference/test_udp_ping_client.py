"""The UDP ping client: its ledger against tables, its socket against scripted peers."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

import udp_ping_client as ping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = Path(ping.__file__)
SHORT = 0.15
"""Seconds: a time-out that is meant to run out."""

LONG = 5.0
"""Seconds: a time-out that must not."""

Script = list[list[bytes | int]]
"""For each datagram heard, in order: the ordinals (from 1) to echo, and octets to send."""


class Peer:
    """Answers by a script; after its end, it echoes."""

    def __init__(self, script: Script | None = None, family: int = socket.AF_INET) -> None:
        self.heard: list[bytes] = []
        self._script = script or []
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.address = self.sock.getsockname()
        self._stop_hears, self._stop_tells = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_tells.send(b"x")
        self._thread.join()
        for sock in (self.sock, self._stop_hears, self._stop_tells):
            sock.close()

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self.sock, self._stop_hears], [], [])
            if self._stop_hears in ready:
                return
            datagram, client = self.sock.recvfrom(65_535)
            self.heard.append(datagram)
            number = len(self.heard)
            answers = self._script[number - 1] if number <= len(self._script) else [number]
            for answer in answers:
                octets = self.heard[answer - 1] if isinstance(answer, int) else answer
                self.sock.sendto(octets, client)


def run(
    peer: Peer | tuple[str, int], *options: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[str]]:
    """Run the program in this process; return its exit status and its lines."""
    address = peer.address if isinstance(peer, Peer) else peer
    status = ping.main([address[0], str(address[1]), *options])
    return status, capsys.readouterr().out.splitlines()


def without_times(lines: list[str]) -> list[str]:
    """Return the lines with their times and ports as `T` and `P`."""
    return [re.sub(r"\d+\.\d{3}", "T", re.sub(r"(\.1|]):\d+", r"\1:P", line)) for line in lines]


def closed_port() -> tuple[str, int]:
    """Return an address where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        host, port = sock.getsockname()
        return host, port


# --- The ledger ---


def test_a_payload_has_the_sequence_and_the_time() -> None:
    assert ping.payload_for(3, 1700000000.25) == b"Ping 3 1700000000.250000"


def test_its_own_reply_is_credited_with_its_time() -> None:
    ledger = ping.Ledger()
    ledger.send(1, b"Ping 1", 10.0)

    assert ledger.receive(b"Ping 1", 10.25) == ping.Arrival(ping.Kind.REPLY, 6, 1, 250.0)
    assert ledger.current is None
    assert ledger.rtts_ms == [250.0]


def test_a_reply_in_capitals_is_a_reply() -> None:
    ledger = ping.Ledger()
    ledger.send(1, b"Ping 1", 0)

    assert ledger.receive(b"PING 1", 0).kind is ping.Kind.REPLY


def test_a_late_reply_does_not_answer_the_next_ping() -> None:
    ledger = ping.Ledger()
    ledger.send(1, b"Ping 1", 0)
    ledger.give_up()
    ledger.send(2, b"Ping 2", 1)

    assert ledger.receive(b"Ping 1", 1.3) == ping.Arrival(ping.Kind.LATE, 6, 1, 1300.0)
    assert ledger.current is not None
    assert ledger.rtts_ms == []


def test_a_late_reply_that_comes_twice_is_a_duplicate() -> None:
    ledger = ping.Ledger()
    ledger.send(1, b"Ping 1", 0)
    ledger.give_up()
    ledger.receive(b"Ping 1", 1)

    assert ledger.receive(b"Ping 1", 2).kind is ping.Kind.DUPLICATE


@pytest.mark.parametrize("datagram", [b"", b"Ping", b"Ping 1 ", b"Ping 2", b"\xff\0", b"x" * 9000])
def test_anything_else_is_strange(datagram: bytes) -> None:
    ledger = ping.Ledger()
    ledger.send(1, b"Ping 1", 0)

    assert ledger.receive(datagram, 1) == ping.Arrival(ping.Kind.STRANGE, len(datagram))
    assert ledger.current is not None


@given(st.lists(st.sampled_from(["answer", "lose", "late", "twice", "noise"]), max_size=60))
def test_what_is_received_is_what_was_answered_in_time(fates: list[str]) -> None:
    ledger = ping.Ledger()
    for number, fate in enumerate(fates, 1):
        payload = ping.payload_for(number, number)
        ledger.send(number, payload, number)
        for _ in range({"answer": 1, "twice": 2}.get(fate, 0)):
            ledger.receive(payload, number + 0.5)
        if fate == "noise":
            ledger.receive(payload[:-1], number + 0.5)
        ledger.give_up()
        if fate == "late":
            ledger.receive(payload, number + 1.5)

    received = fates.count("answer") + fates.count("twice")
    lost = len(fates) - received
    assert ledger.statistics()[0].startswith(
        f"{len(fates)} sent, {received} received, {lost} lost ("
    )


# --- Words ---


@pytest.mark.parametrize(
    ("sent", "rtts_ms", "lines"),
    [
        (10, [1.0] * 6, ["10 sent, 6 received, 4 lost (40%)", "rtt min/avg/max = T/T/T ms"]),
        (10, [], ["10 sent, 0 received, 10 lost (100%)"]),
        (0, [], ["0 sent, 0 received, 0 lost (0%)"]),
        (3, [1, 2], ["3 sent, 2 received, 1 lost (33.3%)", "rtt min/avg/max = T/T/T ms"]),
    ],
)
def test_the_statistics(sent: int, rtts_ms: list[float], lines: list[str]) -> None:
    assert without_times(ping.statistics(sent, rtts_ms)) == lines


def test_the_average_is_the_mean_and_not_the_median() -> None:
    assert ping.statistics(3, [1, 2, 9])[1] == "rtt min/avg/max = 1.000/4.000/9.000 ms"


@given(st.lists(st.floats(min_value=0.001, max_value=60_000), min_size=1))
def test_min_avg_max_are_in_order(rtts_ms: list[float]) -> None:
    low, mean, high = map(float, re.findall(r"\d+\.\d+", ping.statistics(99, rtts_ms)[1]))

    assert low <= mean <= high


@pytest.mark.parametrize(
    ("address", "shown"),
    [(("127.0.0.1", 12000), "127.0.0.1:12000"), (("::1", 12000), "[::1]:12000")],
)
def test_an_endpoint(address: tuple[str, int], shown: str) -> None:
    assert ping.endpoint(address) == shown


# --- Against peers ---


def test_ten_pings_by_default_each_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with Peer() as peer:
        status, lines = run(peer, capsys=capsys)

    assert status == 0
    assert without_times(lines) == [
        *(f"reply from 127.0.0.1:P: seq={number} time=T ms" for number in range(1, 11)),
        "10 sent, 10 received, 0 lost (0%)",
        "rtt min/avg/max = T/T/T ms",
    ]
    assert [heard.split()[:2] for heard in peer.heard] == [
        [b"Ping", str(number).encode()] for number in range(1, 11)
    ]


def test_lost_datagrams_are_told_and_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with Peer([[1], [], [3], []]) as peer:
        status, lines = run(peer, "--count", "5", "--timeout", str(SHORT), capsys=capsys)

    assert status == 0
    assert without_times(lines) == [
        "reply from 127.0.0.1:P: seq=1 time=T ms",
        "seq=2 timed out",
        "reply from 127.0.0.1:P: seq=3 time=T ms",
        "seq=4 timed out",
        "reply from 127.0.0.1:P: seq=5 time=T ms",
        "5 sent, 3 received, 2 lost (40%)",
        "rtt min/avg/max = T/T/T ms",
    ]


def test_all_lost_is_exit_1_and_no_division_by_zero(capsys: pytest.CaptureFixture[str]) -> None:
    with Peer([[], []]) as peer:
        status, lines = run(peer, "--count", "2", "--timeout", str(SHORT), capsys=capsys)

    assert status == 1
    assert lines == ["seq=1 timed out", "seq=2 timed out", "2 sent, 0 received, 2 lost (100%)"]


def test_late_duplicate_and_damaged_replies_are_told_and_not_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Peer([[], [1, 1, b"Ping 2 0", 2], [2, 3]]) as peer:
        status, lines = run(peer, "--count", "3", "--timeout", str(SHORT), capsys=capsys)

    assert status == 0
    assert without_times(lines) == [
        "seq=1 timed out",
        "late reply from 127.0.0.1:P: seq=1 time=T ms, not counted",
        "duplicate reply from 127.0.0.1:P: seq=1 time=T ms, not counted",
        "unknown datagram from 127.0.0.1:P: 8 bytes, not counted",
        "reply from 127.0.0.1:P: seq=2 time=T ms",
        "duplicate reply from 127.0.0.1:P: seq=2 time=T ms, not counted",
        "reply from 127.0.0.1:P: seq=3 time=T ms",
        "3 sent, 2 received, 1 lost (33.3%)",
        "rtt min/avg/max = T/T/T ms",
    ]


def test_a_reply_from_another_address_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, server.dup() as ear:
        server.bind(("127.0.0.1", 0))

        def answer_from_elsewhere() -> None:
            datagram, client = ear.recvfrom(2048)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(datagram, client)

        thread = threading.Thread(target=answer_from_elsewhere)
        thread.start()
        status, lines = run(
            server.getsockname(), "--count", "1", "--timeout", str(SHORT), capsys=capsys
        )
        thread.join()

    assert status == 1
    assert lines == ["seq=1 timed out", "1 sent, 0 received, 1 lost (100%)"]


def test_a_closed_port_is_told_at_once_and_the_run_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, lines = run(closed_port(), "--count", "3", "--timeout", "30", capsys=capsys)

    assert status == 1
    assert lines == [
        *(f"seq={number} port unreachable (connection refused)" for number in (1, 2, 3)),
        "3 sent, 0 received, 3 lost (100%)",
    ]


def test_an_icmp_error_does_not_keep_the_client_busy(capsys: pytest.CaptureFixture[str]) -> None:
    spent = time.process_time()
    run(closed_port(), "--count", "2", "--interval", "0.3", capsys=capsys)

    assert time.process_time() - spent < 0.15


def test_ipv6(capsys: pytest.CaptureFixture[str]) -> None:
    with Peer(family=socket.AF_INET6) as peer:
        status, lines = run(peer, "--count", "1", capsys=capsys)

    assert status == 0
    assert without_times(lines)[0] == "reply from [::1]:P: seq=1 time=T ms"


def test_the_interval_separates_pings_and_what_comes_meanwhile_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Peer([[1, 1]]) as peer:
        _, lines = run(peer, "--count", "2", "--interval", "0.1", capsys=capsys)

    first, second = (float(heard.split()[2]) for heard in peer.heard)
    assert second - first >= 0.09
    assert lines[1].startswith("duplicate reply")


def test_an_icmp_error_for_an_earlier_ping_does_not_swallow_the_next_one() -> None:
    host, port = closed_port()
    with ping.open_socket(host, port) as sock, ping.StopSignal() as stop:
        pinger = ping.Pinger(sock, stop, timeout=SHORT)
        sock.send(b"x")  # its port unreachable is pending now
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late_comer:
            late_comer.bind((host, port))
            late_comer.settimeout(LONG)
            pinger.run(1)
            assert late_comer.recv(2048).startswith(b"Ping 1 ")


def test_a_datagram_that_cannot_be_sent_is_told_and_lost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping, "payload_for", lambda sequence, _: b"x" * (66_000 + sequence))
    with Peer() as peer:
        status, lines = run(peer, "--count", "2", capsys=capsys)

    assert status == 1
    assert lines == [
        "seq=1 not sent: Message too long",
        "seq=2 not sent: Message too long",
        "2 sent, 0 received, 2 lost (100%)",
    ]


def test_the_socket_is_never_its_own_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    _, port = closed_port()
    made: list[socket.socket] = []

    def on_the_very_port(family: int) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if not made:
            sock.bind(("127.0.0.1", port))
        made.append(sock)
        return sock

    monkeypatch.setattr(ping, "new_socket", on_the_very_port)
    with ping.open_socket("127.0.0.1", port) as sock:
        assert sock.getsockname() != sock.getpeername()
    assert len(made) == 2


# --- The command line ---


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["127.0.0.1"], "the following arguments are required: port"),
        (["127.0.0.1", "0"], "'0' is no number from 1 to 65535"),
        (["127.0.0.1", "65536"], "'65536' is no number from 1 to 65535"),
        (["127.0.0.1", "١"], "'١' is no number from 1 to 65535"),
        (["127.0.0.1", "9" * 5000], "is no number from 1 to 65535"),
        (["127.0.0.1", "7", "--count", "0"], "'0' is no number from 1 to"),
        (["127.0.0.1", "7", "--timeout", "0"], "would lose every reply"),
        (["127.0.0.1", "7", "--timeout", "nan"], "'nan' is no time"),
        (["127.0.0.1", "7", "--interval", "inf"], "'inf' is no time"),
        (["127.0.0.1", "7", "--interval=-1"], "'-1' is no time"),
        (["127.0.0.1", "7", "--interval", "soon"], "'soon' is no time"),
    ],
)
def test_wrong_usage_is_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        ping.main(arguments)

    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 64 + ".test", "nul\0.test", ""])
def test_a_host_without_an_address_is_one_line_and_exit_2(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ping.main([host, "7"]) == 2

    error = capsys.readouterr().err
    assert error.startswith("udp_ping_client.py: cannot resolve ")
    assert error.count("\n") == 1


def test_a_host_without_an_address_of_the_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert ping.main(["-6", "127.0.0.1", "7"]) == 2
    assert capsys.readouterr().err.startswith("udp_ping_client.py: cannot resolve '127.0.0.1': ")


def test_a_host_out_of_reach_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    # Broadcasting must be asked for, so this fails on every machine, with or without a network.
    assert ping.main(["255.255.255.255", "7"]) == 2

    assert capsys.readouterr().err == (
        "udp_ping_client.py: cannot reach '255.255.255.255': Permission denied\n"
    )


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the program as a process of its own; what is still running is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, PROGRAM.name, *arguments],
            cwd=PROGRAM.parent,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_the_statistics_so_far(
    number: int, status: int, start: Callable[..., subprocess.Popen[str]]
) -> None:
    with Peer([[1], []]) as peer:
        process = start(*map(str, peer.address), "--timeout", "30")
        assert process.stdout is not None
        first = process.stdout.readline()  # and it comes at once, through a pipe
        process.send_signal(number)
        out, err = process.communicate(timeout=LONG)

    assert first.startswith("reply from 127.0.0.1:")
    # The signal may come before or after the second ping has left.
    assert re.match(
        r"(1 sent, 1 received, 0 lost \(0%\)|2 sent, 1 received, 1 lost \(50%\))\n", out
    )
    assert err == ""
    assert process.returncode == status


def test_a_closed_pipe_is_no_traceback(start: Callable[..., subprocess.Popen[str]]) -> None:
    with Peer([[1], []]) as peer:
        process = start(*map(str, peer.address), "--timeout", str(SHORT))
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(LONG) == -signal.SIGPIPE


def test_help(start: Callable[..., subprocess.Popen[str]]) -> None:
    out, _ = start("--help").communicate(timeout=LONG)

    assert "exit status:" in out

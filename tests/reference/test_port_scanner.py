"""The port scanner: its list of ports by tables, its probes against ports of every kind."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import port_scanner as scanner
from port_scanner import State, TcpProbe, UdpProbe

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(scanner.__file__)
SHORT = 0.2
"""Seconds: a time-out that is meant to run out."""

LONG = 5.0
"""Seconds: a time-out that must not."""

LOOPBACK = scanner.Target(socket.AF_INET, "127.0.0.1")


@contextmanager
def open_port(host: str = "127.0.0.1") -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        sock.listen(50)
        yield sock.getsockname()[1]


@contextmanager
def closed_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[int]:
    """Yield a port that nobody else can take and nobody listens on: TCP bound, UDP just free."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        if kind == socket.SOCK_DGRAM:
            sock.close()
        yield port


@contextmanager
def filtered_port() -> Iterator[int]:
    """Yield a port that answers nothing: its queue is full, and Linux drops any further SYN."""
    with ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]


@contextmanager
def udp_port(answer: bytes | None = None) -> Iterator[int]:
    """Yield a UDP port that answers, or swallows what comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(LONG)

        def serve() -> None:
            _, client = sock.recvfrom(2048)
            sock.sendto(answer or b"", client)

        thread = threading.Thread(target=serve)
        if answer is not None:
            thread.start()
        yield sock.getsockname()[1]
        if answer is not None:
            thread.join()


def scan(ports: list[int], probe: type[scanner.Probe] = TcpProbe, **how: float) -> list[State]:
    """Scan ports of 127.0.0.1 and return their states in the order of the list."""
    options = {"timeout": LONG, "retries": 0, "parallel": 200} | how
    results = scanner.Scan(
        LOOPBACK,
        probe,
        timeout=options["timeout"],
        retries=int(options["retries"]),
        parallel=int(options["parallel"]),
    ).run(ports)
    return [results[port] for port in ports]


# --- The list of ports ---


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("22", [22]),
        ("22,80", [22, 80]),
        ("80,22", [22, 80]),
        ("8000-8003", [8000, 8001, 8002, 8003]),
        ("80-80", [80]),
        ("3,1-4,2", [1, 2, 3, 4]),
        (" 22 , 80 - 81 ", [22, 80, 81]),
        ("1,65535", [1, 65535]),
        ("00080", [80]),
    ],
)
def test_lists_of_ports(text: str, ports: list[int]) -> None:
    assert scanner.parse_ports(text) == ports


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0", "there is no port 0: ports run from 1 to 65535"),
        ("65536", "there is no port 65536: ports run from 1 to 65535"),
        ("1-65536", "there is no port 65536"),
        ("0-5", "there is no port 0"),
        ("9" * 5000, "there is no port 99999"),
        ("90-80", "the range '90-80' runs backwards"),
        ("", "'' is neither a port nor a range"),
        ("22,", "'' is neither a port nor a range"),
        ("http", "'http' is neither a port nor a range"),
        ("-5", "'-5' is neither a port nor a range"),
        ("1-2-3", "'1-2-3' is neither a port nor a range"),
        ("+80", "'+80' is neither a port nor a range"),
        ("٨٠", "is neither a port nor a range"),
        ("8_0", "is neither a port nor a range"),
    ],
)
def test_wrong_lists_of_ports(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        scanner.parse_ports(text)


@given(st.lists(st.tuples(st.integers(1, 65535), st.integers(0, 50)), min_size=1, max_size=9))
def test_every_port_of_every_range_is_there_once(parts: list[tuple[int, int]]) -> None:
    ranges = [range(first, min(first + more, 65535) + 1) for first, more in parts]
    text = ",".join(f"{ports[0]}-{ports[-1]}" for ports in ranges)

    assert scanner.parse_ports(text) == sorted({port for ports in ranges for port in ports})


@given(st.text("0123456789,- +x٣", max_size=12))
def test_any_text_is_a_list_of_ports_or_an_error_in_our_words(text: str) -> None:
    try:
        ports = scanner.parse_ports(text)
    except ValueError as error:
        words = str(error)
    else:
        assert ports
        assert all(1 <= port <= 65535 for port in ports)
        return
    assert re.search("is neither a port nor a range|there is no port|runs backwards", words)


# --- What errors mean ---


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (0, State.OPEN),
        (errno.ECONNRESET, State.OPEN),
        (errno.EPIPE, State.OPEN),
        (errno.ECONNREFUSED, State.CLOSED),
        (errno.ETIMEDOUT, State.FILTERED),
        (errno.EHOSTUNREACH, State.FILTERED),
        (errno.ENETUNREACH, State.FILTERED),
        (errno.ENOPROTOOPT, State.FILTERED),
        (errno.EPERM, State.FILTERED),
    ],
)
def test_the_state_that_an_error_means(error: int, state: State) -> None:
    assert scanner.tcp_state(error) is state


def test_an_error_of_this_host_says_nothing_of_the_port() -> None:
    with pytest.raises(scanner.ScanError, match="cannot probe: Cannot assign requested address"):
        scanner.tcp_state(errno.EADDRNOTAVAIL)


# --- TCP ---


def test_open_closed_and_filtered_are_told_apart() -> None:
    with open_port() as open_, closed_port() as closed, filtered_port() as filtered:
        assert scan([open_, closed, filtered], timeout=SHORT) == [
            State.OPEN,
            State.CLOSED,
            State.FILTERED,
        ]


def test_a_connection_that_is_reset_at_once_was_open() -> None:
    # One probe per connection, many times: the reset may come before or after the probe looks.
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(50)
        port = sock.getsockname()[1]

        def reset_all() -> None:
            for _ in range(20):
                connection, _ = sock.accept()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

        thread = threading.Thread(target=reset_all)
        thread.start()
        states = [scan([port]) for _ in range(20)]
        thread.join()

    assert states == [[State.OPEN]] * 20


def test_a_socket_that_met_itself_is_a_closed_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as port:
        pass

    def on_the_very_port(family: int, kind: socket.SocketKind) -> socket.socket:
        sock = socket.socket(family, kind)
        sock.bind(("127.0.0.1", port))
        sock.setblocking(False)
        return sock

    monkeypatch.setattr(scanner, "new_socket", on_the_very_port)
    assert scan([port]) == [State.CLOSED]


def test_a_silent_port_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class CountingProbe(TcpProbe):
        def ask(self) -> State | None:
            asked.append(self.port)
            return super().ask()

    with filtered_port() as filtered, closed_port() as closed:
        states = scan([filtered, closed], CountingProbe, timeout=0.05, retries=2)

    assert states == [State.FILTERED, State.CLOSED]
    assert asked == [filtered, closed, filtered, filtered]


def test_many_silent_ports_wait_together() -> None:
    started = time.monotonic()
    with ExitStack() as stack:
        ports = [stack.enter_context(filtered_port()) for _ in range(40)]
        assert set(scan(ports, timeout=SHORT)) == {State.FILTERED}

    assert time.monotonic() - started < 10 * SHORT  # one after the other: 40 times


def test_no_more_probes_than_allowed_are_under_way() -> None:
    under_way: list[int] = []

    class CountedProbe(TcpProbe):
        def ask(self) -> State | None:
            under_way.append(self.port)
            assert len(under_way) <= 3
            return super().ask()

        def close(self) -> None:
            under_way.remove(self.port)
            super().close()

    with ExitStack() as stack:
        ports = [stack.enter_context(filtered_port()) for _ in range(7)]
        assert set(scan(ports, CountedProbe, timeout=0.02, parallel=3)) == {State.FILTERED}


@pytest.fixture
def few_files() -> Iterator[None]:
    """Let this process have only a handful of further files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - names, not paths
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 6, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("few_files")
def test_a_scan_gets_by_with_the_files_that_there_are() -> None:
    states = scan(list(range(1, 300)), UdpProbe, timeout=SHORT, parallel=300)

    assert len(states) == 299


def test_without_any_socket_the_scan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(family: int, kind: socket.SocketKind) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(scanner, "new_socket", none_left)
    with pytest.raises(scanner.ScanError, match="no socket to probe with: Too many open files"):
        scan([1])


def test_a_thousand_ports_take_no_time() -> None:
    started = time.monotonic()
    with open_port() as port:
        ports = scanner.parse_ports(f"{max(1, port - 500)}-{min(65535, port + 500)}")
        states = dict(zip(ports, scan(ports, timeout=SHORT), strict=True))

    assert states[port] is State.OPEN
    assert time.monotonic() - started < 3


def test_a_probe_may_know_its_answer_at_once() -> None:
    class QuickProbe(TcpProbe):
        def ask(self) -> State | None:
            return State.CLOSED if self.port % 2 else State.FILTERED

    assert scan([1, 2, 3], QuickProbe, parallel=1) == [
        State.CLOSED,
        State.FILTERED,
        State.CLOSED,
    ]


# --- UDP ---


def test_udp_open_closed_and_silent_are_told_apart() -> None:
    with (
        udp_port(b"answer") as open_,
        closed_port(socket.SOCK_DGRAM) as closed,
        udp_port() as silent,
    ):
        assert scan([open_, closed, silent], UdpProbe, timeout=SHORT) == [
            State.OPEN,
            State.CLOSED,
            State.OPEN_OR_FILTERED,
        ]


def test_an_empty_answer_is_an_answer() -> None:
    with udp_port(b"") as port:
        assert scan([port], UdpProbe) == [State.OPEN]


def test_a_datagram_that_was_damaged_on_the_way_is_no_answer() -> None:
    # The kernel finds the wrong checksum only when the datagram is read: ready, yet nothing there.
    with udp_port() as port:
        probe = UdpProbe(LOOPBACK, port)
        try:
            assert probe.ask() is None
            assert probe.answer() is None
        finally:
            probe.close()


def test_a_port_unreachable_that_waits_for_the_datagram_is_an_answer() -> None:
    with closed_port(socket.SOCK_DGRAM) as port:
        probe = UdpProbe(LOOPBACK, port)
        try:
            assert probe.ask() is None
            assert probe.answer() is State.CLOSED
        finally:
            probe.close()


@pytest.mark.parametrize("port", [53, 123])
def test_services_that_want_a_proper_question_get_one(port: int) -> None:
    assert len(scanner.QUESTIONS[port]) == {53: 17, 123: 48}[port]


def test_a_udp_socket_is_never_its_own_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port(socket.SOCK_DGRAM) as port:
        pass
    made: list[socket.socket] = []

    def on_the_very_port(family: int, kind: socket.SocketKind) -> socket.socket:
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        if not made:
            sock.bind(("127.0.0.1", port))
        made.append(sock)
        return sock

    monkeypatch.setattr(scanner, "new_socket", on_the_very_port)
    # The first socket is closed once the second has a port, so nobody is there to answer.
    assert scan([port], UdpProbe) == [State.CLOSED]
    assert len(made) == 2


# --- The command line ---


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    status = scanner.main(list(arguments))
    return status, capsys.readouterr().out.splitlines()


def test_a_line_for_each_port_in_order_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with open_port() as open_, closed_port() as closed, filtered_port() as filtered:
        ports = f"{filtered},{closed},{open_}"
        status, lines = run("127.0.0.1", ports, "--timeout", "0.1", "--retries", "0", capsys=capsys)

    assert status == 0
    states = {open_: "open", closed: "closed", filtered: "filtered"}
    assert lines[:3] == [f"{port}/tcp {state}" for port, state in sorted(states.items())]
    assert re.fullmatch(
        r"3 ports of 127\.0\.0\.1 scanned in 0\.\d\d s: 1 open, 1 closed, 1 filtered", lines[3]
    )


def test_a_known_service_is_named() -> None:
    assert scanner.port_line(25, "tcp", State.OPEN, "smtp") == "25/tcp open smtp"
    assert scanner.port_line(8001, "tcp", State.OPEN) == "8001/tcp open"
    assert scanner.service_name(65535, "tcp") == ""


def test_open_only_lists_what_is_or_may_be_open_and_counts_all() -> None:
    results = {1: State.OPEN, 2: State.CLOSED, 3: State.OPEN_OR_FILTERED, 4: State.FILTERED}
    report = scanner.Report("host", "192.0.2.1", "udp", results, 1.5, open_only=True)

    assert [port for port, _ in report.shown()] == [1, 3]
    assert report.text().splitlines()[-1] == (
        "4 ports of 192.0.2.1 scanned in 1.50 s: 1 open, 1 closed, 1 filtered, 1 open|filtered"
    )


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    with open_port() as open_, closed_port() as closed:
        status, lines = run("127.0.0.1", f"{open_},{closed}", "--json", capsys=capsys)

    assert status == 0
    assert len(lines) == 1
    report = json.loads(lines[0])
    assert report.pop("elapsed_s") < LONG
    assert report == {
        "host": "127.0.0.1",
        "address": "127.0.0.1",
        "protocol": "tcp",
        "ports": [
            {"port": port, "state": state, "service": None}
            for port, state in sorted({open_: "open", closed: "closed"}.items())
        ],
        "summary": {"open": 1, "closed": 1},
    }


def test_udp_by_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with closed_port(socket.SOCK_DGRAM) as port:
        status, lines = run("127.0.0.1", str(port), "--udp", capsys=capsys)

    assert status == 0
    assert lines[0] == f"{port}/udp closed"
    assert lines[1].startswith("1 port of 127.0.0.1 scanned in ")


def test_ipv6(capsys: pytest.CaptureFixture[str]) -> None:
    with open_port("::1") as port:
        _, lines = run("::1", str(port), capsys=capsys)

    assert lines[0] == f"{port}/tcp open"


def test_the_scope_of_a_link_local_address_is_kept() -> None:
    loopback = socket.if_nametoindex("lo")

    assert scanner.find_target("fe80::1%lo").at(7) == ("fe80::1", 7, 0, loopback)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["127.0.0.1"], "the following arguments are required: ports"),
        (["127.0.0.1", "65536"], "there is no port 65536: ports run from 1 to 65535"),
        (["127.0.0.1", "9-1"], "the range '9-1' runs backwards"),
        (["127.0.0.1", "1", "--parallel", "0"], "at least one probe must be under way"),
        (["127.0.0.1", "1", "--parallel", "many"], "'many' is no number"),
        (["127.0.0.1", "1", "--timeout", "0"], "'0' is no time above 0"),
        (["127.0.0.1", "1", "--timeout", "nan"], "'nan' is no time above 0"),
        (["127.0.0.1", "1", "--timeout", "soon"], "'soon' is no time above 0"),
        (["127.0.0.1", "1", "--retries", "-1"], "expected one argument"),
    ],
)
def test_wrong_usage_is_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        scanner.main(arguments)

    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 64 + ".test", "nul\0.test", ""])
def test_a_host_without_an_address_is_one_line_and_exit_2(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scanner.main([host, "1"]) == 2

    error = capsys.readouterr().err
    assert error.startswith("port_scanner.py: cannot resolve ")
    assert error.count("\n") == 1


def test_a_host_without_an_address_of_the_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert scanner.main(["-6", "127.0.0.1", "1"]) == 2
    assert capsys.readouterr().err.startswith("port_scanner.py: cannot resolve '127.0.0.1': ")


@pytest.mark.parametrize("protocol", [[], ["--udp"]])
def test_a_host_out_of_reach_is_one_line_and_exit_2(
    protocol: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # No TCP, and UDP only on demand, goes to the broadcast address: so it is on every machine.
    assert scanner.main(["255.255.255.255", "7", *protocol]) == 2

    error = capsys.readouterr().err
    assert error.startswith("port_scanner.py: cannot reach 255.255.255.255: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_scan_with_the_results_so_far(number: int) -> None:
    with filtered_port() as filtered, socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(50)
        sock.settimeout(LONG)
        open_ = sock.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, PROGRAM.name, "127.0.0.1", f"{filtered},{open_}", "--timeout", "30"],
            cwd=PROGRAM.parent,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            connection, _ = sock.accept()
            with connection:
                connection.settimeout(LONG)
                connection.recv(1)  # the end: by now the port is known to be open
            process.send_signal(number)
            out, err = process.communicate(timeout=LONG)

    assert out.splitlines()[0] == f"{open_}/tcp open"
    assert out.splitlines()[1].endswith(": 1 open")
    assert err == ""
    assert process.returncode == 128 + number


def test_help() -> None:
    result = subprocess.run(
        [sys.executable, PROGRAM, "--help"], capture_output=True, text=True, check=True
    )

    assert "exit status:" in result.stdout

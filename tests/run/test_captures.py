"""Every play on the private network leaves a capture: whole, and with the keys to its TLS."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from harness import network as network_module
from harness.model.capture import LOOPBACK, WIRE
from harness.model.record import What
from harness.network import tap
from harness.record import write_capture

from tests.run.theatre import Played, Theatre, play_once

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model.capture import Capture

TROUBLE = network_module._trouble()
pytestmark = pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

GREET = """
    import socket, sys
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as peer:
        peer.sendall(b"hello\\n")
        print(peer.recv(100))
"""
MAIL = """
    import smtplib, ssl, sys
    with smtplib.SMTP_SSL(sys.argv[1], int(sys.argv[2]), context=ssl.create_default_context()) as s:
        s.sendmail("ann@example.test", ["bo@example.test"], "Subject: TEST\\n\\nsecret words")
"""
FLOOD = """
    import socket
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for number in range(COUNT):
        out.sendto(number.to_bytes(4) + bytes(SIZE - 4), ("192.0.2.1", 9))
"""


def greet(theatre: Theatre, at: str = "server.example.test:12000") -> Played:
    plan = theatre.plan(
        "server< hello\nserver> HELLO",
        GREET,
        role="echo-client",
        cast=f"server: {{kind: tcp, at: '{at}', eol: lf}}",
        network="private",
    )
    return play_once(plan, network="private")


def mail(theatre: Theatre) -> Played:
    plan = theatre.plan(
        "mail< QUIT",
        MAIL,
        role="smtp-client",
        cast=(
            "mail: {kind: smtp, at: 'smtp.example.test:465', tls: implicit,"
            " mailboxes: [bo@example.test]}"
        ),
        network="private",
    )
    return play_once(plan, network="private")


def capture_of(played: Played) -> Capture:
    assert played.record.capture
    return played.record.capture


def tshark(folder: Path, capture: Capture, *arguments: str) -> list[str]:
    file = folder / "capture.pcapng"
    file.write_bytes(b"".join(write_capture(capture)))
    command = ["tshark", "-r", str(file), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def tcp_flags(capture: Capture) -> list[tuple[bool, int]]:
    """Whether the program's host sent it, and SYN, ACK, FIN, RST, of each segment over IPv4."""
    return [
        (frame.sent, frame.data[14 + 20 + 13] & 0b10111)
        for frame in capture.frames
        if frame.data[12:14] == b"\x08\x00" and frame.data[23] == 6
    ]


def test_a_capture_has_every_segment_once_from_the_first_to_the_last(theatre: Theatre) -> None:
    played = greet(theatre)
    flags = tcp_flags(capture_of(played))

    assert played.outcome == "passed"
    assert flags[:3] == [(True, 2), (False, 18), (True, 16)]
    assert sum(sent for sent, flag in flags if flag & 1) == 1
    assert sum(not sent for sent, flag in flags if flag & 1) == 1
    assert {frame.link for frame in capture_of(played).frames} == {WIRE}
    assert capture_of(played).gap == ""


def test_its_times_are_those_of_the_record(theatre: Theatre) -> None:
    played = greet(theatre)
    capture, record = capture_of(played), played.record
    (hello,) = [frame for frame in capture.frames if b"hello\n" in frame.data]
    (answer,) = [frame for frame in capture.frames if b"HELLO\n" in frame.data]
    (heard,), (said,) = record.of(What.HEARD), record.of(What.SAID)

    assert capture.seconds(hello) <= heard.at + 1e-3  # the two clocks differ by microseconds
    assert heard.at <= said.at <= capture.seconds(answer) + 1e-3


def test_who_meets_on_the_programs_own_host_is_captured_there_once(theatre: Theatre) -> None:
    played = greet(theatre, at="127.0.0.1:12000")
    flags = [flag for _, flag in tcp_flags(capture_of(played))]

    assert played.outcome == "passed"
    assert flags[:3] == [2, 18, 16]
    assert sum(flag & 2 for flag in flags) == 4  # SYN, and SYN ACK
    links = {frame.link for frame in capture_of(played).frames if frame.data[12:14] == b"\x08\x00"}
    assert links == {LOOPBACK}


def test_a_capture_begins_before_the_program_does(theatre: Theatre) -> None:
    """A program that is started has a name looked up, or a port tried, at once."""
    played = greet(theatre)
    capture = capture_of(played)
    first = next(frame for frame in capture.frames if frame.sent and frame.data[23] == 6)

    assert first.data[47] & 2


def flood(theatre: Theatre, count: int, size: int) -> list[bytes]:
    plan = theatre.plan(
        "",
        FLOOD.replace("COUNT", str(count)).replace("SIZE", str(size)),
        role="echo-client",
        cast="server: {kind: udp, at: '192.0.2.1:9', answer: nothing}",
        network="private",
    )
    capture = capture_of(play_once(plan, network="private"))
    seen = [frame.data[42:46] for frame in capture.frames if frame.data[23] == 17]
    others = len(seen) + capture.lost + capture.beyond - count  # the kernel's own, to multicast
    assert 0 <= others <= 10
    assert (capture.lost, capture.beyond) == (0, 0) or capture.gap
    return seen


def test_what_is_not_in_it_is_counted(theatre: Theatre) -> None:
    seen = flood(theatre, 20_000, 600)

    assert seen == sorted(set(seen))


def test_a_program_that_sends_some_hundreds_at_once_is_captured_whole(theatre: Theatre) -> None:
    assert [int.from_bytes(mark) for mark in flood(theatre, 300, 20)] == list(range(300))


def test_what_comes_behind_the_limit_is_counted_and_told(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap.Tap.__init__, "__defaults__", (2_000,))
    seen = flood(theatre, 100, 142)  # 184 octets a frame, some others among them

    assert 0 < len(seen) <= 10


def test_a_play_on_loopback_has_none(theatre: Theatre) -> None:
    plan = theatre.plan(
        "server< hello\nserver> HELLO",
        GREET,
        role="echo-client",
        cast="server: {kind: tcp, at: 12000, eol: lf}",
    )

    assert play_once(plan).record.capture is None


@needs_tshark
def test_wireshark_reads_what_was_said_inside_of_tls(theatre: Theatre, tmp_path: Path) -> None:
    played = mail(theatre)
    lines = tshark(tmp_path, capture_of(played), "-Y", "smtp")

    assert played.outcome == "passed", played.headline
    assert any("mail FROM:<ann@example.test>" in line for line in lines)
    assert not any(b"mail FROM" in frame.data for frame in capture_of(played).frames)


@needs_tshark
def test_without_the_secrets_it_does_not(theatre: Theatre, tmp_path: Path) -> None:
    capture = capture_of(mail(theatre))
    unread = type(capture)(capture.frames, capture.curtain_ns)

    assert capture.secrets
    assert tshark(tmp_path, unread, "-Y", "smtp") == []


@needs_tshark
def test_wireshark_finds_times_names_links_and_right_checksums(
    theatre: Theatre, tmp_path: Path
) -> None:
    capture = capture_of(greet(theatre))
    fields = ["frame.time_epoch", "frame.interface_name", "ip.dst_host", "tcp.checksum.status"]
    words = [word for field in fields for word in ("-e", field)]
    options = ["-o", "tcp.check_checksum:TRUE", "-N", "n", "-T", "fields", *words]
    rows = [row.split("\t") for row in tshark(tmp_path, capture, *options, "-Y", "tcp")]

    assert {row[1] for row in rows} == {WIRE}
    assert "server.example.test" in {row[2] for row in rows}
    assert {row[3] for row in rows} == {"1"}  # "Good"
    assert f"{min(float(row[0]) for row in rows):.6f}" in [
        f"{frame.time_ns / 1e9:.6f}" for frame in capture.frames
    ]


def test_a_program_that_says_nothing_leaves_one_too(theatre: Theatre) -> None:
    plan = theatre.plan_of(
        "",
        f"[{sys.executable}, -c, 'raise SystemExit(3)']",
        role="echo-client",
        cast="server: {kind: tcp, at: 12000}",
        more="expect: {exit: 3}",
        network="private",
    )
    (theatre.author / "program.py").touch()
    played = play_once(plan, network="private")

    assert played.outcome == "passed"
    assert tcp_flags(capture_of(played)) == []

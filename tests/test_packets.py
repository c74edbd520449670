"""Packets from frames: heads of IP, TCP, UDP and ICMP, built here by hand from the RFCs."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from harness.model.capture import LOOPBACK, WIRE, Capture, Frame
from harness.packets import End, Packet, packets, unanswered
from hypothesis import given
from hypothesis import strategies as st

ME, YOU = "198.19.255.2", "198.18.1.7"
ME6, YOU6 = "2001:2:0:ffff::2", "2001:db8::7"
SYN, FIN, RST, ACK, PSH = 2, 1, 4, 16, 8


def frame(data: bytes, *, sent: bool = True, link: str = WIRE, at: int = 0) -> Frame:
    kind = b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00"
    return Frame(10**9 + at, link, sent, bytes(12) + kind + data)


def ip(
    protocol: int,
    payload: bytes,
    *,
    source: str = ME,
    target: str = YOU,
    ttl: int = 64,
    part: int = 0,
) -> bytes:
    size = len(payload) + 20
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    return struct.pack("!BBHHHBBH", 0x45, 0, size, 1, part, ttl, protocol, 0) + ends + payload


def ip6(protocol: int, payload: bytes, *, source: str = ME6, target: str = YOU6) -> bytes:
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload


def tcp(ports: tuple[int, int], number: int, bits: int, data: bytes = b"") -> bytes:
    return struct.pack("!HHIIBBHHH", *ports, number, 0, 5 << 4, bits, 0, 0, 0) + data


def udp(ports: tuple[int, int], data: bytes) -> bytes:
    return struct.pack("!HHHH", *ports, len(data) + 8, 0) + data


def checked(message: bytes, ends: bytes = b"") -> bytes:
    """With its checksum (RFC 1071), by another way of adding than that of the module."""
    covered = ends + message + bytes(len(message) % 2)
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered)) % 0xFFFF
    return message[:2] + struct.pack("!H", 0xFFFF - total) + message[4:]


def of(*frames: Frame) -> list[Packet]:
    return list(packets(Capture(frames, 10**9)))


def told(*frames: Frame) -> list[str]:
    return [packet.spellings("a", "b")[-1] for packet in of(*frames)]


def test_a_segment_tells_its_flags_its_data_and_its_ttl() -> None:
    segments = [
        frame(ip(6, tcp((4000, 25), 7, SYN))),
        frame(ip(6, tcp((4000, 25), 8, ACK | PSH, b"hello"), ttl=3)),
        frame(ip(6, tcp((4000, 25), 13, FIN | ACK))),
        frame(ip(6, tcp((25, 4000), 0, RST), source=YOU, target=ME), sent=False),
    ]

    assert told(*segments) == [
        "a > b: tcp SYN, ttl 64",
        "a > b: tcp ACK, 5 octets, ttl 3",
        "a > b: tcp FIN ACK, ttl 64",
        "a > b: tcp RST, ttl 64",
    ]
    first, *_, last = of(*segments)
    assert (first.source, first.target) == (End(ME, 4000), End(YOU, 25))
    assert (first.outward, first.inward, last.outward, last.inward) == (True, False, False, True)


def test_a_line_is_spelt_in_every_length() -> None:
    (packet,) = of(frame(ip(6, tcp((4000, 25), 8, ACK, b"!"))))

    assert packet.spellings("program", "mail") == (
        "program > mail",
        "program > mail: tcp",
        "program > mail: tcp ACK",
        "program > mail: tcp ACK, 1 octet",
        "program > mail: tcp ACK, 1 octet, ttl 64",
    )


@pytest.mark.parametrize("start", [7, 2**32 - 3])
def test_what_is_sent_again_is_told_also_where_numbers_begin_anew(start: int) -> None:
    numbers = [start, start + 1, start + 6, start + 1, start + 4, start + 13, start + 13]
    bits = [SYN, ACK, ACK, ACK, ACK, FIN | ACK, FIN | ACK]
    data = [b"", b"hello", b"world", b"hello", b"lo-more!!", b"", b""]
    segments = [
        frame(ip(6, tcp((4000, 25), number % 2**32, bit, text)))
        for number, bit, text in zip(numbers, bits, data, strict=True)
    ]

    again = [packet.number for packet in of(*segments) if packet.again]
    assert again == [4, 7]  # the fifth has something new in it


def test_the_same_ports_may_begin_another_connection() -> None:
    first, second = (frame(ip(6, tcp((4000, 25), number, SYN))) for number in (900, 100))

    assert [packet.again for packet in of(first, first, second)] == [False, True, False]


def test_acknowledgements_are_never_again() -> None:
    ack = frame(ip(6, tcp((4000, 25), 8, ACK)))

    assert not any(packet.again for packet in of(ack, ack, ack))


def test_datagrams_and_their_fragments() -> None:
    datagram = udp((4000, 53), bytes(30))

    assert told(
        frame(ip(17, datagram)),
        frame(ip6(17, datagram)),
        frame(ip(17, datagram[:24], part=0x2000)),
        frame(ip(17, datagram[24:], part=3)),
        frame(ip6(44, struct.pack("!BBHI", 17, 0, 24, 1) + datagram[24:])),
        frame(ip6(0, struct.pack("!BB6x", 17, 0) + datagram)),
    ) == [
        "a > b: udp, 30 octets, ttl 64",
        "a > b: udp, 30 octets, ttl 64",
        "a > b: udp, 30 octets, ttl 64",  # as its head says; the rest follows
        "a > b: fragment, 14 octets, ttl 64",
        "a > b: fragment, 14 octets, ttl 64",
        "a > b: udp, 30 octets, ttl 64",
    ]


def test_echoes_and_whether_their_checksums_are_right() -> None:
    request = struct.pack("!BBHHH", 8, 0, 0, 77, 3) + b"ping"
    request6 = struct.pack("!BBHHH", 128, 0, 0, 77, 3) + b"pings"
    ends = ipaddress.ip_address(ME6).packed + ipaddress.ip_address(YOU6).packed
    pseudo = ends + struct.pack("!II", len(request6), 58)

    assert told(
        frame(ip(1, checked(request))),
        frame(ip(1, checked(request)[:-1] + b"!")),
        frame(ip6(58, checked(request6, pseudo))),
        frame(ip6(58, checked(request6))),
    ) == [
        "a > b: icmp echo request 3, id 77, 4 octets, ttl 64",
        "a > b: icmp echo request 3, id 77, 4 octets, wrong checksum, ttl 64",
        "a > b: icmp echo request 3, id 77, 5 octets, ttl 64",
        "a > b: icmp echo request 3, id 77, 5 octets, wrong checksum, ttl 64",
    ]


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        (3, 0, "net unreachable"),
        (3, 1, "host unreachable"),
        (3, 3, "port unreachable"),
        (3, 13, "prohibited"),
        (11, 0, "time exceeded"),
        (5, 1, "type 5 code 1"),
    ],
)
def test_errors_tell_what_they_are_about(kind: int, code: int, words: str) -> None:
    quoted = ip(17, udp((4000, 9), b"x"))
    message = checked(struct.pack("!BBHI", kind, code, 0, 0) + quoted)
    (packet,) = of(frame(ip(1, message, source=YOU, target=ME), sent=False))

    assert packet.told == words
    assert packet.about == ("udp", End(ME, 4000), End(YOU, 9))


def test_what_kernels_say_to_each_other_is_no_packet() -> None:
    report = struct.pack("!BBHI", 143, 0, 0, 0)
    arp = Frame(0, WIRE, sent=True, data=bytes(12) + b"\x08\x06" + bytes(28))

    assert of(arp, frame(ip6(58, report)), frame(ip(2, bytes(8)))) == []


def test_packets_are_numbered_as_frames_and_timed_from_the_curtain() -> None:
    arp = Frame(0, WIRE, sent=True, data=bytes(12) + b"\x08\x06" + bytes(28))
    (packet,) = of(arp, frame(ip(17, udp((1, 2), b"")), at=12_000_000))

    assert (packet.number, packet.at) == (2, 0.012)


@given(st.binary(max_size=90), st.sampled_from([b"\x08\x00", b"\x86\xdd"]))
def test_whatever_octets_a_program_sends_nothing_breaks(data: bytes, kind: bytes) -> None:
    noise = Frame(0, WIRE, sent=True, data=bytes(12) + kind + data)

    assert len(of(noise)) <= 1


def test_who_knocks_where_nobody_is_finds_no_answer() -> None:
    def segment(number: int, bits: int, port: int, *, back: bool = False) -> Frame:
        source, target = (YOU, ME) if back else (ME, YOU)
        ports = (port, 4000) if back else (4000, port)
        segment = tcp(ports, number, bits)
        return frame(ip(6, segment, source=source, target=target), sent=not back)

    refused = struct.pack("!BBHI", 3, 3, 0, 0) + ip(17, udp((4000, 9), b"x"))
    gone = frame(ip(1, checked(refused), source=YOU, target=ME), sent=False)
    knocks = [
        segment(1, SYN, 25),
        segment(5, SYN | ACK, 25, back=True),
        segment(1, SYN, 26),
        segment(0, RST | ACK, 26, back=True),
        segment(1, SYN, 26),
        frame(ip(17, udp((4000, 9), b"x"))),
        gone,
        frame(ip(17, udp((4000, 10), b"x"))),
    ]

    assert list(unanswered(of(*knocks))) == [("tcp", End(YOU, 26)), ("udp", End(YOU, 9))]


def test_on_the_programs_own_host_a_packet_goes_neither_out_nor_in() -> None:
    (packet,) = of(frame(ip(17, udp((1, 2), b""), target=ME), link=LOOPBACK, sent=False))

    assert (packet.outward, packet.inward) == (False, False)

"""Frames of a capture as packets: the heads of Ethernet, IP, TCP, UDP and ICMP, and no more.

Pure.  What is no IP, and what kernels say to each other about addresses and groups (ARP, IGMP, the
listener reports and neighbour discovery of ICMPv6), is no packet here: no program has asked for it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.model.capture import Capture

Protocol = Literal["tcp", "udp", "icmp", "fragment", "other"]

_ETHERNET, _IPV4, _IPV6 = 14, b"\x08\x00", b"\x86\xdd"
_PROTOCOLS: dict[int, Protocol] = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}
_IGMP, _ICMPV6, _FRAGMENT = 2, 58, 44
_EXTENSIONS = (
    0,
    43,
    60,
)  # of IPv6: options for each hop, routing, options for the end (RFC 8200 4)
_OFFSET, _MORE = 0x1FFF, 0x2000
#: The bits of TCP that tell how a connection begins and ends, in the order in which they are told.
_FLAGS = {"SYN": 2, "FIN": 1, "RST": 4, "ACK": 16}
_ECHOES = {8: "echo request", 0: "echo reply", 128: "echo request", 129: "echo reply"}
#: What an error of ICMP or ICMPv6 tells, by type and code (RFC 792, RFC 1812, RFC 4443).
_ERRORS = {
    (3, 0): "net unreachable",
    (3, 1): "host unreachable",
    (3, 3): "port unreachable",
    (3, 13): "prohibited",
    (11, 0): "time exceeded",
}
_ERRORS6 = {
    (1, 0): "net unreachable",
    (1, 1): "prohibited",
    (1, 3): "host unreachable",
    (1, 4): "port unreachable",
    (3, 0): "time exceeded",
}
_ERROR_TYPES, _ERROR_TYPES6 = (3, 4, 5, 11, 12), (1, 2, 3, 4)
_KERNELS_OWN = (*range(130, 138), 143)  # types of ICMPv6


class End(NamedTuple):
    """One end of a packet; the port is 0 where there is none."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host and self.port else self.host
        return f"{host}:{self.port}" if self.port else host


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of IP.

    Attributes:
        number: Of its frame in the capture, from 1, as Wireshark counts.
        at: Seconds on the clock of the record.
        outward: Whether the program's host sent it to another one; on `lo` False, as `inward`.
        inward: Whether another host sent it.
        size: Octets of data: behind the head of TCP, UDP or an echo.
        told: What the protocol's head says: flags of TCP, what an ICMP message is.
        again: Whether TCP had sent all of its data (or its SYN, or FIN) before.
        right: Whether the checksum of an ICMP message is right.
        about: What a packet was that an ICMP error is about: protocol, sender, receiver.
    """

    number: int
    at: float
    outward: bool
    inward: bool
    source: End
    target: End
    protocol: Protocol
    ttl: int
    size: int
    told: str = ""
    again: bool = False
    right: bool = True
    about: tuple[Protocol, End, End] | None = None

    def spellings(self, source: str, target: str) -> tuple[str, ...]:
        """The packet in a line, between ends that have these names; the shortest spelling first.

        Each one says a word more, so that a pattern can end where it likes.
        """
        told, *more = self.told.split(", ")
        octets = f"{self.size} octet{'s' * (self.size != 1)}" if self.size else ""
        again, wrong = "again" * self.again, "" if self.right else "wrong checksum"
        head = [f"{source} > {target}", f": {self.protocol}", f" {told}" if told else ""]
        tail = [f", {words}" for words in (*more, octets, again, wrong, f"ttl {self.ttl}") if words]
        return tuple(accumulate(word for word in (*head, *tail) if word))


def packets(capture: Capture) -> Iterator[Packet]:
    """The packets of a capture, in order."""
    streams = _Streams()
    for number, frame in enumerate(capture.frames, start=1):
        try:
            heads = _heads(frame.data)
        except (IndexError, ValueError):
            continue  # what is cut off in the middle of a head says nothing
        if heads is None or _is_kernels(heads):
            continue
        wired = frame.link == "eth0"
        yield _packet(
            heads,
            number=number,
            at=capture.seconds(frame),
            outward=wired and frame.sent,
            inward=wired and not frame.sent,
            streams=streams,
        )


@dataclass(slots=True)
class _Heads:
    """What the head of IP says, and what is behind it."""

    source: str
    target: str
    number: int  # of the protocol
    ttl: int
    payload: bytes
    whole: bool = True  # the first and only fragment
    first: bool = True

    @property
    def v6(self) -> bool:
        return ":" in self.source


def _heads(frame: bytes) -> _Heads | None:
    kind, data = frame[12:_ETHERNET], frame[_ETHERNET:]
    if kind == _IPV4:
        return _ipv4(data)
    return _ipv6(data) if kind == _IPV6 else None


def _ipv4(data: bytes) -> _Heads:
    """RFC 791 3.1."""
    end = int.from_bytes(data[2:4]) or len(data)  # 0 where the kernel left it to the hardware
    part = int.from_bytes(data[6:8])
    return _Heads(
        source=str(ipaddress.IPv4Address(data[12:16])),
        target=str(ipaddress.IPv4Address(data[16:20])),
        number=data[9],
        ttl=data[8],
        payload=data[(data[0] & 0x0F) * 4 : end],
        whole=not part & (_OFFSET | _MORE),
        first=not part & _OFFSET,
    )


def _ipv6(data: bytes) -> _Heads:
    """RFC 8200 3 and 4."""
    heads = _Heads(
        source=str(ipaddress.IPv6Address(data[8:24])),
        target=str(ipaddress.IPv6Address(data[24:40])),
        number=data[6],
        ttl=data[7],
        payload=data[40 : 40 + int.from_bytes(data[4:6])],
    )
    while heads.number in (*_EXTENSIONS, _FRAGMENT):
        payload, size = heads.payload, 8
        if heads.number == _FRAGMENT:
            part = int.from_bytes(payload[2:4])
            heads.whole, heads.first = not part & 0xFFF9, not part & 0xFFF8
        else:
            size = (payload[1] + 1) * 8
        heads.number, heads.payload = payload[0], payload[size:]
        if not heads.first:
            break
    return heads


def _is_kernels(heads: _Heads) -> bool:
    if heads.number == _IGMP:
        return True
    return (
        heads.number == _ICMPV6 and heads.first and heads.payload[:1] in map(_octet, _KERNELS_OWN)
    )


def _octet(number: int) -> bytes:
    return bytes([number])


def _packet(
    heads: _Heads, *, number: int, at: float, outward: bool, inward: bool, streams: _Streams
) -> Packet:
    protocol: Protocol = _PROTOCOLS.get(heads.number, "other") if heads.first else "fragment"
    source, target = _ends(heads, protocol)
    payload, told, size = heads.payload, "", len(heads.payload)
    again, right, about = False, True, None
    if protocol == "tcp":
        bits, size = payload[13], max(0, len(payload) - (payload[12] >> 4) * 4)
        told = " ".join(name for name, bit in _FLAGS.items() if bits & bit)
        again = streams.again((source, target), int.from_bytes(payload[4:8]), size, bits)
    elif protocol == "udp":
        size = max(0, int.from_bytes(payload[4:6]) - 8)
    elif protocol == "icmp":
        told, size, about = _icmp(heads)
        right = not heads.whole or _is_right(heads)
    elif protocol == "other":
        told = f"protocol {heads.number}"
    return Packet(
        number,
        at,
        outward,
        inward,
        source,
        target,
        protocol,
        heads.ttl,
        size,
        told,
        again,
        right,
        about,
    )


def _ends(heads: _Heads, protocol: Protocol) -> tuple[End, End]:
    if protocol not in ("tcp", "udp"):
        return End(heads.source), End(heads.target)
    ports = int.from_bytes(heads.payload[:2]), int.from_bytes(heads.payload[2:4])
    return End(heads.source, ports[0]), End(heads.target, ports[1])


def _icmp(heads: _Heads) -> tuple[str, int, tuple[Protocol, End, End] | None]:
    """What a message is, how much it carries, and what it is about."""
    kind, code, payload = heads.payload[0], heads.payload[1], heads.payload
    if (kind >= 128) is heads.v6 and kind in _ECHOES:
        identifier, number = int.from_bytes(payload[4:6]), int.from_bytes(payload[6:8])
        return f"{_ECHOES[kind]} {number}, id {identifier}", len(payload) - 8, None
    errors, types = (_ERRORS6, _ERROR_TYPES6) if heads.v6 else (_ERRORS, _ERROR_TYPES)
    told = errors.get((kind, code), f"type {kind} code {code}")
    if kind not in types:
        return told, max(0, len(payload) - 8), None
    try:
        quoted = _ipv6(payload[8:]) if heads.v6 else _ipv4(payload[8:])
        protocol: Protocol = _PROTOCOLS.get(quoted.number, "other")
        return told, 0, (protocol, *_ends(quoted, protocol))
    except (IndexError, ValueError):
        return told, 0, None


def _is_right(heads: _Heads) -> bool:
    """RFC 1071; over IPv6 a pseudo-header is counted too (RFC 8200 8.1)."""
    data = heads.payload
    if heads.v6:
        ends = ipaddress.ip_address(heads.source).packed + ipaddress.ip_address(heads.target).packed
        data = ends + len(data).to_bytes(4) + _ICMPV6.to_bytes(4) + data
    data += bytes(len(data) % 2)
    total = sum(int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


@dataclass
class _Streams:
    """How far each end of each connection has sent (RFC 9293 3.4), to know what is sent again."""

    ends: dict[tuple[End, End], int] = field(default_factory=dict)

    def again(self, way: tuple[End, End], number: int, size: int, bits: int) -> bool:
        """Whether everything that a segment carries was sent before."""
        carried = size + bool(bits & _FLAGS["SYN"]) + bool(bits & _FLAGS["FIN"])
        end = (number + carried) & 0xFFFFFFFF
        before = self.ends.get(way)
        if before is None or (bits & _FLAGS["SYN"] and end != before):
            self.ends[way] = end  # a connection begins, perhaps another one between the same ends
            return False
        if not carried:
            return False
        if 0 < (end - before) & 0xFFFFFFFF < 1 << 31:
            self.ends[way] = end
            return False
        return True


def unanswered(of: Iterable[Packet]) -> Iterator[tuple[Protocol, End]]:
    """Where the program's host knocked and nobody was, each once: by TCP or UDP.

    That is where a SYN was not answered by another one, and where a datagram was told to have
    reached no port.
    """
    tried: dict[tuple[Protocol, End], None] = {}
    answered: set[tuple[Protocol, End]] = set()
    for packet in of:
        if packet.told == "SYN" and not packet.inward:
            tried.setdefault(("tcp", packet.target))
        elif packet.told == "SYN ACK":
            answered.add(("tcp", packet.source))
        elif packet.about and packet.told == "port unreachable" and packet.about[0] == "udp":
            tried.setdefault(("udp", packet.about[2]))
    yield from (place for place in tried if place not in answered)

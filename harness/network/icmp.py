"""ICMP as actors speak it: hosts that answer echo requests, and routers that tell of errors.

A host is one raw socket (RFC 792, RFC 4443), with the kernel's own answers switched off: so an
answer can be lost, late or damaged, and is in the record.  Over ICMPv6 the kernel writes each
checksum itself; an answer that is damaged there is held back, as the program's kernel would drop
it (RFC 4443 2.3, RFC 3542 3.1).

A router's messages are written here, not by routes of the kernel: an unreachable route is one for a
whole host, knows no time that has run out, and speaks for IPv6 only of a missing route (1/0).
Besides, what is written here can be recorded.

What a program sees of it is Linux's choice (icmp(7), `icmp_err_convert`, `icmpv6_err_convert`).
A connect fails at once.  A datagram's error reaches a connected socket only where the kernel
calls it fatal, which is `admin`; of the others a program learns only if it set IP_RECVERR.

Whoever pings finds the message itself in a raw socket, or the error in the queue of a ping
socket that asked for it (IP_RECVERR).

========  ========  ======  ============  ==================
code      ICMP      ICMPv6  connect       connected UDP
========  ========  ======  ============  ==================
host      3/1       1/3     EHOSTUNREACH  nothing
net       3/0       1/0     ENETUNREACH   nothing
admin     3/13      1/1     EHOSTUNREACH  EHOSTUNREACH
  (IPv6)                    EACCES        EACCES
expired   11/0      3/0     EHOSTUNREACH  nothing
========  ========  ======  ============  ==================
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Literal

from harness.network.sockets import attach_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.network.interface import Place, Transport

Code = Literal["host", "net", "admin", "expired"]

PROTOCOLS = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
ETHERTYPES = {socket.AF_INET: 0x0800, socket.AF_INET6: 0x86DD}

_TYPES = {
    socket.AF_INET: {"host": (3, 1), "net": (3, 0), "admin": (3, 13), "expired": (11, 0)},
    socket.AF_INET6: {"host": (1, 3), "net": (1, 0), "admin": (1, 1), "expired": (3, 0)},
}
#: How much of a packet is quoted: with both headers it fills the 576 octets of RFC 1812 4.3.2.3,
#: or the least MTU of IPv6 (RFC 4443 2.4 c).
_QUOTED = {socket.AF_INET: 576 - 28, socket.AF_INET6: 1280 - 48}
_TRANSPORTS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_LARGEST = 65_535
_OFFSET = 0x1FFF  # of a fragment (RFC 791 3.1)

# BPF, <linux/filter.h>
_BYTE, _HALF, _WORD, _BYTE_BEHIND_HEADER, _HALF_BEHIND_HEADER = 0x30, 0x28, 0x20, 0x50, 0x48
_HEADER_LENGTH, _JUMP_IF_EQUAL, _RETURN = 0xB1, 0x15, 0x06


#: Echo request and echo reply (RFC 792, RFC 4443 4).
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
#: Types that an actor does not hear: answers, and what a kernel tells of other packets.
_UNHEARD = (0, 3, 11, 12, 14, 16, 18)
_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1  # <linux/icmp.h>, <linux/icmpv6.h>


class EchoSocket:
    """A host that is asked for echoes: hears what comes for one address, and answers from there.

    Args:
        host: Its numeric address.
        sock: A raw ICMP or ICMPv6 socket that is bound there; now owned.
    """

    def __init__(self, host: str, sock: socket.socket) -> None:
        self.host = host
        self._sock = sock
        if ":" in host:
            wanted = 128
            words = [0xFFFF_FFFF] * 8  # a bit that is set holds a type back
            words[wanted >> 5] &= ~(1 << (wanted & 31))
            mask = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
            sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, mask)
        else:
            sock.setsockopt(_SOL_RAW, _ICMP_FILTER, sum(1 << kind for kind in _UNHEARD))

    def fileno(self) -> int:
        """Readable when something has come."""
        return self._sock.fileno()

    def messages(self) -> Iterator[tuple[bytes, str]]:
        """The ICMP messages that have come, from their type on, each with who sent it."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (source, *_) = self._sock.recvfrom(_LARGEST)
                if ":" not in self.host:
                    data = data[(data[0] & 0x0F) * 4 :]  # the head of IP comes along
                yield data, source

    def right_checksum(self, message: bytes, partner: str) -> int:
        """The checksum that a message between this host and its partner must have."""
        return _checksum(self._covered(partner, message[:2] + bytes(2) + message[4:]))

    def is_right(self, message: bytes, partner: str) -> bool:
        """Whether its checksum is right, so that it is more than noise to a host."""
        return not _checksum(self._covered(partner, message))

    def echo_of(self, message: bytes, partner: str) -> bytes | None:
        """The answer to an echo request; None for any other message."""
        request, reply = _ECHO[_family_of(self.host)]
        if message[0] != request:
            return None
        answer = bytes([reply, 0, 0, 0]) + message[4:]
        checksum = self.right_checksum(answer, partner)
        return answer[:2] + checksum.to_bytes(2) + answer[4:]

    def send(self, message: bytes, target: str) -> None:
        """Send an answer.

        Raises:
            OSError: the kernel refuses.
        """
        if ":" in self.host and not self.is_right(message, target):
            return
        self._sock.sendto(message, (target, 0))

    def close(self) -> None:
        """Hear no more."""
        self._sock.close()

    def _covered(self, partner: str, message: bytes) -> bytes:
        """What the checksum is over: for ICMPv6 the addresses too (RFC 8200 8.1)."""
        if ":" not in self.host:
            return message
        ends = [socket.inet_pton(socket.AF_INET6, host) for host in (self.host, partner)]
        counted = len(message).to_bytes(4) + socket.IPPROTO_ICMPV6.to_bytes(4)
        return b"".join([*ends, counted, message])


class Router:
    """Stands on the way to one place, where nobody answers, and tells whoever goes there.

    Args:
        place: The place.
        transport: Over what it is reached; over ICMP, by echo requests.
        tap: An AF_PACKET socket that sees the way without its frames; now the router's.
        voice: A raw ICMP or ICMPv6 socket, bound to the router's address; likewise.
    """

    def __init__(
        self,
        place: Place,
        transport: Transport | Literal["icmp"],
        tap: socket.socket,
        voice: socket.socket,
    ) -> None:
        self.place = place
        self._tap = tap
        self._voice = voice
        attach_filter(tap, _only(place, transport))

    def fileno(self) -> int:
        """Readable when somebody comes."""
        return self._tap.fileno()

    def packets(self) -> Iterator[bytes]:
        """The packets for the place that have come, from the head of IP on.

        None that is a later fragment: nobody is told of those (RFC 1122 3.2.2).
        """
        with contextlib.suppress(BlockingIOError):
            while packet := self._tap.recv(_LARGEST):
                if packet[0] >> 4 == 6 or not int.from_bytes(packet[6:8]) & _OFFSET:
                    yield packet

    def tell(self, packet: bytes, code: Code) -> None:
        """Answer a packet by an ICMP error."""
        self._voice.sendto(error_about(packet, code), (_source(packet), 0))

    def close(self) -> None:
        """Leave the way."""
        self._tap.close()
        self._voice.close()


def error_about(packet: bytes, code: Code) -> bytes:
    """The ICMP error about a packet, from its type on.

    For IPv6 the checksum, which covers addresses too, is left to the kernel (RFC 3542 3.1).
    """
    family = _family(packet)
    kind, number = _TYPES[family][code]
    rest = bytes(4) + packet[: _QUOTED[family]]
    head = bytes([kind, number])
    checksum = _checksum(head + bytes(2) + rest) if family is socket.AF_INET else 0
    return head + checksum.to_bytes(2) + rest


def _family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _family(packet: bytes) -> socket.AddressFamily:
    return socket.AF_INET6 if packet[0] >> 4 == 6 else socket.AF_INET


def _source(packet: bytes) -> str:
    family = _family(packet)
    octets = packet[8:24] if family is socket.AF_INET6 else packet[12:16]
    return socket.inet_ntop(family, octets)


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _only(place: Place, transport: Transport | Literal["icmp"]) -> list[tuple[int, int, int, int]]:
    """A filter that lets pass what is for a place, over one protocol without IPv6 extensions.

    In the place of a port, ICMP has the type of an echo request.
    """
    family = _family_of(place.host)
    octets = socket.inet_pton(family, place.host)
    port = place.port.to_bytes(2)
    echo = bytes(_ECHO[family][:1])
    pings = transport == "icmp"
    protocol = bytes([PROTOCOLS[family] if pings else _TRANSPORTS[transport]])
    if family is socket.AF_INET6:
        words = [(_WORD, 24 + at, octets[at : at + 4]) for at in range(0, 16, 4)]
        last = (_BYTE, 40, echo) if pings else (_HALF, 42, port)
        wanted = [*words, (_BYTE, 6, protocol), last]
        program = []
    else:
        last = (_BYTE_BEHIND_HEADER, 0, echo) if pings else (_HALF_BEHIND_HEADER, 2, port)
        wanted = [(_WORD, 16, octets), (_BYTE, 9, protocol), last]
        program = [(_HEADER_LENGTH, 0, 0, 0)]
    left = len(wanted)
    for load, at, value in wanted:
        left -= 1
        program.append((load, 0, 0, at))
        # where it differs, over the other comparisons and over the return that lets pass
        program.append((_JUMP_IF_EQUAL, 0, 2 * left + 1, int.from_bytes(value)))
    return [*program, (_RETURN, 0, 0, _LARGEST), (_RETURN, 0, 0, 0)]

"""A router that tells by ICMP that a place cannot be reached (RFC 792, RFC 4443).

The messages are written here, not by routes of the kernel: an unreachable route is one for a
whole host, knows no time that has run out, and speaks for IPv6 only of a missing route (1/0).
Besides, what is written here can be recorded.

What a program sees of it is Linux's choice (icmp(7), `icmp_err_convert`, `icmpv6_err_convert`).
A connect fails at once.  A datagram's error reaches a connected socket only where the kernel
calls it fatal, which is `admin`; of the others a program learns only if it set IP_RECVERR.

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
_BYTE, _HALF, _WORD, _HALF_BEHIND_HEADER = 0x30, 0x28, 0x20, 0x48
_HEADER_LENGTH, _JUMP_IF_EQUAL, _RETURN = 0xB1, 0x15, 0x06


class Router:
    """Stands on the way to one place, where nobody answers, and tells whoever goes there.

    Args:
        place: The place.
        transport: Over what it is reached.
        tap: An AF_PACKET socket that sees the way without its frames; now the router's.
        voice: A raw ICMP or ICMPv6 socket, bound to the router's address; likewise.
    """

    def __init__(
        self, place: Place, transport: Transport, tap: socket.socket, voice: socket.socket
    ) -> None:
        self.place = place
        self._tap = tap
        self._voice = voice
        attach_filter(tap, _only(place, _TRANSPORTS[transport]))

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


def _only(place: Place, protocol: int) -> list[tuple[int, int, int, int]]:
    """A filter that lets pass what is for a place, over one protocol without IPv6 extensions."""
    if ":" in place.host:
        octets = socket.inet_pton(socket.AF_INET6, place.host)
        words = [(_WORD, 24 + at, octets[at : at + 4]) for at in range(0, 16, 4)]
        wanted = [*words, (_BYTE, 6, bytes([protocol])), (_HALF, 42, place.port.to_bytes(2))]
        program = []
    else:
        octets = socket.inet_pton(socket.AF_INET, place.host)
        port = (_HALF_BEHIND_HEADER, 2, place.port.to_bytes(2))
        wanted = [(_WORD, 16, octets), (_BYTE, 9, bytes([protocol])), port]
        program = [(_HEADER_LENGTH, 0, 0, 0)]
    left = len(wanted)
    for load, at, value in wanted:
        left -= 1
        program.append((load, 0, 0, at))
        # where it differs, over the other comparisons and over the return that lets pass
        program.append((_JUMP_IF_EQUAL, 0, 2 * left + 1, int.from_bytes(value)))
    return [*program, (_RETURN, 0, 0, _LARGEST), (_RETURN, 0, 0, 0)]

"""Captures on disk: pcapng, as Wireshark reads it (draft-ietf-opsawg-pcapng).

Pure, from a capture to octets and back.  Everything that a capture knows has its place there: the
names in a Name Resolution Block, the secrets in a Decryption Secrets Block, what is missing in the
counters of an Interface Statistics Block, and the curtain in the comment of the section, from
where it is read again.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from functools import cache
from typing import TYPE_CHECKING

from harness import __version__
from harness.model.capture import LOOPBACK, WIRE, Capture, Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SECTION, _INTERFACE, _NAMES, _STATISTICS, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 4, 5, 6, 0x0A
_MAGIC, _ETHERNET, _TLS_KEYS = 0x1A2B3C4D, 1, 0x544C534B
_COMMENT = 1  # the number of an option in every block
_APPLICATION, _LINK_NAME, _LINK_ABOUT, _RESOLUTION, _FLAGS = 4, 2, 3, 9, 2
_RECEIVED, _DROPPED, _KEPT = 4, 7, 8  # isb_ifrecv, isb_osdrop, isb_usrdeliv
_NANOSECONDS = b"\x09"
_INBOUND, _OUTBOUND = 1, 2
_SEEN_BY = 0b11  # the bits of epb_flags that tell the way
_LINKS = {WIRE: "the program's host to all others", LOOPBACK: "the program's host to itself"}
#: A block of a packet, but for its octets: kind, size, link, time, sizes; one option, end, size.
_PACKET_HEAD, _PACKET_TAIL = struct.Struct("=7I"), struct.Struct("=HHIII")
_CURTAIN = re.compile(r"time 0 of the transcript is (\d+)\.(\d{9}) s")


class BadCaptureError(ValueError):
    """Octets that `write_capture` did not write."""


def write_capture(capture: Capture) -> Iterator[bytes]:
    """The blocks of a file that holds the capture, one by one."""
    seconds, nanoseconds = divmod(capture.curtain_ns, 10**9)
    told = [f"time 0 of the transcript is {seconds}.{nanoseconds:09} s"] * bool(seconds)
    comment = "; ".join([*told, *filter(None, [capture.gap])])
    yield _block(
        _SECTION,
        struct.pack("=IHHq", _MAGIC, 1, 0, -1),
        {_COMMENT: comment.encode(), _APPLICATION: f"Wirelab {__version__}".encode()},
    )
    yield from _interfaces()
    if capture.names:
        yield _block(_NAMES, b"".join(_name_records(capture.names)))
    if secrets := capture.secrets:
        yield _block(_SECRETS, struct.pack("=II", _TLS_KEYS, len(secrets)) + _padded(secrets))
    links = {name: number for number, name in enumerate(_LINKS)}
    for frame in capture.frames:
        time, data = frame.time_ns, frame.data
        size, gap = len(data), -len(data) % 4
        whole = _PACKET_HEAD.size + size + gap + _PACKET_TAIL.size
        head = _PACKET_HEAD.pack(
            _PACKET, whole, links[frame.link], time >> 32, time & 0xFFFFFFFF, size, size
        )
        way = _OUTBOUND if frame.sent else _INBOUND
        yield b"%b%b%b%b" % (head, data, bytes(gap), _PACKET_TAIL.pack(_FLAGS, 4, way, 0, whole))
    yield _statistics(capture)


@cache
def _interfaces() -> tuple[bytes, ...]:
    told = [
        {_LINK_NAME: name.encode(), _LINK_ABOUT: about.encode(), _RESOLUTION: _NANOSECONDS}
        for name, about in _LINKS.items()
    ]
    head = struct.pack("=HHI", _ETHERNET, 0, 0)
    return tuple(_block(_INTERFACE, head, options) for options in told)


def _statistics(capture: Capture) -> bytes:
    last = capture.frames[-1].time_ns if capture.frames else capture.curtain_ns
    kept = len(capture.frames)
    counters = {
        _RECEIVED: kept + capture.beyond + capture.lost,
        _DROPPED: capture.lost,
        _KEPT: kept,
    }
    options = {kind: struct.pack("=Q", number) for kind, number in counters.items()}
    return _block(_STATISTICS, struct.pack("=3I", 0, last >> 32, last & 0xFFFFFFFF), options)


def _name_records(names: Mapping[str, str]) -> Iterator[bytes]:
    for name, address in names.items():
        packed = ipaddress.ip_address(address).packed
        value = packed + name.encode() + b"\0"
        yield struct.pack("=HH", 2 if len(packed) == 16 else 1, len(value)) + _padded(value)
    yield bytes(4)


def _block(kind: int, body: bytes, options: Mapping[int, bytes] | None = None) -> bytes:
    if told := {number: value for number, value in (options or {}).items() if value}:
        body += b"".join(
            struct.pack("=HH", number, len(value)) + _padded(value)
            for number, value in told.items()
        ) + bytes(4)
    size = len(body) + 12
    return b"%b%b%b" % (struct.pack("=II", kind, size), body, struct.pack("=I", size))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


# -- and back -------------------------------------------------------------------------


def read_capture(data: bytes) -> Capture:
    """The capture of a file that `write_capture` wrote on a machine of this byte order.

    Raises:
        BadCaptureError: it is no such file, or cut off.
    """
    try:
        return _read(data)
    except (struct.error, UnicodeDecodeError, IndexError, KeyError, ValueError) as error:
        raise BadCaptureError(str(error)) from error


def _read(data: bytes) -> Capture:
    frames: list[Frame] = []
    links: list[str] = []
    names: dict[str, str] = {}
    curtain, secrets, counters = 0, b"", dict.fromkeys((_RECEIVED, _DROPPED, _KEPT), 0)
    for kind, body in _blocks(data):
        if kind == _SECTION:
            if found := _CURTAIN.search(_options(body[16:]).get(_COMMENT, b"").decode()):
                curtain = int(found[1]) * 10**9 + int(found[2])
        elif kind == _INTERFACE:
            links.append(_options(body[8:])[_LINK_NAME].decode())
        elif kind == _NAMES:
            names |= _read_names(body)
        elif kind == _SECRETS:
            secrets = body[8 : 8 + struct.unpack_from("=I", body, 4)[0]]
        elif kind == _PACKET:
            frames.append(_read_frame(body, links))
        elif kind == _STATISTICS:
            options = _options(body[12:])
            counters = {number: struct.unpack("=Q", options[number])[0] for number in counters}
    lost, beyond = counters[_DROPPED], counters[_RECEIVED] - counters[_DROPPED] - counters[_KEPT]
    return Capture(tuple(frames), curtain, lost, beyond, secrets, names)


def _blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    if struct.unpack_from("=I", data, 8)[0] != _MAGIC:
        raise ValueError("this is no pcapng of this byte order")
    place, kind = 0, 0
    while place < len(data):
        kind, size = struct.unpack_from("=II", data, place)
        if size < 12 or struct.unpack_from("=I", data, place + size - 4)[0] != size:
            raise ValueError(f"the block at octet {place} is damaged")
        yield kind, data[place + 8 : place + size - 4]
        place += size
    if kind != _STATISTICS:
        raise ValueError("the end is missing")


def _options(data: bytes) -> dict[int, bytes]:
    return {kind: value for kind, value in _records(data) if kind}


def _records(data: bytes) -> Iterable[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(data):
        kind, size = struct.unpack_from("=HH", data, place)
        yield kind, data[place + 4 : place + 4 + size]
        place += 4 + size + -size % 4


def _read_names(body: bytes) -> dict[str, str]:
    lengths = {1: 4, 2: 16}
    return {
        value[lengths[kind] : -1].decode(): str(ipaddress.ip_address(value[: lengths[kind]]))
        for kind, value in _records(body)
        if kind
    }


def _read_frame(body: bytes, links: list[str]) -> Frame:
    link, high, low, size, _ = struct.unpack_from("=5I", body)
    flags = _options(body[20 + size + -size % 4 :])[_FLAGS]
    sent = struct.unpack("=I", flags)[0] & _SEEN_BY == _OUTBOUND
    return Frame(high << 32 | low, links[link], sent, body[20 : 20 + size])

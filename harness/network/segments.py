"""Data segments of TCP that are lost on their way, by nf_tables.

The kernel of the receiving host drops them as they come in, so that the sender's notices nothing
and what follows is a true retransmission.  (Dropped on their way out, they would fail with EPERM
in the sender's hands.)  Told
over nfnetlink, in one batch; attributes are numbered as in <linux/netfilter/nf_tables.h>, and
all numbers in them are big-endian.  One table for each actor and way:

    rule 1   ip daddr HOST tcp dport PORT, one octet of payload: meta mark set numgen inc + 1
    rule 2…  meta mark ORDINAL: counter, drop

On the way back it is saddr and sport.  A segment without data, which has no octet there to
load, breaks rule 1 off and is not counted.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import TYPE_CHECKING

from harness.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.network.interface import Place

NETLINK_NETFILTER = 12

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_FAMILY = struct.Struct("!BBH")  # struct nfgenmsg
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_REQUEST, _ACK, _DUMP, _CREATE, _APPEND = 0x1, 0x4, 0x300, 0x400, 0x800
_ERROR, _DONE = 2, 3
_BATCH_BEGIN, _BATCH_END = 16, 17
_NF_TABLES = 10
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE, _GET_RULE = (_NF_TABLES << 8 | kind for kind in (0, 3, 6, 7))
_NFPROTO = {socket.AF_INET: 2, socket.AF_INET6: 10}
_NESTED = 0x8000
_LOCAL_IN = 1
_NETWORK, _TRANSPORT, _PAYLOAD = 1, 2, 3  # from where an offset counts
_MARK, _L4PROTO = 3, 16
_VERDICT, _REGISTER = 0, 1
_DROP = 0
_CHAIN = b"input\0"
_MODULUS = 0xFFFF_FFFF
_BUFFER = 65_536

_Pair = tuple[int, "bytes | list[_Pair]"]


class LostSegments:
    """Has the kernel drop some of the data segments on one way.

    They are counted from 1 in the order in which they come, those of all connections and the
    repeated ones too.

    Args:
        netlink: A NETLINK_NETFILTER socket of the namespace in which they come in; now owned.
        source: From where they come; an empty host or a port 0 is any.
        target: Where they go, likewise; one of the two has a host.
        ordinals: Which ones; at least one, each once.

    Raises:
        MachineError: this kernel has no nf_tables, or not all of it that is needed (Linux 5.16).
    """

    def __init__(
        self, netlink: socket.socket, source: Place, target: Place, ordinals: Sequence[int]
    ) -> None:
        self._netlink = netlink
        self._netlink.setblocking(True)  # answers lie there as soon as a question is asked
        self._ordinals = ordinals
        self._table = f"{source} {target}\0".encode()
        family = socket.AF_INET6 if ":" in source.host + target.host else socket.AF_INET
        self._family = _NFPROTO[family]
        try:
            self._make(_counting(source, target, family), *map(_dropping, ordinals))
        except OSError as error:
            raise MachineError(
                f"this kernel cannot lose segments (nf_tables): {error.strerror}"
            ) from error

    def dropped(self) -> dict[int, int]:
        """How many octets of IP each segment had that was dropped so far, by its ordinal."""
        rules = list(self._rules())[1:]
        counted = zip(self._ordinals, rules, strict=True)
        return {ordinal: octets for ordinal, octets in counted if octets}

    def close(self) -> None:
        """Ask no more; the table stays as long as its namespace."""
        self._netlink.close()

    def _make(self, *rules: list[_Pair]) -> None:
        hook: list[_Pair] = [(1, _number(_LOCAL_IN)), (2, _number(0))]
        chain: list[_Pair] = [(1, self._table), (3, _CHAIN), (4, hook), (7, b"filter\0")]
        wanted: list[tuple[int, list[_Pair]]] = [
            (_NEW_TABLE, [(1, self._table)]),
            (_NEW_CHAIN, chain),
        ]
        wanted += [(_NEW_RULE, [(1, self._table), (2, _CHAIN), (4, rule)]) for rule in rules]
        batch = [_message(_BATCH_BEGIN, _REQUEST, 0, number=_NF_TABLES)]
        flags = _REQUEST | _CREATE | _APPEND | _ACK
        batch += [_message(kind, flags, self._family, pairs) for kind, pairs in wanted]
        batch.append(_message(_BATCH_END, _REQUEST, 0, number=_NF_TABLES))
        self._netlink.send(b"".join(batch))
        answers = 0
        while answers < len(wanted):
            for kind, payload in self._read():
                answers += kind == _ERROR
                _check(kind, payload)

    def _rules(self) -> Iterator[int]:
        """The octets that each rule has counted, 0 for one that counts none."""
        pairs: list[_Pair] = [(1, self._table), (2, _CHAIN)]
        self._netlink.send(_message(_GET_RULE, _REQUEST | _DUMP, self._family, pairs))
        while True:
            for kind, payload in self._read():
                if kind == _DONE:
                    return
                _check(kind, payload)
                yield _counted(payload[_FAMILY.size :])

    def _read(self) -> Iterator[tuple[int, bytes]]:
        data = self._netlink.recv(_BUFFER)
        at = 0
        while at < len(data):
            size, kind, *_ = _HEADER.unpack_from(data, at)
            yield kind, data[at + _HEADER.size : at + size]
            at += (size + 3) & ~3


# -- rules -----------------------------------------------------------------------------------


#: Where an IP header has the source and the target, and where TCP has their ports.
_ADDRESSES_AT = {socket.AF_INET: (12, 16), socket.AF_INET6: (8, 24)}
_PORTS_AT = (0, 2)


def _counting(source: Place, target: Place, family: socket.AddressFamily) -> list[_Pair]:
    rule = _compared(_expression("meta", (1, _number(_REGISTER)), (2, _number(_L4PROTO))), b"\6")
    for end, host_at, port_at in zip(
        (source, target), _ADDRESSES_AT[family], _PORTS_AT, strict=True
    ):
        if end.host:
            octets = socket.inet_pton(family, end.host)
            rule += _compared(_load(host_at, len(octets), _NETWORK), octets)
        if end.port:
            rule += _compared(_load(port_at, 2, _TRANSPORT), end.port.to_bytes(2))
    return [
        *rule,
        _load(0, 1, _PAYLOAD),
        _expression(
            "numgen",
            (1, _number(_REGISTER)),
            (2, _number(_MODULUS)),
            (3, _number(0)),
            (4, _number(1)),
        ),
        _expression("meta", (3, _number(_REGISTER)), (2, _number(_MARK))),
    ]


def _dropping(ordinal: int) -> list[_Pair]:
    mark = ordinal.to_bytes(4, sys.byteorder)  # a register holds numbers as the machine does
    verdict: list[_Pair] = [(2, [(1, _number(_DROP))])]
    return [
        *_compared(_expression("meta", (1, _number(_REGISTER)), (2, _number(_MARK))), mark),
        _expression("counter"),
        _expression("immediate", (1, _number(_VERDICT)), (2, verdict)),
    ]


def _load(offset: int, size: int, base: int) -> _Pair:
    """Octets of a packet into the register."""
    numbers = enumerate((_REGISTER, base, offset, size), 1)
    return _expression("payload", *((kind, _number(value)) for kind, value in numbers))


def _compared(load: _Pair, value: bytes) -> list[_Pair]:
    """What was loaded must be equal, or the rule ends."""
    data: list[_Pair] = [(1, value)]
    return [load, _expression("cmp", (1, _number(_REGISTER)), (2, _number(0)), (3, data))]


def _expression(name: str, *pairs: _Pair) -> _Pair:
    return 1, [(1, name.encode() + b"\0"), (2, list(pairs))]


def _counted(attributes: bytes) -> int:
    """The octets of the counter among the expressions of a rule."""
    for kind, rule_part in _split(attributes):
        if kind == 4:
            for _, expression in _split(rule_part):
                parts = dict(_split(expression))
                if parts[1] == b"counter\0":
                    return int.from_bytes(dict(_split(parts[2]))[1])
    return 0


# -- messages --------------------------------------------------------------------------------


def _message(
    kind: int, flags: int, family: int, pairs: list[_Pair] | None = None, *, number: int = 0
) -> bytes:
    body = _FAMILY.pack(family, 0, number) + _attributes(pairs or [])
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body


def _attributes(pairs: list[_Pair]) -> bytes:
    return b"".join(_attribute(kind, value) for kind, value in pairs)


def _attribute(kind: int, value: bytes | list[_Pair]) -> bytes:
    if isinstance(value, list):
        kind, value = kind | _NESTED, _attributes(value)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        yield kind & ~_NESTED, data[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3


def _number(value: int) -> bytes:
    return value.to_bytes(4)


def _check(kind: int, payload: bytes) -> None:
    """See that an answer tells no error; 0 is none."""
    code = -int.from_bytes(payload[:4], sys.byteorder, signed=True) if kind == _ERROR else 0
    if code:
        raise OSError(code, os.strerror(code))

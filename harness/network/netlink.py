"""The messages of rtnetlink(7) that make a network: links, addresses, routes, neighbours.

Used by the helper, so its imports are counted.  Attributes are numbered as in the kernel's
headers <linux/if_link.h>, <linux/if_addr.h>, <linux/rtnetlink.h> and <linux/neighbour.h>.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct
import sys

LOOPBACK_INDEX = 1  # the first device of every network namespace
MAIN_TABLE = 254

_NETLINK_ROUTE = 0
_NEWLINK, _NEWADDR, _NEWROUTE, _NEWNEIGH = 16, 20, 24, 28
_ERROR = 2
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg
_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg
_IFF_UP = 1
_IFA_F_NODAD = 0x02
_NUD_PERMANENT = 0x80
_RTPROT_STATIC = 4
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254
_UNICAST, _LOCAL = 1, 2
_ADDR_GEN_NONE = 1  # IN6_ADDR_GEN_MODE_NONE
_BUFFER = 65_536

Message = tuple[int, int, bytes]  # type, flags, and what follows the header


def ask(*messages: Message) -> None:
    """Have all of them done in the network namespace of this process, in one system call.

    Raises:
        OSError: the first one that failed; the later ones were tried all the same.
    """
    with _Conversation() as conversation:
        conversation.ask(messages)


class _Conversation:
    def __init__(self) -> None:
        self._socket = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, _NETLINK_ROUTE)

    def __enter__(self) -> _Conversation:  # noqa: PYI034 - private
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, messages: tuple[Message, ...]) -> None:
        # Only what fails, and the last one, is answered; all answers lie there after `send`.
        packets = []
        for number, (kind, flags, body) in enumerate(messages, 1):
            flags |= _REQUEST | (_ACK if number == len(messages) else 0)  # noqa: PLW2901
            packets.append(_HEADER.pack(_HEADER.size + len(body), kind, flags, number, 0) + body)
        self._socket.send(b"".join(packets))
        refusal = 0
        number = 0
        while number != len(messages):
            code, number = self._answer()
            refusal = refusal or code
        if refusal:
            raise OSError(refusal, os.strerror(refusal))

    def _answer(self) -> tuple[int, int]:
        """The error (0 for none) that an answer tells, and the number of the message."""
        data = self._socket.recv(_BUFFER)
        _, kind, _, number, _ = _HEADER.unpack_from(data)
        if kind != _ERROR:
            return errno.EPROTO, number
        code = int.from_bytes(data[_HEADER.size : _HEADER.size + 4], sys.byteorder, signed=True)
        return -code, number


# -- links ---------------------------------------------------------------------------------


def new_pair(
    name: str, mac: bytes, *, peer: str, peer_mac: bytes, peer_namespace: int, index: int, mtu: int
) -> Message:
    """A veth pair, both ends with the number `index`: one here, one in another namespace.

    `peer_namespace` is a descriptor of that.  One queue each: the kernel would make one for
    each processor.
    """
    other = _LINK.pack(_socket.AF_UNSPEC, 0, index, 0, 0) + _attributes(
        (_IFLA_IFNAME, _text(peer)),
        (_IFLA_ADDRESS, peer_mac),
        (_IFLA_MTU, _number(mtu)),
        (_IFLA_NUM_TX_QUEUES, _number(1)),
        (_IFLA_NUM_RX_QUEUES, _number(1)),
        (_IFLA_NET_NS_FD, _number(peer_namespace)),
    )
    veth = _attributes(
        (_IFLA_INFO_KIND, b"veth"),
        (_IFLA_INFO_DATA, _attributes((_VETH_INFO_PEER, other))),
    )
    body = _LINK.pack(_socket.AF_UNSPEC, 0, index, 0, 0) + _attributes(
        (_IFLA_IFNAME, _text(name)),
        (_IFLA_ADDRESS, mac),
        (_IFLA_MTU, _number(mtu)),
        (_IFLA_NUM_TX_QUEUES, _number(1)),
        (_IFLA_NUM_RX_QUEUES, _number(1)),
        (_IFLA_LINKINFO, veth),
    )
    return _NEWLINK, _CREATE | _EXCL, body


def up(index: int) -> Message:
    """A link is put into service."""
    return _NEWLINK, 0, _LINK.pack(_socket.AF_UNSPEC, 0, index, _IFF_UP, _IFF_UP)


def no_own_ipv6(index: int) -> Message:
    """A link gets no IPv6 address by itself, and so asks no neighbour and no router for one."""
    inet6 = _attributes((_IFLA_INET6_ADDR_GEN_MODE, bytes([_ADDR_GEN_NONE])))
    families = _attributes((_socket.AF_INET6, inet6))
    body = _LINK.pack(_socket.AF_UNSPEC, 0, index, 0, 0) + _attributes((_IFLA_AF_SPEC, families))
    return _NEWLINK, 0, body


_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO = 1, 3, 4, 18
_IFLA_AF_SPEC, _IFLA_NET_NS_FD, _IFLA_NUM_TX_QUEUES, _IFLA_NUM_RX_QUEUES = 26, 28, 31, 32
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFLA_INET6_ADDR_GEN_MODE = 8

# -- addresses, routes, neighbours ---------------------------------------------------------------


def address(host: str, length: int, index: int) -> Message:
    """An address of a link; an IPv6 one can be used at once, without looking for a double."""
    family, octets = _packed(host)
    body = _ADDRESS.pack(family, length, _IFA_F_NODAD, _SCOPE_UNIVERSE, index)
    return (
        _NEWADDR,
        _CREATE,
        body + _attributes((_IFA_LOCAL, octets), (_IFA_ADDRESS, octets)),
    )


def route(network: str, length: int, index: int, *, gateway: str = "") -> Message:
    """The way to a network, over a link and a gateway if there is one."""
    family, octets = _packed(network)
    scope = _SCOPE_UNIVERSE if gateway or family == _socket.AF_INET6 else _SCOPE_LINK
    ways = [(_RTA_OIF, _number(index))]
    if gateway:
        ways.append((_RTA_GATEWAY, _packed(gateway)[1]))
    return _new_route(family, octets, length, scope, _UNICAST, ways)


def everything_local(family: int) -> Message:
    """Every address is one of this host's own ("AnyIP").

    In table main, where each longer route comes before it; in table local it would shadow
    the way back to the program.
    """
    ways = [(_RTA_OIF, _number(LOOPBACK_INDEX))]
    return _new_route(family, b"", 0, _SCOPE_HOST, _LOCAL, ways)


def _new_route(
    family: int, octets: bytes, length: int, scope: int, kind: int, ways: list[tuple[int, bytes]]
) -> Message:
    body = _ROUTE.pack(family, length, 0, 0, MAIN_TABLE, _RTPROT_STATIC, scope, kind, 0)
    target = [(_RTA_DST, octets)] if length else []
    return _NEWROUTE, _CREATE, body + _attributes(*target, *ways)


def neighbour(host: str, mac: bytes, index: int) -> Message:
    """Where an address is on a link, known for good: nobody has to ask."""
    family, octets = _packed(host)
    body = _NEIGHBOUR.pack(family, index, _NUD_PERMANENT, 0, 0)
    return _NEWNEIGH, _CREATE, body + _attributes((_NDA_DST, octets), (_NDA_LLADDR, mac))


_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_NDA_DST, _NDA_LLADDR = 1, 2

# -- their parts ---------------------------------------------------------------------------------


def _attributes(*pairs: tuple[int, bytes]) -> bytes:
    return b"".join(
        _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)
        for kind, value in pairs
    )


def _number(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _packed(host: str) -> tuple[int, bytes]:
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    return family, _socket.inet_pton(family, host)

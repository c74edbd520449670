"""What the socket module leaves out, and what programs over UDP and TCP have to look after."""

from __future__ import annotations

import socket

LARGEST_DATAGRAM = 65_535
"""Octets: what a UDP length field can say (RFC 768), so that nothing is cut in silence."""

RECEIVE_ERRORS: dict[int, tuple[int, int]] = {
    # IP_RECVERR and IPV6_RECVERR (ip(7), ipv6(7)), which the socket module does not name:
    # without them UDP hears of port unreachable, but not of net and host unreachable.
    socket.AF_INET: (socket.IPPROTO_IP, 11),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 25),
}


def is_own_peer(sock: socket.socket) -> bool:
    """Return whether a connected socket is connected to itself.

    On loopback the kernel may choose the port that is dialled as the local port. A datagram
    then comes back to its sender; a TCP connect meets itself half-way and succeeds (simultaneous
    open, RFC 9293 3.5), which proves that nobody listens there.
    """
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:  # accepted and reset since
        return False

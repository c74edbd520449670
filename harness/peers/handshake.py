"""TLS over a connection that is there already: from its first byte, or after STARTTLS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from harness.peers.peer import PeerError

if TYPE_CHECKING:
    from harness.peers.tcp import StreamPeer
    from harness.peers.witness import Witness

#: What OpenSSL says where the other side goes on in clear.
_NO_TLS = ("wrong version number", "http request", "packet length too long", "unknown protocol")
_HUNG_UP = "the program hung up"


async def encrypt(
    transport: asyncio.Transport, protocol: asyncio.Protocol, witness: Witness, peer: StreamPeer
) -> None:
    """Have a protocol go on over TLS; its `connection_made` is told of the new transport.

    Who dialled is the client of the handshake.  If it fails the connection is gone, and how it
    went is recorded.

    Raises:
        PeerError: the handshake failed, because of the program.
    """
    stand_in = _StandIn()
    reason = _HUNG_UP
    encrypted = None
    try:
        encrypted = await asyncio.get_running_loop().start_tls(
            transport, stand_in, peer.context(), server_side=peer.actor.to is None
        )
    except OSError as error:  # an SSLError is one
        reason = _reason(error)
    if encrypted is None:
        told = f"the TLS handshake failed: {reason}"
        witness.not_encrypted(told, by_program="alert" in reason or reason == _HUNG_UP)
        transport.abort()
        raise PeerError(told)
    witness.encrypted(encrypted)
    _notice_end(transport, witness)
    encrypted.set_protocol(protocol)
    protocol.connection_made(peer.paced(encrypted, witness))
    stand_in.hand_over(protocol)


class _StandIn(asyncio.Protocol):
    """Stands in for a protocol until the handshake is known to be over.

    What the program sends right behind its part of the handshake comes before that: it is kept.
    """

    def __init__(self) -> None:
        self._early: list[tuple[str, tuple[Any, ...]]] = []

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        for call, arguments in self._early:
            getattr(protocol, call)(*arguments)

    def data_received(self, data: bytes) -> None:
        self._early.append(("data_received", (data,)))

    def eof_received(self) -> None:
        self._early.append(("eof_received", ()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._early.append(("connection_lost", (exc,)))


def _notice_end(transport: asyncio.Transport, witness: Witness) -> None:
    """Have the witness told of a FIN at once.

    asyncio tells the protocol on top only of an end that was announced in TLS (RFC 8446 6.1),
    and many programs just close their socket.
    """
    tls: Any = transport.get_protocol()
    take_note = tls.eof_received

    def eof_received() -> bool | None:
        witness.ended()
        goes_on: bool | None = take_note()
        return goes_on

    tls.eof_received = eof_received


def _reason(error: OSError) -> str:
    reason = str(getattr(error, "reason", None) or _HUNG_UP).replace("_", " ").lower()
    return "what the program sent is no TLS" if reason in _NO_TLS else reason

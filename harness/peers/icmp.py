"""Hosts that answer echo requests (RFC 1122 3.2.2.6), on ways with faults."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.model.record import What
from harness.peers.udp import UdpPeer

if TYPE_CHECKING:
    from harness.model.scenario import Actor
    from harness.network import EchoSocket
    from harness.peers.peer import Setting
    from harness.peers.udp import Address, Ticket
    from harness.peers.way import Parcel


class IcmpPeer(UdpPeer):
    """A host without ports: its messages travel like datagrams, and so do their faults.

    Like every host it takes no notice of a message whose checksum is wrong; but the first one
    that is the program's own doing is told.
    """

    def __init__(self, actor: Actor, setting: Setting) -> None:
        super().__init__(actor, setting)
        self._host: EchoSocket | None = None
        self._told = False

    async def open(self) -> None:
        self._host = self._setting.network.echo(self._address[0])
        asyncio.get_running_loop().add_reader(self._host.fileno(), self._read, self._host)
        self._stands(self._host.host, 0)

    def _read(self, host: EchoSocket) -> None:
        for message, source in host.messages():
            if self._host is None:  # it has hung up meanwhile
                return
            if not self._told and not host.is_right(message, source):
                self._told = True
                self._tell_checksum(message, host.right_checksum(message, source))
            self.arrive(message, (source, 0))

    def _tell_checksum(self, message: bytes, right: int) -> None:
        was = int.from_bytes(message[2:4])
        words = f"an ICMP message has the checksum {was:#06x}, and {right:#06x} is right"
        swapped = was.to_bytes(2) == right.to_bytes(2, "little")
        hint = " (the octets are the wrong way round)" if swapped else ""
        self._note(What.BROKEN, message, note=f"{words}{hint}; no host answers it")

    def _hear(self, parcel: Parcel[Ticket]) -> None:
        if self._host and self._host.is_right(parcel.data, parcel.ticket.address[0]):
            super()._hear(parcel)

    def _answer_to(self, data: bytes, source: Address) -> bytes | None:
        if self._host is None or self.actor.answer == "nothing":
            return None
        return self._host.echo_of(data, source[0])

    def _emit(self, data: bytes, address: Address, *, foreign: bool) -> None:
        del foreign
        if self._host:
            self._host.send(data, address[0])

    @property
    def _open(self) -> bool:
        return self._host is not None

    def _hang_up(self) -> None:
        super()._hang_up()
        host, self._host = self._host, None
        if host:
            asyncio.get_running_loop().remove_reader(host.fileno())
            host.close()

"""A place that cannot be reached: a router on the way tells so, by ICMP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.model.record import What
from harness.peers.peer import Peer

if TYPE_CHECKING:
    from harness.model.scenario import Actor
    from harness.network import Router
    from harness.peers.peer import Setting

#: How far away the router is.  An error that arrives while connect(2) still holds the socket
#: is only noted (`tcp_v4_err` in Linux), and the program would wait a second, until its next SYN.
_DISTANCE_SECONDS = 0.005

_WORDS = {
    "host": "host unreachable",
    "net": "network unreachable",
    "admin": "administratively prohibited",
    "expired": "time exceeded",
}


class UnreachablePeer(Peer):
    """Answers each packet by the ICMP error of its `code`; an event tells of each."""

    def __init__(self, actor: Actor, setting: Setting) -> None:
        super().__init__(actor, setting)
        self._router: Router | None = None
        self._on_their_way: set[asyncio.TimerHandle] = set()
        self._told = 0

    @property
    def busy(self) -> bool:
        return bool(self._on_their_way)

    async def open(self) -> None:
        self._router = self._setting.network.unreachable(*self._address, self.actor.over)
        asyncio.get_running_loop().add_reader(self._router.fileno(), self._hear, self._router)
        self._stands(*self._router.place)

    def _hear(self, router: Router) -> None:
        loop = asyncio.get_running_loop()
        for packet in router.packets():
            handle = loop.call_later(_DISTANCE_SECONDS, self._tell, router, packet)
            self._on_their_way.add(handle)

    def _tell(self, router: Router, packet: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._on_their_way = {handle for handle in self._on_their_way if handle.when() > now}
        self._told += 1
        self._recorder.note(
            What.FAULT,
            self.actor.name,
            note=f"ICMP: {_WORDS[self.actor.code]}",
            fault=self.actor.code,
            way="answer",
            ordinal=self._told,
        )
        router.tell(packet, self.actor.code)

    async def close(self) -> None:
        for handle in self._on_their_way:
            handle.cancel()
        if self._router:
            asyncio.get_running_loop().remove_reader(self._router.fileno())
            self._router.close()

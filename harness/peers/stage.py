"""From an actor of the cast to the peer that plays it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.exchange import Arrow
from harness.model.record import What
from harness.model.scenario import ActorKind
from harness.network import Place
from harness.peers.icmp import IcmpPeer
from harness.peers.peer import Peer, spoken
from harness.peers.tcp import ScriptedPeer
from harness.peers.udp import UdpPeer
from harness.peers.unreachable import UnreachablePeer

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from harness.model.exchange import Entry
    from harness.model.scenario import Actor
    from harness.network import Network, Transport
    from harness.peers.peer import Setting


def make_peer(actor: Actor, setting: Setting) -> Peer:
    """The peer that plays an actor."""
    return _class_for(actor)(actor, setting)


def _class_for(actor: Actor) -> type[Peer]:
    if actor.kind is ActorKind.SMTP:
        from harness.peers.smtp import SmtpPeer  # noqa: PLC0415 - aiosmtpd costs 59 ms

        return SmtpPeer
    if actor.kind is ActorKind.HTTP:
        from harness.peers import http  # noqa: PLC0415 - h11, 10 ms

        if actor.autonomous:
            return http.HttpOriginPeer
        return http.HttpServerPeer if actor.at else http.HttpClientPeer
    if actor.kind is ActorKind.DNS:
        from harness.peers.dns import DnsPeer  # noqa: PLC0415 - for rungs that have names

        return DnsPeer
    return {
        ActorKind.UDP: UdpPeer,
        ActorKind.ICMP: IcmpPeer,
        ActorKind.TCP: ScriptedPeer,
        ActorKind.TERMINAL: TerminalPeer,
        ActorKind.CLOSED: NobodyPeer,
        ActorKind.FILTERED: NobodyPeer,
        ActorKind.UNREACHABLE: UnreachablePeer,
    }[actor.kind]


#: Control-D: at the beginning of a line it ends the input (termios VEOF).
_END_OF_INPUT = b"\x04"


class TerminalPeer(Peer):
    """The person at the program's terminal: types lines; what is printed is recorded anyway."""

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        if entry.act and entry.act.name == "close":
            self._setting.type_keys(_END_OF_INPUT)
            self._acted(index)
            return
        if entry.arrow is not Arrow.SAYS:
            await super().perform(entry, index, bound)
        data = spoken(entry.text, bound) + self.actor.eol.spoken
        self._recorder.note(What.SAID, self.actor.name, 1, data, entry=index)
        self._setting.type_keys(data)


class NobodyPeer(Peer):
    """A port that is closed (whoever comes is refused) or filtered (nothing answers)."""

    def __init__(self, actor: Actor, setting: Setting) -> None:
        super().__init__(actor, setting)
        self._silent: socket.socket | None = None

    async def open(self) -> None:
        network: Network = self._setting.network
        over: Transport = "udp" if self.actor.over == "udp" else "tcp"
        if self.actor.kind is ActorKind.CLOSED:
            place = network.closed(*self._address, over)
        elif over == "udp":  # a socket that nobody reads is as silent as a filter
            self._silent = network.listen(*self._address, "udp")
            place = Place(*self._silent.getsockname()[:2])
        else:
            place = network.filtered(*self._address)
        self._stands(place.host, place.port)

    async def close(self) -> None:
        if self._silent:
            self._silent.close()

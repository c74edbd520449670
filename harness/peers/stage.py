"""From an actor of the cast to the peer that plays it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.model.exchange import Arrow
from harness.model.record import What
from harness.model.scenario import ActorKind
from harness.peers.peer import Files, Peer, PeerError, spoken
from harness.peers.tcp import ScriptedPeer, split_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.model.exchange import Entry
    from harness.model.scenario import Actor
    from harness.network import Network, Place
    from harness.peers.tls import Authority
    from harness.record import Recorder


def make_peer(
    actor: Actor,
    *,
    network: Network,
    recorder: Recorder,
    authority: Authority,
    files: Files,
    type_keys: Callable[[bytes], None],
) -> Peer:
    """The peer for an actor; `type_keys` writes to the program's terminal."""
    stage = (actor, recorder, network, authority)
    if actor.kind is ActorKind.SMTP:
        from harness.peers.smtp import SmtpPeer  # noqa: PLC0415 - aiosmtpd costs 59 ms

        return SmtpPeer(*stage)
    if actor.kind is ActorKind.HTTP:
        from harness.peers.http import HttpClientPeer, HttpOriginPeer  # noqa: PLC0415

        return HttpOriginPeer(*stage) if actor.at else HttpClientPeer(*stage, files)
    if actor.kind is ActorKind.UDP:
        from harness.peers.udp import UdpPeer  # noqa: PLC0415

        return UdpPeer(actor, recorder, network)
    if actor.kind is ActorKind.TCP:
        return ScriptedPeer(*stage)
    if actor.kind is ActorKind.TERMINAL:
        return TerminalPeer(actor, recorder, type_keys)
    if actor.kind in (ActorKind.CLOSED, ActorKind.FILTERED):
        return NobodyPeer(actor, recorder, network)
    raise HarnessError(f"nobody plays an actor of kind {actor.kind}")


class TerminalPeer(Peer):
    """The person at the program's terminal: types lines; what is printed is recorded anyway."""

    def __init__(
        self, actor: Actor, recorder: Recorder, type_keys: Callable[[bytes], None]
    ) -> None:
        super().__init__(actor, recorder)
        self._type = type_keys

    async def open(self) -> None:
        """The terminal is there with the program."""

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        if entry.arrow is not Arrow.SAYS:
            name = entry.act.name if entry.act else ""
            raise PeerError(f"`{name}` is not played by a terminal")
        data = spoken(entry.text, bound) + self.actor.eol.spoken
        self._recorder.note(What.SAID, self.actor.name, 1, data, entry=index)
        self._type(data)

    async def close(self) -> None:
        """The terminal goes with the program."""


class NobodyPeer(Peer):
    """A port that is closed (a connection is refused) or filtered (nothing answers)."""

    def __init__(self, actor: Actor, recorder: Recorder, network: Network) -> None:
        super().__init__(actor, recorder)
        self._network = network
        self._place: Place | None = None

    async def open(self) -> None:
        host, port = split_address(self.actor.at or "0")
        if self.actor.kind is ActorKind.CLOSED:
            self._place = self._network.closed(host, port, "tcp")
        else:
            self._place = self._network.filtered(host, port)
        self._stands(self._place.host, self._place.port)

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        del index, bound
        raise PeerError(f"nobody is at {entry.actor} who could do anything")

    async def close(self) -> None:
        """The network gives its ports back by itself."""

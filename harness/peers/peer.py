"""What every peer can do, and what it needs to know of the play."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.model.pieces import WHOLE
from harness.model.record import What
from harness.model.scenario import split_address
from harness.model.template import Anything, Binding, Literal, Template, encode
from harness.network import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.model.exchange import Entry
    from harness.model.scenario import Actor, Records
    from harness.network import Network
    from harness.peers.tls import Authority
    from harness.record import Recorder


class PeerError(Exception):
    """The actor cannot do what the exchange asks, because of the program: the reason."""


class NotPlayedError(Exception):
    """The actor cannot do what the exchange asks, whatever the program does: the reason."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The play, as far as its peers must know it.

    `scenario` is the path of the scenario's file, near which the files lie that it names;
    `type_keys` types on the program's terminal.  `luck` is the seed of all that peers leave to
    chance: one for each plan and run.  `pieces` is the way of cutting what is said over TCP.
    `names` are those that the scenario declares.  `before_tls` are the indices of entries that
    a TLS handshake follows.
    """

    network: Network
    recorder: Recorder
    authority: Authority
    scenario: str
    type_keys: Callable[[bytes], None]
    luck: str = ""
    pieces: str = WHOLE
    names: Records = field(default_factory=dict)
    before_tls: frozenset[int] = frozenset()


class Peer:
    """One actor on the stage.

    `gave_up` is set when a limit of the play was reached: how connections end from then on
    is the harness's doing, and no longer the program's.  `heard_limit` is how many octets it
    takes from the program on one connection before it hangs up.
    """

    heard_limit = 16 * 2**20

    def __init__(self, actor: Actor, setting: Setting) -> None:
        self.actor = actor
        self.gave_up = False
        self._setting = setting
        self._recorder = setting.recorder

    @property
    def busy(self) -> bool:
        """Whether it will say something later, without being asked."""
        return False

    async def open(self) -> None:
        """Take the actor's place; afterwards the program may come.

        Raises:
            MachineError: the network has no place for it.
        """

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        """Say or do what an entry asks; `bound` holds the values of `{name}`.

        Raises:
            PeerError: it cannot be done, because of the program.
            NotPlayedError: an actor of this kind never does that.
        """
        del index, bound
        act = f"`{entry.act.name}`" if entry.act else "speaking"
        raise NotPlayedError(f"{act} is not played by {self._kind}")

    def leave(self, connection: int) -> None:
        """Close one connection."""

    def program_listens(self, place: Place) -> None:
        """Learn where the program can be dialled."""

    def sum_up(self) -> None:
        """Record what only the end of the play tells; afterwards the actor is closed."""

    async def close(self) -> None:
        """Give everything back; nothing more is recorded afterwards."""

    @property
    def _kind(self) -> str:
        return f"an actor of kind {self.actor.kind}"

    @property
    def _address(self) -> tuple[str, int]:
        """Host and port of `at`: `host:port`, `[v6]:port` or a bare port."""
        host, port = split_address(self.actor.at or "0")
        return host, int(port)

    def _stands(self, host: str, port: int) -> None:
        place = self._setting.network.known_as(self._address[0], Place(host, port))
        self._recorder.note(What.STANDS, self.actor.name, host=place.host, port=place.port)

    def _acted(self, index: int, connection: int = 0) -> None:
        self._recorder.note(What.ACTED, self.actor.name, connection, entry=index)


def spoken(template: Template, bound: Mapping[str, str]) -> bytes:
    """What an actor says: text, and values bound before.

    Raises:
        PeerError: for a value that nothing has bound so far.
        NotPlayedError: for a parameter that has no value.
    """
    return encode("".join(_spoken_part(part, bound) for part in template.parts))


def _spoken_part(part: object, bound: Mapping[str, str]) -> str:
    if isinstance(part, Literal):
        return part.text
    if isinstance(part, Binding):
        if part.name not in bound:
            raise PeerError(f"{{{part.name}}} has no value yet")
        return bound[part.name]
    if isinstance(part, Anything):
        return "*"
    raise NotPlayedError(f"${{{getattr(part, 'name', '')}}} has no value")


def shown_address(address: object) -> str:
    """`host:port` of what `getpeername` gave; the host alone where there is no port."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = str(address[0]), address[1]
        if not port:
            return host
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ""

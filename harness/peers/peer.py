"""What every peer can do, and what it needs to know of the play."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model.record import What
from harness.model.template import Anything, Binding, Literal, Template, encode

if TYPE_CHECKING:
    from pathlib import Path
    from collections.abc import Mapping

    from harness.model.exchange import Entry
    from harness.model.scenario import Actor
    from harness.network import Place
    from harness.record import Recorder

#: Octets that a peer takes from the program on one connection before it hangs up.
HEARD_LIMIT = 64 * 2**20


class PeerError(Exception):
    """The actor cannot do what the exchange asks: the reason, for the program's author."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where the files that an exchange names are looked for, first match first."""

    folders: tuple[Path, ...]

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            PeerError: if none of the folders has it.
        """
        for folder in self.folders:
            path = folder / name
            if path.is_file():
                return path.read_bytes()
        raise PeerError(f"there is no file {name}")


class Peer(ABC):
    """One actor on the stage."""

    def __init__(self, actor: Actor, recorder: Recorder) -> None:
        self.actor = actor
        self._recorder = recorder

    @abstractmethod
    async def open(self) -> None:
        """Take the actor's place; afterwards the program may come."""

    @abstractmethod
    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        """Say or do what an entry asks; `bound` holds the values of `{name}`.

        Raises:
            PeerError: if it cannot be done.
        """

    def leave(self, connection: int) -> None:
        """Close one connection; an actor without connections has none to close."""
        return

    def program_listens(self, place: Place) -> None:
        """Where the program can be dialled, for actors that dial it."""
        return

    @abstractmethod
    async def close(self) -> None:
        """Give everything back."""

    def _stands(self, host: str, port: int) -> None:
        self._recorder.note(What.STANDS, self.actor.name, host=host, port=port)

    def _acted(self, index: int, connection: int = 0) -> None:
        self._recorder.note(What.ACTED, self.actor.name, connection, entry=index)


def spoken(template: Template, bound: Mapping[str, str]) -> bytes:
    """What an actor says: text, and values bound before.

    Raises:
        PeerError: for a value that nothing has bound so far.
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
    raise PeerError(f"${{{getattr(part, 'name', '')}}} has no value")

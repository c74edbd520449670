"""The exchange of a scenario: its entries in order, as the notation writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.model.template import Template

if TYPE_CHECKING:
    from collections.abc import Iterator


class Arrow(StrEnum):
    """What an entry is: the actor speaks, hears, may hear, or acts."""

    SAYS = ">"
    HEARS = "<"
    MAY_HEAR = "<?"
    ACTS = "!"


class GroupKind(StrEnum):
    """How the entries of a group stand to each other."""

    ANY_ORDER = "any order:"
    ONE_OF = "one of:"
    NEVER = "never:"


@dataclass(frozen=True, slots=True)
class Directive:
    """A body line that begins with `@`, such as `@form FILE`."""

    name: str
    argument: Template


def split_charset(argument: str) -> tuple[str, str]:
    """The file and the charset of `@form FILE as GB18030`; without one it is UTF-8."""
    file, as_, charset = argument.rpartition(" as ")
    return (file.rstrip(), charset.strip()) if as_ else (argument, "utf-8")


BodyLine = Template | Directive


@dataclass(frozen=True, slots=True)
class Act:
    """What an actor does that is no text: `accept`, `expect silence 300ms`, `kill`.

    `seconds` holds a duration, `status` the exit status of `expect exit`: None for any but 0.
    """

    name: str
    seconds: float | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """`actor arrow text`, its reason, its body lines, and where it stands in the file.

    `connection` is the n of `actor.n`, counted from 1.  The place is no part of what an
    entry says: two entries of the same words are equal.
    """

    actor: str
    arrow: Arrow
    text: Template = field(default_factory=Template)
    reason: str = ""
    body: tuple[BodyLine, ...] = ()
    connection: int | None = None
    act: Act | None = None
    line: int = field(default=0, compare=False)

    @property
    def heard(self) -> bool:
        return self.arrow in (Arrow.HEARS, Arrow.MAY_HEAR)


@dataclass(frozen=True, slots=True)
class Group:
    """`any order:`, `one of:` or `never:` and its entries."""

    kind: GroupKind
    entries: tuple[Entry, ...]
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Clock:
    """`at least 900ms after, within 2s:` and what must come then; at least one of the two is set.

    Seconds, counted from the moment when everything above was settled: nothing may come before
    `at_least` of them are over, and all of it must have come `within` so many.
    """

    items: tuple[Entry | Group, ...]
    at_least: float | None = None
    within: float | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Skip:
    """`...`: whatever comes here is none of the scenario's business."""

    line: int = field(default=0, compare=False)


Item = Entry | Group | Clock | Skip


@dataclass(frozen=True, slots=True)
class Exchange:
    """The items of an exchange from top to bottom."""

    items: tuple[Item, ...] = ()

    def entries(self) -> Iterator[Entry]:
        """Every entry, those of groups included, from top to bottom."""
        for item in self.plain_items():
            if isinstance(item, Entry):
                yield item
            elif isinstance(item, Group):
                yield from item.entries

    def before_tls(self) -> frozenset[int]:
        """The entries (counted from 0) that have `! starttls` as the next one of their connection.

        Behind them no word in clear is due, but the other side's part of a handshake.
        """
        latest: dict[tuple[str, int], int] = {}
        found = set()
        for index, entry in enumerate(self.entries()):
            connection = (entry.actor, entry.connection or 1)
            if entry.act is not None and entry.act.name == "starttls":
                found.add(latest.get(connection, -1))
            latest[connection] = index
        return frozenset(found)

    def plain_items(self) -> Iterator[Entry | Group | Skip]:
        """The items from top to bottom, those below a clock in its place."""
        for item in self.items:
            if isinstance(item, Clock):
                yield from item.items
            else:
                yield item

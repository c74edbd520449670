"""The way of datagrams between the program and an actor, and what goes wrong on it; no sockets.

One way leads to the actor (`hear:`) and one to the program (what it answers).  On each, the
faults of a datagram take effect in the order of `Faults`:

1. A datagram that is lost meets no other fault.
2. What is left of a truncated one can still be corrupted.
3. Copies are copies of the result, from the same address, right behind it.
4. A reordered datagram and its copies go after the next one.  That one keeps its place: if
   it was to be reordered too, it is not.  If it is lost, they take its place.
5. A delay counts from the moment at which the datagram would have gone; no other waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.notation import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from harness.model.faults import Faults

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Parcel(Generic[_T]):
    """A datagram that comes out of a way, `copies` times, after `delay` seconds.

    `ticket` is what whoever sent it on its way gave it along.
    """

    data: bytes
    ticket: _T
    copies: int = 1
    delay: float = 0.0
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Mishap:
    """One fault that was applied: its name, the ordinal of its datagram, and in words what it did.

    `facts` has the numbers: `octet` (from 1), `octets`, `copies`, `ms`.
    """

    fault: str
    ordinal: int
    words: str
    facts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage(Generic[_T]):
    """What happened to one datagram, and which parcels come out now, in this order."""

    mishaps: tuple[Mishap, ...]
    parcels: tuple[Parcel[_T], ...]


class Way(Generic[_T]):
    """Applies the faults of one direction to datagrams, which it counts from 1.

    Chance is drawn for every fault apart, once a datagram: so which ones are hit depends on
    nothing but `luck` and the ordinal.

    Args:
        faults: What goes wrong.
        luck: The seed; the same one gives the same faults.
    """

    def __init__(self, faults: Faults, luck: str) -> None:
        self._choices = {name: choice for name, choice in faults.choices() if choice.hits_any}
        self._dice = {name: Random(f"{luck}/{name}") for name in self._choices}  # noqa: S311 - to be repeated
        self._ordinal = 0
        self._behind: Parcel[_T] | None = None  # goes after the next one

    def take(self, data: bytes, ticket: _T) -> Passage[_T]:
        """Send a datagram on its way."""
        self._ordinal += 1
        hits = dict(self._hits())
        behind, self._behind = self._behind, None
        if behind:
            hits.pop("reorder", None)
        if "lose" in hits:
            return self._passage([Mishap("lose", self._ordinal, "is lost")], behind)
        parcel, mishaps = self._damaged(Parcel(data, ticket), hits)
        if "reorder" in hits:
            self._behind = parcel
            return self._passage(mishaps)
        return self._passage(mishaps, parcel, behind)

    def _passage(self, mishaps: list[Mishap], *parcels: Parcel[_T] | None) -> Passage[_T]:
        return Passage(tuple(mishaps), tuple(parcel for parcel in parcels if parcel))

    def _hits(self) -> Iterator[tuple[str, float | None]]:
        """The faults of the datagram that is under way, with their values."""
        for name, choice in self._choices.items():
            by_chance = self._dice[name].random() < choice.rate
            if self._ordinal in choice.at:
                yield name, choice.at[self._ordinal]
            elif by_chance:
                yield name, choice.value

    def _damaged(
        self, parcel: Parcel[_T], hits: Mapping[str, float | None]
    ) -> tuple[Parcel[_T], list[Mishap]]:
        mishaps = []
        for name, value in hits.items():
            changes, words, facts = _EFFECTS[name](parcel.data, value)
            if words:
                mishaps.append(Mishap(name, self._ordinal, words, facts))
                parcel = replace(parcel, **changes)
        return parcel, mishaps


# -- what each fault does -----------------------------------------------------------------

#: What changes in the parcel, in words (none if nothing does), and in numbers.
_Effect = tuple[dict[str, Any], str, dict[str, int]]


def _truncate(data: bytes, value: float | None) -> _Effect:
    size = len(data) // 2 if value is None else int(value)
    if size >= len(data):
        return {}, "", {}
    return {"data": data[:size]}, f"is cut to {size} of {len(data)} octets", {"octets": size}


def _corrupt(data: bytes, value: float | None) -> _Effect:
    """The lowest bit changes: a digit becomes another, while no letter only changes its case."""
    if not data:
        return {}, "", {}
    octet = min(int(value or len(data)), len(data))
    old, new = data[octet - 1], data[octet - 1] ^ 1
    changed = data[: octet - 1] + bytes([new]) + data[octet:]
    words = f"is corrupted: octet {octet} is {new:#04x} instead of {old:#04x}"
    return {"data": changed}, words, {"octet": octet}


def _foreign(_data: bytes, _value: float | None) -> _Effect:
    return {"foreign": True}, "comes from another port", {}


def _repeat(_data: bytes, value: float | None) -> _Effect:
    times = int(value or 1)
    words = "is repeated" if times == 1 else f"is repeated {times} times"
    return {"copies": 1 + times}, words, {"copies": times}


def _reorder(_data: bytes, _value: float | None) -> _Effect:
    return {}, "goes after the next one", {}


def _delay(_data: bytes, value: float | None) -> _Effect:
    seconds = value or 0.0
    words = f"is delayed by {format_duration(seconds)}"
    return {"delay": seconds}, words, {"ms": round(seconds * 1000)}


_EFFECTS: dict[str, Callable[[bytes, float | None], _Effect]] = {
    "truncate": _truncate,
    "corrupt": _corrupt,
    "foreign": _foreign,
    "repeat": _repeat,
    "reorder": _reorder,
    "delay": _delay,
}

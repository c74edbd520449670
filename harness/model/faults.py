"""What goes wrong with datagrams on purpose: the faults, and which datagrams they hit."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Choice:
    """The datagrams that one fault hits, counted from 1 on their way.

    `at` has those that are named, each with its value; of the others each is hit with the
    probability `rate` (0 to 1), with `value`.  None is the fault's own default.
    """

    at: Mapping[int, float | None] = field(default_factory=dict)
    rate: float = 0.0
    value: float | None = None

    @property
    def by_chance(self) -> bool:
        """Whether two plays can differ by it."""
        return 0.0 < self.rate < 1.0

    @property
    def hits_any(self) -> bool:
        return bool(self.at) or self.rate > 0.0


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of one way between the program and an actor, in the order of their effect.

    Values: `truncate` the octets that are left (None: the first half), `corrupt` the octet
    that is changed, counted from 1 (None: the last), `repeat` how many copies follow (None:
    one), `delay` seconds.  A `foreign` answer comes from a port to which nothing was sent.
    """

    lose: Choice = field(default_factory=Choice)
    truncate: Choice = field(default_factory=Choice)
    corrupt: Choice = field(default_factory=Choice)
    foreign: Choice = field(default_factory=Choice)
    repeat: Choice = field(default_factory=Choice)
    reorder: Choice = field(default_factory=Choice)
    delay: Choice = field(default_factory=Choice)

    def choices(self) -> Iterator[tuple[str, Choice]]:
        """Every fault by its name, in the order of their effect."""
        for fault in fields(self):
            yield fault.name, getattr(self, fault.name)

    @property
    def by_chance(self) -> bool:
        return any(choice.by_chance for _, choice in self.choices())

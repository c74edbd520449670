"""The prompter: follows an exchange along the events of a play.

Pure: events in; which entry is due, met, missed or unchecked out.  `run` follows while it
plays, to know what is due; afterwards `followed` reads the record once, for the verdict and
for the transcript.  All see the same, because nothing but the events counts.

Order (docs/notation.md): entries of one connection are in order; what an actor says or
does waits for everything above it; what it hears is ordered against its own connection
only.  After a mismatch a connection goes on at its next entry that matches; what lies
between is one miss, and what can no longer happen is unchecked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.follow.follower import Follower
from harness.follow.lines import Line, State, Utterance

if TYPE_CHECKING:
    from harness.model.plan import Plan
    from harness.model.record import Record

__all__ = ["Follower", "Line", "State", "Utterance", "followed"]


def followed(plan: Plan, record: Record) -> Follower:
    """A follower that has seen a whole record; what it tells is final."""
    follower = Follower(plan.filled(record.addresses).exchange, plan.scenario.cast)
    for event in record.events:
        follower.receive(event)
    follower.finish(record.duration)
    return follower

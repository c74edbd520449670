"""The prompter: follows an exchange along the events of a play.

Pure: events in; which entry is due, met, missed or unchecked out.  `run` follows while it
plays, to know what is due; `judge` follows the record afterwards.  Both see the same,
because nothing but the events counts.

Order (docs/notation.md): entries of one connection are in order; what an actor says or
does waits for everything above it; what it hears is ordered against its own connection
only.  After a mismatch a connection goes on at its next entry that matches; what lies
between is one miss, and what can no longer happen is unchecked.
"""

from harness.follow.follower import Follower
from harness.follow.lines import Line, State, Utterance

__all__ = ["Follower", "Line", "State", "Utterance"]

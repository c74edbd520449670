"""A record: everything that happened in a play, in the order in which it was seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.model.capture import Capture

PROGRAM = "program"


class What(StrEnum):
    """What an event tells; actor and connection say where."""

    # the stage
    STANDS = "stands"  # an actor has its place: facts host, port; or the program's endpoint
    DATED = "dated"  # facts: what `${http-date -60s}` and its like stand for in this play, by name
    CURTAIN = "curtain"  # the play proper begins: times count from here
    # connections
    OPENED = "opened"  # note: the peer's address
    HEARD = "heard"  # bytes from the program, one event a chunk or datagram
    SAID = "said"  # bytes to the program; entry: the index of the entry that asked for them
    # a datagram met a fault on purpose; data: as it was before; note: which, and what became of
    # it; facts fault, way ("answer" or "heard"), ordinal on that way, numbers of `peers.way`
    FAULT = "fault"
    HURRIED = "hurried"  # pieces that should have waited for the program did not; note: why
    # the TLS handshake is over: what is heard and said from here on was encrypted; note: the
    # version of TLS, as `TLSv1.3`
    ENCRYPTED = "encrypted"
    EOF = "eof"  # the program sent FIN
    RESET = "reset"  # the program sent RST
    LEFT = "left"  # the actor closed
    STALLED = "stalled"  # the actor stopped reading and speaking: nothing more is seen there
    BROKEN = "broken"  # an actor could not do what it should; note: why
    # acts
    ACTED = "acted"  # entry: the index of the entry
    MAIL = "mail"  # a message was put into a mailbox; facts mailbox, sender; data: the message
    # the program
    UNBUILT = "unbuilt"  # nothing was played: note: what failed; data: what the build printed
    STARTED = "started"  # note: the command line
    LISTENING = "listening"  # facts host, port
    SCREEN = "screen"  # bytes of its standard output
    ERRORS = "errors"  # bytes on its standard error
    ANSWERED = "answered"  # a prompt of the program, for its user; data: what was typed; note: it
    FLOODED = "flooded"  # note: the stream that passed its limit
    CROWDED = "crowded"  # it had far too many processes; note: how many
    EXITED = "exited"  # facts status, or signal
    # the harness ended it; note: why; fact act: of the scenario, if that says so
    STOPPED = "stopped"
    # what outlived the program; facts kind: "process" (note: its command line), or "socket"
    # (note: transport and place) where one still listens
    LEFTOVER = "leftover"
    # a file of its folder that it touched; note: its path; data: content; fact change: created,
    # changed or removed; facts skipped (why there is no content) and path where it was not read
    FILE = "file"
    # the end
    GAVE_UP = "gave-up"  # a limit of the play was reached; note: which


#: Why the harness ends a program (`What.STOPPED`) where a play ends as it should.
PLAY_IS_OVER = "the play is over"

#: What a person at the terminal sees: errors too, and Python's `input` writes its prompt there.
SEEN = (What.SCREEN, What.ERRORS)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `at` counts seconds from the curtain, on a monotonic clock."""

    at: float
    what: What
    actor: str
    connection: int = 0
    data: bytes = b""
    note: str = ""
    entry: int | None = None
    facts: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """The events of one play, in the order in which they were seen.

    `capture` has the frames, where the network was one on which they can be seen.
    """

    events: tuple[Event, ...]
    capture: Capture | None = None

    def of(self, *whats: What) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.what in whats)

    @property
    def lives(self) -> tuple[Record, ...]:
        """The record cut where the program was started again; at least one, the first."""
        starts = [n for n, event in enumerate(self.events) if event.what is What.STARTED][1:]
        if not starts:
            return (self,)
        edges = [0, *starts, len(self.events)]
        return tuple(Record(self.events[start:end]) for start, end in pairwise(edges))

    def text(self, *whats: What) -> bytes:
        """The data of all events of these kinds, joined in the order in which they came.

        What a program left of a line is no beginning of its next life's first line.
        """
        texts = [_text(life.of(*whats, What.ANSWERED)) for life in self.lives]
        *ended, last = filter(None, texts) if any(texts) else [b""]
        return b"".join(text.removesuffix(b"\n") + b"\n" for text in ended) + last

    @property
    def addresses(self) -> dict[str, str]:
        """Values for `${name.host}`, `${name.port}`, `${name.address}` and dates of this play."""
        values = {
            name: str(date) for event in self.of(What.DATED) for name, date in event.facts.items()
        }
        for event in self.of(What.STANDS):
            host, port = str(event.facts["host"]), str(event.facts["port"])
            shown = f"[{host}]" if ":" in host else host
            with_port = f"{shown}:{port}" if port != "0" else host  # ICMP knows no ports
            values |= {
                f"{event.actor}.host": host,
                f"{event.actor}.port": port,
                f"{event.actor}.address": with_port,
            }
        return values

    @property
    def losses(self) -> dict[str, str]:
        """Values for `${name.lost}` and `${name.loss}`: datagrams, and per cent to a tenth.

        Those that were sent to the actor and those that it sent count together, of all that
        were sent to it.
        """
        values: dict[str, str] = {}
        for name in {event.actor for event in self.of(What.STANDS)}:
            faults = [event.facts for event in self.of(What.FAULT) if event.actor == name]
            lost = [facts for facts in faults if facts["fault"] == "lose"]
            unheard = sum(facts["way"] == "heard" for facts in lost)
            sent = unheard + sum(event.actor == name for event in self.of(What.HEARD))
            values[f"{name}.lost"] = str(len(lost))
            values[f"{name}.loss"] = f"{100 * len(lost) / max(sent, 1):.1f}"
        return values

    @property
    def duration(self) -> float:
        return self.events[-1].at if self.events else 0.0


def _text(events: Iterable[Event]) -> bytes:
    """What was printed; where a prompt was answered a new line begins, as on every terminal."""
    text = b""
    for event in events:
        if event.what is not What.ANSWERED:
            text += event.data
        elif text and not text.endswith(b"\n"):
            text += b"\n"
    return text

"""A capture: every frame that went over the wire in a play, as the kernel saw it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The two links of the host on which the program lives: to everybody else, and to itself.
WIRE, LOOPBACK = "eth0", "lo"
#: Octets of frames that are kept; whoever reads a capture wants to know how a play began.
LIMIT = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of Ethernet (IEEE 802.3), from its addresses on and without its check sequence.

    `time_ns` is when it was seen, in nanoseconds since 1970; `sent` says that the program's host
    sent it.  On `lo`, where sender and receiver are one, nothing is `sent`.
    """

    time_ns: int
    link: str
    sent: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """The frames of a play in order, each once.

    Attributes:
        frames: As many as `LIMIT` takes.
        curtain_ns: When the curtain rose, the 0 of the record's times; 0 if it never did.
        lost: Frames that the kernel had no room for, so that nobody saw them.
        beyond: Frames that came when the limit was reached.
        secrets: Keys of TLS connections, in the format of NSS (SSLKEYLOGFILE); others may be
            among them.
        names: The address of every name that there was, by name.
    """

    frames: tuple[Frame, ...] = ()
    curtain_ns: int = 0
    lost: int = 0
    beyond: int = 0
    secrets: bytes = b""
    names: Mapping[str, str] = field(default_factory=dict)

    def seconds(self, frame: Frame) -> float:
        """When a frame was seen, on the clock of the record; what came before has time 0."""
        return max(0, frame.time_ns - (self.curtain_ns or frame.time_ns)) / 1e9

    @property
    def gap(self) -> str:
        """What is not in it, as a sentence; empty if all is."""
        parts = []
        if self.lost:
            parts.append(f"the kernel had no room for {self.lost} frames")
        if self.beyond:
            parts.append(f"{self.beyond} frames came behind the first {LIMIT // 2**20} MiB")
        return " and ".join(parts)

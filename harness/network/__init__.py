"""Where a play happens: an interface, and the rungs of the ladder behind it."""

from __future__ import annotations

from functools import cache

from harness.errors import MachineError
from harness.network.icmp import Code, EchoSocket, Router
from harness.network.interface import Exit, Network, Place, Process, Reading, Transport, Way
from harness.network.loopback import Loopback
from harness.network.private import Private
from harness.network.process import scratch_folder
from harness.network.segments import LostSegments

__all__ = [
    "Code",
    "EchoSocket",
    "Exit",
    "Loopback",
    "LostSegments",
    "Network",
    "Place",
    "Private",
    "Process",
    "Reading",
    "Router",
    "Transport",
    "Way",
    "open_network",
    "rung_of",
    "scratch_folder",
    "why_not_private",
]


def rung_of(choice: str) -> type[Network]:
    """The rung that `--network` chooses; its `rung` and `offers` can be asked before any play.

    Args:
        choice: `auto` (the highest that works here), `private` or `loopback`.

    Raises:
        MachineError: this machine does not have it; says what to do.
        ValueError: there is no such rung.
    """
    if choice == "private":
        if trouble := _trouble():
            raise MachineError(trouble)
        return Private
    if choice == "auto":
        return Loopback if _trouble() else Private
    if choice == "loopback":
        return Loopback
    raise ValueError(f"no such network: {choice!r} (there are auto, private and loopback)")


def why_not_private(choice: str) -> str:
    """Why `auto` came down to the loopback rung, as a clause; empty if it did not."""
    return _trouble().partition("; ")[0] if choice == "auto" else ""


async def open_network(choice: str = "auto") -> Network:
    """The network of one play, on the rung that `rung_of` tells; the caller closes it.

    Raises:
        MachineError: as `rung_of`, or it cannot be set up.
    """
    return await rung_of(choice).open()


@cache
def _trouble() -> str:
    """Why the private rung cannot be had on this machine; empty if it can.

    Tried once for each process, by setting one up.
    """
    try:
        Private.check()
    except MachineError as error:
        return str(error)
    return ""

"""Where a play happens: an interface, and the rungs of the ladder behind it."""

from __future__ import annotations

from harness.errors import MachineError
from harness.network.interface import Exit, Network, Place, Process, Transport
from harness.network.loopback import Loopback

__all__ = [
    "Exit",
    "Loopback",
    "Network",
    "Place",
    "Process",
    "Transport",
    "open_network",
    "rung_of",
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
        raise MachineError(
            "the private network is not available in this version of Wirelab yet; "
            "use --network loopback (or auto)"
        )
    if choice in ("auto", "loopback"):
        return Loopback
    raise ValueError(f"no such network: {choice!r} (there are auto, private and loopback)")


async def open_network(choice: str = "auto") -> Network:
    """The network of one play, on the rung that `rung_of` tells; the caller closes it.

    Raises:
        MachineError: as `rung_of`, or it cannot be set up.
    """
    return rung_of(choice)()

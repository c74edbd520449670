"""The rung that works everywhere: everybody on 127.0.0.1 and ::1, on ports that the kernel picks."""

from __future__ import annotations

from harness.network.interface import Network


class Loopback(Network):
    """The network of one play on the loopback interface."""

    rung = "loopback"
    offers = frozenset({"filtered-port"})

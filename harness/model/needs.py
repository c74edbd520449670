"""What a scenario or a program may need of the network, each with the words for it.

A rung of the ladder of networks offers some of them; where one is missing, the scenario
is skipped with these words.
"""

from __future__ import annotations

NAMES = "names"
RAW_ICMP = "raw-icmp"
FILTERED_PORT = "filtered-port"
PRIVATE_ADDRESSES = "private-addresses"
ICMP_ERRORS = "icmp-errors"
LOST_SEGMENTS = "lost-segments"
CAPTURE = "capture"

NEEDS = {
    NAMES: "names of its own",
    RAW_ICMP: "raw ICMP",
    FILTERED_PORT: "filtered ports",
    PRIVATE_ADDRESSES: "addresses of its own",
    ICMP_ERRORS: "routers that send ICMP errors",
    LOST_SEGMENTS: "segments that are lost",
    CAPTURE: "capture",
}

"""Calculator client: sends each sum that is typed, and shows its value, to `quit`.

    python calc_client.py HOST PORT [--tcp | --udp] [--timeout 5] [--local HOST:PORT]
                          [--framing none | lines]

`quit` is not sent: it ends the connection; so does the end of the input (Ctrl-D).

No line ends are sent unless --framing is lines: a sum is what one `send` carries. An answer is
what comes up to a line end, or else before a short pause; over UDP, one datagram. Requirement K3.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from protocols.arguments import add_place_to_dial
from protocols.dialogue import EXIT_STATUS, Manners, call_of, run_client

if TYPE_CHECKING:
    from collections.abc import Sequence

MANNERS = Manners("quit", tells_farewell=False)


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog="calc_client.py",
        description=__doc__,
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place_to_dial(result)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Converse as the command line says; return the exit status."""
    return run_client("calc_client.py", call_of(parser().parse_args(arguments)), MANNERS)


if __name__ == "__main__":
    sys.exit(main())

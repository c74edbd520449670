"""Echo client: sends each line that is typed, and shows what comes back.

    python echo_client.py HOST PORT [--udp] [--mode upper | reverse | plain]
                          [--timeout 5] [--local HOST:PORT]
                          [--framing none | lines]

For `echo_server.py` in the same mode. In mode upper the server greets first, and `bye` is sent
and ends the conversation; in the others `bye` only ends the client, since the server has no
word for it. The end of the input (Ctrl-D) ends it too.

No line ends are sent unless --framing is lines: a line is what one `send` carries. An answer is
what comes up to a line end, or else before a short pause; over UDP, one datagram.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from protocols.arguments import add_place_to_dial
from protocols.dialogue import EXIT_STATUS, Manners, call_of, run_client

if TYPE_CHECKING:
    from collections.abc import Sequence


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog="echo_client.py",
        description=__doc__,
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place_to_dial(result)
    result.add_argument(
        "--mode", choices=["upper", "reverse", "plain"], default="upper", help="default: upper"
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Converse as the command line says; return the exit status."""
    options = parser().parse_args(arguments)
    polite = options.mode == "upper"
    manners = Manners("bye", is_greeted=polite, tells_farewell=polite, is_answered=polite)
    return run_client("echo_client.py", call_of(options), manners)


if __name__ == "__main__":
    sys.exit(main())

"""Calculator server: works out the sums that clients send, over TCP and UDP.

    python calc_server.py HOST PORT [--tcp | --udp] [--framing none | lines]

A message is a sum, such as `3 + 4 * (2 - 1.5)`; its answer is the value, `5`, or `error:` and what
is wrong with it. Known are + - * / % ^ and brackets, in their usual order; numbers are decimal,
with 28 digits.

A message ends with a line end, however TCP cuts it, and its answer ends as it does; unless
--framing is lines, it also ends where nothing more comes for a moment. An empty one is not
answered over TCP. The connection lasts until the client ends it.

HOST is a name or an address; an empty one means all of them. Requirements K3, K7.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from protocols.arguments import add_listening_place
from protocols.arithmetic import CalculationError, calculate
from protocols.endpoints import Endpoint
from protocols.messages import Message
from protocols.service import EXIT_STATUS, Service, run_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.service import Connection


class CalcService(Service):
    """Answers sums with their values."""

    async def converse(self, client: Connection) -> None:
        """Answer sum by sum."""
        while (message := await client.message()) is not None:
            if message.text:
                await client.send(message.answer(reply(message.words)))

    def answer(self, datagram: bytes, sender: Endpoint) -> bytes | None:  # noqa: ARG002 - all alike
        """Answer a datagram; one that is itself an answer is not answered."""
        message = Message.of(datagram)
        words = message.words
        # Two calculators whom somebody made talk to each other would never end.
        return None if words.startswith("error:") else message.answer(reply(words))


def reply(text: str) -> str:
    """Return the value of a sum, or what is wrong with it."""
    try:
        return calculate(text)
    except CalculationError as error:
        return f"error: {error}"


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog="calc_server.py",
        description=__doc__.replace("%", "%%"),
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_listening_place(result)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve as the command line says; return the exit status."""
    options = parser().parse_args(arguments)
    where = Endpoint(options.host, options.port)
    return run_server(
        "calc_server.py", lambda: CalcService(options.framing), where, options.transports
    )


if __name__ == "__main__":
    sys.exit(main())

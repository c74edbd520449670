"""UDP ping server: answers datagrams in capitals, and loses some of them on purpose.

    python udp_ping_server.py HOST PORT [--loss 40] [--seed NUMBER]

Of a hundred datagrams about --loss get no answer, each by chance and apart from the others, as on
a bad line; what pings it must live with that. The same --seed loses the same ones. What is no
text comes back as it is. HOST is a name or an address; an empty one means all of them.
Requirement A6.
"""

from __future__ import annotations

import argparse
import random
import sys
from typing import TYPE_CHECKING

from protocols.arguments import port_to_listen_at
from protocols.endpoints import Endpoint
from protocols.messages import Message
from protocols.screen import say
from protocols.service import EXIT_STATUS, Service, run_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.service import Connection


class PingService(Service):
    """Answers datagrams but for some.

    Args:
        loss: how many of a hundred are lost, on average; 0 to 100.
        seed: of the chance; None for another one each time.
    """

    def __init__(self, loss: float, seed: int | None = None) -> None:
        super().__init__()
        self._loss = loss
        self._chance = random.Random(seed)  # noqa: S311 - this is no secret
        self._received = self._lost = 0

    async def converse(self, client: Connection) -> None:
        """There is nothing over TCP."""

    def answer(self, datagram: bytes, sender: Endpoint) -> bytes | None:
        """Return the datagram in capitals, or nothing by chance."""
        self._received += 1
        if self._chance.random() * 100 < self._loss:
            self._lost += 1
            say(f"{sender}: {len(datagram)} octets, lost")
            return None
        say(f"{sender}: {len(datagram)} octets")
        message = Message.of(datagram)
        return message.answer(message.words.upper())

    async def ended(self) -> None:
        """Wait until it is told to end, and sum up."""
        await super().ended()
        say(f"{self._received} received, {self._lost} lost")


def per_cent(text: str) -> float:
    """A share from 0 to 100."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: a number from 0 to 100")
    return value


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog="udp_ping_server.py",
        description=__doc__,
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("host", help="where to listen: a name or an address; empty for all")
    add("port", type=port_to_listen_at, help="the UDP port; 0 for any, which is told")
    add("--loss", type=per_cent, default=40.0, metavar="PERCENT", help="default: 40")
    add("--seed", type=int, metavar="NUMBER", help="of the chance; default: another each time")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve as the command line says; return the exit status."""
    options = parser().parse_args(arguments)
    where = Endpoint(options.host, options.port)
    return run_server(
        "udp_ping_server.py", lambda: PingService(options.loss, options.seed), where, ["udp"]
    )


if __name__ == "__main__":
    sys.exit(main())

"""Echo server: answers every message in capitals, reversed or as it is, over TCP and UDP.

    python echo_server.py HOST PORT [--mode upper | reverse | plain] [--tcp | --udp]
                          [--framing none | lines]

=========  =============================================================================
mode       over TCP, and over UDP
=========  =============================================================================
upper      greets with `Welcome`, answers each message in capitals; `bye` ends the
           connection. A datagram `bye` is answered `I see u.`, and ends the server.
reverse    answers each message with its letters in reverse order.
plain      the Echo Protocol (RFC 862): every octet comes back, up to the client's end;
           every datagram comes back, also an empty one.
=========  =============================================================================

A message ends with a line end, however TCP cuts it, and its answer ends as it does; unless
--framing is lines, it also ends where nothing more comes for a moment. A client that has ended its
direction is sent the rest of its answers before the connection is closed.

HOST is a name or an address, IPv4 or IPv6; an empty one means all of them.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from protocols.arguments import add_listening_place
from protocols.endpoints import Endpoint
from protocols.messages import Message
from protocols.service import EXIT_STATUS, Service, run_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.service import Connection

GREETING = "Welcome"
FAREWELL = b"bye"
LAST_WORDS = b"I see u."

# Two services that answer whatever comes would answer each other for ever: a datagram with a
# forged sender is enough to set them off. These ports are echo, daytime, quote of the day,
# character generator and time (RFC 862, 867, 865, 864, 868).
_ANSWERING_PORTS = frozenset({7, 13, 17, 19, 37})


class PlainEcho(Service):
    """Gives back every octet."""

    async def converse(self, client: Connection) -> None:
        """Send what comes, as it comes."""
        while octets := await client.read():
            await client.send(octets)

    def answer(self, datagram: bytes, sender: Endpoint) -> bytes | None:
        """Return the datagram, but to no other service that answers."""
        return None if sender.port in _ANSWERING_PORTS else datagram


class ReverseEcho(Service):
    """Answers with the letters in reverse order."""

    async def converse(self, client: Connection) -> None:
        """Answer message by message."""
        while (message := await client.message()) is not None:
            await client.send(message.answer(message.words[::-1]))

    def answer(self, datagram: bytes, sender: Endpoint) -> bytes | None:  # noqa: ARG002 - all alike
        """Return the datagram reversed."""
        message = Message.of(datagram)
        return message.answer(message.words[::-1])


class UpperEcho(Service):
    """Greets, answers in capitals, and knows a farewell."""

    async def converse(self, client: Connection) -> None:
        """Answer message by message, to `bye`."""
        await client.greet(GREETING)
        while (message := await client.message()) is not None and message.text != FAREWELL:
            await client.send(message.answer(message.words.upper()))

    def answer(self, datagram: bytes, sender: Endpoint) -> bytes | None:  # noqa: ARG002 - all alike
        """Return the datagram in capitals; `bye` ends the server."""
        message = Message.of(datagram)
        if message.text == FAREWELL:
            self.end()
            return LAST_WORDS + message.end
        return message.answer(message.words.upper())


MODES: dict[str, type[UpperEcho | ReverseEcho | PlainEcho]] = {
    "upper": UpperEcho,
    "reverse": ReverseEcho,
    "plain": PlainEcho,
}


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog="echo_server.py",
        description=__doc__,
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_listening_place(result)
    result.add_argument("--mode", choices=MODES, default="upper", help="default: %(default)s")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve as the command line says; return the exit status."""
    options = parser().parse_args(arguments)
    where = Endpoint(options.host, options.port)
    return run_server(
        "echo_server.py", lambda: MODES[options.mode](options.framing), where, options.transports
    )


if __name__ == "__main__":
    sys.exit(main())

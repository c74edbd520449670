"""Talk server: greets a client with its own address, and answers what it says, over TCP and UDP.

    python talk_server.py HOST PORT [--tcp | --udp] [--framing none | lines]

HOST may be the machine's own name (`$(hostname)`), any other name or address of it, or empty for
all of them. Over TCP a client is greeted with the address and the port that it comes from; each
message is answered with the time, this address, and the text; `q!` ends the connection. Over UDP,
where nobody comes or goes, datagrams are answered in the same way, and `q!` is not.

A message ends with a line end, however TCP cuts it, and its answer ends as it does; unless
--framing is lines, it also ends where nothing more comes for a moment. Requirements N1, N2.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from protocols.arguments import add_listening_place
from protocols.endpoints import Endpoint
from protocols.log import now
from protocols.messages import Message
from protocols.service import EXIT_STATUS, Service, run_server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from protocols.service import Connection

FAREWELL = b"q!"


class TalkService(Service):
    """Tells each client who it is and what it said, and when."""

    async def converse(self, client: Connection) -> None:
        """Greet, and answer message by message, to `q!`."""
        await client.greet(f"Welcome, {client.peer}")
        while (message := await client.message()) is not None and message.text != FAREWELL:
            await client.send(reply(message, client.peer, now()))

    def answer(self, datagram: bytes, sender: Endpoint) -> bytes | None:
        """Answer a datagram; the farewell needs no answer."""
        message = Message.of(datagram)
        return None if message.text == FAREWELL else reply(message, sender, now())


def reply(message: Message, sender: Endpoint, moment: datetime) -> bytes:
    """Return `2026-11-21 09:40:01 192.0.2.7:40001 hello`, with the line end of the message."""
    return message.answer(f"{moment:%Y-%m-%d %H:%M:%S} {sender} {message.words}")


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog="talk_server.py",
        description=__doc__,
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
        "talk_server.py", lambda: TalkService(options.framing), where, options.transports
    )


if __name__ == "__main__":
    sys.exit(main())

"""Words of a command line that several programs read alike; wrong ones are told by argparse."""

from __future__ import annotations

import argparse
import re
import socket

from protocols.endpoints import Endpoint, parse_endpoint


def endpoint(text: str) -> Endpoint:
    """HOST:PORT."""
    try:
        return parse_endpoint(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def name(text: str) -> str:
    """A host name: no blanks, nothing that is not ASCII."""
    if not re.fullmatch(r"[!-~]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no host name")
    return text


def seconds(text: str) -> float:
    """A time to wait."""
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from error
    if not 0 < value < 86400:
        raise argparse.ArgumentTypeError(f"{text!r} must be more than 0 and less than a day")
    return value


def port_to_dial(text: str) -> int:
    """A port from 1 to 65535; 0 is reserved (RFC 6335 6)."""
    return _port(text, 1)


def port_to_listen_at(text: str) -> int:
    """A port, or 0 for any that is free."""
    return _port(text, 0)


def _port(text: str, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not least <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from {least} to 65535")
    return int(text)


def _add_framing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--framing",
        choices=["none", "lines"],
        default="none",
        help="how messages end over TCP: with a line end, or also where a pause follows (default)",
    )


def add_listening_place(parser: argparse.ArgumentParser) -> None:
    """Add HOST, PORT, --tcp, --udp and --framing of a server that may offer both."""
    _add_framing(parser)
    parser.add_argument("host", help="where to listen: a name or an address; empty for all")
    parser.add_argument(
        "port", type=port_to_listen_at, help="the port, the same for both; 0 for any, which is told"
    )
    only = parser.add_mutually_exclusive_group()
    add = only.add_argument
    add("--tcp", dest="transports", action="store_const", const=("tcp",), help="TCP only")
    add("--udp", dest="transports", action="store_const", const=("udp",), help="UDP only")
    parser.set_defaults(transports=("tcp", "udp"))


def add_place_to_dial(parser: argparse.ArgumentParser) -> None:
    """Add HOST, PORT, --tcp, --udp, -4, -6, --local, --timeout and --framing of a client."""
    _add_framing(parser)
    parser.add_argument("host", help="name or address of the server")
    parser.add_argument("port", type=port_to_dial, help="its port")
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--udp", action="store_true", help="UDP instead of TCP")
    transport.add_argument("--tcp", dest="udp", action="store_false", help="TCP (the default)")
    parser.add_argument(
        "--local", type=endpoint, metavar="HOST:PORT", help="the own end; default: any that is free"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="for the connection, and for each answer (default: 5)",
    )
    add_family(parser)


def add_family(parser: argparse.ArgumentParser) -> None:
    """Add -4 and -6: the family of addresses to use, `family`."""
    only = parser.add_mutually_exclusive_group()
    add = only.add_argument
    add("-4", dest="family", action="store_const", const=socket.AF_INET, help="IPv4 only")
    add("-6", dest="family", action="store_const", const=socket.AF_INET6, help="IPv6 only")
    parser.set_defaults(family=socket.AF_UNSPEC)

"""Words of a command line that the mail programs read alike; wrong ones are told by argparse."""

from __future__ import annotations

import argparse
import re

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

"""What a program prints: at once, and safe to show whoever has sent it."""

from __future__ import annotations

import os
import sys

from protocols.log import visible


def say(text: str) -> None:
    """Print a line, with the control characters in it made visible.

    That nobody reads it any more is no reason to stop working.
    """
    show(visible(text))


def show(line: str) -> None:
    """Print a line as it is, as `say` does."""
    try:
        print(line, flush=True)
    except UnicodeEncodeError:  # a terminal that is not UTF-8
        print(line.encode("ascii", "backslashreplace").decode(), flush=True)
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the rest of the run

"""The log in plain text, `Log-<timestamp>.txt` (W10): one line per event, none forged.

And what screens and logs have in common: texts from the network made visible.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pathlib import Path

MASK = "********"

# Fields whose value lets somebody else in (RFC 9110 11, RFC 6265).
_SECRET_FIELDS = re.compile(
    r"(?i)(authorization|proxy-authorization|cookie|set-cookie|cookie2)\s*:.*", re.DOTALL
)
# A webmail's session id, and a name with a password in a URL, open the account as well.
_SECRET_IN_URL = re.compile(r"(?i)(?<=[?&]sid=)[^&\s#]+|(?<=://)[^/\s@]+(?=@)")


def now() -> datetime:
    """The local time, with its zone."""
    return datetime.now().astimezone()


def stamp(moment: datetime) -> str:
    """A time as logs and screens show it: `2026-11-21 09:40:01.123`."""
    return moment.isoformat(" ", "milliseconds")[:23]


def visible(text: str) -> str:
    r"""Write control characters as `\x1b`: no text of a peer's ends a line or moves a cursor.

    The marks that turn the direction of writing are escaped too.
    """
    return re.sub(
        r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]",
        lambda found: (
            f"\\x{ord(found[0]):02x}" if ord(found[0]) < 256 else f"\\u{ord(found[0]):04x}"
        ),
        text,
    )


def masked_head_line(line: str) -> str:
    """Take the credentials out of a line of an HTTP head."""
    line = _SECRET_FIELDS.sub(rf"\1: {MASK}", line) if _SECRET_FIELDS.match(line) else line
    return _SECRET_IN_URL.sub(MASK, line)


class Log:
    """An open log file. Each line has its time, and is on its way to the disk when written.

    A log that can no longer be written is told once on standard error; the work goes on.
    """

    def __init__(self, file: TextIO, path: Path) -> None:
        self.path = path
        self._file = file
        self._failed = False

    @classmethod
    def open(cls, directory: Path) -> Log:
        """Begin a new file; two of the same second get different names.

        Raises:
            OSError: it cannot be written.
        """
        path, file = create_unique(directory, f"Log-{now():%Y%m%d-%H%M%S}", ".txt")
        return cls(file, path)

    def write(self, text: str) -> None:
        """Add one line; line ends and control characters in it are escaped."""
        try:
            self._file.write(f"{stamp(now())} {visible(text)}\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            if not self._failed:
                sys.stderr.write(f"the log {self.path} cannot be written: {error}\n")
            self._failed = True

    def close(self) -> None:
        """Close the file; nothing more is recorded."""
        try:
            self._file.close()
        except OSError as error:
            sys.stderr.write(f"the log {self.path} cannot be written: {error}\n")


def create_unique(directory: Path, stem: str, suffix: str) -> tuple[Path, TextIO]:
    """Create a file that did not exist: `stem` + `suffix`, else `stem-2` + `suffix` ...

    Raises:
        OSError: the directory cannot be written.
    """
    number = 1
    while True:
        path = directory / f"{stem}{f'-{number}' if number > 1 else ''}{suffix}"
        try:
            return path, path.open("x", encoding="utf-8", errors="backslashreplace", newline="\n")
        except FileExistsError:
            number += 1

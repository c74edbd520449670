"""Where results go: a file is replaced as a whole, all else is written as it is."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

from harness.errors import MachineError

_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


class Target:
    """The target of `--json` or `--junit`.

    Raises:
        MachineError: it cannot be written; known when it is made, before anything is played.
    """

    def __init__(self, name: str) -> None:
        self.on_standard_output = name in _STANDARD_OUTPUT
        self._name = name
        self._path = Path(name)
        self._opened: int | None = None  # where a file is not replaced: a device, a pipe
        if not self.on_standard_output:
            try:
                self._prepare()
            except OSError as error:
                raise self._refusal(error) from error

    def _prepare(self) -> None:
        if not self._is_replaced():
            self._opened = os.open(self._path, os.O_WRONLY)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._path.parent):
            pass

    def _is_replaced(self) -> bool:
        """A link is not: what it leads to may be a device, or somebody's open file."""
        try:
            return stat.S_ISREG(self._path.lstat().st_mode) and os.access(
                self._path.parent, os.W_OK
            )
        except FileNotFoundError:
            return True

    def write(self, text: str) -> None:
        """Write the results, as UTF-8; a regular file whole or not at all.

        Raises:
            MachineError: they cannot be written.
        """
        if self.on_standard_output:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())  # whatever the locale: RFC 8259 8.1
            sys.stdout.buffer.flush()
            return
        try:
            self._write(text.encode())
        except OSError as error:
            raise self._refusal(error) from error

    def _write(self, data: bytes) -> None:
        if self._opened is None:
            self._replace(data)
            return
        if stat.S_ISREG(os.fstat(self._opened).st_mode):
            os.ftruncate(self._opened, 0)
        with open(self._opened, "wb") as file:  # noqa: PTH123 - it is open already
            self._opened = None
            file.write(data)

    def _replace(self, data: bytes) -> None:
        part = self._path.with_name(f".wirelab-{os.getpid()}.part")
        try:
            part.write_bytes(data)
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)

    def _refusal(self, error: OSError) -> MachineError:
        return MachineError(f"{self._name}: the results cannot be written ({error.strerror})")

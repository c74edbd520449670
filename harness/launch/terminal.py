"""The program's terminal and its standard error, as the harness sees them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
from typing import TYPE_CHECKING

from harness.errors import MachineError
from harness.model.record import PROGRAM, What

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.record import Recorder

_CHUNK = 65_536
_ROWS, _COLUMNS = 24, 80
_IUTF8 = 0o40000  # missing from the termios module
_STREAMS = {What.SCREEN: "terminal", What.ERRORS: "standard error"}


class Stream:
    """One of the program's outputs: recorded as it comes, up to a limit.

    At the limit it notes `What.FLOODED`, reads no more, and calls `flooded`.  What lies in
    the stream `after` which it comes is recorded before each chunk: a greeting on the screen
    comes before the prompt on standard error.
    """

    def __init__(
        self,
        fd: int,
        what: What,
        recorder: Recorder,
        limit: int,
        flooded: Callable[[str], None],
        after: Stream | None = None,
    ) -> None:
        self._fd = fd
        self._what = what
        self._recorder = recorder
        self._left = self._limit = limit
        self._flooded = flooded
        self._after = after
        self._open = True
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)

    def listen(self) -> None:
        """Record from now on whatever comes."""
        if self._open:
            self._loop.add_reader(self._fd, self._read)

    def drain(self) -> None:
        """Record what is there now; never waits."""
        while self._open and self._read():
            pass

    def close(self) -> None:
        """Read no more; the descriptor stays its owner's."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._fd)

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO, a terminal that has hung up
            data = b""
        if not data:
            self.close()
            return False
        if self._after:
            self._after.drain()
        self._keep(data)
        return True

    def _keep(self, data: bytes) -> None:
        self._recorder.note(self._what, PROGRAM, data=data[: self._left])
        self._left -= len(data)
        if self._left < 0:
            self.close()
            name = _STREAMS[self._what]
            self._recorder.note(What.FLOODED, PROGRAM, note=name)
            self._flooded(f"it wrote more than {self._limit} bytes to its {name}")


class Terminal:
    """A pseudo-terminal, a pipe for standard error, and their recording.

    Nothing is echoed or translated on the way out, so an actor never reads its own typing;
    lines and Ctrl-C work as they do for a person.  A line of more than 4,095 bytes is cut by
    the kernel, as for a person (N_TTY_BUF_SIZE).

    Attributes:
        program_end: The program's standard input and output.
        errors_end: Its standard error; to be closed by `started`, once the program has it.
    """

    def __init__(self, recorder: Recorder, limit: int, flooded: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            # Our copy of the program's end is held on purpose: the terminal does not hang up
            # when the program closes its own, and its output is still to be had afterwards.
            self._fd, self.program_end = os.openpty()
        except OSError as error:
            raise MachineError(f"no terminal can be had: {error.strerror}") from error
        _set_up(self.program_end)
        self._errors, self.errors_end = os.pipe()
        self._typed = bytearray()
        screen = Stream(self._fd, What.SCREEN, recorder, limit, flooded)
        errors = Stream(self._errors, What.ERRORS, recorder, limit, flooded, after=screen)
        self._streams = (screen, errors)

    def started(self) -> None:
        """The program has its own descriptors now; what it writes is recorded from here on."""
        self._close_errors_end()
        for stream in self._streams:
            stream.listen()

    def _close_errors_end(self) -> None:
        if self.errors_end >= 0:
            os.close(self.errors_end)
            self.errors_end = -1

    def type(self, data: bytes) -> None:
        """Type; what the program does not take yet waits for it."""
        self._typed += data
        self._write()

    def drain(self) -> None:
        """Record all output that is there now; never waits for more."""
        for stream in self._streams:
            stream.drain()

    def close(self) -> None:
        """Hang up."""
        self._close_errors_end()
        for stream in self._streams:
            stream.close()
        self._loop.remove_writer(self._fd)
        for fd in (self._fd, self.program_end, self._errors):
            os.close(fd)

    def _write(self) -> None:
        with contextlib.suppress(BlockingIOError):
            del self._typed[: os.write(self._fd, self._typed)]
        if self._typed:
            self._loop.add_writer(self._fd, self._write)
        else:
            self._loop.remove_writer(self._fd)


def _set_up(fd: int) -> None:
    attributes = termios.tcgetattr(fd)
    attributes[0] = termios.ICRNL | _IUTF8  # Enter ends a line; no Ctrl-S that stops it all
    attributes[1] = 0
    attributes[3] = termios.ICANON | termios.ISIG
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
    termios.tcsetwinsize(fd, (_ROWS, _COLUMNS))

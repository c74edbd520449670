"""One program under test, from its scratch copy to the files that it left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.network import Exit, Network, Place, Transport
    from harness.record import Recorder


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use up; sizes in bytes.

    `output` bounds what is recorded of each stream, `copy_*` the author's folder, and
    `file_size` and `files` what is collected afterwards.
    """

    output: int = 1 << 20
    copy_size: int = 64 << 20
    copy_files: int = 5_000
    file_size: int = 1 << 20
    files: int = 200


class Ready(StrEnum):
    """What came first: the program listens where it should, it ended, or time was up."""

    LISTENING = "listening"
    EXITED = "exited"
    TIMED_OUT = "timed out"


class Launched:
    """A program under test that was started; `finish` it in any case.

    Attributes:
        folder: The scratch copy in which it runs.
        broken: Why it could not be started, for its author to read; empty if it was.
        exit: How it ended, as soon as that is known and its output is recorded.
    """

    folder: Path
    broken: str = ""
    exit: Exit | None = None

    def type(self, data: bytes) -> None:
        """Type on its terminal, without waiting for the program to read."""
        raise NotImplementedError

    def listening(self, transport: Transport) -> set[Place]:
        """Where it listens now; see `Network.listening`."""
        raise NotImplementedError

    async def ready(self, place: Place, transport: Transport, deadline: float) -> Ready:
        """Wait until it listens at `place` (or on a wildcard address with that port).

        Notes `What.LISTENING`.  `deadline` is a moment on the clock of the event loop.
        """
        raise NotImplementedError

    async def wait(self) -> None:
        """Return when the program has ended (or could not be started) and all is recorded."""
        raise NotImplementedError

    def signal(self, number: int) -> None:
        """Send its process group a signal, as an act of the play; notes nothing."""
        raise NotImplementedError

    async def stop(self, why: str, grace: float = 1.0) -> None:
        """Ask it to end (SIGTERM), after `grace` seconds make it (SIGKILL); wait until it has.

        Notes `What.STOPPED` with `why`; nothing happens if it has ended before.
        """
        raise NotImplementedError

    async def restart(self) -> None:
        """End all of it and start the same command line in the same scratch folder again."""
        raise NotImplementedError

    async def finish(self) -> None:
        """End what is left, note leftovers and new or changed files, remove the scratch folder.

        A file that is not collected (a FIFO, a link, too large ...) is told as `What.FILE`
        without data, with the fact `skipped`, and with the reason behind its path in the note.
        """
        raise NotImplementedError


async def start(
    network: Network,
    argv: Sequence[str],
    folder: Path | None,
    env: Mapping[str, str],
    recorder: Recorder,
    *,
    limits: Limits | None = None,
) -> Launched:
    """Start a program in a scratch copy of `folder` (None: in an empty one), on a terminal.

    A program that cannot be started is no error: `What.BROKEN` is noted and `broken` is set.

    Args:
        network: Where it lives.
        argv: Its command line.
        folder: The author's folder; copied, never written to.
        env: What is added to its small, clean environment.
        recorder: Where everything that it does is noted.
        limits: What it may use up.

    Raises:
        MachineError: the folder is too large or cannot be read, or there is no terminal.
        HarnessError: as `Network.start`.
    """
    raise NotImplementedError

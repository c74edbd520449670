"""One program under test, from its scratch copy to the files that it left."""

from __future__ import annotations

import asyncio
import errno
import os
import shlex
import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.errors import MachineError
from harness.launch.scratch import Found, Scratch, is_small
from harness.launch.terminal import Terminal
from harness.model.record import PLAY_IS_OVER, PROGRAM, What

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.network import Exit, Network, Place, Process, Transport
    from harness.record import Recorder

#: Seconds between two looks into the kernel's table: there is no event for LISTEN.
_LOOK_S = 0.003
_KILLED_S = 5.0
# What a command needs to be found and to start; none of it tells secrets.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "JAVA_HOME", "PYENV_ROOT", "PYENV_VERSION", "TZ")


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


async def start(
    network: Network,
    argv: Sequence[str],
    folder: Path | None,
    env: Mapping[str, str],
    recorder: Recorder,
    *,
    limits: Limits | None = None,
    raw: bool = False,
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
        raw: Whether it may open raw sockets; see `Network.start`.

    Raises:
        MachineError: the folder is too large or cannot be read, or there is no terminal.
        HarnessError: as `Network.start`.
    """
    limits = limits or Limits()
    scratch = await _copy(folder, limits)
    launched = Launched(network, argv, scratch, env, recorder, limits, raw=raw)
    try:
        await launched.begin()
    except BaseException:
        await launched.finish()
        raise
    return launched


class Launched:
    """A program under test that was started by `start`; `finish` it in any case.

    Attributes:
        folder: The scratch copy in which it runs.
        broken: Why it could not be started, for its author to read; empty if it was.
        exit: How it ended, as soon as that is known and its output is recorded.
    """

    def __init__(
        self,
        network: Network,
        argv: Sequence[str],
        scratch: Scratch,
        env: Mapping[str, str],
        recorder: Recorder,
        limits: Limits,
        *,
        raw: bool = False,
    ) -> None:
        self.folder = scratch.folder
        self.broken = ""
        self.exit: Exit | None = None
        self._network = network
        self._argv = tuple(argv)
        self._scratch: Scratch | None = scratch
        self._env = _environment(scratch, env)
        self._recorder = recorder
        self._limits = limits
        self._raw = raw
        self._terminal: Terminal | None = None
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    # -- while it runs -------------------------------------------------------------------

    def type(self, data: bytes) -> None:
        """Type on its terminal, without waiting for the program to read."""
        if self._terminal:
            self._terminal.type(data)

    def listening(self, transport: Transport) -> set[Place]:
        """Where it listens now; see `Network.listening`."""
        return self._network.listening(self._process, transport) if self._process else set()

    async def ready(self, place: Place, transport: Transport, deadline: float) -> Ready:
        """Wait until it listens at `place` (or on a wildcard address with that port).

        Notes `What.LISTENING`.  `deadline` is a moment on the clock of the event loop.
        """
        clock = asyncio.get_running_loop().time
        while True:
            if self._process and self._network.listens(self._process, place, transport):
                self._recorder.note(What.LISTENING, PROGRAM, host=place.host, port=place.port)
                return Ready.LISTENING
            if not self._running:
                return Ready.EXITED
            if clock() >= deadline:
                return Ready.TIMED_OUT
            await asyncio.sleep(min(_LOOK_S, max(0.0, deadline - clock())))

    async def wait(self) -> None:
        """Return when the program has ended (or could not be started) and all is recorded.

        Raises:
            HarnessError: the process that watches over it was killed.
        """
        if self._watching:
            await asyncio.shield(self._watching)

    def signal(self, number: int) -> None:
        """Send its process group a signal, as an act of the play; notes nothing."""
        if self._process:
            self._process.signal(number)

    # -- its end -------------------------------------------------------------------------

    async def stop(self, why: str, grace: float = 1.0, *, act: str = "") -> None:
        """Ask it to end (SIGTERM), after `grace` seconds make it (SIGKILL); wait until it has.

        Notes `What.STOPPED` with `why`, and with the `act` of the scenario if that says so;
        nothing happens if it has ended before.

        Raises:
            MachineError: even SIGKILL does not end it.
            HarnessError: as `wait`.
        """
        if not self._running:
            return None
        if act:
            self._recorder.note(What.STOPPED, PROGRAM, note=why, act=act)
        else:
            self._recorder.note(What.STOPPED, PROGRAM, note=why)
        if grace > 0:
            self.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace):
                    return await self.wait()
            except TimeoutError:
                pass
        self.signal(signal.SIGKILL)
        try:
            async with asyncio.timeout(_KILLED_S):
                await self.wait()
        except TimeoutError:
            raise MachineError("the program sleeps in the kernel and cannot be killed") from None

    async def restart(self, why: str = "it is to start again", *, act: str = "") -> None:
        """End all of it (SIGKILL) and start the same command line in the same scratch folder.

        Raises:
            MachineError: as `stop`.
            HarnessError: as `wait` and `Network.start`.
        """
        await self.stop(why, grace=0, act=act)
        await self._end()
        await self.begin()

    async def finish(self) -> None:
        """End what is left, note leftovers and new or changed files, remove the scratch folder.

        A file that is not collected (a FIFO, a link, too large ...) is told as `What.FILE`
        without data, with the fact `skipped`, and with the reason behind its path in the note.
        May be called again.

        Raises:
            MachineError: the scratch folder cannot be removed.
        """
        try:
            await self._end()
        finally:
            scratch, self._scratch = self._scratch, None
            if scratch:
                await self._clear_away(scratch)

    async def begin(self) -> None:
        """Start it, on a new terminal; for `start` and `restart`."""
        self.broken, self.exit = "", None
        terminal = Terminal(self._recorder, self._limits.output, self._flooded)
        self._terminal = terminal
        try:
            self._process = await self._network.start(
                self._argv,
                cwd=self.folder,
                env=self._env,
                stdin_fd=terminal.program_end,
                stdout_fd=terminal.program_end,
                stderr_fd=terminal.errors_end,
                tty=True,
                raw=self._raw,
            )
        except OSError as error:
            self.broken = _explain(error, self._argv[0])
            self._recorder.note(What.BROKEN, PROGRAM, note=self.broken)
            return
        self._recorder.note(What.STARTED, PROGRAM, note=_shown(shlex.join(self._argv)))
        terminal.started()
        self._watching = asyncio.create_task(self._watch(self._process, terminal))

    @property
    def _running(self) -> bool:
        return self._watching is not None and not self._watching.done()

    async def _watch(self, process: Process, terminal: Terminal) -> None:
        ended = await process.wait()
        terminal.drain()
        self.exit = ended
        if ended.signal is not None:
            self._recorder.note(What.EXITED, PROGRAM, signal=ended.signal)
        elif ended.status is not None:
            self._recorder.note(What.EXITED, PROGRAM, status=ended.status)

    def _flooded(self, why: str) -> None:
        if self._running and not self._stopping:
            self._stopping = asyncio.create_task(self.stop(why, grace=0))

    async def _end(self) -> None:
        """Nothing of the program runs any more, and all that it said is recorded."""
        terminal, self._terminal = self._terminal, None
        process, self._process = self._process, None
        try:
            if process:
                await self._end_process(process)
            if terminal:
                terminal.drain()
        finally:
            if terminal:
                terminal.close()

    async def _end_process(self, process: Process) -> None:
        stopping, self._stopping = self._stopping, None
        if stopping:
            await stopping
        if self._running:
            self._recorder.note(What.STOPPED, PROGRAM, note=PLAY_IS_OVER)
        elif process.outlived:
            self._note_sockets(process)
        leftovers = await process.end()
        if process.crowd:
            self._recorder.note(What.CROWDED, PROGRAM, note=f"{process.crowd} of them")
        await self.wait()
        for command in leftovers:
            self._recorder.note(What.LEFTOVER, PROGRAM, note=_shown(command), kind="process")

    def _note_sockets(self, process: Process) -> None:
        """The program has ended: where anybody listens still, it is what it has left behind."""
        transports: tuple[Transport, ...] = ("tcp", "udp")
        for transport in transports:
            for place in sorted(self._network.listening(process, transport)):
                note = f"{transport} {place}"
                self._recorder.note(What.LEFTOVER, PROGRAM, note=note, kind="socket")

    async def _clear_away(self, scratch: Scratch) -> None:
        try:
            if is_small(scratch.root):
                found = _empty(scratch, self._limits)
            else:
                found = await asyncio.to_thread(_empty, scratch, self._limits)
        except OSError as error:
            raise MachineError(f"{scratch.root} cannot be removed: {error}") from error
        for file in found:
            path = _shown(file.path)
            if file.skipped:
                note = f"{path} (not collected: {file.skipped})"
                self._recorder.note(
                    What.FILE,
                    PROGRAM,
                    note=note,
                    skipped=file.skipped,
                    path=path,
                    change=str(file.change),
                )
            else:
                self._recorder.note(
                    What.FILE, PROGRAM, data=file.data, note=path, change=str(file.change)
                )


async def _copy(folder: Path | None, limits: Limits) -> Scratch:
    """A large folder is copied by a thread: it must not hold up other plays."""
    if folder is None or is_small(folder):
        return Scratch.make(folder, files=limits.copy_files, size=limits.copy_size)
    making = asyncio.create_task(
        asyncio.to_thread(Scratch.make, folder, files=limits.copy_files, size=limits.copy_size)
    )
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        (await making).remove()  # a thread cannot be called off
        raise


def _empty(scratch: Scratch, limits: Limits) -> list[Found]:
    try:
        return list(scratch.new(files=limits.files, size=limits.file_size))
    finally:
        scratch.remove()


def _environment(scratch: Scratch, extra: Mapping[str, str]) -> dict[str, str]:
    """Small and the same everywhere, but for what finds the command."""
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "HOME": str(scratch.home),
        "TMPDIR": str(scratch.temporary),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",  # no colours, no cursor movements
        "PYTHONDONTWRITEBYTECODE": "1",  # or each play would leave new files
        **extra,
    }


def _shown(text: str) -> str:
    """Text that can be written as UTF-8, whatever bytes were in a name."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _explain(error: OSError, command: str) -> str:
    """Why a program could not be started, to its author."""
    culprit = error.filename or command
    if culprit != command:
        return (
            f"the first line of {command!r} asks for the interpreter {culprit!r}, "
            "which is not there"
        )
    if error.errno == errno.ENOENT:
        where = "the program's folder" if "/" in command else "PATH"
        return f"the command {command!r} was not found in {where}"
    if error.errno == errno.EACCES:
        return f"{command!r} is not executable (chmod +x makes a file so)"
    if error.errno == errno.ENOEXEC:
        return (
            f"{command!r} is no program that this machine can run; "
            "a script needs a first line such as #!/usr/bin/env python3"
        )
    return f"{command!r} could not be started: {error.strerror}"

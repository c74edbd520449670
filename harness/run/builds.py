"""Builds programs: once a run, in a copy of their folder, before they are played."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MachineError
from harness.launch import start
from harness.model.command import fill_in
from harness.model.record import SEEN
from harness.network import open_network, scratch_folder
from harness.record import Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.launch import Launched
    from harness.model.plan import Plan

#: Seconds that a build may take.
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Built:
    """The folder of a program that was built; or why it could not be, and what was printed."""

    folder: Path
    trouble: str = ""
    output: bytes = b""


@dataclass
class Builds:
    """What was built in a run, and what is being built."""

    _tasks: dict[tuple[Path, tuple[str, ...]], asyncio.Task[Built]] = field(default_factory=dict)
    _made: list[Path] = field(default_factory=list)

    async def of(self, plan: Plan) -> Built | None:
        """The built program of a plan, as soon as it is; None if there is nothing to build.

        However many plays ask, each program is built once.

        Raises:
            MachineError: the command is not there, or there is no room for the copy.
            HarnessError: as `launch.start`.
        """
        if plan.program is None or not plan.program.build or plan.folder is None:
            return None
        key = (plan.folder, plan.program.build)
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._build(*key))
        return await asyncio.shield(self._tasks[key])

    async def close(self) -> None:
        """End what is being built, and remove what was."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for folder in self._made:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _build(self, folder: Path, command: Sequence[str]) -> Built:
        network, recorder = await open_network("loopback"), Recorder()
        try:
            launched = await start(network, fill_in(command), folder, {}, recorder)
            try:
                if launched.broken:
                    raise MachineError(f"the program cannot be built: {launched.broken}")
                trouble = await _trouble(launched, shlex.join(command))
                if trouble:
                    return Built(folder, trouble, recorder.record.text(*SEEN))
                return Built(await self._kept(launched.folder))
            finally:
                await launched.finish()
        finally:
            await network.close()

    async def _kept(self, folder: Path) -> Path:
        keeping = asyncio.create_task(asyncio.to_thread(self._keep, folder))
        try:
            return await asyncio.shield(keeping)
        except asyncio.CancelledError:
            await asyncio.wait([keeping])  # a thread cannot be called off, nor be overtaken
            raise

    def _keep(self, folder: Path) -> Path:
        """A copy of what was built, under the same name."""
        try:
            place = Path(tempfile.mkdtemp(prefix="build-", dir=scratch_folder()))
            self._made.append(place)
            return shutil.copytree(folder, place / folder.name, symlinks=True)
        except (OSError, shutil.Error) as error:
            raise MachineError(f"what was built cannot be copied: {error}") from error


async def _trouble(launched: Launched, command: str) -> str:
    """Why a build failed; nothing if it did not."""
    try:
        async with asyncio.timeout(_SECONDS):
            await launched.wait()
    except TimeoutError:
        return f"`{command}` did not end within {_SECONDS:g} s"
    ended = launched.exit
    if ended is None or ended.status == 0:
        return ""
    how = (
        f"with exit status {ended.status}" if ended.signal is None else f"by signal {ended.signal}"
    )
    return f"`{command}` ended {how}"

"""Performs the lines of an exchange that are due, each in a task of its own."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.errors import WirelabError
from harness.follow import Follower, Line, State
from harness.launch import Ready
from harness.model.record import PROGRAM, What
from harness.peers import NotPlayedError, Peer, PeerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from harness.launch import Launched
    from harness.model.exchange import Act
    from harness.record import Recorder
    from harness.run.pulse import Pulse

#: Seconds that a program gets to end after SIGTERM.
GRACE_SECONDS = 2.0
_WHY = "the scenario says so"
#: Seconds without any event after which everything has settled.
SETTLED_SECONDS = 0.3


class Acts:
    """What the actors do, and the acts that are the play's own: about time and the program.

    Args:
        follower: Tells what is due.
        peers: By name of actor.
        program: The program under test.
        pulse: Tells `settle` when all is quiet.
        recorder: Where it is noted what was done, and what could not be.
        file: The scenario's file, named where it asks for something that is not played.
        until_ready: Waits until the program, started again, can be played with.
    """

    def __init__(
        self,
        follower: Follower,
        peers: Mapping[str, Peer],
        program: Launched,
        pulse: Pulse,
        recorder: Recorder,
        file: str,
        until_ready: Callable[[], Awaitable[Ready]],
    ) -> None:
        self._follower = follower
        self._peers = peers
        self._program = program
        self._pulse = pulse
        self._recorder = recorder
        self._file = file
        self._until_ready = until_ready
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._closed: set[tuple[str, int]] = set()
        self._under_way = 0

    @property
    def busy(self) -> bool:
        """Whether something is under way that ends by itself, whatever the program does."""
        return self._under_way > 0 or any(peer.busy for peer in self._peers.values())

    def start_due(self) -> None:
        """Begin what is due, and leave off what the program has made pointless."""
        for line in self._follower.due:
            if line.index not in self._tasks:
                self._tasks[line.index] = task = asyncio.create_task(self._perform(line))
                task.add_done_callback(lambda _task: self._pulse.wake())
        for index, task in self._tasks.items():
            if not self._follower.lines[index].waiting:
                task.cancel()
        self._close_what_is_lost()

    def _close_what_is_lost(self) -> None:
        """A connection whose exchange is lost is closed, so that the program can go on."""
        for actor, connection in set(self._follower.closings) - self._closed:
            self._peers[actor].leave(connection)
            self._closed.add((actor, connection))

    async def close(self) -> None:
        """Leave off everything."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _perform(self, line: Line) -> None:
        try:
            if not await self._perform_here(line):
                peer = self._peers[line.entry.actor]
                await peer.perform(line.entry, line.index, self._follower.bound)
        except PeerError as error:
            self._broken(line, str(error))
        except NotPlayedError as error:
            self._broken(line, f"{self._file}:{line.entry.line}: {error}", ours=1)
        except WirelabError as error:
            self._broken(line, str(error), ours=1)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program did not do it
            self._broken(line, f"Wirelab failed: {error!r}", ours=1)

    def _broken(self, line: Line, reason: str, **ours: int) -> None:
        name, number = line.entry.actor, line.entry.connection or 0
        self._recorder.note(What.BROKEN, name, number, b"", note=reason, entry=line.index, **ours)

    async def _perform_here(self, line: Line) -> bool:
        act = line.entry.act
        if act is None:
            return False
        with self._ends_by_itself():
            if line.entry.actor == PROGRAM:
                await self._act_on_program(act)
            elif act.name in ("wait", "expect silence"):
                await asyncio.sleep(act.seconds or 0.0)
            elif act.name == "settle":
                await self._settle()
            else:
                return False
            if line.state is State.WAITING:
                self._recorder.note(What.ACTED, line.entry.actor, entry=line.index)
            return True

    @contextmanager
    def _ends_by_itself(self) -> Iterator[None]:
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _settle(self) -> None:
        while (left := self._pulse.latest + SETTLED_SECONDS - self._pulse.now) > 0:  # noqa: ASYNC110 - no event tells that there is none
            await asyncio.sleep(left)

    async def _act_on_program(self, act: Act) -> None:
        if act.name == "restart":
            await self._program.restart(_WHY, act=act.name)
            ready = Ready.EXITED if self._program.broken else await self._until_ready()
            if ready is not Ready.LISTENING:
                what = "it ended" if ready is Ready.EXITED else "it never did"
                raise PeerError(f"did not listen again when it was restarted: {what}")
        elif act.name in ("kill", "stop"):
            if self._program.exit is not None:
                raise PeerError(f"had ended already when `program! {act.name}` came")
            grace = 0.0 if act.name == "kill" else GRACE_SECONDS
            await self._program.stop(_WHY, grace, act=act.name)
        else:
            raise NotPlayedError(f"`program! {act.name}` is not played by this version")

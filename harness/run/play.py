"""One play, from the empty stage to the record."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.follow import Follower, Line, State
from harness.launch import Launched, Ready, start
from harness.model.command import command_line
from harness.model.fixtures import fixture_folders
from harness.model.record import PROGRAM, Event, Record, What
from harness.model.scenario import Tls
from harness.model.template import substitute
from harness.network import open_network
from harness.peers import Authority, Files, Peer, PeerError, make_peer
from harness.record import Recorder

if TYPE_CHECKING:
    from harness.model.exchange import Act
    from harness.model.plan import Plan
    from harness.model.program import Endpoint
    from harness.network import Network, Place, Transport

#: Seconds that a program gets to listen after its start, and to end after SIGTERM.
_READY_SECONDS = 10.0
_GRACE_SECONDS = 2.0
_SETTLED_SECONDS = 0.3
#: Passes of the event loop without an event after which nothing is left in the sockets.
_IDLE_PASSES = 5

_ENDED = (What.EOF, What.RESET, What.LEFT)
Satisfied = Callable[["Plan", Record], bool]


@dataclass
class Stage:
    """What all plays of a run share.

    `satisfied` tells whether the demands that a play can still wait for hold already.
    """

    network: str
    satisfied: Satisfied
    authority: Authority = field(default_factory=Authority)


async def play(plan: Plan, stage: Stage) -> Record:
    """Play a plan and return all that happened.

    Whatever the program does ends up in the record; when this returns, nothing of the play
    is left: no process, socket or file.

    Raises:
        MachineError: the machine lacks something that every play needs.
        HarnessError: Wirelab itself failed.
    """
    network = await open_network(stage.network)
    try:
        return await _Play(plan, stage, network).run()
    finally:
        await network.close()


class _Play:
    def __init__(self, plan: Plan, stage: Stage, network: Network) -> None:
        self._plan = plan
        self._stage = stage
        self._network = network
        self._recorder = Recorder()
        self._peers: dict[str, Peer] = {}
        self._program: Launched | None = None
        self._place: Place | None = None
        self._follower: Follower | None = None
        self._changed = asyncio.Event()
        self._latest = 0.0  # when something last happened, on the play's clock
        self._open_connections = 0
        self._performing: dict[int, asyncio.Task[None]] = {}
        self._timers = 0  # performers that wait for time to pass
        self._closed: set[tuple[str, int]] = set()
        self._recorder.listen(self._note)

    async def run(self) -> Record:
        try:
            await self._set_up()
            if await self._start_program():
                await self._follow()
            await self._end()
        finally:
            await self._clean_up()
        return self._recorder.record

    def _note(self, event: Event) -> None:
        if event.what is What.OPENED:
            self._open_connections += 1
        elif event.what in _ENDED:
            self._open_connections -= 1
        self._latest = event.at
        self._changed.set()

    # -- before the curtain -----------------------------------------------------------

    async def _set_up(self) -> None:
        files = Files(fixture_folders(self._plan.scenario.file))
        for actor in self._plan.scenario.cast.values():
            self._peers[actor.name] = peer = make_peer(
                actor,
                network=self._network,
                recorder=self._recorder,
                authority=self._stage.authority,
                files=files,
                type_keys=self._type,
            )
            await peer.open()
        if endpoint := self._plan.role.listens:
            self._place = self._network.reserve(_transport(endpoint))
            host, port = self._place
            self._recorder.note(What.STANDS, endpoint.name, host=host, port=port)
        exchange = substitute(self._plan.scenario.exchange, self._recorder.record.addresses)
        self._follower = Follower(exchange, self._plan.scenario.cast)
        self._recorder.listen(self._follower.receive)

    def _type(self, data: bytes) -> None:
        if self._program:
            self._program.type(data)

    async def _start_program(self) -> bool:
        """Start the program; True once it can be talked to."""
        argv, env = command_line(self._plan, self._recorder.record.addresses)
        if any(actor.tls is not Tls.NONE for actor in self._plan.scenario.cast.values()):
            env["SSL_CERT_FILE"] = str(self._stage.authority.bundle)
        self._program = await start(self._network, argv, self._plan.folder, env, self._recorder)
        if self._program.broken:
            return False
        if self._place is None:
            self._recorder.curtain()
            return True
        return await self._wait_until_ready(self._place)

    async def _wait_until_ready(self, place: Place) -> bool:
        assert self._program is not None  # noqa: S101 - called behind its start
        assert self._plan.role.listens is not None  # noqa: S101 - it has a place
        transport = _transport(self._plan.role.listens)
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        ready = await self._program.ready(place, transport, deadline)
        self._recorder.curtain()
        if ready is Ready.LISTENING:
            for peer in self._peers.values():
                peer.program_listens(place)
            return True
        if ready is Ready.TIMED_OUT:
            elsewhere = ", ".join(sorted(map(str, self._program.listening(transport))))
            note = f"never listened on {place}"
            self._recorder.note(What.GAVE_UP, PROGRAM, note=note, elsewhere=elsewhere)
        return False

    # -- the play ---------------------------------------------------------------------

    async def _follow(self) -> None:
        """Play what is due, until everything is there or nothing more can come."""
        assert self._follower is not None  # noqa: S101 - made by _set_up
        while True:
            self._changed.clear()
            self._start_due(self._follower)
            self._close_what_mismatched(self._follower)
            if await self._over(self._follower):
                return
            if reached := await self._wait_for_event():
                self._recorder.note(What.GAVE_UP, PROGRAM, note=reached)
                return

    def _start_due(self, follower: Follower) -> None:
        for line in follower.due:
            if line.index not in self._performing:
                self._performing[line.index] = asyncio.create_task(self._perform(line))

    async def _perform(self, line: Line) -> None:
        assert self._follower is not None  # noqa: S101 - it named the line
        entry = line.entry
        try:
            if entry.act and await self._perform_here(line, entry.act):
                return
            await self._peers[entry.actor].perform(entry, line.index, self._follower.bound)
        except PeerError as error:
            self._recorder.note(
                What.BROKEN, entry.actor, entry.connection or 0, note=str(error), entry=line.index
            )

    async def _perform_here(self, line: Line, act: Act) -> bool:
        """Acts that are the play's own: about time, and about the program."""
        if line.entry.actor == PROGRAM:
            await self._act_on_program(act)
        elif act.name in ("wait", "expect silence"):
            await self._pass_time(act.seconds or 0.0)
        elif act.name == "settle":
            await self._settle()
        else:
            return False
        if line.state is State.WAITING:
            self._recorder.note(What.ACTED, line.entry.actor, entry=line.index)
        return True

    async def _act_on_program(self, act: Act) -> None:
        if self._program is None or self._program.exit is not None:
            raise PeerError("the program has ended already")
        if act.name == "kill":
            self._program.signal(signal.SIGKILL)
            await self._program.wait()
        elif act.name == "stop":
            await self._program.stop("the scenario says so", _GRACE_SECONDS)
        else:
            raise PeerError(f"`{act.name}` is not played by this version")

    async def _pass_time(self, seconds: float) -> None:
        """Time that the scenario itself asks to pass."""
        self._timers += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._timers -= 1

    async def _settle(self) -> None:
        while (left := self._latest + _SETTLED_SECONDS - self._recorder.now) > 0:
            await self._pass_time(left)

    def _close_what_mismatched(self, follower: Follower) -> None:
        """A connection whose exchange is lost is closed, so that the program can go on."""
        for lost in set(follower.closings) - self._closed:
            self._peers[lost[0]].leave(lost[1])
            self._closed.add(lost)

    async def _over(self, follower: Follower) -> bool:
        ended = self._program is None or self._program.exit is not None
        if ended and self._open_connections <= 0 and await self._drained():
            # nobody is left who could say anything
            return not follower.due or not self._performs_something()
        if not follower.complete or not self._satisfied():
            return False
        return ended or self._place is not None

    def _performs_something(self) -> bool:
        """Whether an act that needs nobody else is still under way."""
        return self._timers > 0

    async def _drained(self) -> bool:
        """Whether the sockets hold nothing more; what they hold is recorded on the way."""
        for _ in range(_IDLE_PASSES):
            await asyncio.sleep(0)
            if self._changed.is_set():
                return False
        return True

    def _satisfied(self) -> bool:
        return self._stage.satisfied(self._plan, self._recorder.record)

    async def _wait_for_event(self) -> str | None:
        """Wait until something happens; what limit was reached if nothing does."""
        limits = self._plan.scenario.limits
        play_left = limits.play - self._recorder.now
        quiet_left = self._latest + limits.quiet - self._recorder.now
        left = play_left if self._timers else min(play_left, quiet_left)
        try:
            async with asyncio.timeout(max(left, 0.0)):
                await self._changed.wait()
        except TimeoutError:
            if play_left <= quiet_left or self._timers:
                return f"the play took longer than {limits.play:g} s"
            return f"nothing happened for {limits.quiet:g} s"
        return None

    # -- afterwards -------------------------------------------------------------------

    async def _end(self) -> None:
        """End the program as a person would, and hear what it says meanwhile."""
        if self._program is None:
            return
        if self._program.exit is None and not self._program.broken:
            why = "the play is over" if self._place is not None else "it did not end by itself"
            await self._program.stop(why, _GRACE_SECONDS)
        while not await self._drained():
            self._changed.clear()
        await self._program.finish()

    async def _clean_up(self) -> None:
        for task in self._performing.values():
            task.cancel()
        results = await asyncio.gather(*self._performing.values(), return_exceptions=True)
        if self._program is not None:
            await self._program.finish()
        for peer in self._peers.values():
            await peer.close()
        for result in results:
            if isinstance(result, Exception):
                raise HarnessError(f"{type(result).__name__}: {result}") from result


def _transport(endpoint: Endpoint) -> Transport:
    return "udp" if endpoint.protocol == "udp" else "tcp"

"""One play, from the empty stage to the record."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.follow import Follower
from harness.launch import Launched, Ready, start
from harness.model.command import answers, command_line
from harness.model.dates import dates_in
from harness.model.names import first_addresses, is_one_address
from harness.model.pieces import WHOLE
from harness.model.record import PLAY_IS_OVER, PROGRAM, Record, What
from harness.model.scenario import ActorKind, Tls, everybody, split_address
from harness.network import open_network
from harness.notation import parse_pattern
from harness.peers import Authority, Peer, Setting, make_peer
from harness.peers.trust import with_own
from harness.record import Recorder
from harness.run.acts import GRACE_SECONDS, SETTLED_SECONDS, Acts
from harness.run.builds import Builds, Built
from harness.run.prompts import Prompts
from harness.run.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.model.capture import Capture
    from harness.model.plan import Plan
    from harness.model.program import Endpoint
    from harness.model.scenario import Actor, Scenario
    from harness.network import Network, Place, Transport

#: Seconds that a program gets to listen after its start, if the whole play has as many.
_READY_SECONDS = 10.0
#: Seconds in which the connections of a program that is gone must have ended.
_LAST_WORDS_SECONDS = 1.0

Satisfied = Callable[["Plan", Record], bool]


@dataclass
class Stage:
    """What all plays of a run share.

    `satisfied` tells whether the demands that a play can still wait for hold already; `seed`
    decides whatever is left to chance.
    """

    network: str
    satisfied: Satisfied
    seed: int = 0
    authority: Authority = field(default_factory=Authority)
    builds: Builds = field(default_factory=Builds)

    async def close(self) -> None:
        """Give back what was made for the run."""
        try:
            await self.builds.close()
        finally:
            self.authority.close()


async def play(plan: Plan, stage: Stage) -> Record:
    """Play a plan and return all that happened.

    Whatever the program does ends up in the record; when this returns, nothing of the play
    is left: no process, socket or file.

    Raises:
        MachineError: the machine lacks something that every play needs.
        HarnessError: Wirelab itself failed.
    """
    if built := await stage.builds.of(plan):
        if built.trouble:
            return _unbuilt(built)
        plan = replace(plan, folder=built.folder)
    network = await open_network(stage.network)
    try:
        playing = _Play(plan, stage, network)
        record = await playing.run()
        return replace(record, capture=playing.capture())
    finally:
        await network.close()


def _unbuilt(built: Built) -> Record:
    recorder = Recorder()
    recorder.note(What.UNBUILT, PROGRAM, data=built.output, note=built.trouble)
    return recorder.record


class _Play:
    def __init__(self, plan: Plan, stage: Stage, network: Network) -> None:
        self._plan = plan
        self._stage = stage
        self._network = network
        self._recorder = Recorder()
        self._pulse = Pulse(self._recorder)
        self._peers: dict[str, Peer] = {}
        self._program: Launched | None = None
        self._place: Place | None = None
        self._acts: Acts | None = None
        self._unready: Transport = "tcp"  # over which the program does not listen
        self._secrets_from = stage.authority.secrets_size
        self._heard_out = False  # the program has ended, and its sockets are read empty

    async def run(self) -> Record:
        try:
            await self._take_places()
            program = await self._start_program()
            if await self._can_be_played_with(program):
                await self._follow(program)
            await self._end(program)
            return self._recorder.record
        finally:
            await self._clean_up()

    def capture(self) -> Capture | None:
        """What went over the wire, when everybody has left the stage."""
        secrets = self._stage.authority.secrets(self._secrets_from)
        return self._network.capture(self._recorder.curtain_ns, secrets)

    # -- before the curtain -----------------------------------------------------------

    async def _take_places(self) -> None:
        setting = Setting(
            network=self._network,
            recorder=self._recorder,
            authority=self._stage.authority,
            scenario=self._plan.scenario.file,
            type_keys=self._type,
            luck=f"{self._stage.seed}/{self._plan.id}",
            pieces=self._plan.pieces or WHOLE,
            names=self._plan.scenario.records,
            before_tls=self._plan.scenario.exchange.before_tls(),
        )
        self._declare_names()
        for actor in self._actors(self._dated().cast):
            self._peers[actor.name] = peer = make_peer(actor, setting)
            await peer.open()
        if endpoint := self._plan.role.listens:
            self._place = self._reserve(endpoint)
            host, port = self._place
            self._recorder.note(What.STANDS, endpoint.name, host=host, port=port)

    def _dated(self) -> Scenario:
        """The scenario with the dates that it names, which count from now."""
        dates: dict[str, Any] = {}
        if self._plan.open:
            dates = dates_in(self._plan.scenario, time.time())
        if dates:
            self._recorder.note(What.DATED, PROGRAM, **dates)
        return self._plan.filled(dates)

    def _actors(self, cast: Mapping[str, Actor]) -> Iterable[Actor]:
        """The cast and, where the program can ask for names, who answers."""
        return (everybody(cast) if self._network.resolver else cast).values()

    def _declare_names(self) -> None:
        """Actors stand where names lead; a file is told of them where it can tell the truth.

        It can if each name has one address and nothing else.  And where the scenario has an
        actor for names, the program shall ask that one.
        """
        scenario = self._plan.scenario
        if addresses := first_addresses(scenario.records):
            self._network.add_names(addresses)
        asked = any(actor.kind is ActorKind.DNS for actor in scenario.cast.values())
        if asked or not all(map(is_one_address, scenario.records.values())):
            self._network.keep_names_out_of_hosts()

    def _reserve(self, endpoint: Endpoint) -> Place:
        """Where the program is to listen: where it does anyway, if that is hard-coded in it."""
        program = self._plan.program
        transports: tuple[Transport, ...] = _transports(self._plan)
        if endpoint.protocol == "any":  # it may listen over both, whoever dials it
            transports = ("tcp", "udp")
        if program and (address := program.addresses.get(endpoint.name)):
            host, port = split_address(address)
            return self._network.reserve(*transports, host=host, port=int(port))
        return self._network.reserve(*transports)

    def _type(self, data: bytes) -> None:
        if self._program:
            self._program.type(data)

    def _answer_prompts(self) -> None:
        """What the program asks its user is answered as the implementation file has it."""
        asked = answers(self._plan, self._recorder.record.addresses)
        if asked:
            patterns = [(parse_pattern(pattern), texts) for pattern, texts in asked]
            self._recorder.listen(Prompts(patterns, self._answer_later).see)

    def _answer_later(self, prompt: str, keys: bytes) -> None:
        """Everybody shall know of the prompt before anybody knows of its answer."""

        def answer() -> None:
            self._recorder.note(What.ANSWERED, PROGRAM, data=keys, note=prompt)
            self._type(keys)

        asyncio.get_running_loop().call_soon(answer)

    async def _start_program(self) -> Launched:
        argv, env = command_line(self._plan, self._recorder.record.addresses)
        if any(actor.tls is not Tls.NONE for actor in self._plan.scenario.cast.values()):
            authority = self._stage.authority
            self._network.trust(authority.system_files)
            env = with_own(authority.environment, env)
        self._answer_prompts()
        self._program = await start(
            self._network,
            argv,
            self._plan.folder,
            env,
            self._recorder,
            raw=self._plan.speaks_icmp,
        )
        return self._program

    async def _can_be_played_with(self, program: Launched) -> bool:
        """Raise the curtain as soon as the program runs and, if it is to, listens."""
        if program.broken:
            return False
        ready = await self._until_ready(program)
        self._recorder.curtain()
        if ready is Ready.TIMED_OUT:
            self._give_up_waiting(program)
        return ready is Ready.LISTENING

    async def _until_ready(self, program: Launched) -> Ready:
        """Wait until the program listens, if it is to; what came first."""
        patience = min(_READY_SECONDS, self._plan.scenario.limits.play)
        deadline = asyncio.get_running_loop().time() + patience
        for transport in _transports(self._plan) if self._place else ():
            assert self._place is not None  # noqa: S101 - for the type checker
            ready = await program.ready(self._place, transport, deadline)
            if ready is not Ready.LISTENING:
                self._unready = transport
                return ready
        return Ready.LISTENING

    def _give_up_waiting(self, program: Launched) -> None:
        """Over this transport; where there are two, it may listen over the other."""
        assert self._place is not None  # noqa: S101 - for the type checker
        elsewhere = ", ".join(sorted(map(str, program.listening(self._unready))))
        note = f"never listened on {self._place}"
        other: Transport = "udp" if self._unready == "tcp" else "tcp"
        port = self._place.port
        if not elsewhere and len(_transports(self._plan)) == 1:
            wrong = sorted(str(at) for at in program.listening(other) if at.port == port)
            elsewhere = f"{', '.join(wrong)} over {other.upper()}" if wrong else ""
        if len(_transports(self._plan)) > 1:
            note += f" over {self._unready.upper()}"
        self._recorder.note(What.GAVE_UP, PROGRAM, note=note, elsewhere=elsewhere)

    # -- the play ---------------------------------------------------------------------

    async def _follow(self, program: Launched) -> None:
        """Play what is due, until everything is there or nothing more can come."""
        follower = self._new_follower()
        scenario, pulse = self._plan.scenario, self._pulse
        if self._place:
            for peer in self._peers.values():
                peer.program_listens(self._place)
        self._acts = Acts(
            follower,
            self._peers,
            program,
            pulse,
            self._recorder,
            scenario.file,
            until_ready=lambda: self._until_ready(program),
        )
        while True:
            pulse.rest()
            self._acts.start_due()
            end, limit = self._end_of_play(follower, program, self._acts)
            if pulse.now < end:
                await pulse.beat(end)
            elif limit:
                self._give_up(limit)
                return
            elif await pulse.idle():
                self._heard_out = program.exit is not None
                return

    def _new_follower(self) -> Follower:
        scenario, record = self._plan.scenario, self._recorder.record
        follower = Follower(self._plan.filled(record.addresses).exchange, scenario.cast)
        for event in record.events:  # a program may speak before its start has been noticed
            follower.receive(event)
        self._recorder.listen(follower.receive)
        return follower

    def _end_of_play(self, follower: Follower, program: Launched, acts: Acts) -> tuple[float, str]:
        """When the play ends if nothing happens any more, and which limit ends it then."""
        limits = self._plan.scenario.limits
        ends = [(limits.play, f"the play took longer than {limits.play:g} s")]
        if not acts.busy:
            quiet = f"nothing happened for {limits.quiet:g} s"
            # a clock of the exchange may ask for a longer silence
            latest = max(self._pulse.latest, follower.open_until)
            ends.append((latest + limits.quiet, quiet))
            ends.append((self._pulse.stirred + self._rest_needed(follower, program), ""))
        return (0.0, "") if self._pulse.failed else min(ends)

    def _rest_needed(self, follower: Follower, program: Launched) -> float:
        """How long nothing must stir for the play to be over by itself; else infinite.

        While a server runs, or anything is missing, something may still be on its way: what a
        program has sent before it ended, what a child of it will send.
        """
        if program.exit is not None and self._pulse.connections <= 0:
            return 0.0 if self._complete(follower) else SETTLED_SECONDS
        if self._place is None or not follower.complete:
            return math.inf
        # the demands are asked only when it rests, or each line of a busy server would ask them
        resting = self._pulse.now - self._pulse.stirred >= SETTLED_SECONDS
        return SETTLED_SECONDS if not resting or self._complete(follower) else math.inf

    def _complete(self, follower: Follower) -> bool:
        return follower.complete and self._stage.satisfied(self._plan, self._recorder.record)

    def _give_up(self, limit: str) -> None:
        for peer in self._peers.values():
            peer.gave_up = True
        self._recorder.note(What.GAVE_UP, PROGRAM, note=limit)

    # -- afterwards -------------------------------------------------------------------

    async def _end(self, program: Launched) -> None:
        """End the program as a person would, and hear what it says meanwhile."""
        if program.exit is None and not program.broken:
            why = PLAY_IS_OVER if self._place is not None else "it did not end by itself"
            await program.stop(why, GRACE_SECONDS)
        await program.finish()
        if not self._heard_out or self._recorder.record.of(What.LEFTOVER):
            await self._hear_last_words()
        for peer in self._peers.values():
            peer.sum_up()

    async def _hear_last_words(self) -> None:
        """Nobody can speak any more; what was said before still lies in the sockets."""
        until = self._pulse.now + _LAST_WORDS_SECONDS
        while self._pulse.now < until:
            self._pulse.rest()
            if await self._pulse.idle():
                if self._pulse.connections <= 0:
                    return
                await self._pulse.beat(until)

    async def _clean_up(self) -> None:
        try:
            if self._acts:
                await self._acts.close()
            if self._program:
                await self._program.finish()
        finally:
            await asyncio.gather(*(peer.close() for peer in self._peers.values()))


def _transports(plan: Plan) -> tuple[Transport, ...]:
    """How the program under test is dialled, if it is a server."""
    kinds = {actor.kind for actor in plan.scenario.cast.values() if actor.to}
    udp = plan.role.listens is not None and plan.role.listens.protocol == "udp"
    if not kinds:
        return ("udp",) if udp else ("tcp",)
    both: dict[Transport, bool] = {"tcp": kinds != {ActorKind.UDP}, "udp": ActorKind.UDP in kinds}
    return tuple(transport for transport, dialled in both.items() if dialled)

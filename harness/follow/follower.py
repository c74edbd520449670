"""Follows one exchange along the events of a play; see the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.follow.ear import Ear, Key, ScreenEar, Step, make_ear
from harness.follow.lines import (
    EXPECTED_ENDS,
    EXPECTED_EXIT,
    SILENCE,
    Line,
    Span,
    State,
    Utterance,
)
from harness.framing import Message, framing_for
from harness.model.exchange import Arrow, Clock, Group, Skip
from harness.model.record import PROGRAM, SEEN, Event, What
from harness.model.scenario import Actor, ActorKind, everybody
from harness.model.template import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.framing import Framing
    from harness.model.exchange import Entry, Exchange, Item

_PERFORMING = (What.SAID, What.FAULT, What.ACTED, What.BROKEN)
_COMINGS_AND_GOINGS = (What.OPENED, What.LEFT, What.STALLED)
_ENDINGS = {"kill": "killed", "stop": "told to end", "restart": "killed, to be started again"}
_ENDS = {What.EOF: "eof", What.RESET: "reset"}


class Follower:
    """Feed it every event of the play by `receive`, in order, and `finish` it.

    `lines` tells what became of each entry, `transcript` what was said and heard, `bound`
    the values of `{name}`, `closings` the connections that their actor must close because
    their exchange is lost.
    """

    def __init__(self, exchange: Exchange, cast: Mapping[str, Actor]) -> None:
        self.lines: list[Line] = []
        self.transcript: list[Utterance] = []
        self.bound: dict[str, str] = {}
        self._cast = everybody(cast)
        self._ears: dict[Key, Ear] = {}
        self._framings: dict[tuple[str, int], Framing | None] = {}
        self._ends: dict[tuple[str, int], Utterance] = {}
        self._exit: Event | None = None  # of the program's present life
        self._lives = 0
        self._awake: dict[Ear, None] = {}  # those that have heard something, in that order
        self._silences: list[Line] = []
        self._cursor = 0  # of the first line that is not settled
        self._build(exchange)
        self._walk(0.0)

    @property
    def script(self) -> list[Line]:
        """Lines that the harness performs when they are due; events refer to no others."""
        return [line for line in self.lines if line.performed and not self._by_itself(line.entry)]

    @property
    def due(self) -> list[Line]:
        """Lines that the harness must perform now: everything above them is settled."""
        line = self._next
        if line is None or not line.performed or self._by_itself(line.entry):
            return []
        return [line]

    @property
    def _next(self) -> Line | None:
        """The first line that is waited for; it is due, and no line below it is."""
        return self.lines[self._cursor] if self._cursor < len(self.lines) else None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to wait for."""
        return self._next is None

    @property
    def open_until(self) -> float:
        """Until when what is awaited may come by its clock, however long all is quiet."""
        return self._next.span.end if self._next and self._next.span else 0.0

    @property
    def closings(self) -> list[tuple[str, int]]:
        """Connections whose exchange is lost; their actor closes them."""
        return [
            (actor, number)
            for (actor, number), ear in self._ears.items()
            if ear.deaf and number is not None
        ]

    def receive(self, event: Event) -> None:
        """Take one event into account."""
        if event.entry is not None and event.what in _PERFORMING:
            self._performed(event, self.lines[event.entry])
        if event.what in (What.HEARD, What.SAID):
            self._bytes(event, said=event.what is What.SAID)
        elif event.what in SEEN:
            self._screen(event, event.data)
        elif event.what is What.ANSWERED:
            typed = decode(event.data).rstrip("\n")
            act = f"`{event.note}` is answered `{typed}`"
            self.transcript.append(Utterance(event.at, PROGRAM, 1, act=act))
            self._screen(event, b"\n")  # as on every terminal that shows what is typed
        elif event.what in (What.FAULT, What.HURRIED) or self._happened_to_an_actor(event):
            number = event.connection or 1
            self.transcript.append(Utterance(event.at, event.actor, number, act=event.note))
        elif event.what is What.ENCRYPTED:
            act = f"encrypted, {event.note}"
            self.transcript.append(Utterance(event.at, event.actor, event.connection, act=act))
        elif event.actor == PROGRAM:
            self._program(event)
        elif event.actor in self._cast and event.what in (*_COMINGS_AND_GOINGS, *_ENDS):
            self._opened_or_ended(event)
        self._walk(event.at)

    def finish(self, at: float) -> None:
        """The play is over: what has not come by now is missed or, behind a miss, unchecked."""
        for key in [*self._framings]:
            self._unfinished(key, at)
        self._walk(at)
        missed = False
        for line in self.lines:
            if line.waiting and line.open_ended:
                line.state = State.DONE
            elif line.waiting and line.optional:
                line.state = State.PASSED_OVER
            elif line.waiting:
                line.state = State.UNCHECKED if missed else State.MISSED
                line.at = at
                line.instead = self._instead(line)
            missed = missed or line.state is State.MISSED

    def _happened_to_an_actor(self, event: Event) -> bool:
        """Whether something went wrong with it that no entry asked for."""
        return event.what is What.BROKEN and event.entry is None and event.actor in self._cast

    # -- building ---------------------------------------------------------------------

    def _build(self, exchange: Exchange) -> None:
        skips = 0
        known: dict[Key, int] = {}  # skips above the last step of each ear
        for item, span in self._timed(exchange.items):
            if isinstance(item, Skip):
                skips += 1
                continue
            steps: dict[Key, Step] = {}
            for line in self._lines_of(item, span):
                if line.entry.actor == PROGRAM:
                    continue
                key = self._key(line.entry)
                if key not in steps:
                    steps[key] = Step(line.group, after_skip=skips > known.get(key, 0))
                    known[key] = skips
                    self._ear(key).add(steps[key])
                steps[key].lines.append(line)

    def _timed(self, items: Iterable[Item]) -> Iterator[tuple[Entry | Group | Skip, Span | None]]:
        """The items from top to bottom, those below a clock with its span."""
        for item in items:
            if isinstance(item, Clock):
                span = Span(item.at_least, item.within)
                yield from ((inner, span) for inner in item.items)
            else:
                yield item, None

    def _lines_of(self, item: Entry | Group, span: Span | None) -> Iterator[Line]:
        kind, entries = (item.kind, item.entries) if isinstance(item, Group) else (None, (item,))
        for entry in entries:
            line = Line(len(self.lines), entry, kind, span)
            self.lines.append(line)
            if entry.act is not None and entry.act.name == SILENCE:
                self._silences.append(line)
            yield line

    def _key(self, entry: Entry) -> Key:
        """The connection an entry speaks of; a lenient actor's without a number is any."""
        if entry.connection is None and self._cast[entry.actor].lenient:
            return entry.actor, None
        return entry.actor, entry.connection or 1

    def _ear(self, key: Key) -> Ear:
        if key not in self._ears:
            self._ears[key] = make_ear(key, self._cast[key[0]], self.bound)
        return self._ears[key]

    def _by_itself(self, entry: Entry) -> bool:
        """Whether an autonomous actor says it by itself, so that it is only seen."""
        return entry.arrow is Arrow.SAYS and self._cast[entry.actor].autonomous

    # -- what is due ------------------------------------------------------------------

    def _walk(self, at: float) -> None:
        """Find what is due, and settle what the events so far have settled already."""
        while self._next_due(at) or self._listen():
            pass

    def _listen(self) -> bool:
        for ear in [*self._awake]:
            if ear.listen():
                return True
            if not ear.stirred:
                del self._awake[ear]
        return False

    def _next_due(self, at: float) -> bool:
        """Go down the lines as far as everything is settled; True if a line was settled."""
        while self._cursor < len(self.lines):
            line = self.lines[self._cursor]
            if line.due_at is None:
                line.due_at = at
                if line.span and line.span.start is None:
                    line.span.start = at
            if line.waiting and self._settle_act(line):
                return True
            if line.awaited:
                return False
            self._cursor += 1
        return False

    def _settle_act(self, line: Line) -> bool:
        """Settle an act that only waits for something to be seen; True if it was."""
        act = line.entry.act
        if act is None:
            return False
        if act.name in EXPECTED_ENDS:
            end = self._ends.get((line.entry.actor, line.entry.connection or 1))
            return self._ear(self._key(line.entry)).settle_end(line, end)
        if act.name == EXPECTED_EXIT and self._exit is not None:
            end = Utterance(self._exit.at, PROGRAM, 0, act=_exit_text(self._exit))
            status = self._exit.facts.get("status")
            if status == act.status or (act.status is None and status != 0):
                line.done(self._exit.at, end)
            else:
                line.miss(end)
            return True
        return False

    def _performed(self, event: Event, line: Line) -> None:
        if not line.waiting:
            return
        if event.what is What.BROKEN:
            line.miss(Utterance(event.at, event.actor, event.connection, act=event.note))
        else:
            line.done(event.at)

    def _program(self, event: Event) -> None:
        if event.what is What.EXITED:
            self._exit = event
        elif event.what is What.STARTED:
            self._started(event.at)
        elif event.what is What.STOPPED and (act := str(event.facts.get("act", ""))):
            self.transcript.append(Utterance(event.at, PROGRAM, 0, act=_ENDINGS[act]))
        elif event.what is What.GAVE_UP:
            self.finish(event.at)  # what our own ending of the program brings comes too late

    def _started(self, at: float) -> None:
        self._lives += 1
        self._exit = None
        if self._lives == 1:
            return
        self.transcript.append(Utterance(at, PROGRAM, 0, act="started again"))
        for ear in self._ears.values():
            if isinstance(ear, ScreenEar):
                ear.start_again(at)
                self._awake[ear] = None

    # -- what is heard ----------------------------------------------------------------

    def _bytes(self, event: Event, *, said: bool) -> None:
        key = (event.actor, event.connection)
        if key not in self._framings:
            self._framings[key] = framing_for(self._cast[event.actor])
        if not said:
            self._noise(event)
        framing = self._framings[key]
        whole = [Message(said, event.data, (decode(event.data),))]
        for message in framing.feed(event.data, said=said) if framing else whole:
            self._message(key, event.at, message)

    def _message(self, key: tuple[str, int], at: float, message: Message) -> None:
        actor, number = key
        utterance = Utterance(at, actor, number, message)
        self.transcript.append(utterance)
        if message.listed and (not message.said or self._cast[actor].autonomous):
            for listener in (key, (actor, None)):
                if listener in self._ears:
                    self._hears(self._ears[listener], utterance)

    def _hears(self, ear: Ear, utterance: Utterance) -> None:
        ear.hear(utterance)
        self._awake[ear] = None

    def _unfinished(self, key: tuple[str, int], at: float) -> None:
        """Nothing more comes: tell what came of a message that has no end."""
        framing = self._framings.pop(key, None)
        if framing and (data := framing.rest()):
            self._message(key, at, Message(False, data, (decode(data),), whole=False))

    def _screen(self, event: Event, data: bytes) -> None:
        for actor in self._cast.values():
            if actor.kind is ActorKind.TERMINAL:
                message = Message(said=False, data=data, texts=(decode(data),))
                utterance = Utterance(event.at, actor.name, 1, message)
                if event.what in SEEN:
                    self.transcript.append(utterance)
                if ear := self._ears.get((actor.name, None)):
                    self._hears(ear, utterance)

    def _opened_or_ended(self, event: Event) -> None:
        key = (event.actor, event.connection)
        if event.what is What.OPENED:
            self._noise(event)
        elif event.what in _ENDS:
            self._no_more(event)
        act = _ENDS.get(event.what, event.what.value)
        utterance = Utterance(event.at, event.actor, event.connection, act=act)
        self.transcript.append(utterance)
        if ear := self._ears.get((event.actor, None)):
            ear.latest_end = utterance if event.what in _ENDS else None
        if event.what in _ENDS:
            self._ends.setdefault(key, utterance)
            if ear := self._ears.get(key):
                ear.ended = ear.latest_end = utterance
                self._awake[ear] = None

    def _no_more(self, event: Event) -> None:
        key = (event.actor, event.connection)
        framing = self._framings.get(key)
        if framing and event.what is What.EOF:
            for message in framing.end():
                self._message(key, event.at, message)
        self._unfinished(key, event.at)

    def _noise(self, event: Event) -> None:
        """Something came from the program: a silence that is due is broken."""
        self._silences = [line for line in self._silences if line.waiting]
        for line in self._silences:
            entry = line.entry
            if entry.actor == event.actor and line.due_at is not None:
                if entry.connection not in (None, event.connection):
                    continue
                message = (
                    Message(said=False, data=event.data, texts=(decode(event.data),))
                    if event.what is What.HEARD
                    else None
                )
                number = event.connection
                line.miss(Utterance(event.at, event.actor, number, message, event.what.value))

    def _instead(self, line: Line) -> Utterance | None:
        """What came, by the end of the play, in place of a line that never did."""
        if line.entry.actor == PROGRAM:
            return None
        return self._ear(self._key(line.entry)).instead(line.entry)


def _exit_text(event: Event) -> str:
    if "signal" in event.facts:
        return f"ended by signal {event.facts['signal']}"
    return f"exit status {event.facts.get('status')}"

"""The prompter: follows an exchange along the events of a play.

Pure: events in; which entry is due, met, missed or unchecked out.  `run` follows while it
plays, to know what is due; `judge` follows the record afterwards.  Both see the same,
because nothing but the events counts.

Order (docs/notation.md): entries of one connection are in order; what an actor says or
does waits for everything above it; what it hears is ordered against its own connection
only.  After a mismatch a connection goes on at its next entry that matches; what lies
between is one miss, and what can no longer happen is unchecked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from harness.framing import DatagramFraming, HttpFraming, Message, framing_for
from harness.match import Match, match_start, match_whole, may_yet_match
from harness.model.exchange import Arrow, Directive, Entry, Group, GroupKind, Skip
from harness.model.record import PROGRAM, Event, What
from harness.model.scenario import Actor, ActorKind
from harness.model.template import Template, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.framing import Framing
    from harness.model.exchange import Exchange


class State(Enum):
    """Where an entry stands."""

    WAITING = "waiting"
    DONE = "done"
    PASSED_OVER = "passed over"  # optional, or another one of its group came
    MISSED = "missed"  # a finding
    UNCHECKED = "unchecked"  # rests on a miss


@dataclass(slots=True)
class Line:
    """An entry and what became of it.

    `instead` is the message or event that came in its place, None if nothing did.
    """

    index: int
    entry: Entry
    group: GroupKind | None = None
    state: State = State.WAITING
    at: float | None = None
    instead: Utterance | None = None
    due_at: float | None = None  # when everything above it was settled

    @property
    def open_ended(self) -> bool:
        """Whether it holds until the end of the play, so that nothing below waits for it."""
        return self.group is GroupKind.NEVER or _until_the_end(self.entry)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of the transcript: a message, or how a connection began and ended."""

    at: float
    actor: str
    connection: int
    said: bool
    message: Message | None
    act: str = ""  # `opened`, `eof`, `reset`, `left`, or why an actor failed


_ENDS = {What.EOF: "eof", What.RESET: "reset"}
_EXPECTED_ENDS = {
    "expect eof": ("eof",),
    "expect reset": ("reset",),
    "expect close": ("eof", "reset"),
}


class Follower:
    """Follows one exchange; feed it every event of the play by `receive`, in order."""

    def __init__(self, exchange: Exchange, cast: Mapping[str, Actor]) -> None:
        self.lines: list[Line] = []
        self.transcript: list[Utterance] = []
        self.bound: dict[str, str] = {}
        self.closings: list[tuple[str, int]] = []  # connections that an actor must close now
        self._cast = cast
        self._ears: dict[tuple[str, int | None], _Ear] = {}
        self._framings: dict[tuple[str, int], Framing | None] = {}
        self._ends: dict[tuple[str, int], Utterance] = {}
        self._exit: Event | None = None
        self._cursor = 0
        self._build(exchange)
        self._walk(0.0)

    # -- what the run asks ------------------------------------------------------------

    @property
    def due(self) -> list[Line]:
        """Entries that the harness must play now: everything above them is settled."""
        return [
            line
            for line in self.lines
            if line.due_at is not None and line.state is State.WAITING and _played(line.entry)
            and not self._cast_autonomous(line.entry)
        ]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to wait for."""
        return not any(self._awaited(line) for line in self.lines)

    # -- events -----------------------------------------------------------------------

    def receive(self, event: Event) -> None:
        """Take one event into account."""
        if event.entry is not None and event.what in (What.SAID, What.ACTED, What.BROKEN):
            self._performed(event)
        if event.what in (What.HEARD, What.SAID):
            self._bytes(event, said=event.what is What.SAID)
        elif event.what is What.SCREEN:
            self._screen(event)
        elif event.what is What.EXITED:
            self._exit = event
        elif event.what in (What.OPENED, What.LEFT, *_ENDS):
            self._connection_event(event)
        self._walk(event.at)

    def finish(self, at: float) -> None:
        """The play is over: what has not come by now is missed or, behind a miss, unchecked."""
        missed = False
        for line in self.lines:
            if line.state is State.WAITING and line.open_ended:
                line.state = State.DONE
            elif line.state is State.WAITING and line.entry.arrow is Arrow.MAY_HEAR:
                line.state = State.PASSED_OVER
            elif line.state is State.WAITING:
                line.state = State.UNCHECKED if missed else State.MISSED
                line.at = at
                line.instead = line.instead or self._instead(line)
            missed = missed or line.state is State.MISSED

    # -- building ---------------------------------------------------------------------

    def _build(self, exchange: Exchange) -> None:
        skips = 0
        skips_known: dict[tuple[str, int | None], int] = {}
        for item in exchange.items:
            if isinstance(item, Skip):
                skips += 1
                continue
            kind = item.kind if isinstance(item, Group) else None
            steps: dict[tuple[str, int | None], _Step] = {}
            for entry in item.entries if isinstance(item, Group) else (item,):
                line = Line(len(self.lines), entry, kind)
                self.lines.append(line)
                if entry.actor == PROGRAM:
                    continue
                key = self._key(entry)
                ear = self._ears.setdefault(key, _Ear(key, self._cast[entry.actor]))
                if key not in steps:
                    steps[key] = _Step(kind, after_skip=skips > skips_known.get(key, 0))
                    skips_known[key] = skips
                    ear.steps.append(steps[key])
                steps[key].lines.append(line)

    def _key(self, entry: Entry) -> tuple[str, int | None]:
        """The connection an entry speaks of; a lenient actor's without a number is any."""
        if entry.connection is None and self._cast[entry.actor].lenient:
            return entry.actor, None
        return entry.actor, entry.connection or 1

    def _cast_autonomous(self, entry: Entry) -> bool:
        return entry.arrow is Arrow.SAYS and self._cast[entry.actor].autonomous

    # -- what is settled --------------------------------------------------------------

    def _awaited(self, line: Line) -> bool:
        return (
            line.state is State.WAITING
            and line.entry.arrow is not Arrow.MAY_HEAR
            and not line.open_ended
        )

    def _walk(self, at: float) -> None:
        """Find what is due, and settle what the events so far have settled already."""
        progress = True
        while progress:
            progress = self._next_due(at)
            for ear in self._ears.values():
                progress |= self._listen(ear)

    def _next_due(self, at: float) -> bool:
        """Go down the lines as far as everything is settled; True if a line changed."""
        while self._cursor < len(self.lines):
            line = self.lines[self._cursor]
            if line.due_at is None:
                line.due_at = at
            if self._settle_act(line, at):
                return True
            if self._awaited(line):
                return False
            self._cursor += 1
        return False

    def _settle_act(self, line: Line, at: float) -> bool:
        """Settle an act that only waits for something to be seen; True if it was."""
        act = line.entry.act
        if act is None or line.state is not State.WAITING:
            return False
        if act.name in _EXPECTED_ENDS:
            return self._settle_end(line, _EXPECTED_ENDS[act.name])
        if act.name == "expect exit" and self._exit is not None:
            line.state = (
                State.DONE if self._exit.facts.get("status") == act.status else State.MISSED
            )
            line.at = self._exit.at
            line.instead = Utterance(self._exit.at, PROGRAM, 0, False, None, _exit_text(self._exit))  # noqa: FBT003
            return True
        return False

    def _settle_end(self, line: Line, accepted: tuple[str, ...]) -> bool:
        ear = self._ears[self._key(line.entry)]
        if extra := ear.first_unheard():
            self._miss(line, extra)
            self._give_up(ear)
            return True
        end = self._ends.get((line.entry.actor, line.entry.connection or 1))
        if end is None:
            return False
        if end.act in accepted:
            line.state, line.at = State.DONE, end.at
        else:
            self._miss(line, end)
        return True

    def _performed(self, event: Event) -> None:
        line = self.lines[event.entry or 0]
        if line.state is not State.WAITING:
            return
        line.at = event.at
        line.state = State.MISSED if event.what is What.BROKEN else State.DONE
        if event.what is What.BROKEN:
            line.instead = Utterance(
                event.at, event.actor, event.connection, False, None, event.note  # noqa: FBT003
            )

    # -- hearing ----------------------------------------------------------------------

    def _bytes(self, event: Event, *, said: bool) -> None:
        key = (event.actor, event.connection)
        actor = self._cast.get(event.actor)
        if actor is None:
            return
        if not said:
            self._noise(event)
        if key not in self._framings:
            self._framings[key] = framing_for(actor)
        framing = self._framings[key]
        if framing is None:
            self._stream_bytes(event, said=said)
            return
        for message in framing.feed(event.data, said=said):
            self._message(event, message)

    def _stream_bytes(self, event: Event, *, said: bool) -> None:
        message = Message(said, event.data, (decode(event.data),))
        utterance = self._tell(event, message)
        if not said and (ear := self._ears.get((event.actor, event.connection))):
            ear.buffer += decode(event.data)
            ear.latest = utterance

    def _message(self, event: Event, message: Message) -> None:
        utterance = self._tell(event, message)
        if not message.listed or (message.said and not self._cast[event.actor].autonomous):
            return
        for key in ((event.actor, event.connection), (event.actor, None)):
            if ear := self._ears.get(key):
                ear.queue.append(utterance)

    def _tell(self, event: Event, message: Message | None, act: str = "") -> Utterance:
        said = message.said if message else False
        utterance = Utterance(event.at, event.actor, event.connection, said, message, act)
        self.transcript.append(utterance)
        return utterance

    def _screen(self, event: Event) -> None:
        for actor in self._cast.values():
            if actor.kind is ActorKind.TERMINAL:
                message = Message(False, event.data, (decode(event.data),))  # noqa: FBT003
                utterance = Utterance(event.at, actor.name, 1, False, message)  # noqa: FBT003
                self.transcript.append(utterance)
                if ear := self._ears.get((actor.name, None)):
                    ear.buffer += decode(event.data)
                    ear.latest = utterance

    def _connection_event(self, event: Event) -> None:
        if event.actor not in self._cast:
            return
        if event.what is What.OPENED:
            self._tell(event, None, "opened")
            self._noise(event)
            return
        key = (event.actor, event.connection)
        framing = self._framings.get(key)
        if isinstance(framing, HttpFraming):
            for message in framing.end():
                self._message(event, message)
        act = _ENDS.get(event.what, "left")
        utterance = self._tell(event, None, act)
        if act != "left":
            self._ends.setdefault(key, utterance)
            if ear := self._ears.get(key):
                ear.ended = utterance

    def _noise(self, event: Event) -> None:
        """Something came from the program where silence was due."""
        for line in self.lines:
            act = line.entry.act
            if (
                act is not None
                and act.name == "expect silence"
                and line.entry.actor == event.actor
                and line.state is State.WAITING
                and line.due_at is not None
                and event.connection in (line.entry.connection or event.connection,)
            ):
                line.at = event.at
                line.state = State.MISSED
                message = (
                    Message(False, event.data, (decode(event.data),))  # noqa: FBT003
                    if event.what is What.HEARD
                    else None
                )
                line.instead = Utterance(
                    event.at, event.actor, event.connection, False, message, event.what.value  # noqa: FBT003
                )

    # -- one connection ---------------------------------------------------------------

    def _listen(self, ear: _Ear) -> bool:
        """Let an ear take what it has heard; True if a line was settled."""
        before = [line.state for step in ear.steps for line in step.lines]
        if ear.deaf:
            ear.queue.clear()
        elif ear.by_pattern:
            self._listen_to_stream(ear)
        else:
            self._listen_to_messages(ear)
        if ear.ended and not ear.deaf:
            self._ended(ear)
        return before != [line.state for step in ear.steps for line in step.lines]

    def _listen_to_messages(self, ear: _Ear) -> None:
        while ear.queue:
            utterance = ear.queue[0]
            if self._forbidden(ear, utterance):
                ear.queue.popleft()
                continue
            candidates, waits = ear.candidates()
            step_line = self._first_match(candidates, utterance)
            if step_line is None and waits and not ear.lenient_here(candidates):
                return
            ear.queue.popleft()
            if step_line:
                self._take(ear, *step_line, utterance)
            elif ear.lenient_here(candidates):
                ear.unlisted.append(utterance)
                if waits and not candidates:
                    continue
            else:
                self._mismatch(ear, candidates, utterance)

    def _listen_to_stream(self, ear: _Ear) -> None:
        while not ear.deaf:
            ear.absorb_line_end()
            candidates, _ = ear.candidates()
            if not candidates or not ear.buffer or ear.latest is None:
                return
            if not (self._take_from_screen if ear.screen else self._take_from_buffer)(
                ear, candidates
            ):
                return

    def _take_from_buffer(self, ear: _Ear, candidates: list[tuple[_Step, Line]]) -> bool:
        for step, line in candidates:
            match = match_start(line.entry.text, ear.buffer, self.bound)
            if match and (match.end or ear.ended):
                self._consume(ear, step, line, match)
                return True
        still = any(may_yet_match(line.entry.text, ear.buffer, self.bound) for _, line in candidates)
        if (still and not ear.ended) or candidates[0][0].after_skip:
            return False
        heard = ear.unheard()
        self._mismatch(ear, candidates, heard)
        return not ear.deaf

    def _take_from_screen(self, ear: _Ear, candidates: list[tuple[_Step, Line]]) -> bool:
        """A pattern meets a whole line, or a prompt that has no line end yet."""
        start = 0
        for text in ear.buffer.split("\n"):
            for step, line in candidates:
                if match := match_whole(line.entry.text, text.rstrip("\r"), self.bound):
                    end = min(start + len(text) + 1, len(ear.buffer))
                    self._consume(ear, step, line, Match(end, match.bindings))
                    return True
            start += len(text) + 1
        return False

    def _consume(self, ear: _Ear, step: _Step, line: Line, match: Match) -> None:
        ear.buffer = ear.buffer[match.end :]
        ear.line_end_may_follow = True
        self.bound |= match.bindings
        assert ear.latest is not None  # noqa: S101 - the buffer has something in it
        self._take(ear, step, line, ear.latest)

    def _first_match(
        self, candidates: list[tuple[_Step, Line]], utterance: Utterance
    ) -> tuple[_Step, Line] | None:
        for step, line in candidates:
            if self._hears(line.entry, utterance):
                return step, line
        return None

    def _hears(self, entry: Entry, utterance: Utterance) -> bool:
        message = utterance.message
        if message is None or message.said != (entry.arrow is Arrow.SAYS):
            return False
        for text in message.texts:
            match = match_whole(entry.text, text, self.bound)
            if match and _body_matches(entry, message, self.bound):
                self.bound |= match.bindings
                return True
        return False

    def _take(self, ear: _Ear, step: _Step, line: Line, utterance: Utterance) -> None:
        for passed in ear.steps[ear.pointer : ear.steps.index(step)]:
            passed.pass_over()
        ear.pointer = ear.steps.index(step)
        line.state, line.at = State.DONE, utterance.at
        ear.unlisted.clear()
        if step.kind is GroupKind.ONE_OF:
            step.pass_over()

    def _mismatch(
        self, ear: _Ear, candidates: list[tuple[_Step, Line]], utterance: Utterance
    ) -> None:
        """What came is not what was due: go on at the next entry that it matches."""
        later = [
            (step, line)
            for step in ear.steps[ear.pointer :]
            for line in step.lines
            if line.state is State.WAITING and line.entry.heard and (step, line) not in candidates
        ]
        found = self._first_match(later, utterance) if not ear.by_pattern else None
        match: Match | None = None
        if ear.by_pattern:
            for step, line in later:
                if match := match_start(line.entry.text, ear.buffer, self.bound):
                    found = step, line
                    break
        due = next((line for _, line in candidates), None) or ear.last_line()
        if due:
            self._miss(due, utterance)
        if found is None:
            self._give_up(ear)
            return
        ear.uncheck_before(found[0])
        if match:
            self._consume(ear, *found, match)
        else:
            self._take(ear, *found, utterance)

    def _miss(self, line: Line, instead: Utterance) -> None:
        line.state, line.at, line.instead = State.MISSED, instead.at, instead

    def _give_up(self, ear: _Ear) -> None:
        ear.deaf = True
        ear.uncheck_before(None)
        if ear.key[1] is not None:
            self.closings.append((ear.key[0], ear.key[1]))

    def _ended(self, ear: _Ear) -> None:
        """The program closed: what was still to be heard on this connection cannot come."""
        candidates, waits = ear.candidates()
        due = next((line for _, line in candidates if line.entry.arrow is Arrow.HEARS), None)
        if ear.ended and due and not waits:
            self._miss(due, ear.ended)
            ear.deaf = True
            ear.uncheck_before(None, heard_only=True)

    def _forbidden(self, ear: _Ear, utterance: Utterance) -> bool:
        for line in ear.nevers():
            if self._hears(line.entry, utterance):
                self._miss(line, utterance)
                return True
        return False

    def _instead(self, line: Line) -> Utterance | None:
        """What came, at the end of the play, in place of a line that never did."""
        if line.entry.actor == PROGRAM:
            return None
        ear = self._ears[self._key(line.entry)]
        if ear.unlisted:
            return ear.unlisted[0]
        if ear.screen or not ear.buffer:
            return ear.ended
        return ear.unheard()


@dataclass(slots=True, eq=False)
class _Step:
    """The lines of one connection that stand at one place: one line, or those of a group."""

    kind: GroupKind | None
    lines: list[Line] = field(default_factory=list)
    after_skip: bool = False

    @property
    def barrier(self) -> bool:
        """Whether the actor itself is to do something here."""
        return self.kind is None and self.lines[0].entry.arrow in (Arrow.SAYS, Arrow.ACTS)

    def pass_over(self) -> None:
        for line in self.lines:
            if line.state is State.WAITING and self.kind is not GroupKind.NEVER:
                line.state = State.PASSED_OVER


class _Ear:
    """What one connection has heard and not yet taken, and how far its entries are."""

    def __init__(self, key: tuple[str, int | None], actor: Actor) -> None:
        self.key = key
        self.actor = actor
        self.steps: list[_Step] = []
        self.pointer = 0
        self.queue: deque[Utterance] = deque()
        self.unlisted: list[Utterance] = []
        self.buffer = ""
        self.latest: Utterance | None = None
        self.line_end_may_follow = False
        self.ended: Utterance | None = None
        self.deaf = False
        self.screen = actor.kind is ActorKind.TERMINAL
        self.by_pattern = framing_for(actor) is None

    def candidates(self) -> tuple[list[tuple[_Step, Line]], bool]:
        """The lines that may be heard next, and whether the actor must do something first."""
        found: list[tuple[_Step, Line]] = []
        for step in self.steps[self.pointer :]:
            waiting = [line for line in step.lines if line.state is State.WAITING]
            if step.kind is GroupKind.NEVER or not waiting:
                continue
            if step.barrier and not self.actor.autonomous:
                return found, not _until_the_end(waiting[0].entry)
            if step.barrier and waiting[0].entry.arrow is Arrow.ACTS:
                continue
            found += [(step, line) for line in waiting]
            if any(line.entry.arrow is not Arrow.MAY_HEAR for line in waiting):
                return found, False
        return found, False

    def nevers(self) -> Iterator[Line]:
        """Lines that must not come from here on: all that is due above them has come."""
        for step in self.steps:
            waiting = [line for line in step.lines if line.state is State.WAITING]
            if step.kind is GroupKind.NEVER:
                yield from waiting
            elif any(line.entry.arrow is not Arrow.MAY_HEAR for line in waiting):
                return

    def lenient_here(self, candidates: list[tuple[_Step, Line]]) -> bool:
        return self.actor.lenient or (bool(candidates) and candidates[0][0].after_skip)

    def absorb_line_end(self) -> None:
        """A line end behind what was heard belongs to it, though it may come later."""
        if not self.line_end_may_follow or not self.buffer or self.buffer == "\r":
            return
        for end in ("\r\n", "\n"):
            if self.buffer.startswith(end):
                self.buffer = self.buffer[len(end) :]
                break
        self.line_end_may_follow = False

    def unheard(self) -> Utterance:
        """The buffer as one utterance."""
        assert self.latest is not None  # noqa: S101 - asked for only when bytes came
        data = encode(self.buffer)
        return Utterance(
            self.latest.at,
            self.key[0],
            self.latest.connection,
            False,  # noqa: FBT003
            Message(False, data, (self.buffer,)),  # noqa: FBT003
        )

    def first_unheard(self) -> Utterance | None:
        if self.queue:
            return self.queue[0]
        self.absorb_line_end()
        return self.unheard() if self.buffer.strip("\r\n") and not self.screen else None

    def last_line(self) -> Line | None:
        lines = [line for step in self.steps for line in step.lines]
        return lines[-1] if lines else None

    def uncheck_before(self, stop: _Step | None, *, heard_only: bool = False) -> None:
        for step in self.steps[self.pointer :]:
            if step is stop:
                return
            for line in step.lines:
                if line.state is State.WAITING and (line.entry.heard or not heard_only):
                    line.state = State.UNCHECKED


def _played(entry: Entry) -> bool:
    """Whether somebody has to do something for this entry; the others are only seen."""
    if entry.arrow is Arrow.SAYS:
        return True
    act = entry.act
    return (
        act is not None
        and act.name not in (*_EXPECTED_ENDS, "expect exit")
        and not _until_the_end(entry)
    )


def _until_the_end(entry: Entry) -> bool:
    return entry.act is not None and entry.act.name == "expect silence" and not entry.act.seconds


def _exit_text(event: Event) -> str:
    if "signal" in event.facts:
        return f"ended by signal {event.facts['signal']}"
    return f"exit status {event.facts.get('status')}"


def _body_matches(entry: Entry, message: Message, bound: Mapping[str, str]) -> bool:
    """Whether every field of the entry's body is there, and its content matches."""
    patterns = [line for line in entry.body if isinstance(line, Template)]
    if not entry.body:
        return True
    split = patterns.index(Template()) if Template() in patterns else len(patterns)
    fields = [f"{name}: {value}" for name, value in message.fields]
    if not all(_field_matches(pattern, fields, bound) for pattern in patterns[:split]):
        return False
    content = decode(message.body).replace("\r\n", "\n").split("\n")
    wanted = patterns[split + 1 :]
    return all(any(match_whole(p, line, bound) for line in content) for p in wanted)


def _field_matches(pattern: Template, fields: list[str], bound: Mapping[str, str]) -> bool:
    """Field names are equal whatever their case (RFC 9110 5.1)."""
    lowered = _lower_name(pattern)
    for written in fields:
        name, colon, value = written.partition(":")
        if match_whole(lowered, name.lower() + colon + value, bound):
            return True
    return False


def _lower_name(pattern: Template) -> Template:
    from harness.model.template import Literal  # noqa: PLC0415 - the name is taken by typing

    if not pattern.parts or not isinstance(pattern.parts[0], Literal):
        return pattern
    name, colon, rest = pattern.parts[0].text.partition(":")
    return Template((Literal(name.lower() + colon + rest), *pattern.parts[1:]))


__all__ = ["DatagramFraming", "Directive", "Follower", "Line", "State", "Utterance"]

"""What one connection hears, held against its entries in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from harness.follow.lines import EXPECTED_ENDS, Line, State, Utterance
from harness.framing import Message, framing_for
from harness.match import Match, Search, match_whole, may_yet_match
from harness.model.exchange import Arrow, GroupKind
from harness.model.scenario import ActorKind
from harness.model.template import Literal, Template, decode, encode, first_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.model.exchange import Entry
    from harness.model.scenario import Actor

#: Actor and number of a connection; None stands for any connection of a lenient actor.
Key = tuple[str, int | None]


@dataclass(slots=True, eq=False)
class Step:
    """The lines of one connection that stand at one place: one line, or those of a group."""

    kind: GroupKind | None = None
    after_skip: bool = False
    place: int = 0  # among the steps of its connection
    lines: list[Line] = field(default_factory=list)

    @property
    def waiting(self) -> list[Line]:
        return [line for line in self.lines if line.waiting]

    @property
    def awaited(self) -> bool:
        return any(line.awaited for line in self.lines)

    @property
    def passed(self) -> bool:
        """Whether nothing that is to be heard or done here is still open."""
        return self.kind is GroupKind.NEVER or not any(line.waiting for line in self.lines)

    def pass_over(self) -> None:
        if self.kind is not GroupKind.NEVER:
            for line in self.waiting:
                line.state = State.PASSED_OVER


Candidate = tuple[Step, Line]


def make_ear(key: Key, actor: Actor, bound: dict[str, str]) -> Ear:
    """The ear for a connection of this actor; `bound` is shared by all ears of a play."""
    if actor.kind is ActorKind.TERMINAL:
        return ScreenEar(key, actor, bound)
    return (MessageEar if framing_for(actor) else StreamEar)(key, actor, bound)


class Ear(ABC):
    """Takes what was heard, as far as its entries allow, and settles them."""

    def __init__(self, key: Key, actor: Actor, bound: dict[str, str]) -> None:
        self.key = key
        self.steps: list[Step] = []
        self.ended: Utterance | None = None  # nothing more can come
        self.latest_end: Utterance | None = None  # on any connection, if no other was opened
        self.deaf = False  # the exchange of this connection is lost
        self._actor = actor
        self._bound = bound
        self._pointer = 0  # behind it nothing is waited for
        self._nevers: list[Step] = []
        self._changed = False

    def add(self, step: Step) -> None:
        """Have one more step, behind all others."""
        step.place = len(self.steps)
        self.steps.append(step)
        if step.kind is GroupKind.NEVER:
            self._nevers.append(step)

    @abstractmethod
    def hear(self, utterance: Utterance) -> None:
        """Keep what was heard until an entry takes it."""

    @abstractmethod
    def _listen(self) -> None:
        """Hold what was heard against the entries that may come next."""

    @property
    def stirred(self) -> bool:
        """Whether anything is there that could settle an entry."""
        if self.deaf:
            return False
        return self._has_heard or (self.ended is not None and any(self._ahead()))

    @property
    @abstractmethod
    def _has_heard(self) -> bool:
        """Whether anything was heard that no entry has taken."""

    @abstractmethod
    def unheard(self) -> Utterance | None:
        """The first thing heard that no entry has taken."""

    def instead(self, entry: Entry) -> Utterance | None:  # noqa: ARG002 - for those that can tell
        """What came in place of an entry that never did, when the play is over."""
        return self.unheard() or self.latest_end

    def listen(self) -> bool:
        """Settle what can be settled; True if anything was."""
        self._changed = False
        if not self.deaf:
            self._listen()
        if self.ended and not self.deaf:
            self._end(self.ended)
        return self._changed

    def _ahead(self) -> Iterator[Step]:
        """The steps from the first one on that waits for something."""
        while self._pointer < len(self.steps) and self.steps[self._pointer].passed:
            self._pointer += 1
        for place in range(self._pointer, len(self.steps)):
            yield self.steps[place]

    def _candidates(self) -> tuple[list[Candidate], bool]:
        """The lines that may be heard next, and whether the actor must do something first."""
        found: list[Candidate] = []
        for step in self._ahead():
            waiting = step.waiting
            if step.kind is GroupKind.NEVER or not waiting:
                continue
            if self._must_act(waiting[0]):
                return found, not waiting[0].open_ended
            found += [(step, line) for line in waiting if line.entry.arrow is not Arrow.ACTS]
            if step.awaited:
                break
        return found, False

    def _must_act(self, line: Line) -> bool:
        return line.entry.arrow in (Arrow.SAYS, Arrow.ACTS) and not self._actor.autonomous

    def _lenient(self, candidates: list[Candidate]) -> bool:
        """Whether something that no entry lists may come here."""
        return self._actor.lenient or (bool(candidates) and candidates[0][0].after_skip)

    def _take(self, step: Step, line: Line, utterance: Utterance) -> None:
        for place in range(self._pointer, step.place):
            self.steps[place].pass_over()
        self._pointer = step.place
        self._changed = True
        line.done(utterance.at, utterance)
        if step.kind is GroupKind.ONE_OF:
            step.pass_over()

    def _miss(self, candidates: list[Candidate], instead: Utterance) -> None:
        """Blame the line that was due; behind the last one, the last one."""
        due = next((line for _, line in candidates if not line.optional), None)
        if due or self.steps:
            (due or self.steps[-1].lines[-1]).miss(instead)
            self._changed = True

    def _later(self, candidates: list[Candidate]) -> list[Candidate]:
        """Lines further down at which the connection may go on after a mismatch."""
        return [
            (step, line)
            for step in self._ahead()
            for line in step.waiting
            if line.entry.heard and step.kind is not GroupKind.NEVER
            if (step, line) not in candidates
        ]

    def give_up(self) -> None:
        """The exchange of this connection is lost; the rest of it cannot be checked."""
        self.deaf = True
        self._uncheck(None)

    def _uncheck(self, stop: Step | None, *, heard_only: bool = False) -> None:
        for step in self._ahead():
            if step is stop:
                return
            for line in step.waiting:
                if line.entry.heard or not heard_only:
                    line.state = State.UNCHECKED
                    self._changed = True

    def _end(self, ended: Utterance) -> None:
        """The program closed: what was still to be heard on this connection cannot come."""
        candidates, waits = self._candidates()
        if not waits and any(line.awaited for _, line in candidates):
            self._miss(candidates, ended)
            self.deaf = True
            self._uncheck(None, heard_only=True)

    def settle_end(self, line: Line, end: Utterance | None) -> bool:
        """Settle an `expect eof | reset | close` that is due; True if that was possible."""
        assert line.entry.act is not None  # noqa: S101 - it is such an act
        if extra := self.unheard():
            line.miss(extra)
            self.give_up()
        elif end is None:
            return False
        elif end.act in EXPECTED_ENDS[line.entry.act.name]:
            line.done(end.at, end)
        else:
            line.miss(end)
        return True


class MessageEar(Ear):
    """Hears messages that its protocol tells apart."""

    def __init__(self, key: Key, actor: Actor, bound: dict[str, str]) -> None:
        super().__init__(key, actor, bound)
        self._queue: deque[Utterance] = deque()
        # since the last line that was met: the first one that begins with each word
        self._unlisted: dict[str, Utterance] = {}

    def hear(self, utterance: Utterance) -> None:
        self._queue.append(utterance)

    @property
    def _has_heard(self) -> bool:
        return bool(self._queue)

    def unheard(self) -> Utterance | None:
        return self._queue[0] if self._queue else None

    def instead(self, entry: Entry) -> Utterance | None:
        """Of several, the first that begins as the entry does: who wrote it meant the entry."""
        if not self._unlisted:
            return super().instead(entry)
        first = next(iter(self._unlisted.values()))
        return self._unlisted.get(entry.text.first_word, first)

    def _listen(self) -> None:
        while self._queue and not self.deaf:
            utterance = self._queue[0]
            candidates, waits = self._candidates()
            found = self._find(candidates, utterance)
            if found is None and waits and not self._lenient(candidates):
                return  # it may be the answer to what the actor is yet to say
            self._queue.popleft()
            if found:
                self._unlisted.clear()
                self._take(*found, utterance)
            elif not self._forbidden(utterance):
                self._not_listed(candidates, utterance)

    def _not_listed(self, candidates: list[Candidate], utterance: Utterance) -> None:
        if utterance.said:
            return  # what an actor says by itself never counts against the program
        if self._lenient(candidates):
            self._unlisted.setdefault(_first_word(utterance), utterance)
            return
        self._miss(candidates, utterance)
        if found := self._find(self._later(candidates), utterance):
            self._uncheck(found[0])
            self._take(*found, utterance)
        else:
            self.give_up()

    def _find(self, candidates: list[Candidate], utterance: Utterance) -> Candidate | None:
        return next((c for c in candidates if self._hears(c[1].entry, utterance)), None)

    def _hears(self, entry: Entry, utterance: Utterance) -> bool:
        bindings = message_matches(entry, utterance.message, self._bound)
        if bindings is None:
            return False
        self._bound |= bindings
        return True

    def _forbidden(self, utterance: Utterance) -> bool:
        """Whether it is something that must not come from here on."""
        ahead = (step.place for step in self._ahead() if step.awaited)
        due = next(ahead, len(self.steps))
        for step in takewhile(lambda step: step.place < due, self._nevers):
            for line in step.waiting:
                if self._hears(line.entry, utterance):
                    line.miss(utterance)
                    self._changed = True
                    return True
        return False


class StreamEar(Ear):
    """Hears a stream in which only the patterns themselves tell messages apart."""

    def __init__(self, key: Key, actor: Actor, bound: dict[str, str]) -> None:
        super().__init__(key, actor, bound)
        self._buffer = ""
        self._latest: Utterance | None = None
        self._chunks: deque[tuple[int, Utterance]] = deque()  # each with the octets up to its end
        self._octets = 0  # heard
        self._taken = 0  # of these, by entries
        self._searches: dict[tuple[int, int], Search] = {}  # in the buffer as it begins now
        self._line_end_may_follow = False

    def hear(self, utterance: Utterance) -> None:
        assert utterance.message is not None  # noqa: S101 - bytes were heard
        data = utterance.message.data
        if self._buffer.isascii():
            self._buffer += decode(data)
        else:  # it may end within a character, which has four bytes at most
            self._buffer = self._buffer[:-3] + decode(encode(self._buffer[-3:]) + data)
        self._latest = utterance
        self._octets += len(data)
        self._chunks.append((self._octets, utterance))

    @property
    def _has_heard(self) -> bool:
        return bool(self._buffer)

    def unheard(self) -> Utterance | None:
        self._absorb_line_end()
        if self._latest is None or not self._buffer.strip("\r\n"):
            return None
        message = Message(said=False, data=encode(self._buffer), texts=(self._buffer,))
        return Utterance(self._latest.at, self.key[0], self._latest.connection, message)

    def _listen(self) -> None:
        while not self.deaf:
            self._absorb_line_end()
            candidates, _ = self._candidates()
            if not candidates or not self._buffer:
                return
            found = self._find(candidates)
            if found:
                self._consume(*found)
            elif self._must_still_wait(candidates) or not self._mismatch(candidates):
                return

    def _absorb_line_end(self) -> None:
        """A line end behind what was heard belongs to it, though it may come later."""
        if not self._line_end_may_follow or not self._buffer or self._buffer == "\r":
            return
        for end in ("\r\n", "\n"):
            if self._buffer.startswith(end):
                self._cut(len(end))
                break
        self._line_end_may_follow = False

    def _find(self, candidates: list[Candidate]) -> tuple[Candidate, Match] | None:
        for candidate in candidates:
            match = self._search(candidate[1], whole=False).match(self._buffer)
            if match and match.end:
                return candidate, match
        return None

    def _search(self, line: Line, *, whole: bool) -> Search:
        """The search for a line; a value that was bound meanwhile makes it another one."""
        key = (line.index, len(self._bound))
        if key not in self._searches:
            self._searches[key] = Search(line.entry.text, self._bound, whole=whole)
        return self._searches[key]

    def _must_still_wait(self, candidates: list[Candidate]) -> bool:
        if self._lenient(candidates):
            return True
        patterns = (line.entry.text for _, line in candidates)
        hope = any(may_yet_match(pattern, self._buffer, self._bound) for pattern in patterns)
        return hope and self.ended is None

    def _mismatch(self, candidates: list[Candidate]) -> bool:
        """Go on at a later line that matches; False if there is none."""
        instead = self.unheard()
        if instead is None:
            return False
        self._miss(candidates, instead)
        found = self._find(self._later(candidates))
        if found is None:
            self.give_up()
            return False
        self._uncheck(found[0][0])
        self._consume(*found)
        return True

    def _consume(self, candidate: Candidate, match: Match) -> None:
        self._bound |= match.bindings
        self._take(*candidate, self._cut(match.end))
        self._line_end_may_follow = True

    def _cut(self, end: int) -> Utterance:
        """Take a beginning of the buffer; it came when its last octet did."""
        text, self._buffer = self._buffer[:end], self._buffer[end:]
        self._searches.clear()
        data = encode(text)
        self._taken += len(data)
        while self._chunks[0][0] < self._taken:
            self._chunks.popleft()
        chunk = self._chunks[0][1]
        message = Message(said=False, data=data, texts=(text,))
        return Utterance(chunk.at, self.key[0], chunk.connection, message)


class ScreenEar(StreamEar):
    """Reads the screen: a pattern meets a whole line, or a prompt that has no line end yet."""

    def __init__(self, key: Key, actor: Actor, bound: dict[str, str]) -> None:
        super().__init__(key, actor, bound)
        self._read: tuple[object, int] = (None, 0)  # for whom, and up to where in the buffer

    def start_again(self, at: float) -> None:
        """What a life of the program left of a line is no beginning of the next life's."""
        if self._buffer and not self._buffer.endswith("\n"):
            self.hear(Utterance(at, self.key[0], 1, Message(said=False, data=b"\n", texts=("",))))

    def unheard(self) -> Utterance | None:
        return None  # what a program prints besides is its own affair

    def _cut(self, end: int) -> Utterance:
        """What came is the line alone, without those that came between."""
        met = super()._cut(end)
        self._read = (None, 0)
        assert met.message is not None  # noqa: S101 - bytes were taken
        line = met.message.texts[0].removesuffix("\n").rpartition("\n")[2].rstrip("\r")
        return replace(met, message=Message(said=False, data=encode(line), texts=(line,)))

    def _find(self, candidates: list[Candidate]) -> tuple[Candidate, Match] | None:
        """The first line that meets one; no complete line is read twice for the same ones."""
        readers = ([line.index for _, line in candidates], len(self._bound))
        start = self._read[1] if self._read[0] == readers else 0
        *lines, rest = self._buffer[start:].split("\n")
        for text in lines:
            start += len(text) + 1
            for candidate in candidates:
                line, pattern = text.rstrip("\r"), candidate[1].entry.text
                match = match_whole(pattern, line, self._bound)
                # a blank behind a prompt is seen by nobody, and an exchange cannot end in one
                match = match or match_whole(pattern, line.rstrip(" "), self._bound)
                if match:
                    return candidate, Match(start, match.bindings)
        if lines or self._read[0] != readers:
            self._searches.clear()
        self._read = (readers, start)
        for candidate in candidates:
            match = self._search(candidate[1], whole=True).match(rest.rstrip("\r"))
            if match:
                return candidate, Match(len(self._buffer), match.bindings)
        return None


def _first_word(utterance: Utterance) -> str:
    return first_word(utterance.message.texts[0]) if utterance.message else ""


def message_matches(
    entry: Entry, message: Message | None, bound: Mapping[str, str]
) -> Mapping[str, str] | None:
    """The bindings that an entry adds when it meets a message; None if it does not.

    Body lines are fields, an empty line, and lines of the content: each must be there.
    """
    if message is None or not message.whole or message.said != (entry.arrow is Arrow.SAYS):
        return None
    for text in message.texts:
        match = match_whole(entry.text, text, bound)
        if match:
            found = _body_bindings(entry, message, {**bound, **match.bindings})
            if found is not None:
                return {**match.bindings, **found}
    return None


def _body_bindings(
    entry: Entry, message: Message, bound: Mapping[str, str]
) -> Mapping[str, str] | None:
    """What the body lines of an entry bind, one after the other; None if one is not met."""
    patterns = [line for line in entry.body if isinstance(line, Template)]
    cut = patterns.index(Template()) if Template() in patterns else len(patterns)
    fields = [f"{name.lower()}: {value}" for name, value in message.fields]
    content = decode(message.body).replace("\r\n", "\n").split("\n")
    lookups = [(_with_lower_name(pattern), fields) for pattern in patterns[:cut]]
    lookups += [(pattern, content) for pattern in patterns[cut + 1 :]]
    found: dict[str, str] = {}
    for pattern, lines in lookups:
        bindings = _first_match(pattern, lines, {**bound, **found})
        if bindings is None:
            return None
        found |= bindings
    return found


def _first_match(
    pattern: Template, lines: list[str], bound: Mapping[str, str]
) -> Mapping[str, str] | None:
    matches = (match_whole(pattern, line, bound) for line in lines)
    return next((match.bindings for match in matches if match), None)


def _with_lower_name(pattern: Template) -> Template:
    """Field names are equal whatever their case (RFC 9110 5.1)."""
    if not pattern.parts or not isinstance(pattern.parts[0], Literal):
        return pattern
    name, colon, rest = pattern.parts[0].text.partition(":")
    return Template((Literal(name.lower() + colon + rest), *pattern.parts[1:]))

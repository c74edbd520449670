"""A recorded play as the exchange of its scenario.

What the actors of the scenario said and did stays as it was written; what they heard is written
as it came.  What varies from play to play becomes a pattern: addresses are those of the play,
dates and times are never the same, and whatever else differs in a second play is no demand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.follow import Follower, State
from harness.framing import framing_for
from harness.model.exchange import Arrow, Clock, Entry, Group
from harness.model.record import What
from harness.model.scenario import ActorKind
from harness.model.template import Binding, Literal, Parameter, Template, decode, templates_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.follow import Line, Utterance
    from harness.model.plan import Plan
    from harness.model.record import Event, Record
    from harness.model.scenario import Actor, Scenario

_BODY_LIMIT = 40  # lines of a message's content; a longer one is left out


class NotBlessedError(UsageError):
    """A play, or two of them, cannot stand for what always must happen; says why."""


def check_blessable(scenario: Scenario) -> None:
    """See that its exchange says nothing that a transcript cannot say.

    Raises:
        NotBlessedError: it does; names the line.
    """
    for item in scenario.exchange.items:
        what = ""
        if isinstance(item, Group):
            what = item.kind.value
        elif not isinstance(item, Entry):
            what = "a clock" if isinstance(item, Clock) else "..."
        elif item.arrow is Arrow.MAY_HEAR:
            what = "<?"
        if what:
            raise NotBlessedError(
                f"{scenario.file}:{item.line}: a transcript cannot say `{what}`; "
                "write this exchange by hand"
            )


def told(plan: Plan, record: Record) -> list[Entry]:
    """What happened in a play, as entries: what was heard literally, but for places and times.

    Raises:
        NotBlessedError: the play did not come to the end of its exchange.
    """
    return _Teller(plan, record).entries()


def agreed(first: Iterable[Entry], second: Iterable[Entry]) -> list[Entry]:
    """What two plays have in common; where their texts differ there is a pattern.

    Entries that were in the file already are the same, and have their line.

    Raises:
        NotBlessedError: they differ by more than texts.
    """
    first = list(first)
    others: dict[_Key, list[Entry]] = {}
    for entry in second:
        others.setdefault(_key(entry), []).append(entry)
    names = _Names(first)
    pairs = [(entry, _pair(entry, others)) for entry in first]
    if left := [entry for entries in others.values() for entry in entries]:
        raise NotBlessedError(f"two plays differed: {_shown(left[0])} came in one of them only")
    return [names.merged(one, other) for one, other in pairs]


# -- one play -------------------------------------------------------------------------


@dataclass
class _Piece:
    """Something that was heard, not yet an entry: a stream may go on."""

    utterance: Utterance
    text: str
    body: tuple[str, ...] = ()
    reason: str = ""
    goes_on: bool = False  # nothing tells where a message of it ends


class _Teller:
    def __init__(self, plan: Plan, record: Record) -> None:
        self._plan = plan
        self._record = record
        self._cast = plan.scenario.cast
        self._written = list(plan.scenario.exchange.entries())
        self._follower = Follower(plan.filled(record.addresses).exchange, self._cast)
        self._script = {line.index for line in self._follower.script}
        self._pieces: list[_Piece | Entry] = []
        self._told: set[int] = set()  # lines that have been written
        self._screen = ""

    def entries(self) -> list[Entry]:
        for event in self._record.events:
            if event.what is What.GAVE_UP:
                break
            self._take(event)
        self._follower.finish(self._record.duration)
        self._check_end()
        places = _Places(self._record)
        kept = self._bindings_in_use()
        return [
            piece if isinstance(piece, Entry) else self._entry(piece, places, kept)
            for piece in self._pieces
        ]

    def _check_end(self) -> None:
        """What was never reached would be dropped, and never be noticed."""
        lines = self._follower.lines
        unreached = [line for line in lines if line.index not in self._told and self._acts(line)]
        if unreached:
            missed = next((line for line in lines if line.state is State.MISSED), unreached[0])
            raise NotBlessedError(
                f"{self._plan.scenario.file}:{missed.entry.line}: the play did not get beyond "
                f"{_shown(missed.entry)}; let this line match (`*` is any text)"
            )

    def _acts(self, line: Line) -> bool:
        return line.index in self._script or line.entry.act is not None

    def _take(self, event: Event) -> None:
        before = len(self._follower.transcript)
        self._follower.receive(event)
        if event.entry is not None and event.what in (What.SAID, What.ACTED):
            self._keep(event.entry)
        for utterance in self._follower.transcript[before:]:
            self._hear(utterance)
        for line in self._follower.lines:  # what only waits: `expect eof`, `expect silence`
            waits = line.entry.act is not None and line.index not in self._script
            if waits and (
                line.state is State.DONE or (line.open_ended and line.due_at is not None)
            ):
                self._keep(line.index)

    def _keep(self, index: int) -> None:
        """A line that is as it was written."""
        if index not in self._told:
            self._told.add(index)
            self._pieces.append(self._written[index])

    def _hear(self, utterance: Utterance) -> None:
        message, actor = utterance.message, self._cast.get(utterance.actor)
        if actor is None or message is None or message.said or not message.listed:
            return
        if actor.kind is ActorKind.TERMINAL:
            *lines, self._screen = (self._screen + message.texts[0]).split("\n")
            self._pieces += [_Piece(utterance, line.rstrip("\r")) for line in lines if line.strip()]
        elif framing_for(actor) is None:
            self._go_on(_Piece(utterance, decode(message.data), goes_on=True))
        elif message.whole:
            fields = [f"{name}: {value}" for name, value in message.fields]
            content = decode(message.body).replace("\r\n", "\n").rstrip("\n").split("\n")
            shown = ["", *content] if message.body and len(content) <= _BODY_LIMIT else []
            self._pieces.append(_Piece(utterance, message.texts[0], (*fields, *shown)))

    def _go_on(self, piece: _Piece) -> None:
        """Join what a stream brought in pieces, as long as its actor did nothing meanwhile."""
        who = (piece.utterance.actor, piece.utterance.connection)
        for latest in reversed(self._pieces):
            if isinstance(latest, Entry):
                if latest.actor == who[0]:
                    break
            elif (latest.utterance.actor, latest.utterance.connection) == who:
                latest.text += piece.text
                return
        self._pieces.append(piece)

    def _bindings_in_use(self) -> set[str]:
        """Names that what is said, or demanded, needs: who bound them stays as it is."""
        said = [self._written[index] for index in self._script]
        needing = [*said, *self._plan.scenario.demands]
        return {binding.name for binding in _bindings(needing)}

    def _entry(self, piece: _Piece, places: _Places, in_use: set[str]) -> Entry:
        utterance, actor = piece.utterance, self._cast[piece.utterance.actor]
        met = self._line_met_by(utterance)
        if met and in_use & {binding.name for binding in _bindings(met)}:
            return met
        text = piece.text.rstrip("\r\n") if piece.goes_on else piece.text
        return Entry(
            actor=actor.name,
            arrow=Arrow.HEARS,
            text=places.template(text),
            reason=met.reason if met else "",
            body=tuple(map(places.template, piece.body)),
            connection=_number(utterance, actor),
        )

    def _line_met_by(self, utterance: Utterance) -> Entry | None:
        """The line of the exchange as it was that this met."""
        for line in self._follower.lines:
            heard = line.entry.heard and line.state is State.DONE and line.index not in self._told
            if heard and line.entry.actor == utterance.actor and line.at == utterance.at:
                self._told.add(line.index)
                return self._written[line.index]
        return None


def _number(utterance: Utterance, actor: Actor) -> int | None:
    """The connection, where it is not the first one, or any will do."""
    many = utterance.connection > 1 and actor.kind is ActorKind.TCP
    return utterance.connection if many else None


def _bindings(value: Any) -> Iterator[Binding]:
    """Every binding anywhere in a value of the model."""
    for pattern in templates_of(value):
        yield from pattern.bindings


# -- what is never the same -----------------------------------------------------------

#: Dates and times, as protocols and programs write them, each with a pattern for others.
_CLOCKS = {
    "date": (
        r"\b[A-Z][a-z]{2}, +[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} (?:GMT|[-+][0-9]{4})",
        r"\w{3}, +[0-9]{1,2} \w{3} [0-9]{4} [0-9:]{8} [-+\w]+",
    ),
    "day": (r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "time": (r"\b[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?\b", r"[0-9]{1,2}:[0-9:]+[0-9.,]*"),
    "clock": (r"\b1[0-9]{9}(?:\.[0-9]+)?\b", r"[0-9]{10,}[.0-9]*"),  # seconds since 1970
}
_CLOCK = re.compile("|".join(f"(?P<{name}>{found})" for name, (found, _) in _CLOCKS.items()))


#: Where the program itself was seen to come from: its host, and ports that the kernel chose.
_OWN_PLACE = {"own-host": r"[0-9A-Fa-f.:]+", "own-port": r"[0-9]{4,5}"}
_NEVER_THE_SAME = {**{name: regex for name, (_, regex) in _CLOCKS.items()}, **_OWN_PLACE}


class _Places:
    """Where everybody stood in a play: what is written of it may stand for any play."""

    def __init__(self, record: Record) -> None:
        self._holes: dict[str, Parameter | Binding] = {}
        ports = [v for k, v in record.addresses.items() if k.endswith(".port")]
        for name, value in record.addresses.items():
            unclear = name.endswith(".port") and (len(value) < 4 or ports.count(value) > 1)
            if not (unclear or name.endswith(".host")):
                self._holes.setdefault(value, Parameter(name))
        for event in record.of(What.OPENED, What.HEARD):
            host, _, port = event.note.rpartition(":")
            for kind, value in (("own-host", host.strip("[]")), ("own-port", port)):
                if len(value) >= 4:
                    self._holes.setdefault(value, Binding(kind, _OWN_PLACE[kind]))
        found = sorted(self._holes, key=len, reverse=True)
        self._found = re.compile(
            "|".join(rf"(?<![\w.]){re.escape(value)}(?![\w])" for value in found) or "(?!)"
        )

    def template(self, text: str) -> Template:
        """Text in which places are those of the play, and times are any."""
        parts: list[Literal | Parameter | Binding] = []
        at = 0
        for found in sorted(
            [*self._found.finditer(text), *_CLOCK.finditer(text)], key=lambda match: match.start()
        ):
            if found.start() < at:
                continue
            parts.append(Literal(text[at : found.start()]))
            kind = found.lastgroup
            parts.append(Binding(kind, _CLOCKS[kind][1]) if kind else self._holes[found[0]])
            at = found.end()
        return Template.of(*parts, Literal(text[at:]))


# -- two plays ------------------------------------------------------------------------

_Key = tuple[str, int | None, Arrow]
_Token = str | Parameter | Binding
_WORDS = re.compile(r"[\w.+=-]+|\s+|.", re.DOTALL)


def _key(entry: Entry) -> _Key:
    return entry.actor, entry.connection, entry.arrow


def _shown(entry: Entry) -> str:
    from harness.notation import format_entry  # noqa: PLC0415 - only a refusal needs it

    return f"`{format_entry(replace(entry, reason='')).partition(chr(10))[0]}`"


def _pair(entry: Entry, others: Mapping[_Key, list[Entry]]) -> Entry:
    """What was heard in the second play at the same place of the same connection."""
    waiting = others.get(_key(entry), [])
    if not waiting or len(waiting[0].body) != len(entry.body):
        raise NotBlessedError(f"two plays differed: {_shown(entry)} came in one of them only")
    return waiting.pop(0)


class _Names:
    """Patterns for what varies, each with a name of its own; what recurs has the same one."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._taken = {
            binding.name for entry in entries for binding in _bindings(entry) if entry.line
        }
        self._known: dict[tuple[str, str], str] = {}

    def merged(self, one: Entry, other: Entry) -> Entry:
        if one.line:
            return one
        body = tuple(
            self._text(a, b)
            for a, b in zip(one.body, other.body, strict=True)
            if isinstance(a, Template) and isinstance(b, Template)  # only who speaks has directives
        )
        return replace(one, text=self._text(one.text, other.text), body=body)

    def _text(self, one: Template, other: Template) -> Template:
        first, second = _tokens(one), _tokens(other)
        parts: list[Literal | Parameter | Binding] = []
        changes = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
        for kind, i, i_end, j, j_end in changes:
            if kind == "equal":
                parts += [Literal(t) if isinstance(t, str) else t for t in first[i:i_end]]
            else:
                parts.append(self._pattern(first[i:i_end], second[j:j_end]))
        return self._named(Template.of(*parts))

    def _pattern(self, one: list[_Token], other: list[_Token]) -> Binding:
        if len(one) == len(other) == 1 and isinstance(one[0], str) and isinstance(other[0], str):
            pair = (one[0], other[0])
            if pair in self._known:
                return Binding(self._known[pair])
            kind, regex = _class_of(*pair)
            name = self._new(kind)
            if len(one[0]) > 4:  # else it may be another thing of the same value
                self._known[pair] = name
            return Binding(name, regex)
        return Binding(self._new("text"), "(?s:.+)" if one and other else "(?s:.*)")

    def _named(self, template: Template) -> Template:
        """With a name of its own for everything that is never the same."""
        return Template.of(
            *(
                replace(part, name=self._new(part.name))
                if isinstance(part, Binding) and part.name in _NEVER_THE_SAME
                else part
                for part in template.parts
            )
        )

    def _new(self, kind: str) -> str:
        number, name = 1, f"{kind}-1"
        while name in self._taken:
            number += 1
            name = f"{kind}-{number}"
        self._taken.add(name)
        return name


def _tokens(template: Template) -> list[_Token]:
    tokens: list[_Token] = []
    for part in template.parts:
        if isinstance(part, Literal):
            tokens += _WORDS.findall(part.text)
        elif isinstance(part, Parameter | Binding):
            tokens.append(part)
    return tokens


def _class_of(*words: str) -> tuple[str, str]:
    """What these two have in common, and a pattern for it."""
    for kind, regex in (
        ("number", "[0-9]+"),
        ("number", r"[0-9]+\.[0-9]+"),
        ("hex", "[0-9A-Fa-f]+"),
        ("word", r"[\w.+=-]+"),
    ):
        if all(re.fullmatch(regex, word) for word in words):
            return kind, regex
    return "text", ".+"

"""An exchange, read: every mistake in it with its line and column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model.exchange import (
    Act,
    Arrow,
    BodyLine,
    Clock,
    Directive,
    Entry,
    Exchange,
    Group,
    GroupKind,
    Item,
    Skip,
)
from harness.model.template import Template
from harness.notation.acts import PROGRAM, parse_act, parse_clock
from harness.notation.templates import NotationError, parse_pattern, parse_text, short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_ERRORS = 50  # more than these nobody reads, and each costs a search for what was meant

_HEAD = re.compile(
    r"(?P<actor>[^\s<>!]*?)(?P<number>\.[0-9]{1,6})?(?P<arrow><\?(?=\s|$)|[<>!])(?P<rest>.*)",
    re.DOTALL,
)
#: What is meant to be the heading of a clock, though it may be wrong.
_CLOCK_LIKE = re.compile(r"(?:within|at least|at most|after)\b[^<>!]*\Z")
#: An entry but for blanks around its arrow.
_SPACED = re.compile(
    r"(?P<actor>[a-z][a-z0-9-]*)\s*(?P<arrow><\?|[<>!])\s*(?P<rest>.*)\Z", re.DOTALL
)
#: A clock in other words: `in 2s:`, `Within 2 seconds`.
_TIMED = re.compile(
    r"(?P<word>[a-z]+)( [a-z]+)? (?P<number>[0-9]{1,9}(\.[0-9]{1,9})?) ?"
    r"(?P<unit>ms|milliseconds?|s|secs?|seconds?|min|mins|minutes?)( after)?:?\Z",
    re.IGNORECASE,
)
#: A heading that has its first entry behind it.
_HEADED = re.compile(
    r"(?P<heading>(?:any order|one of|never|within [^:<>!]*|at least [^:<>!]*):) *\S"
)
#: What is said of an entry that stands deeper than the one above it.
INDENTED = "this entry is indented deeper than the one above; begin it in the same column"
_ACTOR = re.compile(r"[a-z][a-z0-9-]*\Z")
# The lookbehind keeps a long run of blanks from being tried at each of them.
_REASON = re.compile(r"(?<! ) {2,}# (?P<reason>.*)\Z", re.DOTALL)
_GROUPS = {kind.value: kind for kind in GroupKind}
_CLOCKS = ("within 2s:", "at least 900ms after:", "at least 900ms after, within 2s:")


def parse_exchange(text: str, *, first_line: int = 1) -> tuple[Exchange, list[NotationError]]:
    """The exchange and every mistake in it; lines are numbered from `first_line`.

    A line that is wrong is left out of the exchange, so one mistake is told once.
    """
    reader = _Reader(text, first_line)
    items = tuple(reader.items())
    return Exchange(items), reader.errors


@dataclass(frozen=True, slots=True)
class _Line:
    """A line; `text` has neither indentation nor blanks at its end."""

    number: int
    raw: str
    indent: int
    text: str

    @classmethod
    def of(cls, number: int, raw: str) -> _Line:
        return cls(number, raw, len(raw) - len(raw.lstrip(" ")), raw.strip(" \t"))

    @property
    def says_something(self) -> bool:
        return bool(self.text) and not self.text.startswith("#")


class _Reader:
    def __init__(self, text: str, first_line: int) -> None:
        self.errors: list[NotationError] = []
        self._at = 0
        self._lines = [_Line.of(n, raw) for n, raw in enumerate(text.split("\n"), first_line)]

    def _fail(self, message: str, line: _Line, column: int = 0) -> None:
        """Note a mistake at a column of the line, by default where its text begins."""
        inside = min(max(column, line.indent + 1), line.indent + len(line.text))
        if len(self.errors) <= MOST_ERRORS:
            self.errors.append(NotationError(message, line=line.number, column=inside))

    def items(self) -> Iterator[Item]:
        while (line := self._next_line()) is not None:
            if line.indent > 0:
                self._fail("this line is indented but continues no entry", line)
                self._at += 1
            elif line.text == "...":
                self._at += 1
                yield Skip(line.number)
            elif (clock := self._clock_of(line)) is not None:
                yield from self._clock(line, *clock)
            else:
                yield from self._entry_or_group(line)

    def _entry_or_group(self, line: _Line) -> Iterator[Entry | Group]:
        if line.text in _GROUPS:
            yield from self._group(line)
        else:
            yield from self._entry(line)

    def _next_line(self) -> _Line | None:
        """The next line that says something; blank lines and comments are passed over."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if len(self.errors) >= MOST_ERRORS:
                self._fail("so many mistakes: the lines from here on were not read", line)
                self._at = len(self._lines)
            elif line.text and line.raw.startswith("\t", line.indent):
                self._fail("a tab cannot indent; write blanks", line)
                self._at += 1
            elif line.says_something:
                return line
            else:
                self._at += 1
        return None

    def _group(self, head: _Line) -> Iterator[Group]:
        self._at += 1
        entries: list[Entry] = []
        for line in self._indented(head):
            if line.text in _GROUPS or self._cannot_stand_below(line):
                self._misplaced(line, "in a group")
            else:
                entries += self._entry(line)
        if entries:
            yield Group(_GROUPS[head.text], tuple(entries), head.number)

    def _clock_of(self, line: _Line) -> tuple[float | None, float | None] | None:
        """What the heading of a clock asks for; None if the line is none."""
        try:
            return parse_clock(line.text)
        except NotationError as error:
            self._fail(error.message, line)
            return (None, None)  # what stands below it is read all the same

    def _clock(
        self, head: _Line, at_least: float | None, within: float | None
    ) -> Iterator[Clock | Entry | Group]:
        self._at += 1
        items: list[Entry | Group] = []
        for line in self._indented(head):
            if self._cannot_stand_below(line):
                self._misplaced(line, f"below `{head.text}`")
            else:
                items += self._entry_or_group(line)
        if at_least is None and within is None:
            yield from items
        elif items:
            yield Clock(tuple(items), at_least, within, head.number)

    def _indented(self, head: _Line) -> Iterator[_Line]:
        """The lines below a heading at the indentation of the first; each must be read."""
        inner = self._next_line()
        if inner is None or inner.indent <= head.indent:
            self._fail(f"`{head.text}` needs entries, indented below it", head)
            return
        while (line := self._next_line()) and line.indent > head.indent:
            if line.indent == inner.indent:
                yield line
            else:
                self._fail("the entries of a group stand at one indentation", line)
                self._at += 1

    def _cannot_stand_below(self, line: _Line) -> bool:
        return line.text == "..." or bool(_CLOCK_LIKE.match(line.text))

    def _misplaced(self, line: _Line, where: str) -> None:
        self._fail(f"`{short(line.text)}` cannot stand {where}", line)
        self._at += 1

    def _entry(self, line: _Line) -> Iterator[Entry]:
        self._at += 1
        body = list(self._body(line.indent))
        try:
            head = _Head.of(line)
        except NotationError as error:
            self._fail(error.message, line, line.indent + error.column)
            return
        before = len(self.errors)
        lines = tuple(self._body_lines(body, parse_pattern if head.heard else parse_text))
        if body and head.arrow is Arrow.ACTS:
            self._fail(INDENTED if actor_of(body[0].text) else "an act has no body", body[0])
        if len(self.errors) == before:
            yield head.entry(line, lines)

    def _body(self, indent: int) -> Iterator[_Line]:
        """Lines indented deeper; blank ones count if more of the body follows."""
        blank: list[_Line] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.text and line.indent <= indent:
                return
            if line.text:
                yield from (*blank, line)
                blank = []
            else:
                blank.append(line)
            self._at += 1

    def _body_lines(
        self, lines: list[_Line], parse: Callable[[str], Template]
    ) -> Iterator[BodyLine]:
        margin = min((line.indent for line in lines if line.text), default=0)
        for line in lines:
            text = line.raw[margin:].rstrip(" \t")
            name, blank, argument = text[1:].partition(" ")
            try:
                if text.startswith("@"):
                    yield Directive(name, parse_text(argument))
                else:
                    yield parse(text)
            except NotationError as error:
                before = 1 + len(name) + len(blank) if text.startswith("@") else 0
                self._fail(error.message, line, margin + before + error.column)


# -- one line -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Head:
    """The first line of an entry."""

    actor: str
    connection: int | None
    arrow: Arrow
    text: Template
    act: Act | None
    reason: str

    @property
    def heard(self) -> bool:
        return "<" in self.arrow

    @classmethod
    def of(cls, line: _Line) -> _Head:
        """Take a line apart.

        Raises:
            NotationError: with a column of the line's text.
        """
        found = _HEAD.match(line.text)
        if not found:
            raise NotationError(_no_entry(line.text))
        actor, number, arrow = found["actor"], found["number"], Arrow(found["arrow"])
        _check_actor(actor, number)
        written, reason = _split_reason(found["rest"])
        if written and not written.startswith(" "):
            message = f"a blank must follow the arrow: `{actor}{arrow} {short(written)}`"
            raise NotationError(message, column=found.start("rest") + 1)
        try:
            text, act = _parse_said(actor, arrow, written[1:].rstrip(" \t"))
        except NotationError as error:
            column = found.start("rest") + 1 + error.column
            raise NotationError(error.message, column=column) from None
        return cls(actor, int(number[1:]) if number else None, arrow, text, act, reason)

    def entry(self, line: _Line, body: tuple[BodyLine, ...]) -> Entry:
        return Entry(
            actor=self.actor,
            arrow=self.arrow,
            text=self.text,
            reason=self.reason,
            body=body,
            connection=self.connection,
            act=self.act,
            line=line.number,
        )


def _parse_said(actor: str, arrow: Arrow, text: str) -> tuple[Template, Act | None]:
    if arrow is Arrow.ACTS:
        return Template(), parse_act(text, of_program=actor == PROGRAM)
    if actor == PROGRAM:
        raise NotationError("`program` is no actor, it only takes acts: `program! stop`")
    return (parse_pattern if "<" in arrow else parse_text)(text), None


def _no_entry(text: str) -> str:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    if meant := _clock_meant(text):
        return f"`{short(text)}` is no entry; did you mean `{meant}`?"
    if headed := _HEADED.match(text):
        return f"`{short(headed['heading'])}` stands alone; what belongs to it is indented below it"
    if _CLOCK_LIKE.match(text):
        forms = ", ".join(f"`{form}`" for form in _CLOCKS)
        return f"`{short(text)}` is no heading of a clock; there are: {forms}"
    if near := difflib.get_close_matches(text[:60], _GROUPS, n=1, cutoff=0.75):
        return f"`{short(text)}` is no entry; did you mean `{near[0]}`?"
    if spaced := _SPACED.match(text):
        entry = f"{spaced['actor']}{spaced['arrow']} {spaced['rest']}".rstrip()
        return f"`{short(text)}` is no entry; did you mean `{short(entry)}`?"
    return f"`{short(text)}` is no entry; write `actor> text`, `actor< pattern` or `actor! act`"


def _clock_meant(text: str) -> str | None:
    """The heading that a line means by other words; None if it means no clock."""
    import difflib  # noqa: PLC0415 - only a mistake needs it

    if not (found := _TIMED.match(text)):
        return None
    unit = found["unit"].lower()
    short_unit = "ms" if unit.startswith(("ms", "mil")) else "min" if unit[0] == "m" else "s"
    duration, word = found["number"] + short_unit, found["word"].lower()
    least = "most" not in text.lower() and word in {"at", "after", "atleast", "least"}
    if not least and not difflib.get_close_matches(word, ("within", "in", "at", "until", "before")):
        return None
    return f"at least {duration} after:" if least else f"within {duration}:"


def actor_of(text: str) -> str | None:
    """The actor of a line that looks like an entry; None if it does not."""
    found = _HEAD.match(text)
    if not found or not _ACTOR.match(found["actor"]) or found["rest"][:1] not in ("", " "):
        return None
    return found["actor"]


def _check_actor(actor: str, number: str | None) -> None:
    if not actor:
        raise NotationError("an entry begins with its actor: `actor> text`")
    if not _ACTOR.match(actor):
        raise NotationError(f"`{short(actor)}` is no name of an actor; names are a-z, 0-9 and `-`")
    if number is not None and int(number[1:]) < 1:
        raise NotationError("connections are counted from 1", column=len(actor) + 1)


def _split_reason(rest: str) -> tuple[str, str]:
    found = _REASON.search(rest)
    if not found:
        return rest, ""
    return rest[: found.start()], found["reason"].strip()

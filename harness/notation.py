r"""The notation of an exchange, read and written.

One notation serves as script, expectation, transcript and diff, so whatever can be
read can be written and read again to the same entries (see docs/notation.md):

    entry   = actor arrow [" " text] [2*SP "# " reason] *body-line
    actor   = [a-z][a-z0-9-]* ["." n]
    arrow   = ">" / "<" / "<?" / "!"
    group   = ("any order:" / "one of:" / "never:") then indented full entries
    skip    = "..." on a line of its own
    escapes = \s \t \r \n \xNN \\ \* \{ \#
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model.exchange import (
    Act,
    Arrow,
    BodyLine,
    Directive,
    Entry,
    Exchange,
    Group,
    GroupKind,
    Item,
    Skip,
)
from harness.model.template import (
    Anything,
    Binding,
    Literal,
    Parameter,
    Part,
    Template,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

INDENT = "  "
MOST_ERRORS = 50  # more than these nobody reads, and each costs a search for what was meant

_HEAD = re.compile(
    r"(?P<actor>[^\s<>!]*?)(?P<number>\.[0-9]{1,6})?(?P<arrow><\?(?=\s|$)|[<>!])(?P<rest>.*)",
    re.DOTALL,
)
_ACTOR = re.compile(r"[a-z][a-z0-9-]*\Z")
# The lookbehind keeps a long run of blanks from being tried at each of them.
_REASON = re.compile(r"(?<! ) {2,}# (?P<reason>.*)\Z", re.DOTALL)
_PLAIN = re.compile(r"[^\\*${]+")
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_BINDING = re.compile(r"\{(?P<name>[a-z][a-z0-9_-]*)(?P<end>[}:])")
_GROUPS = {kind.value: kind for kind in GroupKind}
_SIMPLE_ESCAPES = {"s": " ", "t": "\t", "r": "\r", "n": "\n", "\\": "\\", "*": "*", "{": "{"}
_SIMPLE_ESCAPES["#"] = "#"
_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>ms|s|min)\Z")
_STATUS = re.compile(r"[0-9]{1,3}\Z")


class NotationError(ValueError):
    """Text that is not of the notation; `line` and `column` count from 1 in that text."""

    def __init__(self, message: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


# -- templates ------------------------------------------------------------------------


def parse_pattern(text: str) -> Template:
    """The pattern of something heard: `*` is any run.

    Raises:
        NotationError: for a bad escape, an open brace or a wrong regular expression.
    """
    return Template.of(*_parts(text, heard=True))


def parse_text(text: str) -> Template:
    """The text of something said: `*` is a star, `{name}` a value bound before.

    Raises:
        NotationError: for a bad escape or an open brace.
    """
    return Template.of(*_parts(text, heard=False))


def _parts(text: str, *, heard: bool) -> Iterator[Part]:
    if half := _HALF.search(text):
        message = f"half a character (U+{ord(half[0]):04X}) cannot be sent"
        raise NotationError(message, column=half.start() + 1)
    at = 0
    while at < len(text):
        part, at = _part(text, at, heard=heard)
        yield part


def _part(text: str, at: int, *, heard: bool) -> tuple[Part, int]:
    if plain := _PLAIN.match(text, at):
        return Literal(plain[0]), plain.end()
    char = text[at]
    if char == "\\":
        return _escape(text, at)
    if char == "*" and heard:
        return Anything(), at + 1
    if text.startswith("${", at):
        return _parameter(text, at)
    if char == "{" and (opening := _BINDING.match(text, at)):
        return _binding(text, opening, heard=heard)
    return Literal(char), at + 1


def _escape(text: str, at: int) -> tuple[Literal, int]:
    name = text[at + 1 : at + 2]
    if name in _SIMPLE_ESCAPES:
        return Literal(_SIMPLE_ESCAPES[name]), at + 2
    if byte := re.compile(r"x([0-9A-Fa-f]{2})").match(text, at + 1):
        return Literal(decode(bytes([int(byte[1], 16)]))), at + 4
    message = (
        r"a lone backslash; write \\ for one"
        if not name.strip()
        else rf"unknown escape \{name}; there are \s \t \r \n \xNN \\ \* \{{ \#"
    )
    raise NotationError(message, column=at + 1)


def _parameter(text: str, at: int) -> tuple[Parameter, int]:
    end = text.find("}", at)
    name = text[at + 2 : end].strip() if end > 0 else ""
    if not name or "{" in name:
        raise NotationError(r"`${` needs a name and `}`; write $\{ for the text", column=at + 1)
    return Parameter(name), end + 1


def _binding(text: str, opening: re.Match[str], *, heard: bool) -> tuple[Binding, int]:
    name = opening["name"]
    if opening["end"] == "}":
        return Binding(name), opening.end()
    if not heard:
        raise NotationError(
            rf"`{{{name}:...}}` matches what is heard, but here the actor speaks; "
            rf"write `{{{name}}}` for the value bound before, or \{{ for a brace",
            column=opening.start() + 1,
        )
    end = _closing_brace(text, opening.start())
    regex = text[opening.end() : end]
    if fault := regex_fault(regex):
        message = f"`{_short(regex)}` is no regular expression: {fault}"
        raise NotationError(message, column=opening.end() + 1)
    return Binding(name, regex), end + 1


def _closing_brace(text: str, at: int) -> int:
    r"""Where the brace at `at` closes; an escaped one (`\{`) within does not count."""
    depth = 0
    for found in _BRACES.finditer(text, at):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.start()
    raise NotationError(r"this brace is never closed; write \{ for the text", column=at + 1)


def regex_fault(regex: str) -> str | None:
    r"""Why a regular expression cannot stand in a pattern, or None.

    It must do so as a group among others: without flags for the whole (`(?i)`), and
    without counting the groups before it (`\1`).
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of what later Pythons may refuse
            re.compile(regex)
            re.compile(f"(?P<b0>{regex})")
    except re.error as error:
        return error.msg
    except (OverflowError, RecursionError):
        return "it is too large"
    return None


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


# -- acts and durations ---------------------------------------------------------------

#: Acts by name: whether a duration must, may or cannot follow.
ACTS = {
    "accept": "no",
    "connect": "no",
    "close": "no",
    "half-close": "no",
    "reset": "no",
    "starttls": "no",
    "stall": "no",
    "wait": "must",
    "settle": "no",
    "expect eof": "no",
    "expect reset": "no",
    "expect close": "no",
    "expect silence": "may",
}
PROGRAM_ACTS = {"kill": "no", "restart": "no", "stop": "no", "expect exit": "status"}
PROGRAM = "program"


def parse_duration(text: str) -> float:
    """Seconds of `300ms`, `1.5s` or `2min`.

    Raises:
        NotationError: if it is no duration.
    """
    found = _DURATION.match(text.strip())
    if not found:
        raise NotationError(f"`{_short(text)}` is no duration; write 300ms, 2s or 1min")
    number = float(found["number"])
    # dividing is exact where a factor of 0.001 would not be: 57ms is 0.057 s
    return {"ms": number / 1000, "s": number, "min": number * 60}[found["unit"]]


def parse_act(text: str, *, of_program: bool) -> Act:
    """What follows `!`.

    Raises:
        NotationError: for an unknown act (with the nearest one) or a wrong argument.
    """
    acts = PROGRAM_ACTS if of_program else ACTS
    words = text.split()
    name = " ".join(words[:2]) if words[:1] == ["expect"] else " ".join(words[:1])
    argument = " ".join(words[len(name.split()) :])
    if name not in acts:
        raise NotationError(_unknown_act(text, acts))
    return _act(name, argument, acts[name])


def _act(name: str, argument: str, takes: str) -> Act:
    if takes == "status":
        if not _STATUS.match(argument):
            raise NotationError(f"`{name}` takes a number up to 999; write `{name} 0`")
        return Act(name, status=int(argument))
    if argument and takes == "no":
        raise NotationError(f"`{name}` stands alone, without `{_short(argument)}`")
    if not argument and takes == "must":
        raise NotationError(f"`{name}` takes a duration; write `{name} 200ms`")
    return Act(name, seconds=parse_duration(argument) if argument else None)


def _unknown_act(text: str, acts: dict[str, str]) -> str:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    near = difflib.get_close_matches(text[:60], acts, n=1)
    hint = f"; did you mean `{near[0]}`?" if near else f"; there are: {', '.join(acts)}"
    return f"unknown act `{_short(text)}`{hint}" if text else f"an act is missing{hint}"


# -- an exchange, read ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    indent: int
    text: str


def parse_exchange(text: str, *, first_line: int = 1) -> tuple[Exchange, list[NotationError]]:
    """The exchange and every mistake in it; lines are numbered from `first_line`.

    A line that is wrong is left out of the exchange, so one mistake is told once.
    """
    reader = _Reader(text, first_line)
    items = tuple(reader.items(0))
    return Exchange(items), reader.errors


def _comment(line: _Line) -> bool:
    return line.text.startswith("#")


class _Reader:
    def __init__(self, text: str, first_line: int) -> None:
        self.errors: list[NotationError] = []
        self._at = 0
        self._lines = [
            _Line(number, len(raw) - len(raw.lstrip(" ")), raw.strip(" \t"))
            for number, raw in enumerate(text.split("\n"), first_line)
        ]
        self._raw = text.split("\n")

    def items(self, indent: int) -> Iterator[Item]:
        while (line := self._next_line()) is not None:
            if line.indent > indent:
                self._fail("this line is indented but continues no entry", line)
                self._at += 1
            elif line.text in _GROUPS:
                yield from self._group(line)
            elif line.text == "...":
                self._at += 1
                yield Skip(line.number)
            else:
                yield from self._entry(line)

    def _next_line(self) -> _Line | None:
        """The next line that says something; blank lines and comments are passed over."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if len(self.errors) >= MOST_ERRORS:
                self._fail("so many mistakes: the lines from here on were not read", line)
                self._at = len(self._lines)
                return None
            if self._raw[self._at].startswith("\t", line.indent) and line.text:
                self._fail("a tab cannot indent; write blanks", line)
            elif line.text and not _comment(line):
                return line
            self._at += 1
        return None

    def _fail(self, message: str, line: _Line, column: int = 1) -> None:
        """Note a mistake at a column of the line's own text."""
        inside = line.indent + min(column, len(line.text))
        if len(self.errors) <= MOST_ERRORS:
            self.errors.append(NotationError(message, line=line.number, column=inside))

    def _group(self, head: _Line) -> Iterator[Group]:
        self._at += 1
        entries: list[Entry] = []
        inner = self._next_line()
        if inner is None or inner.indent <= head.indent:
            self._fail(f"`{head.text}` needs entries, indented below it", head)
            return
        while (line := self._next_line()) and line.indent > head.indent:
            if line.indent != inner.indent:
                self._fail("the entries of a group stand at one indentation", line)
                self._at += 1
            elif line.text in _GROUPS or line.text == "...":
                self._fail(f"`{line.text}` cannot stand in a group", line)
                self._at += 1
            else:
                entries += self._entry(line)
        if entries:
            yield Group(_GROUPS[head.text], tuple(entries), head.number)

    def _entry(self, line: _Line) -> Iterator[Entry]:
        self._at += 1
        body = list(self._body(line.indent))
        try:
            yield _parse_entry(line, body)
        except NotationError as error:
            if error.line == 0:  # raised by this line's own text
                self._fail(error.message, line, error.column)
            else:
                self.errors.append(error)

    def _body(self, indent: int) -> Iterator[_Line]:
        """Lines indented deeper; blank ones count if more of the body follows."""
        blank: list[_Line] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.text and line.indent <= indent:
                return
            if line.text:
                yield from blank
                blank = []
                yield _Line(line.number, line.indent, self._raw_text())
            else:
                blank.append(_Line(line.number, line.indent, ""))
            self._at += 1

    def _raw_text(self) -> str:
        return self._raw[self._at].rstrip(" \t")


def _parse_entry(line: _Line, body: list[_Line]) -> Entry:
    head = _HEAD.match(line.text)
    if not head:
        raise NotationError(_no_entry(line.text), line=0)
    actor, arrow = head["actor"], Arrow(head["arrow"])
    _check_actor(actor, head["number"])
    text, reason = _split_reason(head["rest"])
    if text and not text.startswith(" "):
        raise NotationError(
            f"a blank must follow the arrow: `{actor}{arrow} {_short(text)}`",
            line=0,
            column=head.start("rest") + 1,
        )
    try:
        template = (parse_pattern if "<" in arrow else parse_text)(text[1:].rstrip(" \t"))
        act = _act_of(actor, arrow, text)
    except NotationError as error:
        offset = head.start("rest") + 1
        raise NotationError(error.message, line=0, column=offset + error.column) from None
    if body and arrow is Arrow.ACTS:
        raise NotationError("an act has no body", line=body[0].number, column=body[0].indent + 1)
    return Entry(
        actor=actor,
        arrow=arrow,
        text=Template() if act else template,
        reason=reason,
        body=_parse_body(body, heard="<" in arrow),
        connection=int(head["number"][1:]) if head["number"] else None,
        act=act,
        line=line.number,
    )


def _no_entry(text: str) -> str:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    if near := difflib.get_close_matches(text[:60], _GROUPS, n=1):
        return f"`{_short(text)}` is no entry; did you mean `{near[0]}`?"
    return f"`{_short(text)}` is no entry; write `actor> text`, `actor< pattern` or `actor! act`"


def _check_actor(actor: str, number: str | None) -> None:
    if not actor:
        raise NotationError("an entry begins with its actor: `actor> text`", line=0)
    if not _ACTOR.match(actor):
        raise NotationError(
            f"`{_short(actor)}` is no name of an actor; names are a-z, 0-9 and `-`",
            line=0,
        )
    if number is not None and int(number[1:]) < 1:
        raise NotationError("connections are counted from 1", line=0, column=len(actor) + 1)


def _split_reason(rest: str) -> tuple[str, str]:
    found = _REASON.search(rest)
    if not found:
        return rest, ""
    return rest[: found.start()], found["reason"].strip()


def _act_of(actor: str, arrow: Arrow, text: str) -> Act | None:
    if arrow is Arrow.ACTS:
        return parse_act(text.strip(), of_program=actor == PROGRAM)
    if actor == PROGRAM:
        raise NotationError("`program` is no actor, it only takes acts: `program! stop`")
    return None


def _parse_body(lines: list[_Line], *, heard: bool) -> tuple[BodyLine, ...]:
    margin = min((line.indent for line in lines if line.text), default=0)
    return tuple(_parse_body_line(line, margin, heard=heard) for line in lines)


def _parse_body_line(line: _Line, margin: int, *, heard: bool) -> BodyLine:
    text = line.text[margin:]
    name, _, argument = text[1:].partition(" ") if text.startswith("@") else ("", "", text)
    before = margin + (len(text) - len(argument))
    try:
        if text.startswith("@"):
            return Directive(name, parse_text(argument))
        return (parse_pattern if heard else parse_text)(text)
    except NotationError as error:
        column = before + error.column
        raise NotationError(error.message, line=line.number, column=column) from None


# -- an exchange, written -------------------------------------------------------------


def format_exchange(exchange: Exchange) -> str:
    """The exchange in the notation; reading it gives the same exchange."""
    return "".join(f"{line}\n" for item in exchange.items for line in _item_lines(item))


def _item_lines(item: Item) -> Iterator[str]:
    if isinstance(item, Skip):
        yield "..."
    elif isinstance(item, Group):
        yield item.kind.value
        for entry in item.entries:
            yield from (INDENT + line for line in format_entry(entry).split("\n"))
    else:
        yield format_entry(item)


def format_entry(entry: Entry) -> str:
    """The entry and its body lines, joined by line feeds, without a final one."""
    number = f".{entry.connection}" if entry.connection else ""
    text = format_act(entry.act) if entry.act else format_template(entry.text, heard=entry.heard)
    head = f"{entry.actor}{number}{entry.arrow}" + (f" {text}" if text else "")
    reason = f"  # {entry.reason}" if entry.reason else ""
    body = [_format_body_line(line, heard=entry.heard) for line in entry.body]
    return "\n".join([head + reason, *(f"{INDENT}{INDENT}{line}" if line else "" for line in body)])


def format_act(act: Act) -> str:
    """The act as it is written behind `!`."""
    if act.status is not None:
        return f"{act.name} {act.status}"
    return act.name if act.seconds is None else f"{act.name} {format_duration(act.seconds)}"


def format_duration(seconds: float) -> str:
    """`300ms` or `2.5s`, whichever says it shortly and exactly to the microsecond."""
    micros = round(seconds * 1_000_000)
    if micros >= 1_000_000 and micros % 10_000 == 0:
        return f"{_decimal(micros, 1_000_000)}s"
    return f"{_decimal(micros, 1_000)}ms"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0").rstrip(".")


def _format_body_line(line: BodyLine, *, heard: bool) -> str:
    if isinstance(line, Directive):
        argument = format_template(line.argument, heard=False)
        return f"@{line.name} {argument}".rstrip(" ")
    text = format_template(line, heard=heard)
    if text.startswith((" ", "@", "#")):  # else read as indentation, directive or comment
        return f"\\x{ord(text[0]):02x}{text[1:]}"
    return text


def format_template(template: Template, *, heard: bool) -> str:
    """The template in the notation; `heard` tells which characters are special."""
    out = ""
    for index, part in enumerate(template.parts):
        if isinstance(part, Literal):
            before_brace = isinstance(
                template.parts[index + 1] if index + 1 < len(template.parts) else None, Binding
            )
            out += escape(part.text, heard=heard, before_brace=before_brace)
        else:
            out += _format_hole(part)
    return _keep_edges(out)


def _format_hole(part: Anything | Binding | Parameter) -> str:
    if isinstance(part, Anything):
        return "*"
    if isinstance(part, Parameter):
        return f"${{{part.name}}}"
    return f"{{{part.name}}}" if part.regex is None else f"{{{part.name}:{part.regex}}}"


def _keep_edges(text: str) -> str:
    """Blanks that reading would drop, and `  # ` that it would take for a reason."""
    text = re.sub(r"(?<=  )#(?= |\Z)", r"\\#", text)
    if text == " #" or text.startswith(" # "):  # the blank after the arrow makes it two
        text = r" \#" + text[2:]
    return f"{text[:-1]}\\s" if text.endswith(" ") else text


def escape(text: str, *, heard: bool = True, before_brace: bool = False) -> str:
    r"""Literal text in the notation: every byte visible, what is special escaped.

    >>> escape("250 ok\r\n")
    '250 ok\\r\\n'
    """
    out = "".join(map(_visible, text))
    if heard:
        out = out.replace("*", r"\*")
    out = _BINDING.sub(lambda found: "\\" + found[0], out).replace("${", r"$\{")
    return out[:-1] + r"\x24" if before_brace and out.endswith("$") else out


def _visible(char: str) -> str:
    if char == "\\":
        return r"\\"
    if char == " " or char.isprintable():
        return char
    named = {"\t": r"\t", "\r": r"\r", "\n": r"\n"}.get(char)
    return named or "".join(f"\\x{byte:02x}" for byte in encode(char))

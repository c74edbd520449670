"""The grammar of docs/notation.md, held against the reader: what one takes the other takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.model.exchange import Clock, Entry
from harness.notation import format_clock, format_entry, parse_exchange
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.test_notation import exchanges, scraps

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = Path(__file__).parents[1] / "docs" / "notation.md"

#: What the grammar does not know of, as the reader tells it.
BEYOND = re.compile(
    r"is no regular expression|nothing comes|half a character|needs a name and"
    r"|`program` is no actor|unknown act|is no duration|is no name of an actor"
)


# -- an interpreter of parsing expressions ----------------------------------------------

#: From a place in the text to where the expression ends; None if it does not fit.
Parser = Callable[[str, int], int | None]
_TOKEN = re.compile(
    r"""\s*(?:(?P<rule>[a-z-]+\ *<-) | (?P<word>[a-z-]+) | "(?P<text>(?:\\.|[^"\\])*)"
    | (?P<kind>\[(?:\\.|[^\]\\])+\]) | (?P<sign>[/()*+?!&.]))""",
    re.VERBOSE,
)


class Grammar:
    """Rules by name; `reason` splits off what `any` must not take in the head of an entry."""

    def __init__(self, source: str) -> None:
        self._tokens = [
            (str(found.lastgroup), found[str(found.lastgroup)])
            for found in _TOKEN.finditer(source.strip())
        ]
        assert "".join(found[0] for found in _TOKEN.finditer(source.strip())) == source.strip()
        self._rules: dict[str, Parser] = {}
        self._in_head = False
        while self._tokens:
            _, name = self._tokens.pop(0)
            self._rules[name.removesuffix("<-").strip()] = self._choice()

    def takes(self, rule: str, text: str) -> bool:
        """Whether the rule takes all of the text."""
        self._in_head = rule == "line"
        return self._rules[rule](text, 0) == len(text)

    def _choice(self) -> Parser:
        ways = [self._sequence()]
        while self._next == ("sign", "/"):
            self._tokens.pop(0)
            ways.append(self._sequence())
        return lambda text, at: next(
            (end for way in ways if (end := way(text, at)) is not None), None
        )

    def _sequence(self) -> Parser:
        parts = []
        while self._next[0] not in ("rule", "end") and self._next not in (
            ("sign", "/"),
            ("sign", ")"),
        ):
            parts.append(self._part())

        def sequence(text: str, at: int) -> int | None:
            place: int | None = at
            for part in parts:
                if place is not None:
                    place = part(text, place)
            return place

        return sequence

    @property
    def _next(self) -> tuple[str, str]:
        return self._tokens[0] if self._tokens else ("end", "")

    def _part(self) -> Parser:
        if self._next in (("sign", "!"), ("sign", "&")):
            wanted = self._tokens.pop(0)[1] == "&"
            inner = self._part()
            return lambda text, at: at if (inner(text, at) is not None) is wanted else None
        parser = self._single()
        while self._next[0] == "sign" and self._next[1] in "*+?":
            sign = self._tokens.pop(0)[1]
            parser = _repeated(parser, least=int(sign == "+"), most=1 if sign == "?" else None)
        return parser

    def _single(self) -> Parser:
        kind, text = self._tokens.pop(0)
        if kind == "word":
            return self._any if text == "any" else self._named(text)
        if kind == "text":
            literal = text.replace("\\\\", "\\")
            return lambda of, at: at + len(literal) if of.startswith(literal, at) else None
        if kind == "kind" or text == ".":
            one = re.compile(text.replace("\\t", "\t").replace("[{}]", r"[{}]"), re.DOTALL)
            return lambda of, at: at + 1 if one.match(of, at) else None
        assert text == "("
        inner = self._choice()
        assert self._tokens.pop(0) == ("sign", ")")
        return inner

    def _named(self, name: str) -> Parser:
        def rule(text: str, at: int) -> int | None:
            return self._rules[name](text, at)  # it may stand further down

        return rule

    def _any(self, text: str, at: int) -> int | None:
        if self._in_head and self._rules["reason"](text, at) is not None:
            return None
        return at + 1 if at < len(text) else None


def _repeated(parser: Parser, *, least: int, most: int | None) -> Parser:
    def repeated(text: str, at: int) -> int | None:
        times = 0
        while (most is None or times < most) and (end := parser(text, at)) not in (None, at):
            assert end is not None
            at, times = end, times + 1
        return at if times >= least else None

    return repeated


def _source() -> str:
    (block,) = re.findall(
        r"^```peg\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return str(block)


GRAMMAR = Grammar(_source())
unhurried = settings(deadline=None)


# -- what is written is of the grammar -----------------------------------------------------


def written(items: Iterator[object]) -> Iterator[tuple[str, str]]:
    """The lines of an exchange, each with the rule that must take it."""
    for item in items:
        if isinstance(item, Clock):
            yield "line", format_clock(item)
            yield from written(iter(item.items))
        elif isinstance(item, Entry):
            head, *body = format_entry(item).split("\n")
            yield "line", head.rstrip(" \t")
            for line in body:
                yield "body-heard" if item.heard else "body-said", line[4:]


@unhurried
@given(exchanges)
def test_what_is_written_is_of_the_grammar(exchange: object) -> None:
    """Whatever an exchange holds."""
    for rule, line in written(iter(exchange.items)):  # type: ignore[attr-defined]
        assert GRAMMAR.takes(rule, line), (rule, line)


# -- what is read is of the grammar, and the other way round ---------------------------------


def faults(line: str) -> list[str]:
    """What the reader has against one line; a heading gets something to stand above."""
    _, alone = parse_exchange(line)
    _, above = parse_exchange(f"{line}\n  a< x")
    heads = line.endswith(":") and not line.startswith("#")
    return [error.message for error in (above if heads else alone)]


LINES = [
    *("a> x", "a.2< {x:[0-9]{2}}", "a<? x", "a! accept", "a!  wait  2s", "program! expect exit 0"),
    *(
        "a>",
        "a<",
        "a<?",
        "a!",
        "a<?x",
        "a< ?",
        "a>x",
        "a.0> x",
        "a.1234567> x",
        "A> x",
        "a> x  # y",
    ),
    *(
        "a>  # y",
        "a>   # y",
        "a> # y",
        "a< {x:a  # b}",
        "a> {x",
        "a> {x:",
        "a> {x:y}",
        "a< {x:",
        "a> \\",
    ),
    *(
        "a> \\x4",
        "a> \\x41",
        "a> $",
        "a> ${",
        "a> ${}",
        "a> ${x}",
        "a> ${ x }",
        "a> ${a{b}",
        "a< {A:x}",
    ),
    *(
        "a< {x:\\{}",
        "a< {x:\\",
        "a< {x:{}",
        "a< {x:{}}",
        "...",
        "....",
        "# x",
        "",
        "#",
        "any order:",
    ),
    *(
        "never:",
        "never",
        "within 2s:",
        "within  2s:",
        "at least 2s after:",
        "at least 2s after, within 3s:",
    ),
    *("within 2s, at least 1s after:", "within 2h:", "a! expect silence", "a! expect  silence 3ms"),
    *(
        "program! expect exit nonzero",
        "program! expect exit 1234",
        "program! kill",
        "a! wait",
        "a! close now",
    ),
]


@pytest.mark.parametrize("line", LINES)
def test_the_reader_and_the_grammar_take_the_same_lines(line: str) -> None:
    """By example."""
    alike(line)


@unhurried
@given(st.lists(scraps | st.text(max_size=3), max_size=10).map("".join))
@example("a>  # \\q")
@example("a< {a:  # }")
@example("a< ${  # }")
def test_the_reader_and_the_grammar_take_the_same_lines_at_random(text: str) -> None:
    """By scraps of the notation, put together without sense."""
    alike(text.partition("\n")[0].strip(" \t"))


def alike(line: str) -> None:
    told = faults(line)
    if GRAMMAR.takes("line", line):
        assert all(BEYOND.search(message) for message in told), told
    else:
        assert told, line


def test_the_grammar_has_no_rule_that_nobody_needs() -> None:
    """Each is named by another one, or by the text below it."""
    source = _source()
    names = re.findall(r"^([a-z-]+) *<-", source, re.MULTILINE)
    for name in names:
        uses = re.findall(rf"(?<![a-z-]){name}(?![a-z-])(?! *<-)", source)
        assert uses or name in ("line", "body-said", "body-heard"), name

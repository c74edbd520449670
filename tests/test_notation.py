"""The notation, read and written: tables, and exchanges made at random."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
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
    Skip,
)
from harness.model.template import Anything, Binding, Literal, Parameter, Part, Template
from harness.notation import (
    ACTS,
    PROGRAM,
    PROGRAM_ACTS,
    NotationError,
    escape,
    format_duration,
    format_entry,
    format_exchange,
    format_template,
    parse_act,
    parse_duration,
    parse_exchange,
    parse_pattern,
    parse_text,
    regex_fault,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st


def text(written: str) -> Template:
    return Template.of(Literal(written))


def read(written: str) -> Exchange:
    exchange, errors = parse_exchange(written)
    assert not errors, [str(error) for error in errors]
    return exchange


# -- templates ------------------------------------------------------------------------

PATTERNS = [
    ("", ()),
    ("hello", (Literal("hello"),)),
    ("*", (Anything(),)),
    ("**", (Anything(), Anything())),
    ("*x*", (Anything(), Literal("x"), Anything())),
    ("{code}", (Binding("code"),)),
    ("{code:[0-9]{3}}", (Binding("code", "[0-9]{3}"),)),
    ("{a:}", (Binding("a", ""),)),
    (r"{a:\{}", (Binding("a", r"\{"),)),
    (r"{a:[^\}]*}", (Binding("a", r"[^\}]*"),)),
    ('{"a":1}', (Literal('{"a":1}'),)),
    ("{ a }", (Literal("{ a }"),)),
    ("{A}", (Literal("{A}"),)),
    ("{}", (Literal("{}"),)),
    ("}", (Literal("}"),)),
    ("$", (Literal("$"),)),
    ("$a", (Literal("$a"),)),
    ("$${x}", (Literal("$"), Parameter("x"))),
    ("${mail.port}", (Parameter("mail.port"),)),
    ("${ x }", (Parameter("x"),)),
    (r"$\{x}", (Literal("${x}"),)),
    (r"\{x}", (Literal("{x}"),)),
    (r"\x24{x}", (Literal("$"), Binding("x"))),
    (r"\*\s\t\r\n\\\#", (Literal("* \t\r\n\\#"),)),
    (r"\xe8\xae\xa1", (Literal("计"),)),
    (r"\xE8\xAE", (Literal("\udce8\udcae"),)),
    (r"\x00\x7f", (Literal("\0\x7f"),)),
]


@pytest.mark.parametrize(("written", "parts"), PATTERNS)
def test_patterns(written: str, parts: tuple[Part, ...]) -> None:
    """What is heard: `*`, bindings, values, escapes; all else stands for itself."""
    assert parse_pattern(written).parts == parts


def test_a_star_that_is_said_is_a_star() -> None:
    """Only what is heard can be a pattern."""
    assert parse_text("*x*") == text("*x*")


@pytest.mark.parametrize(
    ("written", "message", "column"),
    [
        (r"ab\qc", r"unknown escape \q", 3),
        (r"ab\x4", r"unknown escape \x", 3),
        ("ab\\", "a lone backslash", 3),
        (r"a\ b", "a lone backslash", 2),
        ("{a:b", "this brace is never closed", 1),
        ("x {a:{}", "this brace is never closed", 3),
        (r"{a:\}", "this brace is never closed", 1),
        ("{a:(}", "`(` is no regular expression: missing ), unterminated subpattern", 4),
        ("{a:a)(b}", "`a)(b` is no regular expression", 4),
        ("{a:(?i)x}", "global flags not at the start", 4),
        (r"{a:(x)\1}", "cannot refer to an open group", 4),
        ("x${", "`${` needs a name and `}`", 2),
        ("${}", "`${` needs a name and `}`", 1),
        ("${a{b}}", "`${` needs a name and `}`", 1),
        ("a\ud800", "half a character (U+D800)", 2),
    ],
)
def test_wrong_patterns(written: str, message: str, column: int) -> None:
    """Each mistake has its column."""
    with pytest.raises(NotationError) as raised:
        parse_pattern(written)
    assert message in raised.value.message
    assert raised.value.column == column


def test_a_regular_expression_cannot_be_said() -> None:
    """A newcomer is told what could have been meant."""
    with pytest.raises(NotationError, match="here the actor speaks"):
        parse_text("hello {name:.*}")


@pytest.mark.parametrize(
    "regex", ["a{99999999999999999999}", "(" * 5000 + ")" * 5000, "[[a]", r"(?P<x>a)(?P<x>b)"]
)
def test_odd_regular_expressions_are_no_crash(regex: str) -> None:
    """Overflow, recursion, a warning and a clash are faults of the expression."""
    assert regex_fault(regex) is None or regex_fault(regex)


@pytest.mark.parametrize(
    ("literal", "written"),
    [
        ("250 ok\r\n", r"250 ok\r\n"),
        ("\t\\*", r"\t\\\*"),
        ("\x00\x1b\udcff\x85", r"\x00\x1b\xff\xc2\x85"),
        ("计算机", "计算机"),
        ("{a} {A} {a:b", r"\{a} {A} \{a:b"),
        ("${a}", r"$\{a}"),
        ("${", r"$\{"),
    ],
)
def test_escape_makes_every_byte_visible(literal: str, written: str) -> None:
    """And the special characters harmless."""
    assert escape(literal) == written
    assert parse_pattern(written) == text(literal)


@pytest.mark.parametrize(
    ("template", "written"),
    [
        (text("a "), r"a\s"),
        (text("  # a"), r"  \# a"),
        (text(" # a"), r" \# a"),
        (text(" #"), r" \#"),
        (text("a  #"), r"a  \#"),
        (Template.of(Literal("$"), Binding("x")), r"\x24{x}"),
        (Template.of(Literal("{"), Parameter("x")), "{${x}"),
    ],
)
def test_edges_survive(template: Template, written: str) -> None:
    """Blanks that reading drops, and what would look like a reason."""
    assert format_template(template, heard=True) == written
    assert parse_pattern(written) == template


# -- acts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("300ms", 0.3), ("57ms", 0.057), ("2s", 2.0), ("1.5s", 1.5), ("2min", 120.0), ("0s", 0.0)],
)
def test_durations(written: str, seconds: float) -> None:
    """Exactly: 57 ms are 0.057 s."""
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "3", "s", "-1s", "1 s", "1h", "1e3s", "٣s", "1" * 400 + "s", ".5s", "1.s"]
)
def test_wrong_durations(written: str) -> None:
    """A unit is a must; digits are ASCII."""
    with pytest.raises(NotationError, match="is no duration"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.3, "300ms"),
        (0.0, "0ms"),
        (1.0, "1s"),
        (1.3, "1.3s"),
        (1.234, "1234ms"),
        (0.000_001, "0.001ms"),
        (100.0, "100s"),
        (123_456.78, "123456.78s"),
    ],
)
def test_durations_written(seconds: float, written: str) -> None:
    """Shortly, and so that reading gives the same number."""
    assert format_duration(seconds) == written
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "act"),
    [
        ("accept", Act("accept")),
        ("expect eof", Act("expect eof")),
        ("expect   silence", Act("expect silence")),
        ("expect silence 300ms", Act("expect silence", seconds=0.3)),
        ("wait 2s", Act("wait", seconds=2.0)),
    ],
)
def test_acts(written: str, act: Act) -> None:
    """An act is one or two words and perhaps a duration."""
    assert parse_act(written, of_program=False) == act


@pytest.mark.parametrize(
    ("written", "of_program", "message"),
    [
        ("", False, "an act is missing; there are: accept"),
        ("acept", False, "unknown act `acept`; did you mean `accept`?"),
        ("dance", False, "unknown act `dance`; there are: accept, connect"),
        ("accept now", False, "`accept` stands alone, without `now`"),
        ("wait", False, "`wait` takes a duration; write `wait 200ms`"),
        ("wait long", False, "`long` is no duration"),
        ("kill", False, "unknown act `kill`"),
        ("accept", True, "unknown act `accept`; there are: kill, restart, stop, expect exit"),
        ("expect exit", True, "`expect exit` takes a number"),
        ("expect exit ²", True, "`expect exit` takes a number"),
        ("expect exit " + "9" * 5000, True, "`expect exit` takes a number"),
        ("x" * 100, False, f"unknown act `{'x' * 57}...`"),
    ],
)
def test_wrong_acts(written: str, of_program: bool, message: str) -> None:
    """With the nearest act, or all that there are."""
    with pytest.raises(NotationError) as raised:
        parse_act(written, of_program=of_program)
    assert raised.value.message.startswith(message)


# -- exchanges, read ------------------------------------------------------------------


def heard(actor: str, pattern: str) -> Entry:
    return Entry(actor, Arrow.HEARS, parse_pattern(pattern))


def test_the_four_arrows() -> None:
    """Says, hears, may hear, acts."""
    written = "mail> 220 hi\nmail< QUIT\nmail<? NOOP\nmail! accept\n"
    assert [entry.arrow for entry in read(written).entries()] == [">", "<", "<?", "!"]


def test_an_entry_has_its_parts() -> None:
    """Actor, connection, text, reason, body and line."""
    written = "\n# a comment\nmail.2> 250 ok  # because\n    Header: x\n\n    @form a.yaml\n"
    (entry,) = read(written).items
    assert entry == Entry(
        actor="mail",
        arrow=Arrow.SAYS,
        text=text("250 ok"),
        reason="because",
        body=(text("Header: x"), Template(), Directive("form", text("a.yaml"))),
        connection=2,
    )
    assert entry.line == 3


@pytest.mark.parametrize(
    ("written", "said", "reason"),
    [
        ("a> x  # why", "x", "why"),
        ("a>   x", "  x", ""),
        ("a> x   ", "x", ""),
        ("a> x\t", "x", ""),
        ("a>", "", ""),
        ("a>  # why", "", "why"),
        ("a> # x", "# x", ""),
        ("a> x # y", "x # y", ""),
        ("a> x  #y", "x  #y", ""),
        ("a> x  # y  # z", "x", "y  # z"),
        ("a> x    # y ", "x", "y"),
        (r"a> x  \# y", "x  # y", ""),
        ("a> b> c", "b> c", ""),
    ],
)
def test_text_and_reason(written: str, said: str, reason: str) -> None:
    """Two blanks, a hash and a blank begin a reason; one blank after the arrow is no text."""
    (entry,) = read(written).entries()
    assert (entry.text, entry.reason) == (text(said), reason)


def test_a_question_mark_is_an_arrow_only_where_a_blank_follows() -> None:
    """`<?` may hear; `< ?` hears a question mark."""
    may, must = read("a<? x\na< ? x\n").entries()
    assert (may.arrow, may.text) == (Arrow.MAY_HEAR, text("x"))
    assert (must.arrow, must.text) == (Arrow.HEARS, text("? x"))


def test_groups_and_skips() -> None:
    """Entries of a group stand at one indentation; their bodies deeper."""
    written = "any order:\n   a< x\n     body\n   b< y\n...\nnever:\n  a< z\n"
    assert read(written).items == (
        Group(
            GroupKind.ANY_ORDER,
            (Entry("a", Arrow.HEARS, text("x"), body=(text("body"),)), heard("b", "y")),
        ),
        Skip(),
        Group(GroupKind.NEVER, (heard("a", "z"),)),
    )


CLOCKS = [
    ("within 2s:", Clock((heard("a", "x"),), within=2.0)),
    ("at least 900ms after:", Clock((heard("a", "x"),), at_least=0.9)),
    ("at least 0ms after:", Clock((heard("a", "x"),), at_least=0.0)),
    ("at least 900ms after, within 2s:", Clock((heard("a", "x"),), 0.9, 2.0)),
]


@pytest.mark.parametrize(("heading", "clock"), CLOCKS)
def test_clocks(heading: str, clock: Clock) -> None:
    """What must come in time, or not too soon; written again as it was read."""
    written = f"{heading}\n  a< x\n"
    assert read(written).items == (clock,)
    assert format_exchange(read(written)) == written


def test_groups_and_entries_with_bodies_stand_below_a_clock() -> None:
    """A clock times whatever is heard; behind it the exchange goes on."""
    written = (
        "within 2s:\n  a< x\n      body\n  one of:\n    a< y\n        body\n    b< z\na< end\n"
    )
    body = (text("body"),)
    assert read(written).items == (
        Clock(
            (
                Entry("a", Arrow.HEARS, text("x"), body=body),
                Group(
                    GroupKind.ONE_OF,
                    (Entry("a", Arrow.HEARS, text("y"), body=body), heard("b", "z")),
                ),
            ),
            within=2.0,
        ),
        heard("a", "end"),
    )
    assert format_exchange(read(written)) == written


@pytest.mark.parametrize(
    ("heading", "message"),
    [
        ("within soon:", "`soon` is no duration"),
        ("at least 2 s after:", "did you mean `at least 2s after:`?"),
        ("within 2s", "`within 2s` is no entry; did you mean `within 2s:`?"),
        ("at most 2s:", "`at most 2s:` is no entry; did you mean `within 2s:`?"),
        ("In 5 minutes", "`In 5 minutes` is no entry; did you mean `within 5min:`?"),
        ("within 2s, at least 1s after:", "is no heading of a clock"),
        ("at least 1s after within 2s:", "is no heading of a clock"),
        (", within 2s:", "`, within 2s:` is no entry"),
        ("within 0s:", "nothing comes within `0s`"),
        ("at least 2s after, within 2s:", "nothing comes at least 2s after and within 2s"),
    ],
)
def test_wrong_clocks(heading: str, message: str) -> None:
    """One message each; what follows is read."""
    exchange, (error,) = parse_exchange(f"{heading}\n  a< x\nb< after\n")
    assert message in error.message
    assert error.line == 1
    assert exchange.items[-1] == heard("b", "after")


def test_lines_are_counted_from_the_first_line() -> None:
    """So that a block of a file has the file's lines."""
    exchange, errors = parse_exchange("a< x\nb< \\q\n", first_line=10)
    assert [entry.line for entry in exchange.entries()] == [10]
    assert [(error.line, error.column) for error in errors] == [(11, 4)]


def test_a_body_ends_with_its_last_line_that_is_not_blank() -> None:
    """Blank lines between two entries are layout."""
    first, second = read("a> x\n\n  body\n\n\n\nb> y\n").entries()
    assert first.body == (Template(), text("body"))
    assert second.body == ()


WRONG_LINES = [
    ("a<x", 3, "a blank must follow the arrow: `a< x`"),
    ("hello", 1, "`hello` is no entry; write `actor> text`"),
    ("any order", 1, "`any order` is no entry; did you mean `any order:`?"),
    ("> x", 1, "an entry begins with its actor"),
    ("A> x", 1, "`A` is no name of an actor"),
    ("9> x", 1, "`9` is no name of an actor"),
    ("a.b> x", 1, "`a.b` is no name of an actor"),
    ("a.0> x", 2, "connections are counted from 1"),
    ("a.٣> x", 1, "`a.٣` is no name of an actor"),
    (f"a.{'9' * 5000}> x", 1, "is no name of an actor"),
    ("a b> x", 1, "`a b> x` is no entry"),
    ("program> x", 10, "`program` is no actor"),
    ("a! ", 2, "an act is missing"),
    ("a! foo", 4, "unknown act `foo`"),
    ("a> \\q", 4, "unknown escape"),
    ("a>  x \\q  # why", 7, "unknown escape"),
    ("\ta> x", 1, "a tab cannot indent"),
    ("one of:", 1, "`one of:` needs entries, indented below it"),
]


@pytest.mark.parametrize(("line", "column", "message"), WRONG_LINES)
def test_a_wrong_line_is_told_and_left_out(line: str, column: int, message: str) -> None:
    """One message a mistake, and what is right is read."""
    exchange, (error,) = parse_exchange(f"a< before\n{line}\nb< after\n")
    assert (error.line, error.column) == (2, column)
    assert message in error.message
    assert exchange.items == (heard("a", "before"), heard("b", "after"))


@pytest.mark.parametrize(
    ("written", "places"),
    [
        ("  a> x\na> y", [(1, 3)]),
        ("a> x\n    \\q\n      deep \\q\n    @form \\q", [(2, 5), (3, 12), (4, 11)]),
        ("a! accept\n  body", [(2, 3)]),
        ("one of:\n  a< x\n    body\n   b< y\n c< z\n", [(5, 2)]),
        ("one of:\n  a< x\n  ...\n  never:\n  d< \\q", [(3, 3), (4, 3), (5, 6)]),
        ("one of:\n    a< x\n  b< y\n", [(3, 3)]),
        ("within 1s:\n  a< x\n  within 2s:\n  ...\n", [(3, 3), (4, 3)]),
        ("within 1s:\n  one of:\n    b< \\q", [(3, 8)]),
        ("one of:\n  a< x\n  within 1s:\n  b< y", [(3, 3)]),
        ("within 1s:\n  one of:\na< x\n", [(2, 3)]),
        ("a> x\n\tb> y\n", [(2, 1)]),
    ],
)
def test_mistakes_of_several_lines(written: str, places: list[tuple[int, int]]) -> None:
    """Bodies and groups: every mistake, each with its place."""
    _, errors = parse_exchange(written)
    assert [(error.line, error.column) for error in errors] == places


def test_reading_gives_up_after_many_mistakes() -> None:
    """Nobody reads a thousand messages, and each costs a search for what was meant."""
    _, errors = parse_exchange("mistake\n" * 1000)
    assert len(errors) == 51
    assert errors[-1].message.startswith("so many mistakes")


# -- exchanges, written ---------------------------------------------------------------


def test_an_entry_is_written_as_it_is_read() -> None:
    """The transcript can be pasted back as a script."""
    written = "mail.2< 250 *\\r\\n  # because\n    Header: {x}\n\n    @bytes 10"
    (entry,) = read(written).entries()
    assert format_entry(entry) == written


@pytest.mark.parametrize("line", [" x", "@x", "# x", "  @x", "\tx", " "])
def test_body_lines_that_would_be_read_otherwise(line: str) -> None:
    """Indentation, directives and comments are escaped at the beginning of a line."""
    exchange = Exchange((Entry("a", Arrow.SAYS, text("x"), body=(text(line),)),))
    assert read(format_exchange(exchange)) == exchange


DOCS = Path(__file__).parents[1] / "docs" / "notation.md"
_EXAMPLES = re.findall(r"^```\n(.*?)^```", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", _EXAMPLES)
def test_the_examples_of_the_documentation_are_right(block: str) -> None:
    """They are what people copy."""
    assert parse_exchange(format_exchange(read(block))) == (read(block), [])


# -- at random ------------------------------------------------------------------------

unhurried = settings(deadline=None)  # a machine at work on other things proves nothing

#: Everything that text of the wire can be: Unicode, control characters, invalid bytes.
_characters = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]),
    st.sampled_from(" #\\*{}$@!<>?.:\t\r\nabx0"),
)
_texts = st.text(_characters, max_size=12)
_literals = _texts.map(Literal)
_names = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True)
_parameters = st.from_regex(r"[a-z][a-z0-9.-]{0,5}", fullmatch=True).map(Parameter)
_regexes = st.sampled_from([None, "", ".*", "[0-9]{3}", r"\{", "a|b", r"\\", "(x)?", "(?i:x)"])
_bindings = st.builds(Binding, _names, _regexes)
_values = st.builds(Binding, _names)


def _templates(*holes: st.SearchStrategy[Part]) -> st.SearchStrategy[Template]:
    return st.lists(st.one_of(_literals, *holes), max_size=5).map(lambda p: Template.of(*p))


_patterns = _templates(st.just(Anything()), _bindings, _parameters)
_said = _templates(_values, _parameters)
_directives = st.builds(Directive, st.sampled_from(["form", "file", "bytes"]), _said)
_reasons = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")).map(
    lambda reason: reason.strip()
)


def _without_blank_end(body: list[BodyLine]) -> tuple[BodyLine, ...]:
    """Blank lines at the end of a body are layout, so none can be written."""
    while body and body[-1] == Template():
        body = body[:-1]
    return tuple(body)


_actors = st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True).filter(lambda n: n != PROGRAM)
_connections = st.none() | st.integers(1, 999_999)


def _entries_of(
    arrows: list[Arrow], templates: st.SearchStrategy[Template]
) -> st.SearchStrategy[Entry]:
    return st.builds(
        Entry,
        actor=_actors,
        arrow=st.sampled_from(arrows),
        text=templates,
        reason=_reasons,
        body=st.lists(templates | _directives, max_size=4).map(_without_blank_end),
        connection=_connections,
    )


_durations = st.integers(0, 10**10).map(lambda micros: micros / 1_000_000)


def _act(name: str, seconds: float) -> Act:
    return Act(name, seconds=None if ACTS[name] == "no" else seconds)


_acts = st.builds(_act, st.sampled_from(sorted(ACTS)), _durations)
_program_acts = st.one_of(
    st.sampled_from([Act(n) for n, takes in PROGRAM_ACTS.items() if takes == "no"]),
    (st.none() | st.integers(0, 999)).map(lambda status: Act("expect exit", status=status)),
)


def _acting(
    actors: st.SearchStrategy[str], acts: st.SearchStrategy[Act]
) -> st.SearchStrategy[Entry]:
    return st.builds(
        Entry,
        actor=actors,
        arrow=st.just(Arrow.ACTS),
        reason=_reasons,
        connection=_connections,
        act=acts,
    )


_entries = st.one_of(
    _entries_of([Arrow.SAYS], _said),
    _entries_of([Arrow.HEARS, Arrow.MAY_HEAR], _patterns),
    _acting(_actors, _acts),
    _acting(st.just(PROGRAM), _program_acts),
)
_groups = st.builds(
    Group, st.sampled_from(GroupKind), st.lists(_entries, min_size=1, max_size=3).map(tuple)
)
_spans = st.one_of(
    st.tuples(_durations, st.none()),
    st.tuples(st.none(), _durations.filter(bool)),
    st.tuples(_durations, _durations).filter(lambda both: both[0] < both[1]),
)
_clocks = st.builds(
    lambda items, span: Clock(tuple(items), *span),
    st.lists(st.one_of(_entries, _groups), min_size=1, max_size=3),
    _spans,
)
exchanges = st.lists(st.one_of(_entries, _groups, _clocks, st.just(Skip())), max_size=6).map(
    lambda items: Exchange(tuple(items))
)


@unhurried
@given(exchanges)
def test_what_is_written_reads_back_equal(exchange: Exchange) -> None:
    """The one notation that serves four times must lose nothing."""
    assert parse_exchange(format_exchange(exchange)) == (exchange, [])


@unhurried
@given(exchanges)
def test_what_is_written_is_visible(exchange: Exchange) -> None:
    """No control character of the wire reaches a terminal; line feeds only end lines."""
    for entry in exchange.entries():
        for line in format_entry(replace(entry, reason="")).split("\n"):
            assert line.isprintable()


@unhurried
@given(_patterns)
def test_patterns_read_back_equal(pattern: Template) -> None:
    """Also alone, as in `expect`."""
    assert parse_pattern(format_template(pattern, heard=True)) == pattern


@unhurried
@given(_said)
def test_texts_read_back_equal(said: Template) -> None:
    """What is said has other special characters than what is heard."""
    assert parse_text(format_template(said, heard=False)) == said


scraps = st.sampled_from(
    [
        *("a> ", "a< ", "mail<? ", "a! ", "program! ", "expect ", "wait ", "any order:", "never:"),
        *("within ", "within 2s:", "at least ", "at least 1s after", ", ", "2s", ":"),
        *("...", "\n", "\n  ", "\n    ", "\t", "{a:", "{b}", "${", "}", "\\", "\\x", "  # "),
        *("@form ", "é", "\x00"),
    ]
)
_near = st.lists(scraps | st.text(max_size=4), max_size=25).map("".join)


@unhurried
@given(st.text() | _near)
@example("a! expect exit ²")
@example("program! expect exit " + "9" * 5000)
@example("a.²> x")
@example("a> \ud800")
@example("\x1b[2J")
@example("a! \x00")
@example("a< {x:" + "(" * 3000)
@example("a< {x:a{99999999999999999999}}")
def test_any_text_at_all_is_read_without_an_exception(written: str) -> None:
    """Every mistake is told, and stands within the text."""
    lines = written.split("\n")
    _, errors = parse_exchange(written)
    for error in errors:
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= max(1, len(lines[error.line - 1]))
        assert error.message.isprintable()


@unhurried
@given(_near)
def test_what_could_be_read_is_written_alike(written: str) -> None:
    """Reading, writing and reading again changes nothing."""
    exchange, _ = parse_exchange(written)
    assert parse_exchange(format_exchange(exchange)) == (exchange, [])


def test_every_reason_for_a_regular_expression_that_cannot_be_is_one_clause() -> None:
    """It stands behind a colon in a message."""
    assert not re.search(r"[.\n]$", regex_fault("(") or "")

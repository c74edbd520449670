"""The matcher: against one that tries everything, and where expressions of authors meet ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.match import Search, any_line, match_start, match_whole, may_yet_match
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
from harness.notation import parse_pattern
from hypothesis import example, given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# -- one that tries everything --------------------------------------------------------

Way = tuple[int, dict[str, str]]


def ways(
    parts: tuple[Part, ...], text: str, bound: Mapping[str, str], at: int = 0
) -> Iterator[Way]:
    """Every end up to which the parts can meet the text, with the bindings that go with it."""
    if not parts:
        yield at, dict(bound)
        return
    part, rest = parts[0], parts[1:]
    if isinstance(part, Anything):
        for end in range(at, len(text) + 1):
            yield from ways(rest, text, bound, end)
    elif isinstance(part, Binding) and part.name not in bound:
        for end in range(at + 1, len(text) + 1):
            yield from ways(rest, text, {**bound, part.name: text[at:end]}, end)
    else:
        fixed = part.text if isinstance(part, Literal) else bound[getattr(part, "name", "")]
        if text.startswith(fixed, at):
            yield from ways(rest, text, bound, at + len(fixed))


LETTERS = "ab名\udc80"
PARTS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=3).map(Literal),
    st.just(Anything()),
    st.sampled_from("xyz").map(Binding),
)
PATTERNS = st.lists(PARTS, max_size=6).map(lambda parts: Template.of(*parts))
TEXTS = st.text(LETTERS, max_size=9)
BOUND = st.dictionaries(st.sampled_from("xy"), st.text(LETTERS, min_size=1, max_size=2))


@given(PATTERNS, TEXTS, BOUND)
@example(parse_pattern("*{x}{y}{x}*b"), "abaab", {})
@example(parse_pattern("{x}*{y}"), "ab", {})
def test_agrees_with_one_that_tries_everything(
    pattern: Template, text: str, bound: dict[str, str]
) -> None:
    possible = [added for end, added in ways(pattern.parts, text, bound) if end == len(text)]
    found = match_whole(pattern, text, bound)
    assert (found is not None) == bool(possible)
    if found:
        assert found.end == len(text)
        assert {**bound, **found.bindings} in possible


@given(PATTERNS, TEXTS, BOUND)
def test_the_start_of_a_stream_agrees_with_one_that_tries_everything(
    pattern: Template, text: str, bound: dict[str, str]
) -> None:
    possible = list(ways(pattern.parts, text, bound))
    found = match_start(pattern, text, bound)
    assert (found is not None) == bool(possible)
    if found:
        assert (found.end, {**bound, **found.bindings}) in possible


@given(PATTERNS, TEXTS)
def test_the_match_at_the_start_is_the_shortest_where_no_name_comes_twice(
    pattern: Template, text: str
) -> None:
    names = [binding.name for binding in pattern.bindings]
    name_at_the_end = bool(pattern.parts) and isinstance(pattern.parts[-1], Binding)
    if len(names) != len(set(names)) or name_at_the_end:
        return
    found = match_start(pattern, text)
    if found:
        assert found.end == min(end for end, _ in ways(pattern.parts, text, {}))


@given(PATTERNS, TEXTS, TEXTS)
def test_hope_is_never_given_up_while_more_text_can_still_match(
    pattern: Template, text: str, more: str
) -> None:
    if match_start(pattern, text + more):
        assert may_yet_match(pattern, text)


@given(PATTERNS, st.lists(st.binary(max_size=3) | TEXTS.map(encode), max_size=6), BOUND)
@example(parse_pattern(r"*\xe5*b"), [b"\xe5", b"\x90\x8d", b"b"], {})
@example(parse_pattern("*名"), [b"\xe5", b"\x90", b"\x8d"], {})
@example(parse_pattern("{x}a*b"), [b"a", b"a", b"ab"], {})
@example(parse_pattern("a{x}"), [b"a", b"b", b"b "], {})
@example(parse_pattern("{x:[ab]+}b*a"), [b"ab", b"b", b"a"], {})
def test_a_text_that_grows_is_met_as_if_it_had_come_at_once(
    pattern: Template, chunks: list[bytes], bound: dict[str, str]
) -> None:
    """Octet by octet: what was half a character becomes a whole one."""
    starts, wholes = Search(pattern, bound), Search(pattern, bound, whole=True)
    data = b""
    for chunk in chunks:
        data += chunk
        text = decode(data)
        assert starts.match(text) == match_start(pattern, text, bound)
        assert wholes.match(text) == match_whole(pattern, text, bound)


# -- by example -----------------------------------------------------------------------


class TestHope:
    @pytest.mark.parametrize("text", ["", "2", "250", "250 ok"])
    def test_what_begins_like_the_pattern_may_yet_match(self, text: str) -> None:
        assert may_yet_match(parse_pattern("250*"), text)

    @pytest.mark.parametrize("text", ["5", "26", "2 50"])
    def test_what_begins_otherwise_never_will(self, text: str) -> None:
        assert not may_yet_match(parse_pattern("250*"), text)

    def test_half_a_character_may_become_a_whole_one(self) -> None:
        assert may_yet_match(parse_pattern("名"), decode("名".encode()[:1]))
        assert not may_yet_match(parse_pattern("名"), decode("é".encode()[:1]))

    def test_a_value_bound_before_counts_as_text(self) -> None:
        pattern = parse_pattern("{x}!")
        assert may_yet_match(pattern, "ab", {"x": "abc"})
        assert not may_yet_match(pattern, "b", {"x": "abc"})
        assert may_yet_match(pattern, "b")


class TestStreams:
    def test_takes_no_more_than_the_pattern_needs(self) -> None:
        found = match_start(parse_pattern("*b"), "aabab")
        assert found is not None
        assert found.end == 3

    def test_a_star_at_the_end_takes_nothing(self) -> None:
        found = match_start(parse_pattern("a*"), "abc")
        assert found is not None
        assert found.end == 1

    def test_a_name_at_the_end_takes_a_word(self) -> None:
        found = match_start(parse_pattern("id {x}"), "id 4711 ok")
        assert found is not None
        assert (found.end, found.bindings) == (7, {"x": "4711"})


class TestNames:
    def test_binds_only_what_is_new(self) -> None:
        found = match_whole(parse_pattern("{x} {y}"), "a b", {"x": "a"})
        assert found is not None
        assert found.bindings == {"y": "b"}

    def test_an_empty_run_binds_nothing(self) -> None:
        assert match_whole(parse_pattern("[{x}]"), "[]") is None

    def test_a_name_comes_twice_in_one_line(self) -> None:
        pattern = parse_pattern("{x}-{x}")
        assert match_whole(pattern, "ab-ab")
        assert match_whole(pattern, "ab-ba") is None

    def test_what_is_bound_is_text_and_no_pattern(self) -> None:
        assert match_whole(parse_pattern("{x}"), "a.c*", {"x": "a.c*"})
        assert match_whole(parse_pattern("{x}"), "abc*", {"x": "a.c*"}) is None

    def test_a_parameter_that_nobody_filled_in_matches_only_itself(self) -> None:
        pattern = Template.of(Parameter("to"), Anything())
        assert match_whole(pattern, "${to} x")
        assert match_whole(pattern, "ann x") is None

    def test_a_character_may_be_half_of_one(self) -> None:
        text = decode("名".encode()[:2] + b"\xff!")
        found = match_whole(parse_pattern(r"{x}\xff!"), text)
        assert found is not None
        assert found.bindings == {"x": decode("名".encode()[:2])}

    def test_runs_go_over_line_ends(self) -> None:
        assert match_whole(parse_pattern("a*b{x}c"), "a\nb\r\nc")

    def test_a_line_feed_at_the_end_counts(self) -> None:
        assert match_whole(parse_pattern("a"), "a\n") is None


class TestExpressions:
    """An expression of the author's does what it would do alone, wherever it stands."""

    @pytest.mark.parametrize(
        ("pattern", "text", "bindings"),
        [
            ("{a:x|xy}z", "xyz", {"a": "xy"}),
            (r"{a:(a|b)+}{b:\d+}", "abab12", {"a": "abab", "b": "12"}),
            ("{a:(?i:yes)} yes", "YES yes", {"a": "YES"}),
            (r"{a:(?:\d{1,3}\.)+\d{1,3}}:{b:\d+}", "10.0.0.1:80", {"a": "10.0.0.1", "b": "80"}),
            ("{n:[0-9]+}*5", "12345", {"n": "1234"}),
            (r"*{who:\S+}*port {n:\d+}*", "1.2.3.4:port 25!", {"who": "1.2.3.4:", "n": "25"}),
            ("{a:[])*]+}b", "])*b", {"a": "])*"}),
        ],
    )
    def test_alternatives_groups_and_greed(
        self, pattern: str, text: str, bindings: dict[str, str]
    ) -> None:
        found = match_whole(parse_pattern(pattern), text)
        assert found is not None
        assert found.bindings == bindings

    def test_an_alternative_does_not_reach_beyond_its_braces(self) -> None:
        assert match_whole(parse_pattern("{a:x|y}z"), "x") is None

    def test_flags_end_with_their_group(self) -> None:
        assert match_whole(parse_pattern("{a:(?i:yes)} yes"), "yes YES") is None

    @pytest.mark.parametrize(
        ("expression", "fits", "fails"),
        [
            (r"(.)\1", "aa", "ab"),
            (r"(.)(.)\2\1", "abba", "abab"),
            (r"(?P<q>['\"]).*(?P=q)", "'a'", "'a\""),
            ("(<)?a(?(1)>|!)", "<a>", "<a!"),
            ("(?P<o><)?a(?(o)>|!)", "a!", "a>"),
            (r"[\1]\061(.)\1", "\0011xx", "11xx"),
        ],
    )
    def test_references_are_to_its_own_groups(self, expression: str, fits: str, fails: str) -> None:
        alone = Template.of(Binding("x", expression))
        third = Template.of(
            Binding("a", "(-)(-)"),
            Literal(" "),
            Binding("b", "(?P<q>-)"),
            Literal(" "),
            *alone.parts,
        )
        for pattern, before in ((alone, ""), (third, "-- - ")):
            assert match_whole(pattern, before + fits)
            assert match_whole(pattern, before + fails) is None

    def test_names_of_groups_may_be_equal_to_ours_and_to_each_other(self) -> None:
        pattern = Template.of(Binding("x", "(?P<b0>a)"), Binding("y", "(?P<b0>b)(?P<b1>c)"))
        found = match_whole(pattern, "abc")
        assert found is not None
        assert found.bindings == {"x": "a", "y": "bc"}

    def test_a_name_with_an_expression_must_be_equal_afterwards(self) -> None:
        pattern = parse_pattern(r"{x:\d+}*{x}")
        assert match_whole(pattern, "12 and 12")
        assert match_whole(pattern, "12 and 34") is None


class TestLongTexts:
    """These return at once, or the test runs into its time limit."""

    TEXT = "a" * 100_000

    @pytest.mark.parametrize(
        "pattern",
        [
            "*a*a*a*b",
            "*a*a*a*a*a*a*b*",
            "{x}a{y}a{z}a*b",
            "*{x}a{y}a{z}b",
            "{x}a*b",
            "*aaab*",
            "{x:b+}*{y:b+}*b",
            "*" * 60 + "b",
        ],
    )
    def test_a_pattern_that_fails_fails_at_once(self, pattern: str) -> None:
        template = parse_pattern(pattern)
        assert match_whole(template, self.TEXT) is None
        assert match_start(template, self.TEXT) is None

    def test_a_pattern_that_matches_matches_at_once(self) -> None:
        assert match_whole(parse_pattern("*a*a*{x}b*{y}"), self.TEXT + "b" + self.TEXT)


def test_a_pattern_meets_one_of_the_lines_as_a_whole() -> None:
    assert any_line(parse_pattern("b*"), ["abc", "bcd"])
    assert not any_line(parse_pattern("b*"), ["abc"])
    assert not any_line(parse_pattern("*"), [])

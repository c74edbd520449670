"""Text with holes: equal texts are equal templates, and values are filled in as text."""

from __future__ import annotations

import pytest
from harness.model.exchange import Entry, Exchange
from harness.model.scenario import ActorKind, Case, HeardDemand, Level
from harness.model.template import (
    Anything,
    Binding,
    Literal,
    Parameter,
    Template,
    decode,
    encode,
    parameters_of,
    substitute,
)
from harness.notation import parse_exchange, parse_pattern
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation import actor_of


@given(st.binary())
def test_any_bytes_survive_as_text(data: bytes) -> None:
    assert encode(decode(data)) == data


class TestTemplate:
    @given(st.text(max_size=12), st.data())
    def test_text_in_pieces_is_the_same_text(self, text: str, data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(text)))
        assert Template.of(Literal(text[:cut]), Literal(text[cut:])) == Template.of(Literal(text))

    @given(st.binary(max_size=12), st.integers(0, 12))
    def test_octets_of_one_character_become_that_character(self, data: bytes, cut: int) -> None:
        pieces = Template.of(Literal(decode(data[:cut])), Literal(decode(data[cut:])))
        assert pieces == Template.of(Literal(decode(data)))

    def test_empty_texts_are_dropped(self) -> None:
        assert Template.of(Literal(""), Anything(), Literal("")) == Template((Anything(),))
        assert Template.of(Literal("")) == Template()

    def test_holes_part_texts(self) -> None:
        assert Template.of(Literal("a"), Anything(), Literal("b")).parts == (
            Literal("a"),
            Anything(),
            Literal("b"),
        )

    def test_knows_its_holes(self) -> None:
        template = parse_pattern("*{x}${to}{y:a|b}")
        assert template.parameters == ("to",)
        assert template.bindings == (Binding("x"), Binding("y", "a|b"))

    @pytest.mark.parametrize(
        ("pattern", "everything"),
        [("*", True), ("**", True), ("", False), ("*a", False), ("{x}", False)],
    )
    def test_knows_whether_it_matches_everything(self, pattern: str, everything: object) -> None:
        assert parse_pattern(pattern).matches_everything is everything


VALUES = {"to": "a*{x}${from}", "n": "1"}


class TestSubstitute:
    def test_a_value_is_literal_text(self) -> None:
        filled = substitute(parse_pattern("<${to}>*"), VALUES)
        assert filled == Template((Literal("<a*{x}${from}>"), Anything()))

    def test_names_without_a_value_stay(self) -> None:
        assert substitute("${to} ${other}", {"to": "a"}) == "a ${other}"
        assert substitute(parse_pattern("${other}"), {"to": "a"}).parts == (Parameter("other"),)

    def test_a_value_is_not_filled_in_again(self) -> None:
        assert substitute("${a}", {"a": "${b}", "b": "c"}) == "${b}"

    def test_goes_into_everything(self) -> None:
        actor = actor_of(
            "mail", ActorKind.SMTP, at="${h}:25", users={"${h}": "p"}, mailboxes=("${h}",)
        )
        filled = substitute({"k": (actor, 1, None, frozenset({"${h}"}))}, {"h": "x"})
        assert filled["k"][0] == actor_of(
            "mail", ActorKind.SMTP, at="x:25", users={"x": "p"}, mailboxes=("x",)
        )
        assert filled["k"][1:3] == (1, None)

    def test_keeps_enumerations_what_they_are(self) -> None:
        demand = substitute(HeardDemand("mail", 1, "messages", Level.SHOULD), {"a": "b"})
        assert demand.level is Level.SHOULD

    def test_keeps_the_lines_of_a_file(self) -> None:
        exchange, _ = parse_exchange("mail< ${a}\n", first_line=7)
        [entry] = substitute(exchange, {"a": "b"}).entries()
        assert (entry.text, entry.line) == (Template((Literal("b"),)), 7)

    def test_without_values_nothing_is_copied(self) -> None:
        exchange = Exchange((Entry("mail", "<"),))  # type: ignore[arg-type]
        assert substitute(exchange, {}) is exchange


def test_names_are_found_anywhere() -> None:
    case = Case("${a}", {"${b}": "x${c}"}, why="none")
    assert sorted(parameters_of((case, [parse_pattern("*${d}")]))) == ["a", "b", "c", "d"]

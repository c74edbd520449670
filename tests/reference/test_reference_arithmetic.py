"""Sums: their values, against a table and against Python, and what is told where there is none."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.arithmetic import LONGEST, CalculationError, calculate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3+4*2", "11"),
        ("(3+4)*2", "14"),
        ("8-4-2", "2"),
        ("16/4/2", "2"),
        ("7 % 4 * 2", "6"),
        ("2^3^2", "512"),
        ("2**-1", "0.5"),
        ("-2^2", "-4"),
        ("2*-3", "-6"),
        ("--2", "2"),
        ("0.1+0.2", "0.3"),
        (".5 + 1.", "1.5"),
        ("10/4", "2.5"),
        ("100*1.10", "110"),
        ("1/3", "0.3333333333333333333333333333"),
        ("-0", "0"),
        ("10^27", "1" + "0" * 27),
        ("10^28", "1E+28"),
        ("3 × 4 ÷ 2 − （1＋1）", "4"),
    ],
)
def test_values(text: str, value: str) -> None:
    assert calculate(text) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a number is missing at the end"),
        ("2+", "a number is missing at the end"),
        ("*2", "a number is missing before '*'"),
        (")", "a number is missing before ')'"),
        ("(1", "a bracket is not closed"),
        ("1 2", "'2' was not expected"),
        ("1)", "')' was not expected"),
        ("1.2.3", "'.3' was not expected"),
        ("2e3", "'e' belongs in no sum"),
        ('__import__("os")', "'_' belongs in no sum"),
        ("\ud800", "'\\ud800' belongs in no sum"),
        ("1/0", "division by zero"),
        ("0/0", "division by zero"),
        ("5%0", "division by zero"),
        ("0^-1", "division by zero"),
        ("(-8)^0.5", "-8 ^ 0.5 has no value"),
        ("9^9^9^9", "the result is too large"),
        ("(" * 200, "too much stands within brackets, signs and powers"),
        ("-" * 200, "too much stands within brackets, signs and powers"),
        ("1" * (LONGEST + 1), "the sum is longer than 1000 characters"),
    ],
)
def test_what_is_wrong_is_told(text: str, told: str) -> None:
    with pytest.raises(CalculationError) as caught:
        calculate(text)

    assert str(caught.value) == told


def sums() -> st.SearchStrategy[str]:
    numbers = st.integers(0, 99).map(str)
    return st.recursive(
        numbers,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*"), inner).map("".join),
            inner.map("({})".format),
            inner.map("-({})".format),
        ),
        max_leaves=8,
    )


@given(sums())
def test_whole_numbers_are_worked_out_as_python_does(text: str) -> None:
    assert Fraction(calculate(text)) == eval(text)


@given(st.text("0123456789+-*/%^(). ", max_size=60))
def test_whatever_is_sent_has_a_value_or_is_told(text: str) -> None:
    try:
        told = calculate(text)
    except CalculationError as error:
        told = f"1 {error}"

    assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?(E[-+][0-9]+)?|1 .+", told)

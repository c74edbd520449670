"""Sums as people write them: `3 + 4 * (2 - 1.5)`, read and worked out without `eval`.

    sum     = product *( ("+" / "-") product )
    product = signed *( ("*" / "/" / "%") signed )
    signed  = ("+" / "-") signed / power
    power   = atom [ ("^" / "**") signed ]        ; 2^3^2 is 2^(3^2), -2^2 is -(2^2)
    atom    = number / "(" sum ")"
    number  = digits [ "." *digit ] / "." digits

Numbers are decimal, so that 0.1 + 0.2 is 0.3. Pure.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 1_000
"""Characters of a sum; a longer one is refused, so that nobody keeps the others waiting."""

DEEPEST = 50
"""Brackets, signs and powers within each other."""

DIGITS = 28
"""Significant digits of every result."""

#: Both exponents are bounded, so no power takes long or fills the memory.
_CONTEXT = Context(prec=DIGITS, Emax=999_999, Emin=-999_999)
_OPERATIONS: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": _CONTEXT.add,
    "-": _CONTEXT.subtract,
    "*": _CONTEXT.multiply,
    "/": _CONTEXT.divide,
    "%": _CONTEXT.remainder,
    "^": _CONTEXT.power,
}
_TOKEN = re.compile(r"\s*(?:(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)|(?P<sign>\*\*|[-+*/%^()]))")
#: As people type them, on keyboards of several countries.
_SPELLINGS = str.maketrans("×÷−（）＋－＊／", "*/-()+-*/")


class CalculationError(ValueError):
    """There is no result. The text, a clause, is for the user."""


def calculate(text: str) -> str:
    """Work a sum out and return its value: `12`, `0.3333333333333333333333333333`, `1E+40`.

    Raises:
        CalculationError: it is no sum, or has no value.
    """
    if len(text) > LONGEST:
        raise CalculationError(f"the sum is longer than {LONGEST} characters")
    reader = _Reader(text.translate(_SPELLINGS))
    value = reader.sum()
    if reader.token:
        raise CalculationError(f"{reader.token!r} was not expected")
    return shown(value)


def shown(value: Decimal) -> str:
    """Write a number without zeros that say nothing, and in full up to 28 digits."""
    value = value.normalize(_CONTEXT)
    if value == 0:
        return "0"  # and not -0
    exponent = value.adjusted()
    return f"{value:f}" if -DIGITS < exponent < DIGITS else str(value)


class _Reader:
    """Reads from left to right, a token ahead; one method for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._tokens = iter(_tokens(text))
        self._depth = 0
        self.token = next(self._tokens, "")

    def _take(self, *wanted: str) -> str:
        """Go on if one of these is next; which one, or nothing."""
        token = self.token
        if token not in wanted:
            return ""
        self.token = next(self._tokens, "")
        return token

    def sum(self) -> Decimal:
        value = self._product()
        while sign := self._take("+", "-"):
            value = _worked_out(sign, value, self._product())
        return value

    def _product(self) -> Decimal:
        value = self._signed()
        while sign := self._take("*", "/", "%"):
            value = _worked_out(sign, value, self._signed())
        return value

    def _signed(self) -> Decimal:
        self._depth += 1
        if self._depth > DEEPEST:
            raise CalculationError("too much stands within brackets, signs and powers")
        sign = self._take("+", "-")
        value = self._signed() if sign else self._power()
        self._depth -= 1
        return _CONTEXT.minus(value) if sign == "-" else value

    def _power(self) -> Decimal:
        value = self._atom()
        return _worked_out("^", value, self._signed()) if self._take("^", "**") else value

    def _atom(self) -> Decimal:
        if self._take("("):
            value = self.sum()
            if not self._take(")"):
                raise CalculationError("a bracket is not closed")
            return value
        token = self.token
        if not token:
            raise CalculationError("a number is missing at the end")
        if not (token[0].isdigit() or token[0] == "."):
            raise CalculationError(f"a number is missing before {token!r}")
        self.token = next(self._tokens, "")
        return Decimal(token)


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise CalculationError(f"{text[place:].lstrip()[0]!r} belongs in no sum")
        tokens.append(found[found.lastgroup or 0])
        place = found.end()
    return tokens


def _worked_out(sign: str, left: Decimal, right: Decimal) -> Decimal:
    try:
        value = _OPERATIONS[sign](left, right)
    except DivisionByZero:
        raise CalculationError("division by zero") from None
    except Overflow:
        raise CalculationError("the result is too large") from None
    except InvalidOperation:
        if not right and sign in "/%":
            raise CalculationError("division by zero") from None
        raise CalculationError(f"{left} {sign} {right} has no value") from None
    if not value.is_finite():  # 0 ^ -1
        raise CalculationError("division by zero")
    return value

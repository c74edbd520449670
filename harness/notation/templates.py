"""Texts and patterns: what an actor says, and what it must hear."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

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

_PLAIN = re.compile(r"[^\\*${]+")
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_BINDING = re.compile(r"\{(?P<name>[a-z][a-z0-9_-]*)(?P<end>[}:])")
_BYTE = re.compile(r"x([0-9A-Fa-f]{2})")
_SIMPLE_ESCAPES = {"s": " ", "t": "\t", "r": "\r", "n": "\n", **{char: char for char in r"\*{#"}}


class NotationError(ValueError):
    """Text that is not of the notation; `line` and `column` count from 1 in that text."""

    def __init__(self, message: str, *, line: int = 1, column: int = 1) -> None:
        self.message = visible(message)
        super().__init__(self.message)
        self.line = line
        self.column = column


# -- read ----------------------------------------------------------------------------


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
    if byte := _BYTE.match(text, at + 1):
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
        message = f"`{short(regex)}` is no regular expression: {fault}"
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


def short(text: str) -> str:
    """Text for a message: its beginning."""
    return text if len(text) <= 60 else text[:57] + "..."


def visible(text: str) -> str:
    """Text with its control characters and invalid bytes escaped, and nothing else."""
    return text if text.isprintable() else "".join(map(_visible_in_message, text))


def _visible_in_message(char: str) -> str:
    return char if char == "\\" else _visible(char)


# -- written --------------------------------------------------------------------------


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
    """Blanks that reading would drop, and `#` that is, or looks like, the start of a reason."""
    text = re.sub(r"(?:(?<= )|\A)#(?= |\Z)", r"\\#", text)
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

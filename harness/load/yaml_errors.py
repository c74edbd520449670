"""What YAML's parser complains about, said so that a newcomer can mend it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

_Say = Callable[[re.Match[str], str, str], str]


def explain(error: yaml.MarkedYAMLError, source: list[str]) -> tuple[int, int, str]:
    """Line, column (from 1) and message of a syntax error; `source` are the file's lines."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    opened = error.context_mark or mark
    opened_line, opened_column = (opened.line, opened.column) if opened else (0, 0)
    text = source[line] if line < len(source) else ""
    indent = text[: len(text) - len(text.lstrip())]
    if "\t" in indent:
        return line + 1, indent.index("\t") + 1, "a tab cannot indent in YAML; write blanks"
    said = f"{error.context or ''} / {error.problem or ''}"
    opening = source[opened_line] if opened_line < len(source) else ""
    for pattern, at_opening, message in _MESSAGES:
        if re.search(pattern, said):
            if at_opening:
                line, column, text = opened_line, opened_column, opening
            word = re.match(r"[^\s,\]}]*", text[column:])
            filled = message.format(
                word=word[0] if word and word[0] else text[column : column + 1],
                char=text[column : column + 1],
                line=text.strip(),
            )
            return line + 1, column + 1, filled
    return line + 1, column + 1, f"YAML cannot read this: {error.problem}"


#: Words of the parser, whether the place where the thing opened is shown (else the place
#: where the parser gave up), and what we say.
_MESSAGES = (
    (
        "scanning an (alias|anchor)|undefined alias",
        True,
        'put `{word}` in quotes: "{word}"; YAML reads an unquoted `{char}` as its own',
    ),
    (
        "cannot start any token",
        False,
        "a value cannot begin with `{char}`; put it in quotes",
    ),
    (
        "mapping values are not allowed",
        False,
        "there is one `:` too many here; put text with `: ` in it in quotes, "
        "and look at the indentation",
    ),
    (
        "flow mapping.*did not find expected ','",
        True,
        "this `{{` is not closed, or a comma is missing after it; "
        "put text that begins with `{{` in quotes",
    ),
    (
        "flow sequence.*did not find expected ','",
        True,
        "this `[` is not closed, or a comma is missing after it; "
        "put text that begins with `[` in quotes",
    ),
    ("flow node", False, "a bracket or brace before this place is not closed"),
    ("expected node content", False, "a value cannot begin with `{char}`; put it in quotes"),
    ("quoted scalar.*end of stream", True, "this quote is never closed"),
    (
        "unknown escape|hexdecimal|hexadecimal",
        False,
        "this backslash is YAML's own inside double quotes; write single quotes",
    ),
    (
        "block scalar.*(comment or line break|indentation indicator)",
        False,
        "nothing may follow `|` in its line; the text begins in the next one",
    ),
    (
        "single document",
        False,
        "a second document begins here; a file holds one: delete `---`",
    ),
    ("directive", True, "a line cannot begin with `%`; put it in quotes"),
    (
        "did not find expected key",
        False,
        "this fits nothing above it: look at the indentation and at the quotes of the line",
    ),
    (
        "expected '-' indicator",
        False,
        "the lines above are items of a list; this one begins with no `- `",
    ),
    (
        "sequence entries are not allowed",
        False,
        "a list cannot begin here; write its items in lines of their own, or as [a, b]",
    ),
    ("mapping keys are not allowed", False, "a value cannot begin with `{char}`; put it in quotes"),
    ("could not find expected ':'", True, "`{line}` is neither `key: value` nor `- item`"),
)

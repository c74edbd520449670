"""What YAML's parser complains about, said so that a newcomer can mend it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import yaml


class _Known(NamedTuple):
    """What the parser says, where to show it, and what we say."""

    said: str
    at_opening: bool  # where the thing opened, else where the parser gave up
    message: str


_OPEN = (
    "this `{char}` is not closed, or a comma is missing after it; "
    "put text that begins with `{char}` in quotes"
)
_CANNOT_BEGIN = "a value cannot begin with `{char}`; put it in quotes"

_MESSAGES = (
    _Known(
        "scanning an (alias|anchor)|undefined alias",
        at_opening=True,
        message='put `{word}` in quotes: "{word}"; YAML reads an unquoted `{char}` as its own',
    ),
    _Known("cannot start any token", at_opening=False, message=_CANNOT_BEGIN),
    _Known("flow (mapping|sequence).*expected ','", at_opening=True, message=_OPEN),
    _Known(
        "flow node",
        at_opening=False,
        message="a bracket or brace before this place is not closed",
    ),
    _Known("expected node content", at_opening=False, message=_CANNOT_BEGIN),
    _Known(
        "found unexpected ':'",
        at_opening=False,
        message="text with `:` in it must stand in quotes here",
    ),
    _Known(
        "unexpected document (indicator|separator)",
        at_opening=False,
        message="`---` and `...` at the beginning of a line end the file; indent the line",
    ),
    _Known("expected tag URI|scanning a tag", at_opening=True, message=_CANNOT_BEGIN),
    _Known(
        "expected whitespace or line break",
        at_opening=False,
        message="a blank is missing here, or the value must stand in quotes",
    ),
    _Known("duplicate anchor", at_opening=False, message="this anchor has been defined already"),
    _Known("quoted scalar.*end of stream", at_opening=True, message="this quote is never closed"),
    _Known(
        "unknown escape|hexdecimal|hexadecimal",
        at_opening=False,
        message="this backslash is YAML's own inside double quotes; write single quotes",
    ),
    _Known(
        "block scalar.*(comment or a? ?line break|indentation indicator)",
        at_opening=False,
        message="nothing may follow `|` in its line; the text begins in the next one",
    ),
    _Known(
        "single document",
        at_opening=False,
        message="a second document begins here; a file holds one: delete `---`",
    ),
    _Known("directive", at_opening=True, message="a line cannot begin with `%`; put it in quotes"),
    _Known(
        "expected '-' indicator",
        at_opening=False,
        message="the lines above are items of a list; this one begins with no `- `",
    ),
    _Known(
        "sequence entries are not allowed",
        at_opening=False,
        message="a list cannot begin here; write each item in a line of its own, or [a, b]",
    ),
    _Known("mapping keys are not allowed", at_opening=False, message=_CANNOT_BEGIN),
    _Known(
        "could not find expected ':'",
        at_opening=True,
        message="`{line}` is neither `key: value` nor `- item`",
    ),
)


def explain(error: yaml.MarkedYAMLError, source: list[str]) -> tuple[int, int, str]:
    """Line, column (from 1) and message of a syntax error; `source` are the file's lines."""
    line, column = _at(error.problem_mark or error.context_mark)
    text = _line(source, line)
    indent = text[: len(text) - len(text.lstrip())]
    if "\t" in indent:
        return line + 1, indent.index("\t") + 1, "a tab cannot indent in YAML; write blanks"
    if braced := text_with_braces(text):
        return line + 1, *braced
    said = f"{error.context or ''} / {error.problem or ''}"
    if "mapping values are not allowed" in said:
        return _colon(source, line, column)
    if re.search("expected (key|<block end>|'?<document start>)", said):
        return line + 1, column + 1, _misfit(source, line, column)
    known = next((known for known in _MESSAGES if re.search(known.said, said)), None)
    if known is None:
        return line + 1, column + 1, f"YAML cannot read this: {error.problem}"
    if "could not find expected ':'" in said and _in_exchange(source, _at(error.context_mark)[0]):
        line, _ = _at(error.context_mark)
        return line + 1, 1, "the lines of the exchange must be indented below `exchange: |`"
    if known.at_opening:
        line, column = _at(error.context_mark or error.problem_mark)
        if re.search(r"\blose:\s*\[?\s*\*$", _line(source, line)[: column + 1]):
            return line + 1, column + 1, "to lose every answer, write `answer: nothing`, not `*`"
    return line + 1, column + 1, _filled(known.message, _line(source, line), column)


_PLACEHOLDER = re.compile(r"\{[a-z][a-z0-9.-]*\}")
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")


def text_with_braces(line: str) -> tuple[int, str] | None:
    """Where unquoted text with `{host}` in it begins (from 1), and what to do about it."""
    bare = _QUOTED.sub(lambda quoted: "x" * len(quoted[0]), line)
    if not (found := _PLACEHOLDER.search(bare)):
        return None
    opening = re.compile(r"[\[,{]|: |- ")
    start = max((o.end() for o in opening.finditer(bare, 0, found.start())), default=0)
    rest = re.compile(rf"(?:{_PLACEHOLDER.pattern}|[^,\]{{}}#])*").match(bare, start)
    item = line[start : rest.end() if rest else found.end()]
    text = item.strip()
    column = start + len(item) - len(item.lstrip()) + 1
    return column, f"put `{text}` in quotes: YAML reads an unquoted `{{` as its own"


def _in_exchange(source: list[str], line: int) -> bool:
    """Whether a line at the margin is meant to belong to the block of the exchange above it."""
    above = next((text for text in reversed(source[:line]) if text.strip()), "")
    return bool(re.match(r"exchange:[ \t]*\|", above)) and not _line(source, line).startswith(" ")


def _colon(source: list[str], line: int, column: int) -> tuple[int, int, str]:
    """A `:` where none can be: in a value, below a line without one, or indented too far."""
    if ":" in source[line][:column]:
        return line + 1, column + 1, "a value with `: ` in it must stand in quotes"
    above = next((n for n in range(line - 1, -1, -1) if source[n].strip()), line)
    text = source[above].strip()
    if ":" not in text:
        start = source[above].index(text) + 1 if text else 1
        return above + 1, start, f"`{text}` is neither `key: value` nor `- item`"
    start = len(source[line]) - len(source[line].lstrip()) + 1
    message = "this is indented deeper than the line above, which has a value already"
    return line + 1, start, f"{message}; {_columns(source, line)}"


def _misfit(source: list[str], line: int, column: int) -> str:
    before = _line(source, line)[:column].rstrip()
    if before[-1:] in {"}", "]", '"', "'"}:
        return f"the value ended at `{before[-1]}` already; put all of it in quotes"
    return f"the indentation of this line fits no line above it; {_columns(source, line)}"


def _columns(source: list[str], line: int) -> str:
    """Where a line may begin: where those begin that are still open above it."""
    columns: list[int] = []
    for text in reversed(source[:line]):
        column = len(text) - len(text.lstrip()) + 1
        if text.strip() and not text.lstrip().startswith("#") and column < min(columns, default=99):
            columns.append(column)
    *first, last = [str(column) for column in reversed(columns)] or ["1"]
    return f"it can begin in column {', '.join(first)}{' or ' if first else ''}{last}"


def _at(mark: yaml.Mark | None) -> tuple[int, int]:
    return (mark.line, mark.column) if mark else (0, 0)


def _line(source: list[str], number: int) -> str:
    return source[number] if number < len(source) else ""


def _filled(message: str, text: str, column: int) -> str:
    char = text[column : column + 1]
    word = re.match(r"[^\s,\]}]+?(?=:?(?:[\s,\]}]|$))", text[column:])
    return message.format(word=word[0] if word else char, char=char, line=text.strip())

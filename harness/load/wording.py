"""Words that every message uses: suggestions, and what a value is."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggest(word: str, known: Iterable[str]) -> str:
    """How a message about an unknown word goes on: the nearest one, or all that there are."""
    import difflib  # noqa: PLC0415 - only a mistake needs it

    names = list(known)
    small = {name.lower(): name for name in names}
    if near := difflib.get_close_matches(word.lower(), small, n=1):
        return f"; did you mean `{small[near[0]]}`?"
    return f"; there are: {', '.join(names)}" if names else "; there are none"


def shown(value: Any) -> str:
    """What a value is, in a message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = value if isinstance(value, str) else as_text(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def as_list(command: str) -> str:
    """A command line as the YAML list of its arguments, ready to be pasted.

    >>> as_list("python3 x.py {host}")
    '[python3, x.py, "{host}"]'
    """
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that is never closed
        words = command.split()
    return f"[{', '.join(map(_as_item, words))}]"


def _as_item(word: str) -> str:
    plain = re.fullmatch(r"--?\w[\w./=+-]*|[\w./][\w./=+-]*", word) and word.lower() != "null"
    return word if plain else json.dumps(word, ensure_ascii=False)


def as_text(value: Any) -> str:
    """A scalar as it was written: `true`, `0080`, `5.10`."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(getattr(value, "text", value))

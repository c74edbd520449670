"""Patterns against text: the one place that decides whether something was said.

`run` asks it in order to wait, `judge` in order to find fault; both get the same answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.model.template import Anything, Binding, Literal, Parameter, Template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Match:
    """The pattern met the first `end` characters; `bindings` are those it added."""

    end: int
    bindings: Mapping[str, str]


def match_whole(
    pattern: Template, text: str, bound: Mapping[str, str] | None = None
) -> Match | None:
    """Match all of the text; `bound` holds the values of `{name}` so far."""
    return _match(pattern, text, bound or {}, whole=True)


def match_start(
    pattern: Template, text: str, bound: Mapping[str, str] | None = None
) -> Match | None:
    """Match the shortest beginning of the text."""
    return _match(pattern, text, bound or {}, whole=False)


def may_yet_match(pattern: Template, text: str, bound: Mapping[str, str] | None = None) -> bool:
    """Whether more text might still make `match_start` succeed.

    Only the literal beginning of the pattern is compared: behind a hole nearly anything
    may come.
    """
    start = _literal_start(pattern, bound or {})
    return text.startswith(start) or start.startswith(text)


def any_line(pattern: Template, lines: Iterable[str]) -> bool:
    """Whether the pattern meets one of the lines as a whole."""
    return any(match_whole(pattern, line) for line in lines)


def _literal_start(pattern: Template, bound: Mapping[str, str]) -> str:
    start = ""
    for part in pattern.parts:
        if isinstance(part, Literal):
            start += part.text
        elif isinstance(part, Binding) and part.name in bound:
            start += bound[part.name]
        else:
            break
    return start


def _match(pattern: Template, text: str, bound: Mapping[str, str], *, whole: bool) -> Match | None:
    known = tuple((b.name, bound[b.name]) for b in pattern.bindings if b.name in bound)
    regex, groups = _compiled(pattern, known, whole=whole)
    found = regex.match(text)
    if not found:
        return None
    return Match(found.end(), {name: found[group] for group, name in groups.items()})


@lru_cache(maxsize=4096)
def _compiled(
    pattern: Template, known: tuple[tuple[str, str], ...], *, whole: bool
) -> tuple[re.Pattern[str], dict[str, str]]:
    """A regular expression that is linear in the text where no name comes twice.

    Between two `*` the first place that fits is as good as any later one, so the search
    need never come back to it: each stretch is an atomic group.
    """
    builder = _Builder(dict(known), whole=whole)
    return re.compile(builder.build(pattern), re.DOTALL), builder.groups


class _Builder:
    def __init__(self, known: Mapping[str, str], *, whole: bool) -> None:
        self._known = known
        self._whole = whole
        self.groups: dict[str, str] = {}  # group of the expression -> name of the binding

    def build(self, pattern: Template) -> str:
        stretches = self._stretches(pattern)
        names = [binding.name for binding in pattern.bindings]
        atomic = len(names) == len(set(names))
        first, *rest = stretches
        out = first
        for index, stretch in enumerate(rest):
            last = index == len(rest) - 1
            if last and not stretch:
                out += ".*" if self._whole else ""
            elif atomic and not (last and self._whole):
                out += f"(?>.*?{stretch})"
            else:
                out += f".*?{stretch}"
        return out + (r"\Z" if self._whole else "")

    def _stretches(self, pattern: Template) -> list[str]:
        stretches = [""]
        for index, part in enumerate(pattern.parts):
            if isinstance(part, Anything):
                stretches.append("")
            else:
                stretches[-1] += self._expression(part, last=index == len(pattern.parts) - 1)
        return stretches

    def _expression(self, part: Literal | Binding | Parameter, *, last: bool) -> str:
        if isinstance(part, Literal):
            return re.escape(part.text)
        if isinstance(part, Parameter):  # a value that nobody filled in matches only itself
            return re.escape(f"${{{part.name}}}")
        if part.name in self._known:
            return re.escape(self._known[part.name])
        for group, name in self.groups.items():
            if name == part.name:
                return f"(?P={group})"
        group = f"b{len(self.groups)}"
        self.groups[group] = part.name
        # in a stream a name at the very end would bind its first character only
        default = r"\S+" if last and not self._whole else ".+?"
        return f"(?P<{group}>{part.regex if part.regex is not None else default})"

"""Patterns against text: the one place that decides whether something was said.

`run` asks it in order to wait, `judge` in order to find fault; both get the same answer.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.model.template import Anything, Binding, Literal, Parameter, Template, encode

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
    """Match a beginning of the text, as short as the pattern allows."""
    return _match(pattern, text, bound or {}, whole=False)


def may_yet_match(pattern: Template, text: str, bound: Mapping[str, str] | None = None) -> bool:
    """Whether more text might still make `match_start` succeed.

    Only the literal beginning of the pattern is compared: behind a hole nearly anything
    may come.  It is compared as bytes, since the text may end within a character.
    """
    start = encode(_literal_start(pattern, bound or {}))
    came = encode(text[: len(start)])  # a character has one octet at least
    return came.startswith(start) or start.startswith(came)


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


_UNSURE = 3  # characters at the end of a text that octets to come may make one of


class Search:
    """A pattern against the beginning of a text that grows: `match_start`, or `match_whole`.

    What was searched once is not searched again, so that all of it together costs what the
    last one would cost alone.  Only expressions of the author's, and names that come again, are
    tried anew each time.
    """

    def __init__(self, pattern: Template, bound: Mapping[str, str], *, whole: bool = False) -> None:
        self._pattern = pattern
        self._bound = dict(bound)
        self._whole = whole
        self._stretches = _Builder(pattern, self._bound, whole=whole).stretches()
        self._resumes = all(stretch.settled for stretch in self._stretches)
        # the stretch that is looked for, where it may begin, from where on it was not looked for
        self._next, self._at, self._from = 0, 0, 0
        self._bindings: dict[str, str] = {}

    def match(self, text: str) -> Match | None:
        """As the function would; the text begins as it did the last time."""
        if not self._resumes:
            return _match(self._pattern, text, self._bound, whole=self._whole)
        at, start, bindings = self._at, self._from, dict(self._bindings)
        for number in range(self._next, len(self._stretches)):
            stretch = self._stretches[number]
            last = number == len(self._stretches) - 1
            found = stretch.find(text, at, start, to_the_end=last and self._whole)
            if found < 0:
                if number == self._next:
                    unseen = len(text) - len(stretch.literal) + 1 - _UNSURE
                    self._from = max(self._from, unseen)
                return None
            if stretch.name:
                bindings[stretch.name] = text[at:found]
            at, start = found + len(stretch.literal), 0
            if at <= len(text) - _UNSURE and not last:
                self._next, self._at, self._from, self._bindings = number + 1, at, 0, dict(bindings)
        return Match(at, bindings)


@lru_cache(maxsize=4096)
def _compiled(
    pattern: Template, known: tuple[tuple[str, str], ...], *, whole: bool
) -> tuple[re.Pattern[str], dict[str, str]]:
    builder = _Builder(pattern, dict(known), whole=whole)
    return re.compile(builder.build(), re.DOTALL), builder.groups


@dataclass(slots=True)
class _Stretch:
    """A gap (`*`, or a name that comes once) and what follows it up to the next gap."""

    gap: str = ""
    text: str = ""
    settled: bool = True  # the first place that fits is as good as any later one
    name: str = ""  # that the gap binds
    literal: str = ""  # what `text` stands for, if it is settled

    def find(self, text: str, at: int, start: int, *, to_the_end: bool) -> int:
        """Where its text stands behind a gap from `at` on, looked for from `start` on; or -1."""
        least = at + bool(self.name)  # a name is never empty
        if to_the_end:
            place = len(text) - len(self.literal)
            fits = place >= least if self.gap else place == at
            return place if fits and text.endswith(self.literal) else -1
        if not self.gap:
            return at if text.startswith(self.literal, at) else -1
        return text.find(self.literal, max(least, start))


class _Builder:
    """Writes the regular expression of a pattern, linear in the text for all that is ours.

    Behind a gap the first place where a text fits is as good as any later one, so the search
    need never come back to it: each stretch is an atomic group.  Only an expression of the
    author's, and a name that comes again, may have to be taken anew.
    """

    def __init__(self, pattern: Template, known: Mapping[str, str], *, whole: bool) -> None:
        self._pattern = pattern
        self._known = known
        self._whole = whole
        self._times = Counter(binding.name for binding in pattern.bindings)
        self._count = 0  # of groups so far, the author's own included
        self._stretches = [_Stretch()]
        self.groups: dict[str, str] = {}  # group of the expression -> name of the binding

    def stretches(self) -> list[_Stretch]:
        """The pattern, cut at its gaps."""
        for index, part in enumerate(self._pattern.parts):
            if isinstance(part, Anything):
                self._stretches.append(_Stretch(".*?"))
            elif isinstance(part, Binding) and part.name not in self._known:
                self._bind(part, last=index == len(self._pattern.parts) - 1)
            else:
                self._stretches[-1].text += re.escape(self._literal(part))
                self._stretches[-1].literal += self._literal(part)
        return self._stretches

    def build(self) -> str:
        *firsts, last = self.stretches()
        out = "".join(f"(?>{s.gap}{s.text})" if s.settled else s.gap + s.text for s in firsts)
        if not self._whole:
            return out + last.gap + last.text
        return rf"{out}{last.gap}{last.text}\Z"

    def _literal(self, part: Literal | Binding | Parameter) -> str:
        if isinstance(part, Literal):
            return part.text
        if isinstance(part, Binding):
            return self._known[part.name]
        return f"${{{part.name}}}"  # a value that nobody filled in matches only itself

    def _bind(self, part: Binding, *, last: bool) -> None:
        for group, name in self.groups.items():
            if name == part.name:
                self._stretches[-1].text += f"(?P={group})"
                return
        group = f"b{len(self.groups)}"
        self.groups[group] = part.name
        self._count += 1
        if part.regex is not None:
            regex = _embedded(part.regex, group, self._count)
            self._count += re.compile(part.regex).groups
        else:
            # in a stream a name at the very end would bind its first character only
            regex = r"\S+" if last and not self._whole else ".+?"
        if part.regex is None and self._times[part.name] == 1:
            settled = regex == ".+?"
            self._stretches.append(
                _Stretch(f"(?P<{group}>{regex})", settled=settled, name=part.name)
            )
        else:
            self._stretches[-1].text += f"(?P<{group}>{regex})"
            self._stretches[-1].settled = False


_GROUP_WORDS = re.compile(
    r"""
    (?P<plain> \\[0-3][0-7]{2} | \\[^1-9] | \[\^?\]?(?:\\.|[^\]\\])*\] )
    | \\(?P<number> [1-9][0-9]? )
    | \(\?P<(?P<name> \w+ )>
    | \(\?P=(?P<same> \w+ )\)
    | \(\?\((?P<whether> \w+ )\)
    """,
    re.VERBOSE | re.DOTALL,
)


def _embedded(regex: str, group: str, before: int) -> str:
    """An author's expression as a part of ours: its groups and names stay its own.

    Its numbers count from `before`, its names get the name of our group in front.
    """

    def word(found: re.Match[str]) -> str:
        if found["number"]:
            return f"\\{int(found['number']) + before}"
        if found["name"]:
            return f"(?P<{group}_{found['name']}>"
        if found["same"]:
            return f"(?P={group}_{found['same']})"
        if whether := found["whether"]:
            own = int(whether) + before if whether.isdigit() else f"{group}_{whether}"
            return f"(?({own})"
        return found[0]

    return _GROUP_WORDS.sub(word, regex)

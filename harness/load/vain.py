"""What stands in a scenario in vain: said twice, contradicted, never compared, never heard.

A scenario in which this stands looks as if it asked for more than it does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.load.document import Place
from harness.load.script import templates
from harness.match import match_whole
from harness.model.exchange import Arrow
from harness.model.scenario import (
    Actor,
    ActorKind,
    Became,
    Count,
    Demand,
    FileDemand,
    Has,
    HeardDemand,
    InOrder,
    Lacks,
    Level,
    TextDemand,
)
from harness.model.template import Anything, Literal, Template, templates_of
from harness.notation import format_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.load.document import Document
    from harness.model.exchange import Exchange

_SOMETHING = "\x00"  # what stands for a star; no pattern of an author has it in it


def check_vain(
    document: Document, exchange: Exchange, cast: Mapping[str, Actor], demands: Sequence[Demand]
) -> None:
    """Note what is in vain; only of a scenario in which nothing else is wrong."""
    if document.problems:
        return
    checker = _Checker(document)
    checker.twice(demands)
    checker.contradictions(demands)
    checker.unheard(exchange, demands)
    checker.line_ends(demands)
    checker.bindings(exchange, demands)
    checker.actors(exchange, cast, demands)


class _Checker:
    def __init__(self, document: Document) -> None:
        self._document = document

    def _complain(self, line: int, message: str, text: str = "") -> None:
        """At the last place of the text in this line, else where the line begins."""
        source = self._document.source[line - 1]
        begin = len(source) - len(source.lstrip(" -"))
        place = source.rfind(text) if text and text in source else begin
        self._document.complain_at(Place(line, place + 1), message)

    def twice(self, demands: Sequence[Demand]) -> None:
        first: dict[Demand, Demand] = {}
        for demand in demands:
            other = first.setdefault(replace(demand, level=Level.MUST), demand)
            if other is not demand:
                where = "in this line" if other.line == demand.line else f"in line {other.line}"
                message = f"the same is demanded {where} already"
                self._complain(demand.line, message, _shown(demand))

    # -- contradictions ---------------------------------------------------------------

    def contradictions(self, demands: Sequence[Demand]) -> None:
        texts = [demand for demand in demands if isinstance(demand, TextDemand)]
        for forbidding in texts:
            alike = (d for d in texts if _subject(d) == _subject(forbidding))
            any(self._contradict(forbidding, demanding) for demanding in alike)
        for demand in demands:
            if isinstance(demand, FileDemand) and demand.check == Became("absent"):
                self._absent(demand, demands)

    def _contradict(self, forbidding: TextDemand, demanding: TextDemand) -> bool:
        for pattern in _demanded(demanding):
            if _forbids(forbidding, pattern):
                shown = format_template(pattern, heard=True)
                message = f"this contradicts `{shown}`, which line {demanding.line} demands"
                self._complain(forbidding.line, message, _shown(forbidding))
                return True
        return False

    def _absent(self, absent: FileDemand, demands: Sequence[Demand]) -> None:
        for demand in demands:
            if not isinstance(demand, FileDemand | TextDemand) or demand.glob != absent.glob:
                continue
            if demand.check not in (Became("absent"), Became("removed")):
                message = f"line {demand.line} demands something of this file: it must be there"
                self._complain(absent.line, message, "absent")

    def unheard(self, exchange: Exchange, demands: Sequence[Demand]) -> None:
        """Nobody was reached who must have heard something."""
        never = {d.actor: d for d in demands if isinstance(d, HeardDemand) and d.count == 0}
        for entry in exchange.entries():
            if entry.arrow is Arrow.HEARS and (demand := never.get(entry.actor)):
                message = f"this contradicts line {entry.line}, where `{entry.actor}` must hear"
                self._complain(demand.line, message)
                return

    # -- patterns ---------------------------------------------------------------------

    def line_ends(self, demands: Sequence[Demand]) -> None:
        """A text is searched line by line, so no line has a line feed in it."""
        for demand in demands:
            if isinstance(demand, TextDemand):
                for pattern in templates_of(demand.check):
                    texts = (part.text for part in pattern.parts if isinstance(part, Literal))
                    if any("\n" in text for text in texts):
                        message = r"lines are searched one by one: none has a `\n` in it"
                        shown = format_template(pattern, heard=True)
                        self._complain(demand.line, message, shown)

    def bindings(self, exchange: Exchange, demands: Sequence[Demand]) -> None:
        """A name that is bound once and never compared is a star that looks like more."""
        places = [found for entry in exchange.entries() for found in templates(entry)]
        asked = [(demand.line, pattern) for demand in demands for pattern in templates_of(demand)]
        of_exchange = Counter(b.name for _, pattern in places for b in pattern.bindings)
        everywhere = of_exchange + Counter(b.name for _, p in asked for b in p.bindings)
        for line, pattern in places:
            self._bound_once(line, pattern, everywhere)
        for line, pattern in asked:
            own = Counter(binding.name for binding in pattern.bindings)
            self._bound_once(line, pattern, own + of_exchange)

    def _bound_once(self, line: int, pattern: Template, times: Counter[str]) -> None:
        for binding in pattern.bindings:
            if binding.regex is None and times[binding.name] == 1:
                text = f"{{{binding.name}}}"
                message = f"`{text}` stands nowhere else, so nothing is compared; write `*`"
                self._complain(line, message, text)

    # -- actors -----------------------------------------------------------------------

    def actors(
        self, exchange: Exchange, cast: Mapping[str, Actor], demands: Sequence[Demand]
    ) -> None:
        named = {entry.actor for entry in exchange.entries()}
        named |= {d.actor for d in demands if isinstance(d, TextDemand | HeardDemand)}
        for actor in cast.values():
            path = ("cast", actor.name)
            shared = path in self._document.files  # not every scenario needs all of a shared cast
            if actor.name not in named and not shared and (why := _does_nothing(actor)):
                message = f"`{actor.name}` {why}; write it into the exchange, or leave it out"
                self._document.complain(path, message, key=True)


def _does_nothing(actor: Actor) -> str:
    """Why an actor of which nothing is said makes no difference; empty if it makes one.

    A terminal is there in any case.
    """
    if actor.to is not None:
        return "never connects"
    if actor.kind is ActorKind.DNS and not actor.records:
        return "knows no name beside those of the cast, and hears nothing"
    return ""


def _subject(demand: TextDemand) -> tuple[str, str, str, bool]:
    return demand.observer, demand.glob, demand.actor, demand.said


def _shown(demand: Demand) -> str:
    """The pattern as it is written, if that is one."""
    patterns = [format_template(p, heard=True) for p in templates_of(demand)]
    return patterns[0] if len(patterns) == 1 else ""


def _demanded(demand: TextDemand) -> Iterator[Template]:
    """Patterns of which a line must be there."""
    check = demand.check
    if isinstance(check, Has) or (isinstance(check, Count) and check.times > 0):
        yield check.pattern
    elif isinstance(check, InOrder):
        yield from check.patterns


def _forbids(demand: TextDemand, pattern: Template) -> bool:
    """Whether every line that the pattern matches is one that must not be there."""
    check = demand.check
    if isinstance(check, Lacks):
        forbidden = Template.of(Anything(), *check.pattern.parts, Anything())
    elif isinstance(check, Count) and check.times == 0:
        forbidden = check.pattern
    else:
        return False
    if forbidden.matches_everything:
        return True
    if not all(isinstance(part, Literal | Anything) for part in pattern.parts):
        return False  # who knows what an expression matches
    parts = (part.text if isinstance(part, Literal) else _SOMETHING for part in pattern.parts)
    return match_whole(forbidden, "".join(parts)) is not None

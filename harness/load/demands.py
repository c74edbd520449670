"""What must be found afterwards: `expect:` as demands, each with its line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from harness.load.schema import NumberItemShape, WireShape
from harness.load.wording import suggest
from harness.model.scenario import (
    Actor,
    ActorKind,
    Check,
    Count,
    Demand,
    ExitDemand,
    Has,
    HeardDemand,
    InOrder,
    Lacks,
    Level,
    MailboxDemand,
    MailDemand,
    Number,
    ReportFields,
    Span,
    TextDemand,
    TimeDemand,
)
from harness.model.template import Anything, Binding, Template
from harness.notation import PROGRAM, NotationError, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.load.document import Document, Path
    from harness.load.schema import (
        DemandsShape,
        ExpectShape,
        MailShape,
        ObserverShape,
        ReportShape,
        TimeShape,
    )
    from harness.model.exchange import Exchange
    from harness.model.program import Role

_ObserverName = Literal["screen", "errors", "files", "leftovers", "wire"]

_SPANS: tuple[Span, ...] = ("until exit", "after last message", "after stop")

_UNITS: dict[ActorKind, tuple[str, ...]] = {
    ActorKind.SMTP: ("connections", "messages"),
    ActorKind.HTTP: ("connections", "messages"),
    ActorKind.TCP: ("connections",),
    ActorKind.UDP: ("datagrams",),
    ActorKind.ICMP: ("datagrams",),
    ActorKind.DNS: ("messages",),
}


def read_demands(
    document: Document,
    expect: ExpectShape,
    cast: Mapping[str, Actor],
    exchange: Exchange,
    role: Role,
) -> tuple[Demand, ...]:
    """The demands in the order of the file; what is wrong is noted in the document."""
    reader = _Reader(document, cast, exchange, role)
    path: Path = ("expect",)
    demands = [
        *reader.demands(expect, path, Level.MUST),
        *reader.demands(expect.should, (*path, "should"), Level.SHOULD),
        *reader.demands(expect.may, (*path, "may"), Level.MAY),
    ]
    return tuple(sorted(demands, key=lambda demand: demand.line))


class _Reader:
    def __init__(
        self, document: Document, cast: Mapping[str, Actor], exchange: Exchange, role: Role
    ) -> None:
        self._document = document
        self._cast = cast
        acts = (entry.act for entry in exchange.entries() if entry.actor == PROGRAM and entry.act)
        self._told_to_end = role.listens is not None or any(act.name == "stop" for act in acts)

    def demands(self, shape: DemandsShape, path: Path, level: Level) -> Iterator[Demand]:
        if shape.says("exit"):
            yield ExitDemand(tuple(shape.exit), level, self._line((*path, "exit")))
        yield from self._times(shape.time, (*path, "time"), level)
        yield from self._text("screen", "", shape.screen, (*path, "screen"), level)
        yield from self._text("errors", "", shape.errors, (*path, "errors"), level)
        yield from self._text("leftovers", "", shape.leftovers, (*path, "leftovers"), level)
        for glob, asked in shape.files.items():
            yield from self._text("files", glob, asked, (*path, "files", glob), level)
        for name, wire in shape.wire.items():
            yield from self._wire(name, wire, (*path, "wire", name), level)
        for name, (count, unit) in shape.heard.items():
            yield self._heard(name, count, unit, (*path, "heard", name), level)
        for address, mails in shape.mailbox.items():
            yield self._mailbox(address, mails, (*path, "mailbox", address), level)

    def _times(self, shape: TimeShape, path: Path, level: Level) -> Iterator[TimeDemand]:
        for span in _SPANS:
            key = span.replace(" ", "_")
            if shape.says(key):
                self._check_span(span, (*path, span))
                least, most = getattr(shape, key)
                yield TimeDemand(span, least, most, level, self._line((*path, span)))

    def _check_span(self, span: Span, path: Path) -> None:
        """A server ends when it is told to, a client by itself."""
        if self._told_to_end and span != "after stop":
            message = f"this program is told to end, so `{span}` says nothing of it; "
            self._document.complain(path, message + "write `after stop`", key=True)
        elif not self._told_to_end and span == "after stop":
            message = "this program ends by itself, and is never told to; write `until exit`"
            self._document.complain(path, message + " or `after last message`", key=True)

    def _line(self, path: Path) -> int:
        return self._document.key_place(path).line

    def _pattern(self, text: str, path: Path, *, key: bool = False) -> Template:
        try:
            return parse_pattern(text)
        except NotationError as error:
            self._document.complain(path, f"in `{text}`: {error.message}", key=key)
            return Template()

    # -- texts ----------------------------------------------------------------------

    def _text(
        self,
        observer: _ObserverName,
        glob: str,
        asked: str | list[Any] | ObserverShape,
        path: Path,
        level: Level,
    ) -> Iterator[TextDemand]:
        for check, place in self._checks(asked, path):
            line = self._document.value_place(place).line
            yield TextDemand(observer, check, glob, level=level, line=line)

    def _checks(self, asked: Any, path: Path) -> Iterator[tuple[Check, Path]]:
        if path[-1] == "leftovers" and asked == "none":
            yield self._lacks("*", path)
        elif isinstance(asked, str | list | NumberItemShape):
            yield from self._has(asked, path)
        else:
            yield from self._checks_by_name(asked, path)

    def _checks_by_name(self, asked: ObserverShape, path: Path) -> Iterator[tuple[Check, Path]]:
        yield from self._has(asked.has, (*path, "has"))
        for index, text in enumerate(asked.lacks):
            yield self._lacks(text, self._item((*path, "lacks"), index))
        if asked.in_order:
            yield self._in_order(asked.in_order, (*path, "in order"))
        for text, times in asked.count.items():
            place = (*path, "count", text)
            yield Count(self._pattern(text, place, key=True), times), place

    def _item(self, path: Path, index: int) -> Path:
        """The place of an item, or of the text that stands for a list of one."""
        return (*path, index) if (*path, index) in self._document.values else path

    def _has(self, asked: Any, path: Path) -> Iterator[tuple[Check, Path]]:
        items = asked if isinstance(asked, list) else [asked]
        for index, item in enumerate(items):
            place = self._item(path, index) if isinstance(asked, list) else path
            if isinstance(item, NumberItemShape):
                yield Number(item.number.near, tuple(item.number.is_)), place
            else:
                pattern = self._pattern(item, place)
                self._check_can_fail(pattern, item, place)
                yield Has(pattern), place

    def _check_can_fail(self, pattern: Template, text: str, path: Path) -> None:
        if text == "":
            what = next(step for step in reversed(path) if step != "has" and isinstance(step, str))
            self._document.complain(path, f"`` asks for an empty line; {_nothing_at(what)}")
        elif _matches_everything(pattern):
            self._document.complain(path, f"`{text}` matches every line, so it could not fail")

    def _lacks(self, text: str, path: Path) -> tuple[Check, Path]:
        pattern = self._pattern(text, path)
        if text == "":
            what = next(
                step for step in reversed(path) if step != "lacks" and isinstance(step, str)
            )
            message = '`lacks: ""` would fail on every line; say what must not be there'
            self._document.complain(path, f"{message}, or {_nothing_at(what)}")
        elif _matches_everything(pattern) and not _is_star(pattern):
            message = f'`lacks: "{text}"` would fail on every line; write `lacks: "*"` for no line'
            self._document.complain(path, message)
        return Lacks(pattern), path

    def _in_order(self, texts: list[str], path: Path) -> tuple[Check, Path]:
        patterns = tuple(self._pattern(text, (*path, i)) for i, text in enumerate(texts))
        if all(map(_matches_everything, patterns)):
            self._document.complain(path, "these match all lines, so it could not fail")
        return InOrder(patterns), path

    # -- actors ---------------------------------------------------------------------

    def _wire(
        self, name: str, asked: str | list[str] | WireShape, path: Path, level: Level
    ) -> Iterator[TextDemand]:
        actor = self._cast.get(name)
        if actor is None:
            message = f"`{name}` is not in the cast{suggest(name, self._cast)}"
            self._document.complain(path, message, key=True)
        elif actor.kind is ActorKind.TERMINAL:
            message = f"`{name}` is a terminal; what the program prints is `screen`"
            self._document.complain(path, message, key=True)
        elif actor.kind not in _UNITS:
            message = f"`{name}` is {actor.kind}: nobody is there who could hear"
            self._document.complain(path, message, key=True)
        for demand in self._text("wire", "", asked, path, level):
            yield replace(demand, actor=name)
        if isinstance(asked, WireShape):
            for demand in self._text("wire", "", asked.said, (*path, "said"), level):
                yield replace(demand, actor=name, said=True)

    def _heard(self, name: str, count: int, unit: Any, path: Path, level: Level) -> HeardDemand:
        actor = self._cast.get(name)
        units = _UNITS.get(actor.kind, ()) if actor else ()
        if actor is None:
            message = f"`{name}` is not in the cast{suggest(name, self._cast)}"
            self._document.complain(path, message, key=True)
        elif not units:
            message = f"`{name}` is {actor.kind} and hears nothing that could be counted"
            self._document.complain(path, message, key=True)
        elif unit not in units:
            message = f"`{name}` is {actor.kind} and counts {' or '.join(units)}, not {unit}"
            self._document.complain(path, message)
        return HeardDemand(name, count, unit, level, self._line(path))

    def _mailbox(
        self, address: str, mails: list[MailShape], path: Path, level: Level
    ) -> MailboxDemand:
        self._check_mailbox(address, path)
        wanted = tuple(self._mail(mail, (*path, i)) for i, mail in enumerate(mails))
        return MailboxDemand(address, wanted, level, self._line(path))

    def _check_mailbox(self, address: str, path: Path) -> None:
        servers = [a for a in self._cast.values() if a.kind is ActorKind.SMTP]
        known = [mailbox for server in servers for mailbox in server.mailboxes]
        if not servers:
            self._document.complain(path, "no smtp actor is there to keep a mailbox", key=True)
        elif not known:
            message = "no smtp actor has a mailbox, so every recipient is refused; write "
            message += f"`mailboxes: [{address}]` in the cast"
            self._document.complain(path, message, key=True)
        elif address not in known and "${" not in address:
            hint = suggest(address, dict.fromkeys(known))
            message = f"no smtp actor has the mailbox `{address}`{hint}"
            self._document.complain(path, message, key=True)

    def _mail(self, shape: MailShape, path: Path) -> MailDemand:
        def pattern(key: str, text: str) -> Template | None:
            said = shape.says({"from": "from_"}.get(key, key))
            return self._pattern(text, (*path, key)) if said else None

        return MailDemand(
            subject=pattern("subject", shape.subject),
            sender=pattern("from", shape.from_),
            to=pattern("to", shape.to),
            text=pattern("text", shape.text),
            report=self._report(shape.report, (*path, "report")) if shape.says("report") else None,
            line=self._line(path),
        )

    def _report(self, shape: ReportShape, path: Path) -> ReportFields:
        status = self._pattern(shape.status, (*path, "status")) if shape.says("status") else None
        return ReportFields(tuple(shape.failed), status, shape.action)


def _nothing_at(observer: str) -> str:
    return f'to demand that nothing is there, write `{observer}: {{lacks: "*"}}`'


def _is_star(pattern: Template) -> bool:
    return all(isinstance(part, Anything) for part in pattern.parts)


def _matches_everything(pattern: Template) -> bool:
    """Also `*{anything}`: a binding without an expression takes whatever is there."""
    return bool(pattern.parts) and all(
        isinstance(part, Anything) or (isinstance(part, Binding) and part.regex is None)
        for part in pattern.parts
    )

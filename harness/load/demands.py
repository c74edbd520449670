"""What must be found afterwards: `expect:` as demands, each with its line."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from typing import Literal as OneOf

from harness.load.schema import AttachmentShape, FileShape, NumberItemShape, WireShape
from harness.load.wording import suggest
from harness.match import match_whole
from harness.model.fixtures import find_fixture, fixture_folders
from harness.model.scenario import (
    RESOLVER,
    Actor,
    ActorKind,
    AttachmentDemand,
    Became,
    Check,
    Content,
    Count,
    Demand,
    ExitDemand,
    FieldDemand,
    FileDemand,
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
from harness.model.template import Anything, Literal, Template
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

_ObserverName = OneOf["screen", "errors", "files", "leftovers", "wire", "packets"]

#: Who may stand at the ends of a packet, beside the cast.
_ENDS = ("program", "nobody", "visitor", "router", RESOLVER)
_SPANS: tuple[Span, ...] = ("until exit", "after last message", "after stop")

_UNITS: dict[ActorKind, tuple[str, ...]] = {
    ActorKind.SMTP: ("connections", "messages"),
    ActorKind.HTTP: ("connections", "messages"),
    ActorKind.TCP: ("connections",),
    ActorKind.UDP: ("datagrams",),
    ActorKind.ICMP: ("datagrams",),
    ActorKind.DNS: ("messages",),
}


#: Parts of a mail by their keys, and how the shape calls them.
_PARTS_OF_MAIL = {
    "subject": "subject",
    "from": "from_",
    "to": "to",
    "cc": "cc",
    "text": "text",
    "html": "html",
}
#: Octets of a file that are collected and can be compared.
_COLLECTED = 1 << 20


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
            yield from self._file(glob, asked, (*path, "files", glob), level)
        yield from self._packets(shape.packets, (*path, "packets"), level)
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
                self._check_near(item.number.near, (*place, "number", "near"))
                yield Number(item.number.near, tuple(item.number.is_)), place
            else:
                pattern = self._pattern(item, place)
                self._check_can_fail(pattern, item, place)
                yield Has(pattern), place

    def _check_near(self, near: str, path: Path) -> None:
        if "${" not in near and re.search(near, ""):
            message = f"`{near}` is found everywhere; write the words that name the number"
            self._document.complain(path, message)

    def _check_can_fail(self, pattern: Template, text: str, path: Path) -> None:
        if "mailbox" in path:
            return  # there `*` is any value, and `` an empty one
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

    def _packets(
        self, asked: str | list[Any] | ObserverShape, path: Path, level: Level
    ) -> Iterator[TextDemand]:
        for check, place in self._checks(asked, path):
            if isinstance(check, InOrder):
                for index, pattern in enumerate(check.patterns):
                    self._check_packet(pattern, (*place, index), anywhere=False)
            elif not isinstance(check, Number):
                key = isinstance(check, Count)
                self._check_packet(check.pattern, place, anywhere=isinstance(check, Lacks), key=key)
            line = self._document.value_place(place).line
            yield TextDemand("packets", check, level=level, line=line)

    def _check_packet(
        self, pattern: Template, path: Path, *, anywhere: bool, key: bool = False
    ) -> None:
        """See that it can be a packet between ends that there are."""
        first, *others = pattern.parts or (Literal(""),)
        if not isinstance(first, Literal):
            return
        source, arrow, rest = first.text.partition(" > ")
        ends = dict.fromkeys([*_ENDS, *self._cast])
        if not arrow:
            if not anywhere and not others:
                message = (
                    f"`{first.text}` is no line of a packet; such are `program > NAME: tcp SYN`"
                )
                self._document.complain(path, f"{message}, and `*` stands for anything", key=key)
            return
        target = re.match(r"[\w-]*", rest)
        words = [source, target[0]] if target and (target[0] != rest or not others) else [source]
        for word in words:
            if word not in ends:
                message = f"`{word}` is nobody who could send or receive{suggest(word, ends)}"
                self._document.complain(path, message, key=key)

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
        asked: dict[str, tuple[Any, Path]] = {
            name: (getattr(shape, key), (*path, name))
            for name, key in _PARTS_OF_MAIL.items()
            if shape.says(key)
        }
        if shape.says("return_path"):
            asked["return path"] = shape.return_path, (*path, "return path")
        fields = [*self._fields(asked), *self._head(shape.headers, (*path, "headers"))]
        attachments = enumerate(shape.attachments)
        return MailDemand(
            tuple(fields),
            self._report(shape.report, (*path, "report")) if shape.says("report") else None,
            tuple(self._attachment(each, (*path, "attachments", i)) for i, each in attachments)
            if shape.says("attachments")
            else None,
            line=self._line(path),
        )

    def _head(self, asked: Mapping[str, Any], path: Path) -> Iterator[FieldDemand]:
        yield from self._fields(
            {f"header {name}": (value, (*path, name)) for name, value in asked.items()}
        )

    def _fields(self, asked: Mapping[str, tuple[Any, Path]]) -> Iterator[FieldDemand]:
        for name, (value, path) in asked.items():
            for check, place in self._checks(value, path):
                yield FieldDemand(name, check, self._document.value_place(place).line)

    def _report(self, shape: ReportShape, path: Path) -> ReportFields:
        def pattern(key: str) -> Template | None:
            text = getattr(shape, key)
            said = shape.says(key)
            return self._pattern(text, (*path, key.replace("_", " "))) if said else None

        return ReportFields(
            failed=tuple(shape.failed),
            status=pattern("status"),
            action=shape.action,
            reporting_mta=pattern("reporting_mta"),
            remote_mta=pattern("remote_mta"),
            diagnostic=pattern("diagnostic"),
            original=tuple(self._head(shape.original, (*path, "original"))),
        )

    def _attachment(self, shape: str | AttachmentShape, path: Path) -> AttachmentDemand:
        if isinstance(shape, str):
            return AttachmentDemand(self._pattern(shape, path))
        if not shape.model_fields_set:
            self._document.complain(path, "say something of it, such as {name: x.png}")
        return AttachmentDemand(
            self._pattern(shape.name, (*path, "name")) if shape.says("name") else None,
            self._pattern(shape.type, (*path, "type")) if shape.says("type") else None,
            next(self._content(shape, path), (None,))[0],
        )

    # -- files ----------------------------------------------------------------------

    def _file(
        self, glob: str, asked: str | list[Any] | FileShape, path: Path, level: Level
    ) -> Iterator[TextDemand | FileDemand]:
        yield from self._text("files", glob, asked, path, level)
        if isinstance(asked, FileShape):
            checks: list[tuple[Content | Became, Path]] = [*self._content(asked, path)]
            if asked.says("is_"):
                checks.append((Became(asked.is_), (*path, "is")))
            for check, place in checks:
                yield FileDemand(glob, check, level, self._line(place))

    def _content(
        self, shape: FileShape | AttachmentShape, path: Path
    ) -> Iterator[tuple[Content, Path]]:
        if shape.says("same_as"):
            yield self._like(shape.same_as, (*path, "same as")), (*path, "same as")
            if shape.says("sha256"):
                message = "`same as` says all octets already; leave one of the two out"
                self._document.complain((*path, "sha256"), message, key=True)
        elif shape.says("sha256"):
            yield Content(shape.sha256), (*path, "sha256")

    def _like(self, name: str, path: Path) -> Content:
        file = find_fixture(self._document.file, name)
        if file is None:
            places = " or ".join(map(str, fixture_folders(self._document.file)))
            self._document.complain(path, f"there is no `{name}` in {places}")
            return Content("", name)
        data = file.read_bytes()
        if len(data) > _COLLECTED:
            message = f"`{name}` has {len(data)} octets; of files up to {_COLLECTED} are compared"
            self._document.complain(path, f"{message}; write its `sha256`")
        return Content(hashlib.sha256(data).hexdigest(), name, data)


def _nothing_at(observer: str) -> str:
    return f'to demand that nothing is there, write `{observer}: {{lacks: "*"}}`'


def _is_star(pattern: Template) -> bool:
    return all(isinstance(part, Anything) for part in pattern.parts)


#: Lines that only a pattern for everything matches all of.
_PROBES = ("\x07", "q#7 § x", "0")


def _matches_everything(pattern: Template) -> bool:
    """Also `*{anything}`, and an expression such as `.+`."""
    return bool(pattern.parts) and all(match_whole(pattern, line) for line in _PROBES)

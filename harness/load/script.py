"""The exchange of a scenario: read from its block of text, and checked against the cast."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.load.document import Place
from harness.load.forms import no_fixture, wrong_form
from harness.load.wording import suggest
from harness.model.exchange import Arrow, Clock, Directive, Entry, Exchange, Group, GroupKind
from harness.model.scenario import Actor, ActorKind, LineEnd, Tls
from harness.model.template import Anything, Binding
from harness.notation import INDENTED, PROGRAM, actor_of, format_duration, parse_exchange

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from harness.load.document import Document
    from harness.model.template import Template

_PATH = ("exchange",)
_NOBODY = {ActorKind.CLOSED, ActorKind.FILTERED, ActorKind.UNREACHABLE}
_REASON = re.compile(r" {2,}# ")
_NEARLY_A_REASON = re.compile(r"(?<! ) # ")
_WITH_BODY = {ActorKind.HTTP, ActorKind.SMTP}
_DIRECTIVES = ("form", "multipart", "file", "bytes", "chunked")

_ENDS = {"expect eof", "expect reset", "expect close"}
_ANYWHERE = {"wait", "settle", "expect silence"}
_STREAM = {"close", "half-close", "reset", "stall", "starttls", *_ENDS}
#: Acts behind which a connection is no more, or no more what it was.
_OVER = {"close", "half-close", "reset", *_ENDS}
#: What can still be done on a connection on which nothing is read or said any more.
_STALLED = {"close", "reset", "stall", "wait", "settle"}


def read_exchange(document: Document) -> Exchange:
    """The exchange of a scenario file; every mistake is noted in the document."""
    text = document.data.get("exchange")
    if not isinstance(text, str):
        return Exchange()
    style = document.styles[_PATH]
    if style != "|":
        message = "`exchange` must be a block of lines; write `exchange: |`, and it below"
        document.complain(_PATH, message)
        return Exchange()
    first_line = document.values[_PATH].line + 1
    margin = _margin(document, first_line)
    exchange, errors = parse_exchange(text, first_line=first_line)
    for error in errors:
        document.complain_at(Place(error.line, error.column + margin), error.message)
    return exchange


def _margin(document: Document, first_line: int) -> int:
    """How far YAML indents the block: `|2` says it, else its first line that is not blank."""
    place = document.values[_PATH]
    opening = document.source[place.line - 1][place.column - 1 :]
    if said := re.search(r"\|[-+]?([1-9])", opening):
        return int(said[1])
    for line in document.source[first_line - 1 :]:
        if line.strip(" "):
            return len(line) - len(line.lstrip(" "))
    return 0


def unknown_actors(document: Document, exchange: Exchange, cast: Collection[str]) -> None:
    """Note every actor of the exchange that is not in the cast."""
    for entry in exchange.entries():
        if entry.actor not in cast and entry.actor != PROGRAM:
            message = f"`{entry.actor}` is not in the cast{suggest(entry.actor, cast)}"
            document.complain_at(_start(document, entry.line), message)


def check_exchange(
    document: Document, exchange: Exchange, cast: Mapping[str, Actor], timeout: float
) -> None:
    """Note what an exchange of these actors cannot hold, in a play of so many seconds."""
    unknown_actors(document, exchange, cast)
    checker = _Checker(document, cast)
    for item in exchange.items:
        if isinstance(item, Clock):
            checker.clock(item, timeout)
    for plain in exchange.plain_items():
        if isinstance(plain, Group):
            checker.group(plain)
    for entry in exchange.entries():
        checker.entry(entry)


def could_fail(exchange: Exchange) -> bool:
    """Whether anything in the exchange is a demand."""
    for item in exchange.plain_items():
        if isinstance(item, Group):
            return True
        if isinstance(item, Entry) and _demands(item):
            return True
    return False


def _demands(entry: Entry) -> bool:
    expects = entry.act is not None and entry.act.name.startswith("expect ")
    return entry.arrow is Arrow.HEARS or expects


def _awaits(entry: Entry) -> bool:
    """Whether it is an act that waits for something that the program does."""
    return entry.act is not None and entry.act.name in {*_ENDS, "expect exit"}


def templates(entry: Entry) -> Iterator[tuple[int, Template]]:
    """The text of an entry, of its body lines and of their directives, each with its line."""
    yield entry.line, entry.text
    for number, line in enumerate(entry.body, entry.line + 1):
        yield number, line.argument if isinstance(line, Directive) else line


def _start(document: Document, line: int) -> Place:
    """Where the text of a line begins."""
    source = document.source[line - 1]
    return Place(line, len(source) - len(source.lstrip()) + 1)


class _Checker:
    def __init__(self, document: Document, cast: Mapping[str, Actor]) -> None:
        self._document = document
        self._cast = cast
        self._bound: set[str] = set()
        self._nevers: set[int] = set()  # lines that must not come
        self._stalled: set[tuple[str, int]] = set()
        self._dialled: set[tuple[str, int]] = set()
        self._over: dict[tuple[str, int], Entry] = {}  # what ended a connection, or one direction
        self._killed: Entry | None = None  # `program! kill`, with no restart behind it

    def _complain(self, line: int, message: str) -> None:
        self._document.complain_at(_start(self._document, line), message)

    def group(self, group: Group) -> None:
        if group.kind is GroupKind.NEVER:
            self._nevers |= {entry.line for entry in group.entries}
        for entry in group.entries:
            if entry.arrow is not Arrow.HEARS:
                message = f"only what is heard (`<`) can stand under `{group.kind}`"
                self._complain(entry.line, message)

    def clock(self, clock: Clock, timeout: float) -> None:
        """What is below a clock must be seen to come, and before the play is over."""
        for item in clock.items:
            if isinstance(item, Group) and item.kind is GroupKind.NEVER:
                message = "a clock times what comes, so `never:` cannot stand below it"
                self._complain(item.line, message)
            elif isinstance(item, Entry) and not (item.heard or _awaits(item)):
                message = "only what is heard (`<`), `expect eof`, `expect reset`, `expect close` "
                self._complain(item.line, f"{message}and `expect exit` can stand below a clock")
        longest = max(clock.at_least or 0.0, clock.within or 0.0)
        if longest >= timeout:
            written = f"`timeout: {format_duration(2 * longest)}`"
            over = f"the play is over after {format_duration(timeout)}"
            self._complain(clock.line, f"{over}; write a longer one at the top: {written}")

    def entry(self, entry: Entry) -> None:
        actor = self._cast.get(entry.actor)
        if actor is not None:
            self._check_end(entry, actor)
        self._check_reason(entry)
        self._check_bindings(entry)
        if entry.actor == PROGRAM:
            self._check_program(entry)
        elif actor is not None:
            self._check_actor(entry, actor)

    def _check_reason(self, entry: Entry) -> None:
        """Behind one blank it is text, and nearly always meant as a reason."""
        written = _REASON.split(self._document.source[entry.line - 1])[0]
        if _NEARLY_A_REASON.search(written):
            message = r"a reason begins behind two blanks: `  # `; a `#` that is meant is `\#`"
            self._complain(entry.line, message)

    def _check_program(self, entry: Entry) -> None:
        act = entry.act.name if entry.act else None
        if act in ("kill", "stop") and self._killed:
            message = f"the program is killed above already (line {self._killed.line})"
            self._complain(entry.line, message)
        if act in ("kill", "restart"):
            self._killed = entry if act == "kill" else None
        if entry.connection is not None:
            message = "the program has no connections of its own here; write `program!`"
            self._complain(entry.line, message)

    def _check_actor(self, entry: Entry, actor: Actor) -> None:
        if actor.kind in _NOBODY:
            message = f"`{actor.name}` is {actor.kind}: nobody is there who could speak or hear"
            self._complain(entry.line, message)
            return
        if entry.connection is not None and actor.transport != "tcp":
            message = f"`{actor.name}` is {actor.kind} and has no connections to number"
            self._complain(entry.line, message)
        self._check_dialled(entry, actor)
        self._check_stall(entry)
        self._check_over(entry, actor)
        self._check_killed(entry)
        if entry.act:
            self._check_act(entry, entry.act.name, actor)
        if indented := self._entries_in(entry):
            for line in indented:
                self._complain(line, INDENTED)
        elif entry.body and actor.kind not in _WITH_BODY:
            message = f"`{actor.name}` is {actor.kind}; only http and smtp messages have a body"
            self._complain(entry.line, message)
        self._check_directives(entry)

    def _entries_in(self, entry: Entry) -> list[int]:
        """The lines of its body that are meant to be entries, else they would never be played."""
        lines = range(entry.line + 1, entry.line + 1 + len(entry.body))
        known = {*self._cast, PROGRAM}
        return [n for n in lines if actor_of(self._document.source[n - 1].strip()) in known]

    def _check_end(self, entry: Entry, actor: Actor) -> None:
        """In a stream the shortest match counts: a hole at its end takes no more than it must.

        What it left would be charged to the program, as what came where the next line was due.
        """
        streams = actor.kind is ActorKind.TCP and actor.eol is LineEnd.NONE
        if not (streams and entry.heard and entry.text.parts):
            return
        *before, hole = entry.text.parts
        if before and entry.line in self._nevers:
            return  # its beginning is enough to tell that it came
        if isinstance(hole, Anything):
            what, takes, rest = "`*`", "nothing", "rest"
        elif isinstance(hole, Binding) and hole.regex is None and hole.name not in self._bound:
            what, takes, rest = f"`{{{hole.name}}}`", "one character", hole.name
        else:
            return
        message = f"the messages of `{actor.name}` have no end (`eol: none`), so {what} takes "
        message += rf"{takes} here; write what comes behind it, such as \n, or `{{{rest}:.+}}`"
        self._complain(entry.line, f"{message}, or `eol: any` in the cast")

    def _check_act(self, entry: Entry, act: str, actor: Actor) -> None:
        if act not in (allowed := _acts_of(actor)):
            message = f"`{actor.name}` ({_manner(actor)}) cannot `{act}`; it can: "
            self._complain(entry.line, message + ", ".join(sorted(allowed)))
        elif act == "starttls" and actor.tls is not Tls.STARTTLS:
            message = f"`{actor.name}` has no certificate; write `tls: starttls` in the cast"
            if actor.tls is Tls.IMPLICIT:
                message = f"`{actor.name}` speaks over TLS from the first byte (`tls: implicit`)"
            self._complain(entry.line, message)

    def _check_dialled(self, entry: Entry, actor: Actor) -> None:
        """An actor dials when it speaks or is told to, so it can hear nothing before."""
        connection = (entry.actor, entry.connection or 1)
        if actor.to is None or actor.transport != "tcp" or connection in self._dialled:
            return
        self._dialled.add(connection)
        if entry.heard:
            number = f".{entry.connection}" if entry.connection else ""
            message = f"`{entry.actor}{number}` has not dialled yet, and nobody can speak to it; "
            remedy = f"write `{entry.actor}{number}! connect` above"
            self._complain(entry.line, message + remedy)

    def _check_over(self, entry: Entry, actor: Actor) -> None:
        """Whether the connection of which an entry speaks may still be there."""
        if actor.transport != "tcp" or (entry.connection is None and actor.lenient):
            return  # on any connection
        connection = (entry.actor, entry.connection or 1)
        act = entry.act.name if entry.act else None
        if (end := self._over.get(connection)) and (why := _unreachable(entry, end)):
            another = f"`{entry.actor}.{connection[1] + 1}`"
            message = f"{why} above (line {end.line}); a new connection would be {another}"
            self._complain(entry.line, message)
        elif act in _OVER:
            self._over[connection] = entry

    def _check_killed(self, entry: Entry) -> None:
        act = entry.act.name if entry.act else None
        if self._killed and (entry.heard or act in ("accept", "connect")):
            message = (
                f"the program is killed above (line {self._killed.line}) and does no more; "
                "write this line above, or `program! restart` between"
            )
            self._complain(entry.line, message)

    def _check_stall(self, entry: Entry) -> None:
        """Behind `stall` an actor neither hears nor speaks."""
        connection = (entry.actor, entry.connection or 1)
        act = entry.act.name if entry.act else None
        if connection in self._stalled and act not in _STALLED:
            message = f"`{entry.actor}` has stalled above: it neither reads nor speaks any more"
            self._complain(entry.line, message)
        if act == "stall":
            self._stalled.add(connection)

    def _check_directives(self, entry: Entry) -> None:
        for line, directive in enumerate(entry.body, entry.line + 1):
            if isinstance(directive, Directive):
                fault = self._fault(directive.name, _plain(directive.argument))
                if fault:
                    self._complain(line, fault)

    def _fault(self, name: str, argument: str | None) -> str | None:
        """What is wrong with a directive; an argument with holes is seen by the play only."""
        if name not in _DIRECTIVES:
            return f"unknown directive `@{name}`{suggest(name, _DIRECTIVES)}"
        if argument is None:
            return None
        if name in ("bytes", "chunked"):
            number = argument.isascii() and argument.isdigit() and len(argument) <= 9
            if number and (name == "bytes" or int(argument)):
                return None
            return f"`@{name}` takes a number of octets, not `{argument}`"
        if not argument:
            return f"`@{name}` takes a file: `@{name} forms/mail.yaml`"
        if name == "file":
            return no_fixture(self._document.file, argument)
        return wrong_form(self._document.file, argument, files=name == "multipart")

    def _check_bindings(self, entry: Entry) -> None:
        for line, template in templates(entry):
            names = {binding.name for binding in template.bindings}
            if entry.heard:
                self._bound |= names
            for name in sorted(names - self._bound):
                message = f"`{{{name}}}` has no value yet: no `<` above binds it"
                self._complain(line, rf"{message}; write \{{ for a brace")


def _unreachable(entry: Entry, end: Entry) -> str:
    """Why an entry can never be reached behind the end of its connection; empty if it can."""
    act, ended = entry.act.name if entry.act else None, end.act.name if end.act else ""
    if act in _ANYWHERE:
        return ""
    if ended == "half-close":
        speaks = entry.arrow is Arrow.SAYS or act in ("half-close", "starttls")
        return f"`{entry.actor}` has ended its own direction" if speaks else ""
    if ended in ("close", "reset"):
        return f"`{entry.actor}` has ended this connection"
    if ended == "expect reset" or entry.heard:
        return "the program has ended this connection"
    return ""


def _acts_of(actor: Actor) -> set[str]:
    """What an actor can do, by its kind and by whether it stands or dials."""
    if actor.kind is ActorKind.TERMINAL:
        return _ANYWHERE | {"close"}
    if actor.kind in (ActorKind.UDP, ActorKind.DNS, ActorKind.ICMP):
        return _ANYWHERE
    if actor.autonomous:  # it opens and closes its connections itself
        return _ANYWHERE | _ENDS
    stream = _STREAM if actor.kind is ActorKind.TCP else _STREAM - {"starttls"}
    return _ANYWHERE | stream | {"connect" if actor.to else "accept"}


def _manner(actor: Actor) -> str:
    if actor.autonomous:
        return f"{actor.kind}, which acts by itself"
    if actor.kind in {ActorKind.TCP, ActorKind.HTTP}:
        return f"{actor.kind}, which {'dials' if actor.to else 'listens'}"
    return actor.kind.value


def _plain(template: Template) -> str | None:
    """The text of a template without holes."""
    if template.parameters or template.bindings:
        return None
    return "".join(getattr(part, "text", "*") for part in template.parts)

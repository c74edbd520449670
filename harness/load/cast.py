"""The cast: who stands where, how each behaves, and which endpoint each plays."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from harness.load.addresses import parse_address, parse_host
from harness.load.forms import no_fixture
from harness.load.instead import read_instead
from harness.load.names import read_records
from harness.load.wording import suggest
from harness.model.faults import Choice, Faults
from harness.model.scenario import (
    DEFAULT_HOST,
    RESOLVER,
    Actor,
    ActorKind,
    Certificate,
    LineEnd,
    Page,
    Tls,
    split_address,
)
from harness.notation import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.load.document import Document, Path
    from harness.load.schema import ActorShape, FaultsShape, PageShape
    from harness.model.program import Endpoint, Role

K = ActorKind

_STREAMS = {K.SMTP, K.HTTP, K.TCP}
_DATAGRAMS = {K.UDP, K.ICMP}
_NOWHERE = {K.CLOSED, K.FILTERED, K.UNREACHABLE}
_AT_ITS_PLACE = {K.TERMINAL, K.DNS}  # which no scenario chooses

#: Which kinds a key is for; `kind` is for all.
_KEYS_FOR: dict[str, set[ActorKind]] = {
    "at": set(K) - _AT_ITS_PLACE,
    "to": {K.HTTP, K.TCP, K.UDP},
    "as": set(K) - _AT_ITS_PLACE,
    "tls": _STREAMS,
    "certificate": _STREAMS,
    "eol": {K.TCP, K.TERMINAL},
    "strict": {K.SMTP, K.HTTP, *_DATAGRAMS, K.DNS, K.TERMINAL},
    "transport": _NOWHERE,
    "code": {K.UNREACHABLE},
    "answer": _DATAGRAMS,
    "mailboxes": {K.SMTP},
    "users": {K.SMTP},
    "limit": {K.SMTP},
    "replies": {K.SMTP},
    "instead": {K.SMTP, K.HTTP},
    "pages": {K.HTTP},
    "scripted": {K.HTTP},
    "records": {K.DNS},
    "lose": _DATAGRAMS,
    "delay": _DATAGRAMS,
    "repeat": _DATAGRAMS,
    "reorder": _DATAGRAMS,
    "corrupt": _DATAGRAMS,
    "truncate": _DATAGRAMS,
    "foreign": {K.UDP},
    "segments": _STREAMS,
    "hear": _DATAGRAMS,
}

#: What a scripted actor may stand for, beside an endpoint of its own protocol.
_FITS: dict[ActorKind, set[str]] = {
    K.SMTP: {"smtp"},
    K.HTTP: {"http"},
    K.UDP: {"udp"},
    K.ICMP: {"icmp"},
    K.TCP: {"tcp", "smtp", "http", "pop3"},
    K.CLOSED: {"tcp", "udp", "smtp", "http", "pop3"},
    K.FILTERED: {"tcp", "udp", "smtp", "http", "pop3"},
    K.UNREACHABLE: {"tcp", "udp", "icmp", "smtp", "http", "pop3"},
}

_NO_FAULTS = Faults()
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_MAILBOX = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_REPLY = re.compile(r"[2-5][0-9][0-9](?:[ -].*)?", re.DOTALL)
_REPLIES = "`replies` go by address, of a recipient or a sender: {bo@example.test: 550 Unknown}"


def keys_of(kind: object) -> list[str]:
    """The keys of an actor of a kind; none for a kind that there is not."""
    if kind not in list(ActorKind):
        return []
    return ["kind", *(key for key, kinds in _KEYS_FOR.items() if kind in kinds)]


def read_cast(document: Document, shapes: Mapping[str, ActorShape], role: Role) -> dict[str, Actor]:
    """The actors by name; what is wrong with them is noted in the document."""
    cast = {name: _Actors(document, role, name, shape).actor() for name, shape in shapes.items()}
    _check_crowding(document, cast.values())
    return cast


class _Actors:
    """Makes one actor of its shape."""

    def __init__(self, document: Document, role: Role, name: str, shape: ActorShape) -> None:
        self._document = document
        self._role = role
        self._name = name
        self._shape = shape
        self._kind = ActorKind(shape.kind)
        self._path: Path = ("cast", name)

    def actor(self) -> Actor:
        shape = self._shape
        self._check_name()
        self._check_keys()
        self._check_scripted()
        self._check_mail()
        plays = self._plays()
        over = self._over(plays)
        at = self._at(over) if shape.says("at") else None
        return Actor(
            name=self._name,
            kind=self._kind,
            at=at,
            to=shape.to or None,
            plays=plays,
            tls=Tls(shape.tls),
            certificate=Certificate(shape.certificate),
            eol=self._eol(),
            strict=shape.strict,
            answer=shape.answer if shape.says("answer") else None,
            mailboxes=tuple(shape.mailboxes),
            users=dict(shape.users),
            limit=shape.limit if shape.says("limit") else None,
            replies=dict(shape.replies),
            instead=read_instead(shape, self._kind, self._complain),
            pages={path: self._page(path, page) for path, page in shape.pages.items()},
            scripted=shape.scripted,
            records=read_records(self._document, shape.records, (*self._path, "records")),
            faults=self._faults(shape),
            faults_heard=self._faults(shape.hear, "hear"),
            over=over,
            lost_segments=tuple(dict.fromkeys(shape.segments.lose)),
            lost_segments_heard=tuple(dict.fromkeys(shape.segments.hear.lose)),
            code=shape.code,
            line=self._document.key_place(self._path).line,
        )

    def _complain(self, message: str, *keys: str | int, key: bool = False) -> None:
        self._document.complain((*self._path, *keys), message, key=key)

    # -- what must not be written ---------------------------------------------------

    def _check_name(self) -> None:
        if self._name == PROGRAM:
            self._complain("`program` is the program under test and no actor", key=True)
        elif self._name == RESOLVER and self._kind is not K.DNS:
            message = f"`{RESOLVER}` is who answers for names; give this actor another name"
            self._complain(message, key=True)
        elif not _NAME.fullmatch(self._name):
            message = f"`{self._name}` is no name of an actor; names are a-z, 0-9 and `-`"
            self._complain(message, key=True)

    def _check_keys(self) -> None:
        for key, kinds in _KEYS_FOR.items():
            if self._shape.says("as_" if key == "as" else key) and self._kind not in kinds:
                names = ", ".join(kind for kind in ActorKind if kind in kinds)
                message = f"`{key}` is for {names}, and `{self._name}` is {self._kind}"
                self._complain(message, key, key=True)
        self._check_place()
        self._check_icmp()
        segments = self._shape.segments
        if self._shape.says("segments") and not (segments.lose or segments.hear.lose):
            message = "`segments` says which are lost: {lose: [2, 3]}, or {hear: {lose: [2, 3]}}"
            self._complain(message, "segments", key=True)
        self._check_tls()

    def _check_tls(self) -> None:
        shape = self._shape
        if shape.tls == "starttls" and self._kind is K.HTTP:
            self._complain("HTTP has no STARTTLS; write `tls: implicit`", "tls")
        if shape.says("certificate") and shape.tls == "none":
            message = "a certificate is shown over TLS only; write `tls: implicit` or `starttls`"
            self._complain(message, "certificate", key=True)

    def _check_icmp(self) -> None:
        """An echo is an echo (RFC 792)."""
        if self._kind is K.ICMP and self._shape.answer == "upper":
            self._complain("a host answers by an echo; `answer` is `echo` or `nothing`", "answer")

    def _check_place(self) -> None:
        at, to = self._shape.says("at"), self._shape.says("to")
        if self._kind in _AT_ITS_PLACE:
            return
        if at and to and "to" in self._allowed():
            message = f"`{self._name}` has both; it stands somewhere (`at`) or dials (`to`)"
            self._complain(message, "to", key=True)
        elif not (at or to):
            both = "`at: HOST`" if self._kind is K.ICMP else "`at: PORT`"
            both += " or `to: ENDPOINT`" if "to" in self._allowed() else ""
            self._complain(f"`{self._name}` stands nowhere; write {both}", key=True)
        for key in ("answer", "foreign", "pages", "scripted", "instead", "certificate"):
            if to and not at and self._shape.says(key):
                message = f"`{key}` is for an actor that stands somewhere; this one dials (`to`)"
                self._complain(message, key, key=True)

    def _check_scripted(self) -> None:
        for key in ("pages", "instead"):
            if self._shape.scripted and self._shape.says(key):
                message = f"`{key}` is for an actor that answers by itself; this one is `scripted`"
                self._complain(message, key, key=True)

    def _allowed(self) -> set[str]:
        return {key for key, kinds in _KEYS_FOR.items() if self._kind in kinds}

    def _page(self, path: str, page: str | PageShape) -> Page:
        if isinstance(page, str):
            return Page(text=page)
        if page.file and page.says("text"):
            self._complain("a page has `text` or a `file`", "pages", path, "file", key=True)
        known = not page.file or "${" in page.file
        if not known and (problem := no_fixture(self._document.file, page.file)):
            self._complain(problem, "pages", path, "file")
        for name, value in page.headers.items():
            if problem := _wrong_field(name, value):
                self._complain(problem, "pages", path, "headers", name, key=True)
        return Page(
            status=page.status,
            type=page.type,
            text=page.text,
            headers=tuple(page.headers.items()),
            file=page.file,
            delay=page.delay if page.says("delay") else 0.0,
        )

    def _check_mail(self) -> None:
        for index, address in enumerate(self._shape.mailboxes):
            if not _is_mailbox(address):
                self._complain(_no_mailbox(address), "mailboxes", index)
        for address, reply in self._shape.replies.items():
            if not _is_mailbox(address):
                message = f"{_no_mailbox(address)}; {_REPLIES}"
                self._complain(message, "replies", address, key=True)
            if "${" not in reply and not _REPLY.fullmatch(reply):
                message = f"`{reply}` is no SMTP reply; write one such as `550 5.1.1 No such user`"
                self._complain(message, "replies", address)

    # -- where it stands ------------------------------------------------------------

    def _at(self, over: str) -> str | None:
        try:
            if over == "icmp":
                at = parse_host(self._shape.at)
            else:
                at = parse_address(self._shape.at, default_host=DEFAULT_HOST)
        except ValueError as error:
            self._complain(str(error), "at")
            return None
        host, _ = split_address(at)
        if self._kind is K.UNREACHABLE and _is_near(host):
            self._complain(f"no router lies before {host}, the program's own host", "at")
        return at

    def _eol(self) -> LineEnd:
        if self._shape.says("eol"):
            return LineEnd(self._shape.eol)
        if self._kind is K.TCP:
            return self._role.eol
        return {K.TERMINAL: LineEnd.LF, K.SMTP: LineEnd.CRLF, K.HTTP: LineEnd.CRLF}.get(
            self._kind, LineEnd.NONE
        )

    def _over(self, plays: str | None) -> Literal["tcp", "udp", "icmp"]:
        """Over what a place where nobody answers is reached: as the endpoint that it plays."""
        if self._kind not in _NOWHERE:
            return "icmp" if self._kind is K.ICMP else "tcp"
        endpoint = self._role.endpoints.get(plays or "")
        protocol = endpoint.protocol if endpoint else "any"
        known: Literal["tcp", "udp", "icmp"] = "tcp"
        if protocol in ("udp", "icmp"):
            known = protocol
        if not self._shape.says("transport"):
            return known
        if protocol != "any" and self._shape.transport != known:
            over = f", which goes over {known}" if protocol != known else ""
            self._complain(f"`{plays}` speaks {protocol}{over}", "transport")
        elif self._shape.transport == "icmp" and self._kind is not K.UNREACHABLE:
            message = "ICMP knows no ports; a host that never answers is `kind: icmp` with "
            self._complain(message + "`answer: nothing`", "transport")
            return known
        return self._shape.transport

    # -- what goes wrong --------------------------------------------------------------

    def _faults(self, shape: FaultsShape, *path: str) -> Faults:
        keys = [fault.name for fault in fields(Faults) if shape.says(fault.name)]
        if not keys:  # nearly always
            return _NO_FAULTS
        return Faults(**{key: self._choice(getattr(shape, key), *path, key) for key in keys})

    def _choice(self, hit: Any, *path: str) -> Choice:
        """Which datagrams a fault hits: a rate, ordinals, or values by ordinal or rate."""
        if isinstance(hit, float):
            return Choice(rate=hit)
        if isinstance(hit, list):
            return Choice(dict.fromkeys(hit))
        rates = [key for key in hit if isinstance(key, str)]
        for rate in rates[1:]:
            self._complain(f"`{path[-1]}` has a rate already: {rates[0]}", *path, rate, key=True)
        at = {key: value for key, value in hit.items() if isinstance(key, int)}
        if not rates:
            return Choice(at)
        return Choice(at, rate=float(rates[0].removesuffix("%")) / 100, value=hit[rates[0]])

    # -- what it plays --------------------------------------------------------------

    def _plays(self) -> str | None:
        if self._kind in _AT_ITS_PLACE:
            return None
        if self._shape.says("to"):
            return self._dialled() if "to" in self._allowed() else None
        candidates = {e.name: e for e in self._role.endpoints.values() if e.direction == "dials"}
        if self._shape.says("as_"):
            return self._named(candidates)
        if self._name in candidates and self._fits(candidates[self._name]):
            return self._name
        return self._only_one(candidates)

    def _dialled(self) -> str | None:
        role = self._role
        listening = [e.name for e in role.endpoints.values() if e.direction == "listens"]
        if not listening:
            self._complain(f"{role.name} listens nowhere, so nobody can dial it", "to")
        elif self._shape.to not in listening:
            hint = suggest(self._shape.to, listening)
            self._complain(f"{role.name} does not listen at `{self._shape.to}`{hint}", "to")
        elif not self._fits(role.endpoints[self._shape.to]):
            self._complain_misfit(role.endpoints[self._shape.to], "to")
        else:
            return self._shape.to
        return None

    def _complain_misfit(self, endpoint: Endpoint, key: str) -> None:
        message = f"`{endpoint.name}` speaks {endpoint.protocol}, and this actor is {self._kind}"
        self._complain(message, key)

    def _named(self, candidates: Mapping[str, Endpoint]) -> str | None:
        wanted = self._shape.as_
        if wanted not in candidates:
            hint = suggest(wanted, candidates)
            self._complain(f"{self._role.name} dials no `{wanted}`{hint}", "as")
            return None
        if not self._fits(candidates[wanted]):
            self._complain_misfit(candidates[wanted], "as")
        return wanted

    def _only_one(self, candidates: Mapping[str, Endpoint]) -> str | None:
        exact = [e for e in candidates.values() if e.protocol in {self._kind.value, "any"}]
        fitting = exact or [e for e in candidates.values() if self._fits(e)]
        if len(fitting) == 1:
            return fitting[0].name
        if fitting:
            names = " or ".join(f"`as: {e.name}`" for e in fitting)
            self._complain(f"`{self._name}` may play several endpoints; write {names}", key=True)
        else:
            self._complain_nothing_to_play(candidates.values())
        return None

    def _complain_nothing_to_play(self, candidates: Iterable[Endpoint]) -> None:
        role, names = self._role, [f"{e.name} ({e.protocol})" for e in candidates]
        where = f"it dials: {', '.join(names)}" if names else "it dials nobody"
        if role.listens and "to" in self._allowed() and self._fits(role.listens):
            where += f"; an actor dials it by `to: {role.listens.name}`"
        message = f"{role.name} has nothing to dial that `{self._name}` could be; {where}"
        self._complain(message, key=True)

    def _fits(self, endpoint: Endpoint) -> bool:
        return endpoint.protocol == "any" or endpoint.protocol in _FITS[self._kind]


_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.1


def _wrong_field(name: str, value: str) -> str:
    """What is wrong with a header field of a page."""
    if not _FIELD_NAME.fullmatch(name):
        return f"`{name}` is no name of a header field (RFC 9110 5.1)"
    if not value.isprintable() or value != value.strip():
        return f"the value of `{name}` is not one line without blanks around it"
    if name.lower() == "content-length":
        return "`Content-Length` is told by itself; a `scripted` actor may tell another one"
    if name.lower() == "transfer-encoding" and value.lower() != "chunked":
        return "of transfer codings only `chunked` is played (RFC 9112 7)"
    return ""


def _is_near(host: str) -> bool:
    """Whether a host is the program's own."""
    return host.lower() == "localhost" or host.startswith("127.") or host == "::1"


def _is_mailbox(text: str) -> bool:
    return "${" in text or bool(_MAILBOX.fullmatch(text))


def _no_mailbox(text: str) -> str:
    bare = text.strip("<>")
    hint = f"; write it without `<` and `>`: {bare}" if _MAILBOX.fullmatch(bare) else ""
    return f"`{text}` is no mail address{hint}"


#: What an actor does whose kind there can be one of only.
_ONLY_ONE = {K.TERMINAL: "is the terminal", K.DNS: "answers for names"}


def _check_crowding(document: Document, actors: Iterable[Actor]) -> None:
    """Two actors cannot stand at one place, and of some kinds there is one at most."""
    taken: dict[Any, str] = {}
    for actor in actors:
        place = _ONLY_ONE.get(actor.kind) or (actor.at and (actor.transport, actor.at))
        if not place or "${" in str(place):
            continue
        first = taken.setdefault(place, actor.name)
        if first != actor.name:
            where = _ONLY_ONE.get(actor.kind, f"stands at {actor.place}")
            message = f"`{first}` {where} already"
            document.complain(("cast", actor.name), message, key=True)

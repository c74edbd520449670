"""A scenario: a title, a cast, an exchange, and what must be found afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from math import inf
from typing import TYPE_CHECKING
from typing import Literal as OneOf

from harness.model.faults import Faults

if TYPE_CHECKING:
    from harness.model.exchange import Exchange
    from harness.model.template import Template

DEFAULT_HOST = "server.example.test"


def split_address(text: str) -> tuple[str, str]:
    """Host and port of `host:port`, `[v6]:port` or a bare port (at the default host)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]") or DEFAULT_HOST, port


class Level(StrEnum):
    """How much a missed demand weighs: only a missed `must` fails the scenario."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"


class ActorKind(StrEnum):
    """What an actor is.  `closed`, `filtered`, `unreachable`: places where nobody answers."""

    SMTP = "smtp"
    HTTP = "http"
    UDP = "udp"
    TCP = "tcp"
    DNS = "dns"
    ICMP = "icmp"
    TERMINAL = "terminal"
    CLOSED = "closed"
    FILTERED = "filtered"
    UNREACHABLE = "unreachable"


class LineEnd(StrEnum):
    """How messages of a scripted stream end."""

    NONE = "none"
    LF = "lf"
    CRLF = "crlf"
    ANY = "any"

    @property
    def spoken(self) -> bytes:
        """What is sent behind each message."""
        return {"none": b"", "crlf": b"\r\n"}.get(self.value, b"\n")


class Tls(StrEnum):
    """When a connection is encrypted."""

    NONE = "none"
    IMPLICIT = "implicit"
    STARTTLS = "starttls"  # after a command that asks for it (RFC 3207)


class Certificate(StrEnum):
    """What an actor shows for itself; a program must refuse all but a good one (RFC 9525)."""

    GOOD = "good"
    EXPIRED = "expired"
    SELF_SIGNED = "self-signed"
    WRONG_HOST = "wrong-host"


@dataclass(frozen=True, slots=True)
class Page:
    """What an origin server answers to a path."""

    status: int = 200
    type: str = "text/html; charset=utf-8"
    text: str = ""
    reason: str = ""  # behind the status
    headers: tuple[tuple[str, str], ...] = ()  # beside Date, type and length, or in their place
    file: str = ""  # whose content is sent; it is looked for near the scenario
    delay: float = 0.0  # seconds from the request to the response


#: What is known of names: data by type, as a master file writes it (RFC 1035 5.1), by name.
#: The owner of a PTR may be written as the address itself.
Records = Mapping[str, Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Actor:
    """One of the cast: who it is, where it stands and how it behaves.

    `at` is where it listens (`host:port`; over ICMP, which knows no ports, the port is 0),
    `to` the endpoint of the program that it dials; exactly one of them is set, but for the
    terminal and dns, which have neither.
    """

    name: str
    kind: ActorKind
    at: str | None = None
    to: str | None = None
    plays: str | None = None  # the endpoint of the role, once it is known
    tls: Tls = Tls.NONE
    certificate: Certificate = Certificate.GOOD
    eol: LineEnd = LineEnd.NONE
    strict: bool = False
    answer: OneOf["echo", "upper", "nothing"] | None = None
    mailboxes: tuple[str, ...] = ()
    users: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None  # octets of a message, announced as SIZE (RFC 1870)
    replies: Mapping[str, str] = field(default_factory=dict)  # to RCPT and MAIL, by address
    instead: Mapping[str, str] = field(default_factory=dict)  # a reply or an act, by step
    pages: Mapping[str, Page] = field(default_factory=dict)
    scripted: bool = False  # an http server that says what the exchange says
    records: Records = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)  # of the datagrams that it sends
    faults_heard: Faults = field(default_factory=Faults)  # of those that are sent to it
    over: OneOf["tcp", "udp", "icmp"] = "tcp"  # of a place where nobody answers
    lost_segments: tuple[int, ...] = ()  # of TCP, to the program; ordinals of those with data
    lost_segments_heard: tuple[int, ...] = ()  # from the program, likewise
    code: OneOf["host", "net", "admin", "expired"] = "host"  # what a router says of one
    line: int = field(default=0, compare=False)

    @property
    def autonomous(self) -> bool:
        """Whether it acts by itself; then a `>` entry is seen, not played."""
        if self.kind is ActorKind.UDP:
            return self.answer is not None
        if self.kind is ActorKind.HTTP:
            return self.at is not None and not self.scripted
        return self.kind in (ActorKind.SMTP, ActorKind.DNS, ActorKind.ICMP)

    @property
    def lenient(self) -> bool:
        """Whether messages that no entry lists may come between."""
        return not self.strict and (self.autonomous or self.kind is ActorKind.TERMINAL)

    @property
    def transport(self) -> str | None:
        """`tcp`, `udp` or `icmp`; None for the terminal and for dns, who has the first two."""
        if self.kind in (ActorKind.TERMINAL, ActorKind.DNS):
            return None
        if self.kind in (ActorKind.UDP, ActorKind.ICMP):
            return self.kind.value
        return self.over

    @property
    def place(self) -> str | None:
        """Where it stands, in words: `at`, without the port where there is none."""
        if self.at is None or self.transport != "icmp":
            return self.at
        return split_address(self.at)[0]

    @property
    def speaks_tcp(self) -> bool:
        """Whether it has connections, over which it may say something."""
        return self.kind in (ActorKind.SMTP, ActorKind.HTTP, ActorKind.TCP)

    @property
    def loses_segments(self) -> bool:
        """Whether segments of TCP are lost, on either way."""
        return bool(self.lost_segments or self.lost_segments_heard)

    @property
    def by_chance(self) -> bool:
        """Whether chance decides what goes wrong with its datagrams."""
        return self.faults.by_chance or self.faults_heard.by_chance


#: Who answers the program's questions for names where no actor of the cast does.
RESOLVER = "dns"
_RESOLVER = Actor(RESOLVER, ActorKind.DNS)


def everybody(cast: Mapping[str, Actor]) -> dict[str, Actor]:
    """The cast, and the actor for names that is in every play, by name."""
    if any(actor.kind is ActorKind.DNS for actor in cast.values()):
        return dict(cast)
    return {RESOLVER: _RESOLVER, **cast}


# -- what must be found afterwards ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Has:
    """A line matches; every line of the observed text is tried."""

    pattern: Template


@dataclass(frozen=True, slots=True)
class Lacks:
    """No line matches, not even in part."""

    pattern: Template


@dataclass(frozen=True, slots=True)
class InOrder:
    """Lines match one after the other."""

    patterns: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """Exactly so many lines match."""

    pattern: Template
    times: int


@dataclass(frozen=True, slots=True)
class Number:
    """In a line that matches the regular expression `near` stand exactly these numbers.

    `values` lists what may be told (a loss of 4 may be told as 4, or as 40 per cent): one
    of them must stand there, as a number of its own.  `${actor.lost}` and `${actor.loss}` are
    known when the play is over.
    """

    near: str
    values: tuple[float | str, ...]


Check = Has | Lacks | InOrder | Count | Number


@dataclass(frozen=True, slots=True)
class Content:
    """Exactly these octets, by their hash; `data` where the scenario names a file `like`."""

    sha256: str
    like: str = ""
    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Became:
    """What the program did to a file of its folder; `absent`: it left none."""

    state: OneOf["created", "changed", "removed", "absent"]


@dataclass(frozen=True, slots=True)
class ExitDemand:
    """How the program ends, in one of these ways.

    A number is an exit status, `nonzero` any status but 0, a name such as `SIGTERM` a signal.
    """

    allowed: tuple[int | str, ...]
    level: Level = Level.MUST
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class TextDemand:
    """Something about lines: the screen, standard error, files by a glob pattern, and others.

    `leftovers` are what the program had not ended when it ended itself, a line each; `wire` is
    what an actor heard from the program, or `said` to it; `packets` are those of the capture.
    """

    observer: OneOf["screen", "errors", "files", "leftovers", "wire", "packets"]
    check: Check
    glob: str = ""
    actor: str = ""
    said: bool = False
    level: Level = Level.MUST
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FileDemand:
    """What became of a file, or which octets it holds."""

    glob: str
    check: Content | Became
    level: Level = Level.MUST
    line: int = field(default=0, compare=False)


#: What can be timed: from the start of the play, from the last message of any actor, or from
#: SIGTERM, until the program has ended.
Span = OneOf["until exit", "after last message", "after stop"]


@dataclass(frozen=True, slots=True)
class TimeDemand:
    """How many seconds something takes, at least and at most."""

    span: Span
    least: float = 0.0
    most: float = inf
    level: Level = Level.MUST
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class HeardDemand:
    """How often an actor was reached: so many datagrams, connections or messages."""

    actor: str
    count: int
    unit: OneOf["datagrams", "connections", "messages"]
    level: Level = Level.MUST
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FieldDemand:
    """Something about a part of a mail, by name.

    `text` and `html` are what a reader sees, `return path` is the sender of the envelope;
    `subject`, `from`, `to`, `cc` and `header NAME` are the values of all head fields of that
    name, decoded.
    """

    name: str
    check: Check
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ReportFields:
    """What an error report must say (RFC 3464): of the mail, and of each failed recipient.

    `original` is about the head of the mail that was not delivered, which the report returns.
    """

    failed: tuple[str, ...] = ()
    status: Template | None = None
    action: str = "failed"
    reporting_mta: Template | None = None
    remote_mta: Template | None = None
    diagnostic: Template | None = None
    original: tuple[FieldDemand, ...] = ()


@dataclass(frozen=True, slots=True)
class AttachmentDemand:
    """One attachment, by what is known of it."""

    name: Template | None = None
    type: Template | None = None
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class MailDemand:
    """One mail as its reader sees it, MIME decoded; None asks nothing of its attachments."""

    fields: tuple[FieldDemand, ...] = ()
    report: ReportFields | None = None
    attachments: tuple[AttachmentDemand, ...] | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MailboxDemand:
    """A mailbox holds exactly these mails, in any order."""

    address: str
    mails: tuple[MailDemand, ...]
    level: Level = Level.MUST
    line: int = field(default=0, compare=False)


Demand = ExitDemand | TextDemand | FileDemand | TimeDemand | HeardDemand | MailboxDemand


def is_on_packets(demand: Demand) -> bool:
    """Whether only a capture can tell if it is met."""
    return isinstance(demand, TextDemand) and demand.observer == "packets"


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a table of cases; its values stand for `${name}` in the scenario."""

    name: str
    values: Mapping[str, str]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: how long a play may take, and how long nothing at all may happen."""

    play: float = 30.0
    quiet: float = 4.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a scenario file says; `id` is `<role>/<slug>`, `file` its path as given."""

    id: str
    file: str
    title: str
    role: str
    cast: Mapping[str, Actor]
    exchange: Exchange
    demands: tuple[Demand, ...]
    program: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    names: Records = field(default_factory=dict)
    cases: tuple[Case, ...] = ()
    pieces: tuple[str, ...] = ()  # ways of cutting what actors say over TCP: one play for each
    covers: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    after: tuple[str, ...] = ()  # ids of scenarios without which there is no use in this one
    catches: str | None = None  # the fault of fixtures/mutants/ that this scenario finds
    points: float = 1
    limits: Limits = field(default_factory=Limits)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)  # of top-level keys

    @property
    def slug(self) -> str:
        return self.id.partition("/")[2]

    @property
    def head_line(self) -> int:
        """The line that is named for what no line of its own asks for."""
        return self.lines.get("role", self.lines.get("title", 1))

    @property
    def by_chance(self) -> bool:
        """Whether two plays can differ by more than their timing: then the seed matters."""
        return any(actor.by_chance for actor in self.cast.values())

    @property
    def records(self) -> Records:
        """All that the scenario says of names: under `names`, and in its cast."""
        of_cast = (actor.records.items() for actor in self.cast.values())
        return dict(chain(self.names.items(), *of_cast))

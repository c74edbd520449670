"""The shapes of the files: which keys there are, and what each may hold.

Shapes only: what the values mean together is checked where they become the nouns of
`harness.model`.  Every message of a type here goes on from the key that it is about
("`limit` " + "must be a whole number, not `many`").

Each key says in its description what it is for, and each type what it looks like to an editor:
`wirelab schema` prints both (`harness.load.json_schema`).
"""

from __future__ import annotations

import re
from math import inf
from signal import Signals
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from harness.load.wording import as_list, as_text, shown
from harness.model.needs import NEEDS
from harness.model.pieces import LARGEST, WAYS, is_way
from harness.notation import NotationError, parse_duration


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("wirelab", "{message}", {"message": message})


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise _wrong('is empty; write a text (an empty one is "")')
    if isinstance(value, dict):
        raise _wrong(f"must be text, not a mapping; {_in_quotes(value)}")
    if isinstance(value, list):
        raise _wrong("must be one text, not a list; put text with `[` in quotes")
    return as_text(value)


def _in_quotes(mapping: dict[Any, Any]) -> str:
    """What to do where YAML took text for a mapping: `{host}` is one to it, with one key."""
    if list(mapping.values()) == [None]:
        text = f"{{{next(iter(mapping))}}}"
        return f'put {text} in quotes: "{text}"'
    return "put text with `{` or `: ` in quotes"


def _block(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _wrong("must be a block of lines; write `exchange: |`, and it below")


def _duration(value: Any) -> float:
    if isinstance(value, str):
        try:
            seconds = parse_duration(value)
        except NotationError:
            seconds = 0.0
        if seconds > 0:
            return seconds
    message = f"must be a duration such as 300ms, 30s or 2min, not {shown(value)}"
    raise _wrong(message)


def _one_or_many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _exit(value: Any) -> list[int | str]:
    ways = value if isinstance(value, list) and value else [value]
    for way in ways:
        status = isinstance(way, int) and not isinstance(way, bool) and 0 <= way <= 255
        if not status and way not in ("nonzero", *Signals.__members__):
            known = "0 to 255, `nonzero`, a signal such as SIGTERM, or a list of these"
            raise _wrong(f"must be {known}, not {shown(way)}")
    return [way if isinstance(way, str) else int(way) for way in ways]


_TIME = re.compile(r"(?:(?P<how>at most|at least) )?(?P<first>\S+)(?: to (?P<second>\S+))?")


def _time(value: Any) -> tuple[float, float]:
    """Seconds at least, and at most."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found and bool(found["how"]) != bool(found["second"]):
        try:
            first = parse_duration(found["first"])
            second = parse_duration(found["second"]) if found["second"] else inf
        except NotationError:
            first = second = 0.0
        if found["how"] == "at most" and first > 0:
            return 0.0, first
        if found["how"] == "at least" and first > 0:
            return first, inf
        if found["second"] and first < second:
            return first, second
    raise _wrong(
        f"must be such as `at most 5s`, `at least 900ms` or `1s to 5s`, not {shown(value)}"
    )


def _heard(value: Any) -> tuple[int, str]:
    found = re.fullmatch(r"(\d{1,9}) (datagram|connection|message)s?", str(value))
    if not found:
        raise _wrong(
            f"must be a count such as `10 datagrams`, `1 connection` or `3 messages`, "
            f"not {shown(value)}"
        )
    return int(found[1]), found[2] + "s"


#: What an actor lost, which is known when the play is over.
_LOSS = re.compile(r"\$\{[a-z][a-z0-9-]*\.(lost|loss)\}")


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return bool(_LOSS.fullmatch(value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: Any) -> list[float | str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(map(_is_number, values)):
        raise _wrong(f"must be a number or a list of numbers, not {shown(value)}")
    return [v if isinstance(v, str) else float(v) for v in values]


def _regex(value: Any) -> str:
    text = _text(value)
    try:
        re.compile(text)
    except re.error as error:
        raise _wrong(f"is no regular expression: {error.msg}") from None
    return text


_RATE = re.compile(r"(100|[0-9]{1,2}(?:\.[0-9]{1,3})?)%")


_DIGEST = re.compile("[0-9a-fA-F]{64}")


def _sha256(value: Any) -> str:
    text = as_text(value)  # to YAML, digits around one `e` are a number
    if _DIGEST.fullmatch(text):
        return text.lower()
    raise _wrong(f"must be 64 hexadecimal digits, as sha256sum prints them, not {shown(value)}")


def _rate(value: Any) -> float:
    if isinstance(value, str) and (found := _RATE.fullmatch(value)) and float(found[1]) > 0:
        return float(found[1]) / 100
    raise _wrong(f"must be a list such as [2, 5] or a rate such as 30%, not {shown(value)}")


def _which(value: Any) -> int | str:
    """An ordinal, or a rate, which stays a text: 100% would be the same key as 1."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    try:
        _rate(value)
    except PydanticCustomError:
        message = f"must be a number from 1 on, or a rate such as 30%, not {shown(value)}"
        raise _wrong(message) from None
    return str(value)


def _mapping_to_durations(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    raise _wrong(f"must be a mapping such as {{8: 1300ms}} or {{30%: 200ms}}, not {shown(value)}")


def _looks(**keywords: Any) -> WithJsonSchema:
    """What JSON Schema says of a value that a validator of ours reads."""
    return WithJsonSchema(keywords)


_SCALARS = ["string", "number", "boolean"]  # to YAML `at: 25` is a number; it is read as text
_RATE_LOOKS = rf"^(?!0+(\.0+)?%){_RATE.pattern}$"
_TEXT_LOOKS = {"type": _SCALARS}
_NUMBERS_LOOK = [{"type": "number"}, {"type": "string", "pattern": f"^{_LOSS.pattern}$"}]

Text = Annotated[str, BeforeValidator(_text), WithJsonSchema(_TEXT_LOOKS)]
Block = Annotated[str, BeforeValidator(_block), _looks(type="string")]
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    _looks(type="string", pattern=r"^\s*[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|min)\s*$"),
]
OneOrMany = Annotated[
    list[Text],
    BeforeValidator(_one_or_many),
    _looks(anyOf=[_TEXT_LOOKS, {"type": "array", "items": _TEXT_LOOKS}]),
]
_EXIT_LOOKS: list[Any] = [
    {"enum": ["nonzero", *Signals.__members__]},
    {"type": "integer", "minimum": 0, "maximum": 255},
]
Exit = Annotated[
    list[int | str],
    BeforeValidator(_exit),
    _looks(anyOf=[*_EXIT_LOOKS, {"type": "array", "minItems": 1, "items": {"anyOf": _EXIT_LOOKS}}]),
]
_DURATION_LOOKS = r"[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|min)"
Time = Annotated[
    Any,
    BeforeValidator(_time),
    _looks(
        type="string",
        pattern=rf"^(at (most|least) {_DURATION_LOOKS}|{_DURATION_LOOKS} to {_DURATION_LOOKS})$",
    ),
]
Heard = Annotated[
    Any,
    BeforeValidator(_heard),
    _looks(type="string", pattern=r"^[0-9]{1,9} (datagram|connection|message)s?$"),
]
Numbers = Annotated[
    list[float | str],
    BeforeValidator(_numbers),
    _looks(
        anyOf=[*_NUMBERS_LOOK, {"type": "array", "minItems": 1, "items": {"anyOf": _NUMBERS_LOOK}}]
    ),
]
Regex = Annotated[str, BeforeValidator(_regex), _looks(type=_SCALARS, format="regex")]
Sha256 = Annotated[
    str, BeforeValidator(_sha256), _looks(type="string", pattern=f"^{_DIGEST.pattern}$")
]
Ordinal = Annotated[int, Field(ge=1)]
Rate = Annotated[float, BeforeValidator(_rate), _looks(type="string", pattern=_RATE_LOOKS)]
Which = Annotated[
    int | str,
    BeforeValidator(_which),
    _looks(type="string", pattern=rf"^[1-9][0-9]*$|{_RATE_LOOKS}"),
]


def _form(value: Any) -> str:
    """Which of the ways to write an observer this is; the tag shows up in pydantic's places."""
    if isinstance(value, list):
        return "<list>"
    return "<mapping>" if isinstance(value, dict) else "<text>"


def _list_or_rate(value: Any) -> str:
    return "<list>" if isinstance(value, list) else "<rate>"


def _list_rate_or_mapping(value: Any) -> str:
    return "<mapping>" if isinstance(value, dict) else _list_or_rate(value)


#: The datagrams that a fault hits: a list of ordinals, or a rate.
Hit = Annotated[
    Annotated[Rate, Tag("<rate>")] | Annotated[list[Ordinal], Tag("<list>")],
    Discriminator(_list_or_rate),
]
_Octets = Annotated[int, Field(ge=0, le=65_507)]  # of a datagram (RFC 768, over IPv4)
_Octet = Annotated[int, Field(ge=1, le=65_507)]
_Copies = Annotated[int, Field(ge=1, le=100)]
Delays = Annotated[dict[Which, Duration], BeforeValidator(_mapping_to_durations)]
HitToOctets = Annotated[
    Annotated[Rate, Tag("<rate>")]
    | Annotated[list[Ordinal], Tag("<list>")]
    | Annotated[dict[Which, _Octets], Tag("<mapping>")],
    Discriminator(_list_rate_or_mapping),
]
HitAtOctet = Annotated[
    Annotated[Rate, Tag("<rate>")]
    | Annotated[list[Ordinal], Tag("<list>")]
    | Annotated[dict[Which, _Octet], Tag("<mapping>")],
    Discriminator(_list_rate_or_mapping),
]
HitTimes = Annotated[
    Annotated[Rate, Tag("<rate>")]
    | Annotated[list[Ordinal], Tag("<list>")]
    | Annotated[dict[Which, _Copies], Tag("<mapping>")],
    Discriminator(_list_rate_or_mapping),
]


class Shape(BaseModel):
    """A mapping with fixed keys; another key is an error."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def says(self, key: str) -> bool:
        """Whether the key is in the file."""
        return key in self.model_fields_set


# -- scenarios ------------------------------------------------------------------------


class PageShape(Shape):
    """What an origin answers to a path."""

    status: Annotated[int, Field(ge=100, le=599)] = Field(200, description="The status code: 200.")
    type: Text = Field(
        "text/html; charset=utf-8", description="Content-Type; text/html in UTF-8 if it is missing."
    )
    text: Text = Field("", description="The content.")
    file: Text = Field(
        "", description="A file that is the content, beside the scenario or in fixtures/."
    )
    headers: dict[Text, Text] = Field(
        default_factory=dict,
        description="Header fields beside Date, Content-Type and Content-Length: {Location: /new}; "
        "with {Transfer-Encoding: chunked} the content is sent in chunks.",
    )
    delay: Duration = Field(
        1.0, description="How long after the request the response comes; at once if it is missing."
    )


Page = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[PageShape, Tag("<mapping>")],
    Discriminator(_form),
]


Records = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[list[Text], Tag("<list>")]
    | Annotated[dict[Text, OneOrMany], Tag("<mapping>")],
    Discriminator(_form),
]

_BY_ORDINAL = "a list counts from 1: [2, 5]; a rate hits by chance: 30%"


class FaultsShape(Shape):
    """What goes wrong with datagrams on their way."""

    lose: Hit = Field(
        default_factory=list, description=f"These datagrams never arrive ({_BY_ORDINAL})."
    )
    delay: Delays = Field(
        default_factory=dict,
        description="These arrive later, by so much: {8: 1300ms} or {30%: 200ms}.",
    )
    repeat: HitTimes = Field(
        default_factory=list,
        description=f"Copies of these follow ({_BY_ORDINAL}; {{3: 2}} is two copies).",
    )
    reorder: Hit = Field(
        default_factory=list, description=f"These go after the next one ({_BY_ORDINAL})."
    )
    corrupt: HitAtOctet = Field(
        default_factory=list,
        description="One bit of these is changed, in the last octet or in the one that is named "
        f"({_BY_ORDINAL}; {{3: 1}} is the first octet).",
    )
    truncate: HitToOctets = Field(
        default_factory=list,
        description="The end of these is cut off: half of it, or all but so many octets "
        f"({_BY_ORDINAL}; {{3: 4}} leaves four octets).",
    )


class HeardSegmentsShape(Shape):
    """What goes wrong with segments of TCP."""

    lose: list[Ordinal] = Field(
        default_factory=list,
        description="The segments with data that are lost, counted from 1 as they come: [2, 3].",
    )


class SegmentsShape(HeardSegmentsShape):
    """What goes wrong with segments of TCP, on both ways."""

    hear: HeardSegmentsShape = Field(
        default_factory=HeardSegmentsShape,
        description="What goes wrong with the segments that are sent to it.",
    )


# One for all: a default that pydantic copies costs more than the rest of an actor.
_NO_FAULTS = FaultsShape()
_NO_LOSS = SegmentsShape()


class ActorShape(FaultsShape):
    """One of the cast: who stands there beside the program, and how it behaves."""

    kind: Literal[
        "smtp",
        "http",
        "udp",
        "tcp",
        "dns",
        "icmp",
        "terminal",
        "closed",
        "filtered",
        "unreachable",
    ] = Field(description="What the actor is.")
    at: Text = Field(
        "",
        description="Where it stands and waits for the program: host:port, or a port alone, which "
        "is at server.example.test; over ICMP a host alone.",
        examples=[25, "smtp.example.test:25"],
        json_schema_extra={
            "type": ["string", "integer"],
            "minimum": 1,
            "maximum": 65535,
            "pattern": r"^(?!.*://)(.*:)?([0-9]{1,5}|.*\$\{.*\}.*)$",
        },
    )
    to: Text = Field("", description="The endpoint of the program that it dials (`wirelab roles`).")
    as_: Text = Field(
        "", alias="as", description="The endpoint that it plays, where that is not clear."
    )
    tls: Literal["none", "implicit", "starttls"] = Field(
        "none",
        description="`implicit`: TLS from the first byte; `starttls`: after the command STARTTLS.",
    )
    certificate: Literal["good", "expired", "self-signed", "wrong-host"] = Field(
        "good", description="What it shows for itself over TLS; a program must refuse all but good."
    )
    eol: Literal["none", "lf", "crlf", "any"] = Field(
        "none", description="How its messages end; tcp: as its role says if it is missing."
    )
    strict: bool = Field(
        False, description="`true`: only what the exchange lists may come; else others between."
    )
    transport: Literal["tcp", "udp", "icmp"] = Field(
        "tcp", description="Over what it is reached, where the endpoint takes several."
    )
    code: Literal["host", "net", "admin", "expired"] = Field(
        "host", description="What a router says of it by ICMP; `host` if it is missing."
    )
    answer: Literal["echo", "upper", "nothing"] = Field(
        "nothing", description="It answers each datagram, or echo request, by itself in this way."
    )
    mailboxes: list[Text] = Field(
        default_factory=list,
        description="The recipients that it accepts; all others get 550 5.1.1.",
        examples=[["bo@example.test"]],
    )
    users: dict[Text, Text] = Field(
        default_factory=dict, description="Names and passwords for AUTH."
    )
    limit: Annotated[int, Field(ge=1)] = Field(
        1, description="The longest mail that it takes, in bytes, told by SIZE (RFC 1870)."
    )
    replies: dict[Text, Text] = Field(
        default_factory=dict,
        description="A reply for an address, as recipient or as sender: "
        "{cy@example.test: 450 4.2.1 Busy}.",
    )
    instead: dict[Text, Text] = Field(
        default_factory=dict,
        description="What happens at a step in place of what would: a reply, or close, half-close, "
        "reset, stall; by step: {RCPT: 421 4.3.2 closing, body@512: reset}.  smtp: greeting, "
        "hello, MAIL, RCPT, DATA, body@512, end-of-data and other commands; http: connect, "
        "request@9, request, response@40; `each step` makes one case of each.",
        examples=[{"each step": "421 4.3.2 closing"}],
    )
    pages: dict[Text, Page] = Field(
        default_factory=dict,
        description="What it answers to a path, such as /index.html; other paths get 404.",
    )
    scripted: bool = Field(
        False,
        description="`true`: an http server says only what the exchange says, and no pages.",
    )
    records: dict[Text, Records] = Field(
        default_factory=dict,
        description="Names that it answers for, beside those of the cast; written as `names`.",
    )
    foreign: Hit = Field(
        default_factory=list, description=f"These answers come from another port ({_BY_ORDINAL})."
    )
    hear: FaultsShape = Field(
        default_factory=lambda: _NO_FAULTS,
        description="What goes wrong with the datagrams that are sent to it.",
    )
    segments: SegmentsShape = Field(
        default_factory=lambda: _NO_LOSS,
        description="What goes wrong with the segments of TCP that it sends.",
    )


class NumberShape(Shape):
    """A number that is told near certain words."""

    near: Regex = Field(
        description="A regular expression for the words of its line: lost|丢失|verloren."
    )
    is_: Numbers = Field(
        alias="is",
        description="The number, or several that are all right; also ${ACTOR.lost} and "
        "${ACTOR.loss}.",
    )


class NumberItemShape(Shape):
    """A number that must be told."""

    number: NumberShape = Field(description="What stands near certain words must be this number.")


Item = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[NumberItemShape, Tag("<mapping>")],
    Discriminator(_form),
]
Has = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[list[Item], Tag("<list>")]
    | Annotated[NumberItemShape, Tag("<mapping>")],
    Discriminator(_form),
]


class ObserverShape(Shape):
    """What must be found in a text, and what must not.

    A pattern must match a whole line: "*sent*" is for a part of one.
    """

    has: Has = Field(default_factory=list, description="Each of these patterns matches some line.")
    lacks: OneOrMany = Field(
        default_factory=list,
        description="Found in no line, not even in a part of one; * stands for anything at all.",
    )
    in_order: list[Text] = Field(
        default_factory=list,
        alias="in order",
        description="These match lines one after the other; others may come between.",
    )
    count: dict[Text, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description='So many lines match: {"*250*": 4}.'
    )


Observer = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[list[Item], Tag("<list>")]
    | Annotated[ObserverShape, Tag("<mapping>")],
    Discriminator(_form),
]


class WireShape(ObserverShape):
    """What an actor heard from the program, and what it said."""

    said: Observer = Field(
        default_factory=list, description="The same of what the actor said to the program."
    )


Wire = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[list[Text], Tag("<list>")]
    | Annotated[WireShape, Tag("<mapping>")],
    Discriminator(_form),
]


Leftovers = Annotated[
    Annotated[Literal["none"], Tag("<text>")] | Annotated[ObserverShape, Tag("<mapping>")],
    Discriminator(_form),
]


class TimeShape(Shape):
    """How long something takes, from the record: `at most 5s`, `at least 900ms`, `1s to 5s`."""

    until_exit: Time = Field(
        None, alias="until exit", description="From the start of the play to the program's end"
    )
    after_last_message: Time = Field(
        None,
        alias="after last message",
        description="From the last message that any actor said or heard to the program's end",
    )
    after_stop: Time = Field(
        None, alias="after stop", description="From SIGTERM to the program's end"
    )


_SAME_AS = "A file with the same octets, beside the scenario or in `fixtures/`."
_SHA256 = "The SHA-256 of the octets, 64 hexadecimal digits."


class FileShape(ObserverShape):
    """What must be found in a file, and what became of it."""

    is_: Literal["created", "changed", "removed", "absent"] = Field(
        "created",
        alias="is",
        description="What the program did to the file; `absent`: it left none of that name.",
    )
    same_as: Text = Field("", alias="same as", description=_SAME_AS)
    sha256: Sha256 = Field("", description=_SHA256)


File = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[list[Item], Tag("<list>")]
    | Annotated[FileShape, Tag("<mapping>")],
    Discriminator(_form),
]


class ReportShape(Shape):
    """What an error report must say (RFC 3464)."""

    failed: list[Text] = Field(
        default_factory=list, description="The recipients that it names as failed."
    )
    status: Text = Field("", description="A pattern for the status code, such as 5.1.1.")
    action: Literal["failed", "delayed", "delivered", "relayed", "expanded"] = Field(
        "failed", description="What became of the mail; `failed` if it is missing."
    )
    reporting_mta: Text = Field(
        "", alias="reporting mta", description="A pattern for the name of who reports."
    )
    remote_mta: Text = Field(
        "", alias="remote mta", description="A pattern for the server that refused the mail."
    )
    diagnostic: Text = Field("", description="A pattern for the reply of that server.")
    original: dict[Text, Observer] = Field(
        default_factory=dict,
        description="Head fields of the mail that is returned: {Subject: TEST}.",
    )


class AttachmentShape(Shape):
    """One attachment of a mail."""

    name: Text = Field("", description="A pattern for the name of the file.")
    type: Text = Field("", description="A pattern for its type, such as image/png.")
    same_as: Text = Field("", alias="same as", description=_SAME_AS)
    sha256: Sha256 = Field("", description=_SHA256)


Attachment = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[AttachmentShape, Tag("<mapping>")],
    Discriminator(_form),
]


class MailShape(Shape):
    """One mail as its reader sees it, decoded; a text is a pattern for a line."""

    subject: Observer = Field(default_factory=list, description="The subject.")
    from_: Observer = Field(
        default_factory=list, alias="from", description="The sender in the head of the mail."
    )
    to: Observer = Field(
        default_factory=list, description="The recipients in the head of the mail."
    )
    cc: Observer = Field(
        default_factory=list, description="Those who get a copy, in the head of the mail."
    )
    text: Observer = Field(default_factory=list, description="The lines of the text.")
    html: Observer = Field(
        default_factory=list, description="The lines of the HTML version, with its tags."
    )
    headers: dict[Text, Observer] = Field(
        default_factory=dict,
        description='Any head fields by name: {Message-ID: "<*@*>", Bcc: {lacks: "*"}}.',
    )
    return_path: Text = Field(
        "",
        alias="return path",
        description="A pattern for the sender of the envelope; `<>` is that of reports.",
    )
    attachments: list[Attachment] = Field(
        default_factory=list,
        description="Exactly these, in any order: {name: x.png, type: image/png}.",
    )
    report: ReportShape = Field(
        default_factory=ReportShape, description="The mail is an error report that says this."
    )


class DemandsShape(Shape):
    """What must be found when the play is over."""

    exit: Exit = Field(
        default_factory=list,
        description="How the program ends: a status, `nonzero`, a signal, or a list of these.",
    )
    time: TimeShape = Field(
        default_factory=TimeShape,
        description="How long it takes until the program has ended: {until exit: at most 5s}.",
    )
    screen: Observer = Field(
        default_factory=list, description='What the program printed: "*sent*".'
    )
    errors: Observer = Field(
        default_factory=list, description='What it printed on standard error: {lacks: "*"}.'
    )
    files: dict[Text, File] = Field(
        default_factory=dict,
        description='Files that it wrote, by pattern: {"Log-*.txt": "*sent*"}.',
    )
    leftovers: Leftovers = Field(
        default_factory=ObserverShape,
        description="Processes and sockets that the program leaves when it has ended: `none`.",
    )
    heard: dict[Text, Heard] = Field(
        default_factory=dict,
        description="How often an actor was reached: {mail: 1 connection}, {pong: 10 datagrams}, "
        "{mail: 3 messages}.",
    )
    wire: dict[Text, Wire] = Field(
        default_factory=dict,
        description="What an actor heard from the program, as lines: "
        '{mail: {has: QUIT, lacks: s3cret, count: {"RCPT *": 2}}}.',
    )
    packets: Observer = Field(
        [],
        description="What went over the wire, a line for each packet: "
        '{lacks: "program > nobody", count: {"program > mail: tcp SYN": 1}}.',
    )
    mailbox: dict[Text, list[MailShape]] = Field(
        default_factory=dict,
        description="Exactly these mails are in a mailbox, in any order; [] is an empty one: "
        "{bo@example.test: [{subject: TEST}]}.",
    )


_NO_DEMANDS = DemandsShape()


class ExpectShape(DemandsShape):
    """What must be found when the play is over, and what only should or may."""

    should: DemandsShape = Field(
        default_factory=lambda: _NO_DEMANDS,
        description="What is told when it is missed, and fails nothing.",
    )
    may: DemandsShape = Field(
        default_factory=lambda: _NO_DEMANDS,
        description="The same, for what is less important still.",
    )


_NOTATION = """\
What is said, heard and done, line by line; write `exchange: |` and the lines below.

mail> 250 ok: the actor `mail` says this.
mail< QUIT: it must hear this from the program.
mail<? NOOP: it may hear this.
mail! accept: it does something: accept, connect, close, half-close, reset, stall, wait 200ms,
settle, expect eof, expect reset, expect close, expect silence.
mail.2< QUIT: on the second connection.

In what is heard, * is any run of characters, {name:[0-9]+} matches a regular expression and keeps
it, {name} is what was kept; ${mail.port} is where an actor is.  Two blanks, # and a blank begin
the reason that is told when the line fails.  Groups: `any order:`, `one of:`, `never:`, with
indented lines below; `...` is whatever comes there.  Indented lines below an entry are its body."""


def _way(value: Any) -> str:
    text = shown(value).strip("`")
    if isinstance(value, bool) or not isinstance(value, int | str) or not is_way(text):
        ways = ", ".join(f"`{way}`" for way in WAYS)
        raise _wrong(f"must be {ways}, or a number of octets, not {shown(value)}")
    return text


_WAY_LOOKS = {
    "anyOf": [{"enum": list(WAYS)}, {"type": "integer", "minimum": 1, "maximum": LARGEST}]
}
Way = Annotated[str, BeforeValidator(_way), WithJsonSchema(_WAY_LOOKS)]
Ways = Annotated[
    list[Way],
    BeforeValidator(_one_or_many),
    _looks(anyOf=[_WAY_LOOKS, {"type": "array", "minItems": 1, "items": _WAY_LOOKS}]),
]


class SharedShape(Shape):
    """What several scenarios share, and include."""

    include: OneOrMany = Field(
        default_factory=list,
        description="Shared files (_NAME.yaml), beside this one or one folder above; what stands "
        "here goes first, and the last file before the others.",
        examples=["_mail.yaml"],
    )
    cast: dict[Text, ActorShape] = Field(
        default_factory=dict,
        description="Who is there beside the program, by name: {mail: {kind: smtp, at: 25}}.",
        json_schema_extra={"propertyNames": {"pattern": "^[a-z][a-z0-9-]*$"}},
    )
    names: dict[Text, Records] = Field(
        default_factory=dict,
        description="Names beside those of the cast, for programs that ask: an address, a list of "
        "them, or records by type: {qq.com: {MX: [10 smtp.qq.com]}}.",
    )
    program: dict[Text, OneOrMany] = Field(
        default_factory=dict,
        description="Parameters of the role (`wirelab roles ROLE`), where not the defaults.",
    )
    values: dict[Text, Text] = Field(
        default_factory=dict,
        description="What ${name} stands for in this scenario, by name: {reader: bo@example.test}.",
    )
    uses: list[Text] = Field(
        default_factory=list,
        description="Features of the role that the scenario needs; it is skipped for a program "
        "that lacks one of them.",
    )
    needs: list[Annotated[Text, _looks(enum=list(NEEDS))]] = Field(
        default_factory=list,
        description="What it needs of the network; it is skipped where that is missing.  What the "
        "cast shows need not be written.",
    )
    tags: list[Text] = Field(default_factory=list, description="Words for --tag.")
    patience: Duration = Field(
        4.0,
        description="The play ends when nothing happened for so long; 4s if it is missing.",
        examples=["6s"],
    )
    timeout: Duration = Field(
        30.0,
        description="The play ends after so long in any case; 30s if it is missing.",
        examples=["1min"],
    )


class ScenarioShape(SharedShape):
    """A scenario: what is played around a program, and what it must do."""

    title: Text = Field(
        description="One sentence: what must hold.",
        json_schema_extra={"pattern": r"\S"},
        examples=["A refused recipient is told to the user"],
    )
    role: Text = Field(
        "",
        description="What the program is (`wirelab roles` lists them); the name of the folder if "
        "it is missing.",
    )
    covers: list[Annotated[Text, _looks(type="string", pattern=r"^[A-Z][0-9]+$")]] = Field(
        default_factory=list, description="Requirements that it proves, such as W5."
    )
    points: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        1, description="What it counts; 1 if it is missing."
    )
    after: OneOrMany = Field(
        default_factory=list,
        description="Scenarios without which there is no use in this one: it is played when they "
        "have passed.  NAME, or ROLE/NAME of another role.",
        examples=["delivery"],
    )
    catches: Text = Field(
        "", description="The fault in fixtures/mutants/ that it finds; for Wirelab's own scenarios."
    )
    cases: list[dict[Text, Text]] = Field(
        default_factory=list,
        description="A table: one play for each row.  ${address} is the value of a row; name and "
        "why are told to the student.",
        examples=[[{"address": "chengli", "why": "no domain"}]],
    )
    pieces: Ways = Field(
        default_factory=list,
        description="How what actors say over TCP is cut: one play for each way.  The next piece "
        "goes out when the program has read the last one; a number is so many octets.",
        examples=[["whole", "bytewise", 5, "at-line-ends"]],
    )
    exchange: Block = Field("", description=_NOTATION)
    expect: ExpectShape = Field(
        default_factory=ExpectShape, description="What must be found when the play is over."
    )


# -- suites -----------------------------------------------------------------------------


class PickShape(Shape):
    """An item of a suite: which scenarios, and how they count."""

    scenario: Text = Field(
        "", description="The id of a scenario, or a pattern in which * stands for anything."
    )
    tag: Text = Field("", description="All scenarios with this tag.")
    except_: OneOrMany = Field(
        default_factory=list,
        alias="except",
        description="Ids and patterns of scenarios that are left out of them.",
    )
    points: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        1, description="What each of them counts; as the scenario says if it is missing."
    )
    timeout: Duration = Field(
        30.0, description="The play ends after so long in any case; else as the scenario says."
    )
    patience: Duration = Field(
        4.0, description="It ends when nothing happened for so long; else as the scenario says."
    )


class SuiteShape(Shape):
    """A suite: the scenarios of one assignment, and what each counts."""

    suite: Text = Field(description="The title of the assignment.", examples=["Lab 2: mail"])
    from_: Text = Field(
        "",
        alias="from",
        description="The folder of the scenarios, from this file on; the next scenarios/ upwards "
        "if it is missing.",
    )
    scenarios: list[
        Annotated[
            Annotated[Text, Tag("<text>")] | Annotated[PickShape, Tag("<mapping>")],
            Discriminator(_form),
        ]
    ] = Field(
        description="What is played, in this order: ids and patterns such as smtp-client/*, or "
        "mappings with points.",
        examples=[["smtp-client/greeting", {"scenario": "smtp-client/delivery", "points": 3}]],
    )


# -- implementations and roles --------------------------------------------------------


def _run(value: Any) -> list[Any]:
    if isinstance(value, list) and value:
        return value
    if isinstance(value, str) and value.strip():
        raise _wrong(f"must be a list, one item an argument: {as_list(value)}")
    raise _wrong("must be a list of arguments such as [python3, client.py]")


Run = Annotated[
    list[Text],
    BeforeValidator(_run),
    _looks(type="array", minItems=1, items=_TEXT_LOOKS),
]


class ProgramShape(Shape):
    """How one role is started; further keys are endpoints, checked against the role."""

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra={
            "additionalProperties": {
                "type": "string",
                "pattern": r"^[^\s/]+$",
                "description": "host:port of an endpoint of the role (`server` where there is only "
                "one) that is hard-coded in the program; over ICMP a host alone.",
            }
        },
    )

    run: Run = Field(
        description="The command line, one item an argument.  {host} and {port} are the endpoint "
        "of the role, {mail.port} that of one of several, {to} is a parameter, {python} the "
        "interpreter that Wirelab runs on.",
        examples=[["python3", "Mail.py", "{host}", "{port}"]],
    )
    env: dict[Text, Text] = Field(
        default_factory=dict,
        description="Environment variables; the same words in braces may stand in them.",
    )
    build: Run = Field(
        default_factory=list,
        description="A command that makes the program, one item an argument; run once before all "
        "plays, in a copy of the folder.",
        examples=[["javac", "Mail.java"]],
    )
    asks: dict[Text, Text] = Field(
        default_factory=dict,
        description="What is typed where the program asks its user, by a pattern of the prompt; "
        "the same words in braces, and a list gives one answer each time.",
        examples=[{"*ecipient*": "{to}"}],
    )


def _reason(value: Any) -> str:
    if value is None or value == "":
        raise _wrong("is empty; write why it fails")
    return _text(value)


Reason = Annotated[str, BeforeValidator(_reason), _looks(type="string", minLength=1)]


class ImplementationShape(Shape):
    """An implementation file (`wirelab.yaml`): how programs are started."""

    name: Text = Field(description="Whose programs these are.", examples=["Group 7"])
    programs: dict[Text, ProgramShape] = Field(
        description="How each role is started, by its name (`wirelab roles`)."
    )
    lacks: dict[Text, list[Text]] = Field(
        default_factory=dict,
        description="Features that a program does not offer, by role: scenarios that use them are "
        "skipped.",
    )
    expected_failures: dict[Text, Reason] = Field(
        default_factory=dict,
        alias="expected failures",
        description="Scenarios in which it is known that a program fails, by id (`*` stands for "
        "anything), each with the reason.  When one passes, the line must go.",
        examples=[{"smtp-client/unknown-recipient": "sends no reports yet"}],
    )


class EndpointShape(Shape):
    """Where a role meets the network."""

    direction: Literal["listens", "dials"] = Field(
        description="Whether the program waits there, or dials an actor."
    )
    protocol: Literal["smtp", "http", "pop3", "tcp", "udp", "icmp", "any"] = Field(
        description="What is spoken there; `any` takes every actor."
    )
    about: Text = Field("", description="What it is for, in a few words.")


class ParameterShape(Shape):
    """A parameter of a role."""

    default: OneOrMany = Field(description="The value where a scenario names none.")
    about: Text = Field(description="What it is, in a few words.")


class RoleShape(Shape):
    """A role: a kind of program, by what it does on the network."""

    about: Text = Field(description="What such a program does, in one sentence.")
    eol: Literal["none", "lf", "crlf", "any"] = Field(
        "none", description="How messages of scripted peers end."
    )
    endpoints: dict[Text, EndpointShape] = Field(
        description="Where it meets the network, by name: "
        "{server: {direction: dials, protocol: tcp}}."
    )
    parameters: dict[Text, ParameterShape] = Field(
        default_factory=dict, description="What scenarios can set under `program`, by name."
    )
    features: dict[Text, Text] = Field(
        default_factory=dict,
        description="What not every program offers, by name, each in a few words.",
    )


class RolesShape(Shape):
    """The roles of a course (`roles.yaml`)."""

    roles: dict[Text, RoleShape] = Field(description="The roles, by name.")

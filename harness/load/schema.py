"""The shapes of the files: which keys there are, and what each may hold.

Shapes only: what the values mean together is checked where they become the nouns of
`harness.model`.  Every message of a type here goes on from the key that it is about
("`limit` " + "must be a whole number, not `many`").
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)
from pydantic_core import PydanticCustomError

from harness.load.wording import as_list, as_text, shown
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


def _status(value: Any) -> int | None:
    if value == "nonzero":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
        return int(value)
    raise _wrong(f"must be 0 to 255 or `nonzero`, not {shown(value)}")


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


Text = Annotated[str, BeforeValidator(_text)]
Block = Annotated[str, BeforeValidator(_block)]
Duration = Annotated[float, BeforeValidator(_duration)]
OneOrMany = Annotated[list[Text], BeforeValidator(_one_or_many)]
Status = Annotated[int | None, BeforeValidator(_status)]
Heard = Annotated[Any, BeforeValidator(_heard)]
Numbers = Annotated[list[float | str], BeforeValidator(_numbers)]
Regex = Annotated[str, BeforeValidator(_regex)]
Ordinal = Annotated[int, Field(ge=1)]
Rate = Annotated[float, BeforeValidator(_rate)]
Which = Annotated[int | str, BeforeValidator(_which)]


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

    status: Annotated[int, Field(ge=100, le=599)] = 200
    type: Text = "text/html; charset=utf-8"
    text: Text = ""


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


class FaultsShape(Shape):
    """What goes wrong with datagrams on their way to an actor."""

    lose: Hit = []
    delay: Delays = {}
    repeat: HitTimes = []
    reorder: Hit = []
    corrupt: HitAtOctet = []
    truncate: HitToOctets = []


class SegmentsShape(Shape):
    """What goes wrong with segments of TCP."""

    lose: list[Ordinal]


class ActorShape(FaultsShape):
    """One of the cast, whatever its kind; which keys fit the kind is checked later.

    The faults are those of what it answers; those of what it hears stand under `hear`.
    """

    kind: Literal[
        "smtp", "http", "udp", "tcp", "dns", "terminal", "closed", "filtered", "unreachable"
    ]
    at: Text = ""
    to: Text = ""
    as_: Text = Field("", alias="as")
    tls: Literal["none", "implicit"] = "none"
    eol: Literal["none", "lf", "crlf", "any"] = "none"
    strict: bool = False
    transport: Literal["tcp", "udp"] = "tcp"
    code: Literal["host", "net", "admin", "expired"] = "host"
    answer: Literal["echo", "upper", "nothing"] = "nothing"
    mailboxes: list[Text] = []
    users: dict[Text, Text] = {}
    limit: Annotated[int, Field(ge=1)] = 1
    replies: dict[Text, Text] = {}
    pages: dict[Text, Page] = {}
    records: dict[Text, Records] = {}
    foreign: Hit = []
    hear: FaultsShape = Field(default_factory=FaultsShape)
    segments: SegmentsShape = SegmentsShape(lose=[])


class NumberShape(Shape):
    """A number that is told near certain words."""

    near: Regex
    is_: Numbers = Field(alias="is")


class NumberItemShape(Shape):
    """An item of an observer's list that asks for a number."""

    number: NumberShape


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
    """What must be found in a text, and what must not."""

    has: Has = []
    lacks: OneOrMany = []
    in_order: list[Text] = Field([], alias="in order")
    count: dict[Text, Annotated[int, Field(ge=0)]] = {}


Observer = Annotated[
    Annotated[Text, Tag("<text>")]
    | Annotated[list[Item], Tag("<list>")]
    | Annotated[ObserverShape, Tag("<mapping>")],
    Discriminator(_form),
]


class ReportShape(Shape):
    """What an error report must say (RFC 3464)."""

    failed: list[Text] = []
    status: Text = ""
    action: Literal["failed", "delayed", "delivered", "relayed", "expanded"] = "failed"


class MailShape(Shape):
    """One mail as its reader sees it."""

    subject: Text = ""
    from_: Text = Field("", alias="from")
    to: Text = ""
    text: Text = ""
    report: ReportShape = Field(default_factory=ReportShape)


class DemandsShape(Shape):
    """What must be found when everything has gone quiet."""

    exit: Status = None
    screen: Observer = []
    errors: Observer = []
    files: dict[Text, Observer] = {}
    heard: dict[Text, Heard] = {}
    mailbox: dict[Text, list[MailShape]] = {}


class ExpectShape(DemandsShape):
    """`expect:`; what stands under `should` or `may` fails nothing when it is missed."""

    should: DemandsShape = Field(default_factory=DemandsShape)
    may: DemandsShape = Field(default_factory=DemandsShape)


class ScenarioShape(Shape):
    """A scenario file."""

    title: Text
    role: Text = ""
    covers: list[Text] = []
    tags: list[Text] = []
    uses: list[Text] = []
    needs: list[Text] = []
    points: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1
    timeout: Duration = 30.0
    patience: Duration = 4.0
    catches: Text = ""
    values: dict[Text, Text] = Field({}, description="what `${name}` stands for, by name")
    cases: list[dict[Text, Text]] = []
    names: dict[Text, Records] = {}
    cast: dict[Text, ActorShape] = {}
    program: dict[Text, OneOrMany] = {}
    exchange: Block = ""
    expect: ExpectShape = Field(default_factory=ExpectShape)


# -- implementations and roles --------------------------------------------------------


def _run(value: Any) -> list[Any]:
    if isinstance(value, list) and value:
        return value
    if isinstance(value, str) and value.strip():
        raise _wrong(f"must be a list, one item an argument: {as_list(value)}")
    raise _wrong("must be a list of arguments such as [python3, client.py]")


Run = Annotated[list[Text], BeforeValidator(_run)]


class ProgramShape(Shape):
    """How one role is started; further keys are endpoints, checked against the role."""

    model_config = ConfigDict(extra="allow", strict=True)

    run: Run
    env: dict[Text, Text] = {}


class ImplementationShape(Shape):
    """An implementation file (`wirelab.yaml`)."""

    name: Text
    programs: dict[Text, ProgramShape]
    lacks: dict[Text, list[Text]] = {}


class EndpointShape(Shape):
    """Where a role meets the network."""

    direction: Literal["listens", "dials"]
    protocol: Literal["smtp", "http", "pop3", "tcp", "udp", "icmp", "any"]
    about: Text = ""


class ParameterShape(Shape):
    """A parameter of a role."""

    default: OneOrMany
    about: Text


class RoleShape(Shape):
    """A role: a kind of program, by what it does on the network."""

    about: Text
    eol: Literal["none", "lf", "crlf", "any"] = "none"
    endpoints: dict[Text, EndpointShape]
    parameters: dict[Text, ParameterShape] = {}
    features: dict[Text, Text] = {}


class RolesShape(Shape):
    """A file of roles, by name."""

    roles: dict[Text, RoleShape]

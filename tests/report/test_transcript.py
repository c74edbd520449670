"""The transcript: what is written can be read again, whatever was said."""

from __future__ import annotations

from harness.model.exchange import Arrow, Exchange
from harness.model.record import Event, Record, What
from harness.model.scenario import ActorKind, LineEnd
from harness.model.template import decode
from harness.notation import parse_exchange
from harness.report import transcript
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation import actor_of, cast, plan, record

CAST = cast(
    mail=ActorKind.SMTP,
    web=ActorKind.HTTP,
    browser=actor_of("browser", ActorKind.HTTP, to="server"),
    pong=ActorKind.UDP,
    echo=ActorKind.TCP,
    server=actor_of("server", ActorKind.TCP, eol=LineEnd.ANY),
    user=ActorKind.TERMINAL,
)
NASTY = [
    b"  # ",
    b"\\",
    b"{x}",
    b"${y}",
    b"*",
    b" ",
    b"@form a",
    b"#",
    b"\xff",
    b"\r",
    b"\n",
    b"\t",
]
DATA = st.one_of(
    st.binary(max_size=30),
    st.lists(st.sampled_from(NASTY), max_size=6).map(b"".join),
    st.sampled_from(
        [
            b"DATA\r\n",
            b"354 go\r\n",
            b"x\r\n.\r\n",
            b"GET / HTTP/1.1\r\nHost:  \xff{x}\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: @a\r\nContent-Length: 9\r\n\r\n@f\n #  # \r",
        ]
    ),
)
EVENTS = st.builds(
    Event,
    st.floats(0, 1000),
    st.sampled_from(
        [
            *(What.HEARD, What.SAID, What.OPENED, What.ENCRYPTED, What.EOF, What.RESET, What.LEFT),
            *(What.STALLED, What.BROKEN, What.SCREEN, What.ERRORS),
        ]
    ),
    st.sampled_from([*CAST]),
    st.integers(1, 3),
    DATA,
)
RECORDS = st.lists(EVENTS, max_size=12).map(lambda events: Record(tuple(events)))


def read(text: str) -> Exchange:
    exchange, errors = parse_exchange(text)
    assert not errors, (errors, text)
    return exchange


@given(RECORDS)
def test_what_is_written_can_be_read_again(happened: Record) -> None:
    text = transcript(plan(CAST), happened)
    read(text)
    assert text.replace("\n", "").isprintable()


@given(st.binary(max_size=40))
def test_a_datagram_reads_as_what_it_was(data: bytes) -> None:
    happened = Record(
        (Event(0.1, What.HEARD, "pong", 1, data), Event(0.2, What.SAID, "pong", 2, b"x"))
    )
    [heard, said] = read(transcript(plan(CAST), happened)).entries()
    literal = "".join(getattr(part, "text", "?") for part in heard.text.parts)
    assert literal == decode(data).rstrip("\r\n")
    assert (heard.arrow, heard.reason, heard.connection) == (Arrow.HEARS, "0.100 s", None)
    assert (said.arrow, said.reason, said.connection) == (Arrow.SAYS, "0.200 s", 2)


def test_a_session_as_a_person_reads_it() -> None:
    happened = record(
        """
        mail! opened
        mail> 220 hi
        mail< data
        mail> 354 go on
        mail< Subject: *
        mail< .
        mail.2< EHLO \\xe4\\xbd\\xa0
        mail! eof
        """
    )
    assert transcript(plan(CAST), happened) == (
        "# mail: opened  # 0.100 s\n"
        "mail> 220 hi  # 0.200 s\n"
        "mail< DATA  # 0.300 s\n"
        "mail> 354 go on  # 0.400 s\n"
        "# mail< (15 octets of mail)  # 0.600 s\n"
        "#     Subject: *\n"
        "#     .\n"
        "#     \n"
        "mail.2< EHLO 你  # 0.700 s\n"
        "# mail: eof  # 0.800 s\n"
    )


def test_fields_and_content_of_http() -> None:
    answer = b"HTTP/1.1 200 OK\r\nA: {x}\r\nContent-Length: 9\r\n\r\n@form a\n*"
    happened = Record(
        (
            Event(0.1, What.SAID, "browser", 1, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            Event(0.2, What.HEARD, "browser", 1, answer),
        )
    )
    assert transcript(plan(CAST), happened) == (
        "browser> GET /  # 0.100 s\n    Host: x\n"
        "browser< 200 OK  # 0.200 s\n    A: \\{x}\n    Content-Length: 9\n\n"
        "    \\x40form a\n    \\*\n"
    )


def test_a_fault_is_a_comment() -> None:
    facts: dict[str, str | int] = {"fault": "lose", "way": "heard", "ordinal": 4}
    happened = Record(
        (
            Event(0.1, What.FAULT, "pong", 1, b"Ping 4", "datagram 4 is lost", facts=facts),
            Event(0.2, What.HEARD, "pong", 1, b"Ping 5"),
        )
    )
    assert transcript(plan(CAST), happened) == (
        "# pong: datagram 4 is lost  # 0.100 s\npong< Ping 5  # 0.200 s\n"
    )


def test_what_never_ended_is_there_too() -> None:
    happened = Record((Event(0.1, What.HEARD, "server", 1, b"half"),))
    assert transcript(plan(CAST), happened) == "server< half  # 0.100 s\n"


def test_long_content_is_cut_and_counted() -> None:
    data = b"DATA\r\n" + b"line\r\n" * 100 + b".\r\n"
    happened = Record(
        (Event(0.1, What.HEARD, "mail", 1, data), Event(0.2, What.SAID, "mail", 1, b"354 go\r\n"))
    )
    lines = transcript(plan(CAST), happened).splitlines()
    assert lines[-1] == "# and 62 more lines"
    assert lines.count("#     line") == 40

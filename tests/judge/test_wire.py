"""What went over the wire: commands, head fields and contents as lines that can be searched."""

from __future__ import annotations

import pytest
from harness.judge import judge, satisfied
from harness.model.record import Event, Record, What
from harness.model.scenario import (
    Actor,
    ActorKind,
    Check,
    Count,
    Has,
    InOrder,
    Lacks,
    LineEnd,
    TextDemand,
)
from harness.notation import parse_pattern as pattern

from tests.conversation import actor_of, cast, plan, record

MAIL = cast(mail=ActorKind.SMTP)
SESSION = (
    "mail> 220 ready\nmail< ehlo me\nmail> 250-mail\nmail> 250 SIZE 100\n"
    "mail< mail from: <ann@x>\nmail> 250 ok\nmail< RCPT TO:<bo@y>\nmail> 250 ok\n"
    "mail< RCPT TO:<cy@y>\nmail> 250 ok\nmail< DATA\nmail> 354 go on\n"
    "mail< Subject: s3cret\nmail< RSET\nmail< .\nmail> 250 taken\nmail< QUIT\n"
)
ORIGIN = cast(origin=actor_of("origin", ActorKind.HTTP, at="www.example.test:80"))
BROWSER = cast(browser=actor_of("browser", ActorKind.HTTP, to="proxy"))
GET = b"GET /a HTTP/1.1\r\nhOst: www.example.test\r\nX-Empty:\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nAge: 3\r\n\r\none\r\ntwo\r\n"


def faults(
    actors: dict[str, Actor], happened: Record, check: Check, *, said: bool = False
) -> list[str]:
    demand = TextDemand("wire", check, actor=next(iter(actors)), said=said)
    return [finding.headline for finding in judge(plan(actors, "", demand), happened).findings]


def octets(actor: str, *chunks: tuple[What, bytes]) -> Record:
    return Record(tuple(Event(0.1, what, actor, 1, data) for what, data in chunks))


@pytest.mark.parametrize(
    ("check", "right"),
    [
        (Has(pattern("QUIT")), True),
        (Has(pattern("EHLO me")), True),  # verbs mean the same in any case (RFC 5321 2.4)
        (Has(pattern("MAIL FROM:<ann@x>")), True),
        (Has(pattern("STARTTLS")), False),
        (Has(pattern("250 SIZE*")), False),  # that was said, not heard
        (Count(pattern("RCPT *"), 2), True),
        (Count(pattern("RCPT *"), 1), False),
        (InOrder((pattern("DATA"), pattern("QUIT"))), True),
        (InOrder((pattern("QUIT"), pattern("DATA"))), False),
        (Lacks(pattern("AUTH")), True),
        (Lacks(pattern("bo@y")), False),
        (Lacks(pattern("s3cret")), True),  # a mail is what its mailbox holds
        (Has(pattern("RSET")), False),
    ],
)
def test_commands_are_lines(check: Check, *, right: bool) -> None:
    assert (faults(MAIL, record(SESSION), check) == []) is right


def test_what_was_said_is_asked_for_apart() -> None:
    assert faults(MAIL, record(SESSION), Has(pattern("250 SIZE*")), said=True) == []
    assert faults(MAIL, record(SESSION), Has(pattern("QUIT")), said=True) == [
        "No line of what mail said matches `QUIT`."
    ]


@pytest.mark.parametrize(
    ("check", "right"),
    [
        (Count(pattern("GET /a*"), 1), True),
        (Has(pattern("GET /a")), True),
        (Has(pattern("GET /a HTTP/1.1")), True),
        (Has(pattern("Host: www.example.test")), True),  # names of fields: RFC 9110 5.1
        (Has(pattern("HOST:*")), True),
        (Has(pattern("Host: WWW.example.test")), False),
        (Lacks(pattern("host: www")), False),
        (Lacks(pattern("Cookie")), True),
        (Has(pattern("X-Empty:*")), True),
    ],
)
def test_requests_are_lines_with_their_head_fields(check: Check, *, right: bool) -> None:
    happened = octets("origin", (What.HEARD, GET[:20]), (What.HEARD, GET[20:]))
    assert (faults(ORIGIN, happened, check) == []) is right


def test_a_cache_is_seen_by_the_origin_and_the_client() -> None:
    happened = octets("browser", (What.SAID, GET), (What.HEARD, OK), (What.SAID, GET))
    happened = Record((*happened.events, Event(0.2, What.HEARD, "browser", 1, OK)))
    assert faults(BROWSER, happened, Count(pattern("200*"), 2)) == []
    assert faults(BROWSER, happened, Count(pattern("Age: 3"), 2)) == []
    assert faults(BROWSER, happened, InOrder((pattern("one"), pattern("two")))) == []
    [headline] = faults(BROWSER, happened, Count(pattern("200*"), 1))
    assert headline == "2 lines of what the program sent to browser match `200*`, not 1."


def test_what_has_no_end_is_no_message_but_was_sent() -> None:
    happened = octets("mail", (What.HEARD, b"HELO me\r\nAUTH s3cr"), (What.EOF, b""))
    assert faults(MAIL, happened, Has(pattern("AUTH*"))) != []
    assert faults(MAIL, happened, Lacks(pattern("s3cr"))) != []
    broken = octets("origin", (What.HEARD, b"no http s3cret\r\n\r\nmore\r\n"))
    assert faults(ORIGIN, broken, Has(pattern("*http*"))) != []
    for text in ("s3cret", "more"):
        assert faults(ORIGIN, broken, Lacks(pattern(text))) != []


def test_who_says_nothing_on_two_connections_has_said_nothing() -> None:
    ends = tuple(Event(0.1, What.EOF, "mail", number) for number in (1, 2, 3))
    assert faults(MAIL, Record(ends), Lacks(pattern("*"))) == []
    last = Event(0.2, What.HEARD, "mail", 4, b"QUI")
    assert faults(MAIL, Record((*ends, last)), Lacks(pattern("*"))) != []


def test_datagrams_and_streams_are_cut_into_lines() -> None:
    pong = cast(pong=actor_of("pong", ActorKind.UDP))
    datagram = octets("pong", (What.HEARD, b"Ping 1\r\ntoken: 7\n"))
    assert faults(pong, datagram, Has(pattern("token: 7"))) == []
    server = cast(server=actor_of("server", ActorKind.TCP, eol=LineEnd.NONE))
    stream = octets("server", (What.HEARD, b"one\ntw"), (What.HEARD, b"o\r\nthree"))
    assert faults(server, stream, InOrder((pattern("two"), pattern("three")))) == []
    assert faults(server, stream, Count(pattern("*"), 3)) == []


def test_a_play_waits_for_what_must_come_and_not_for_what_must_not() -> None:
    for check, waits in ((Has(pattern("QUIT")), True), (Lacks(pattern("HELO*")), False)):
        played = plan(MAIL, "", TextDemand("wire", check, actor="mail"))
        assert satisfied(played, record("mail< HELO x\n")) is not waits
        assert satisfied(played, record("mail< HELO x\nmail< QUIT\n"))


def test_the_evidence_is_what_was_said_and_heard_last() -> None:
    demand = TextDemand("wire", Has(pattern("STARTTLS")), actor="mail")
    [finding] = judge(plan(MAIL, "", demand), record(SESSION)).findings
    assert finding.actor == "mail"
    assert finding.ladder[-1].text == "mail< QUIT"

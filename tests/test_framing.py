"""Framing: the same messages however the bytes were cut, and what is broken is told."""

from __future__ import annotations

import itertools

import pytest
from harness.framing import (
    DatagramFraming,
    Framing,
    HttpFraming,
    LineFraming,
    Message,
    SmtpServerFraming,
    canonical_command,
    framing_for,
)
from harness.model.scenario import Actor, ActorKind, LineEnd
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation import actor_of

Turn = tuple[bool, bytes]  # whether the actor said it
HEARD, SAID = False, True

SESSION: list[Turn] = [
    (SAID, b"220 hi\r\n"),
    (HEARD, b"ehlo me\r\n"),
    (SAID, b"250-mail\r\n250 AUTH LOGIN\r\n"),
    (HEARD, b"AUTH LOGIN\r\n"),
    (SAID, b"334 VXNlcm5hbWU6\r\n"),
    (HEARD, b"YW5u\r\n"),
    (SAID, b"334 UGFzc3dvcmQ6\r\n"),
    (HEARD, b"czNjcmV0\r\n"),
    (SAID, b"235 ok\r\n"),
    (HEARD, b"mail from: <a@b>\r\nRCPT TO:<c@d>\r\n"),
    (SAID, b"250 ok\r\n250 ok\r\n"),
    (HEARD, b"DATA\r\n"),
    (SAID, b"354 go on\r\n"),
    (HEARD, "Subject: 名\r\n\r\n..\r\n.x\r\nQUIT\r\n\n.\n\r.\r\r\n.\r\n".encode()),
    (SAID, b"250 taken\r\n"),
    (HEARD, b"DATA\r\n"),
    (SAID, b"354 go on\r\n"),
    (HEARD, b".\r\nQUIT\n"),
    (SAID, b"250 taken\r\n221 bye\r\n"),
]
SESSION_TEXTS = [
    "> 220 hi",
    "< EHLO me",
    "> 250-mail",
    "> 250 AUTH LOGIN",
    "< AUTH LOGIN",
    "> 334 VXNlcm5hbWU6",
    "< YW5u",
    "> 334 UGFzc3dvcmQ6",
    "< czNjcmV0",
    "> 235 ok",
    "< MAIL FROM:<a@b>",
    "< RCPT TO:<c@d>",
    "> 250 ok",
    "> 250 ok",
    "< DATA",
    "> 354 go on",
    "< (41 octets of mail)",
    "> 250 taken",
    "< DATA",
    "> 354 go on",
    "< (3 octets of mail)",
    "< QUIT",
    "> 250 taken",
    "> 221 bye",
]
GET = b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"Content-Length: 4\r\n\r\n\r\nhi"
CHUNKED = (
    OK + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nTrailer: t\r\n\r\n"
)


def feed(framing: Framing, turns: list[Turn], *, end: bool = False) -> list[Message]:
    messages = [m for said, data in turns for m in framing.feed(data, said=said)]
    return messages + (list(framing.end()) if end else [])


def texts(messages: list[Message]) -> list[str]:
    return [f"{'>' if m.said else '<'} {m.texts[0]}" for m in messages]


@st.composite
def cuts(draw: st.DrawFn, turns: list[Turn]) -> list[Turn]:
    """The same turns, each of them in pieces."""
    pieces: list[Turn] = []
    for said, data in turns:
        places = draw(st.sets(st.integers(0, len(data)), max_size=8))
        edges = [0, *sorted(places), len(data)]
        pieces += [(said, data[a:b]) for a, b in itertools.pairwise(edges)]
    return pieces


def bytewise(turns: list[Turn]) -> list[Turn]:
    return [(said, bytes([byte])) for said, data in turns for byte in data]


class TestSmtp:
    def test_commands_replies_and_content(self) -> None:
        messages = feed(SmtpServerFraming(), SESSION)
        assert texts(messages) == SESSION_TEXTS
        assert [m.texts[0] for m in messages if not m.listed] == [
            "(41 octets of mail)",
            "(3 octets of mail)",
        ]

    @given(cuts(SESSION))
    def test_however_it_is_cut(self, pieces: list[Turn]) -> None:
        assert feed(SmtpServerFraming(), pieces) == feed(SmtpServerFraming(), SESSION)

    def test_one_byte_at_a_time(self) -> None:
        assert texts(feed(SmtpServerFraming(), bytewise(SESSION))) == SESSION_TEXTS

    def test_a_client_that_does_not_wait_for_the_reply_sends_content_all_the_same(self) -> None:
        turns = [(HEARD, b"DATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n"), (SAID, b"354 go\r\n")]
        assert texts(feed(SmtpServerFraming(), turns)) == [
            "< DATA",
            "> 354 go",
            "< (17 octets of mail)",
            "< QUIT",
        ]

    def test_what_follows_a_refused_data_is_commands(self) -> None:
        turns = [(HEARD, b"DATA\r\nSubject: x\r\n.\r\n"), (SAID, b"554 no\r\n")]
        assert texts(feed(SmtpServerFraming(), turns)) == [
            "< DATA",
            "> 554 no",
            "< SUBJECT: x",
            "< .",
        ]

    def test_what_waits_for_a_reply_is_heard_at_the_end(self) -> None:
        turns = [(HEARD, b"DATA\r\nQUIT\r\n")]
        assert texts(feed(SmtpServerFraming(), turns, end=True)) == ["< DATA", "< QUIT"]

    @pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r\n. \r\n", b"\r\n."])
    def test_only_a_dot_between_two_full_line_ends_ends_the_content(self, end: bytes) -> None:
        framing = SmtpServerFraming()
        content = b"Subject: x\r\n\r\ntext" + end
        turns = [(HEARD, b"DATA\r\n"), (SAID, b"354 go\r\n"), (HEARD, content)]
        assert texts(feed(framing, turns)) == ["< DATA", "> 354 go"]
        assert framing.rest() == content

    def test_five_megabytes_in_small_pieces_take_no_time(self) -> None:
        framing = SmtpServerFraming()
        feed(framing, [(HEARD, b"DATA\r\n"), (SAID, b"354 go\r\n")])
        piece = b"x" * 1022 + b"\r\n"
        messages = feed(framing, [(HEARD, piece)] * 5000 + [(HEARD, b".\r\n")])
        assert [len(m.data) for m in messages] == [5000 * 1024 + 3]

    @pytest.mark.parametrize(
        ("line", "canonical"),
        [
            ("mail from: <a@b> SIZE=3\r\n", "MAIL FROM:<a@b> SIZE=3"),
            ("Rcpt  To:   <A@b>\n", "RCPT TO:<A@b>"),
            ("RCPT TO:<to: x@b>", "RCPT TO:<to: x@b>"),
            ("quit ", "QUIT"),
            ("ehlo Me.Example\r\n", "EHLO Me.Example"),
            ("\r\n", ""),
            (" QUIT", " QUIT"),
            ("\udcff", "\udcff"),
        ],
    )
    def test_one_spelling_for_all_that_the_standard_allows(self, line: str, canonical: str) -> None:
        assert canonical_command(line) == canonical


class TestLines:
    @pytest.mark.parametrize(
        ("eol", "lines"),
        [
            (LineEnd.LF, ["a", "b\r", "c\r\r"]),
            (LineEnd.ANY, ["a", "b", "c\r"]),
            (LineEnd.CRLF, ["a\nb", "c\r"]),
        ],
    )
    def test_end_as_the_actor_says(self, eol: LineEnd, lines: list[str]) -> None:
        messages = feed(LineFraming(eol), [(HEARD, b"a\nb\r\nc\r\r\n")])
        assert [m.texts[0] for m in messages] == lines

    def test_a_line_without_an_end_is_left_over(self) -> None:
        framing = LineFraming(LineEnd.CRLF)
        assert feed(framing, [(HEARD, b"a\r\nb\n")], end=True)[0].texts == ("a",)
        assert framing.rest() == b"b\n"

    @given(
        st.sampled_from(LineEnd), cuts([(HEARD, "a\r\n名\n\r\n\xff".encode()), (SAID, b"b\r\n\n")])
    )
    def test_however_it_is_cut(self, eol: LineEnd, pieces: list[Turn]) -> None:
        turns = [(HEARD, "a\r\n名\n\r\n\xff".encode()), (SAID, b"b\r\n\n")]
        assert feed(LineFraming(eol), pieces) == feed(LineFraming(eol), turns)

    def test_five_megabytes_without_an_end_take_no_time(self) -> None:
        framing = LineFraming(LineEnd.CRLF)
        assert feed(framing, [(HEARD, b"x" * 1024)] * 5000) == []
        assert len(framing.rest()) == 5000 * 1024


class TestDatagrams:
    def test_each_is_a_message(self) -> None:
        messages = feed(DatagramFraming(), [(HEARD, b"a\nb\r\n"), (HEARD, b"")], end=True)
        assert [m.texts for m in messages] == [("a\nb", "a\nb\r\n"), ("", "")]
        assert DatagramFraming().rest() == b""


def hear(*answers: bytes, request: bytes = GET, end: bool = False) -> list[Message]:
    """What is heard in answer to a request."""
    turns = [(SAID, request), *((HEARD, answer) for answer in answers)]
    return feed(HttpFraming(hears_responses=True), turns, end=end)[1:]


class TestHttpResponses:
    @pytest.mark.parametrize(
        ("answer", "body"),
        [
            (LENGTH, b"\r\nhi"),
            (CHUNKED, b"abcd"),
            (OK.replace(b"1.1", b"1.0") + b"Content-Length: 2\r\n\r\nhi", b"hi"),
            (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", b"hi"),
            (OK + b"Content-Length: 0\r\n\r\n", b""),
        ],
    )
    def test_content_that_tells_its_length(self, answer: bytes, body: bytes) -> None:
        [message] = hear(answer)
        assert (message.texts[:2], message.body, message.data) == (("200 OK", "200"), body, answer)

    @pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
    def test_content_that_ends_with_the_connection(self, version: bytes) -> None:
        answer = version + b" 200 OK\r\n\r\n"
        assert hear(answer, b"hi", b"ho") == []
        [message] = hear(answer, b"hi", b"ho", end=True)
        assert (message.body, message.data) == (b"hiho", answer + b"hiho")
        assert message.texts[2] == f"{version.decode()} 200 OK"

    @pytest.mark.parametrize(
        ("method", "status"),
        [(b"HEAD", b"200 OK"), (b"GET", b"304 Not Modified"), (b"GET", b"204")],
    )
    def test_an_answer_without_content(self, method: bytes, status: bytes) -> None:
        answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 9\r\n\r\n"
        [message] = hear(answer, request=GET.replace(b"GET", method))
        assert message.texts[0] == status.decode()

    def test_any_number_of_interim_answers_come_first(self) -> None:
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        messages = hear(interim * 2 + b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + LENGTH)
        assert [m.texts[1] for m in messages] == ["100", "100", "103", "200"]
        assert messages[0].data == interim
        assert messages[2].fields == (("Link", "a"),)

    def test_several_in_one_segment(self) -> None:
        head = GET.replace(b"GET", b"HEAD")
        messages = hear(
            LENGTH + OK + b"Content-Length: 7\r\n\r\n" + CHUNKED, request=GET + head + GET
        )
        assert [m.body for m in messages[-3:]] == [b"\r\nhi", b"", b"abcd"]
        assert messages[-1].data == CHUNKED

    def test_an_empty_line_behind_the_content_is_no_message(self) -> None:
        assert [m.body for m in hear(LENGTH + b"\r\n", end=True)] == [b"\r\nhi"]

    def test_an_answer_that_nobody_asked_for_is_heard(self) -> None:
        assert [m.texts[1] for m in hear(LENGTH + b"HTTP/1.1 408 Late\r\n\r\n", end=True)] == [
            "200",
            "408",
        ]

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            (
                OK + b"Content-Length: 5\r\n\r\nhi",
                "(200 OK, broken: the content was cut short (received 2 bytes, expected 5))",
            ),
            (
                b"HTTP/1.1 404 Not Found\r\n",
                "(no HTTP: the connection ended before the empty line behind the header fields)",
            ),
            (
                OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                "(200 OK, broken: illegal chunk header: 'zz\\r\\n')",
            ),
            (b"\r\n" + LENGTH, "(no HTTP: no status line)"),
            (b"200 OK\r\n\r\nhi", "(no HTTP: illegal status line: '200 OK')"),
        ],
    )
    def test_what_is_broken_is_told_once(self, answer: bytes, text: str) -> None:
        for answers in ([answer], [bytes([byte]) for byte in answer]):
            assert [m.texts[0] for m in hear(*answers, end=True)] == [text]

    def test_what_comes_behind_something_broken_is_left_over(self) -> None:
        framing = HttpFraming(hears_responses=True)
        feed(framing, [(SAID, GET), (HEARD, b"oops\r\n\r\n"), (HEARD, LENGTH)], end=True)
        assert framing.rest() == LENGTH

    def test_nothing_is_no_message(self) -> None:
        assert hear(end=True) == []

    @given(
        cuts([(SAID, GET + GET), (HEARD, CHUNKED + LENGTH), (SAID, GET), (HEARD, OK + b"\r\nhi")])
    )
    def test_however_it_is_cut(self, pieces: list[Turn]) -> None:
        turns = [(SAID, GET + GET), (HEARD, CHUNKED + LENGTH), (SAID, GET), (HEARD, OK + b"\r\nhi")]
        whole = feed(HttpFraming(hears_responses=True), turns, end=True)
        assert [m.texts[0] for m in whole[2:]] == ["200 OK", "200 OK", "GET http://x/", "200 OK"]
        assert feed(HttpFraming(hears_responses=True), pieces, end=True) == whole

    @given(st.binary(max_size=60))
    def test_any_bytes_are_heard_or_left_over(self, data: bytes) -> None:
        framing = HttpFraming(hears_responses=True)
        messages = feed(framing, [(SAID, GET), (HEARD, data)], end=True)
        assert b"".join(m.data for m in messages if not m.said) + framing.rest() == data

    def test_five_megabytes_in_small_pieces_take_no_time(self) -> None:
        head = OK + b"Content-Length: 5120000\r\n\r\n"
        [message] = hear(head, *[b"x" * 1024] * 5000)
        assert len(message.body) == 5_120_000


class TestHttpRequests:
    POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=1"

    def test_requests_one_behind_the_other(self) -> None:
        turns = [(HEARD, self.POST + b"\r\n" + GET), (SAID, LENGTH), (SAID, LENGTH)]
        messages = feed(HttpFraming(hears_responses=False), turns, end=True)
        assert texts(messages) == ["< POST /a", "< GET http://x/", "> 200 OK", "> 200 OK"]
        assert messages[0].texts[1] == "POST /a HTTP/1.1"
        assert (messages[0].body, messages[1].data) == (b"a=1", GET)
        assert messages[0].fields == (("Host", "x"), ("Content-Length", "3"))

    def test_an_answer_may_come_before_the_request_is_whole(self) -> None:
        turns = [(HEARD, self.POST[:-1]), (SAID, LENGTH), (HEARD, self.POST[-1:])]
        messages = feed(HttpFraming(hears_responses=False), turns)
        assert texts(messages) == ["> 200 OK", "< POST /a"]

    def test_a_request_without_a_host_is_told(self) -> None:
        turns = [(HEARD, b"GET / HTTP/1.1\r\n\r\n")]
        messages = feed(HttpFraming(hears_responses=False), turns)
        assert texts(messages) == ["< (no HTTP: Missing mandatory Host: header)"]

    def test_a_request_that_never_ends_is_left_over(self) -> None:
        framing = HttpFraming(hears_responses=False)
        assert feed(framing, [(HEARD, b"GET / HTTP/1.1\r\nHost: x\r\n")]) == []
        assert framing.rest() == b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        ({"kind": ActorKind.SMTP}, SmtpServerFraming),
        ({"kind": ActorKind.HTTP}, HttpFraming),
        ({"kind": ActorKind.UDP}, DatagramFraming),
        ({"kind": ActorKind.TCP, "eol": LineEnd.ANY}, LineFraming),
        ({"kind": ActorKind.TCP}, type(None)),
        ({"kind": ActorKind.TERMINAL}, type(None)),
    ],
)
def test_each_protocol_has_its_own(fields: dict[str, object], framing: type) -> None:
    kind = ActorKind(str(fields.pop("kind")))
    assert type(framing_for(actor_of("a", kind, **fields))) is framing


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("0800f7fe00000001", "echo request 1"),
        ("0000000000000100ff", "echo reply 256"),
        ("800000000000ffff", "echo request 65535"),
        ("8100000000000000", "echo reply 0"),
        ("0d00000000000001", "type 13 code 0"),
        ("0800f7fe000000", "(no ICMP message, 7 octets)"),
        ("", "(no ICMP message, 0 octets)"),
    ],
)
def test_icmp_messages_are_told_by_name_and_number(octets: str, text: str) -> None:
    framing = framing_for(Actor("target", ActorKind.ICMP, at="192.0.2.7:0"))
    assert framing
    (message,) = framing.feed(bytes.fromhex(octets), said=False)
    assert message.texts == (text,)

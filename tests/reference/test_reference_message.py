"""Composed mail: what the standard library's parser, and a strict eye, make of it."""

from __future__ import annotations

import email
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.addresses import AddressError, Mailbox, check_address
from protocols.message import Draft, compose, new_message_id

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ANN, BO = Mailbox("ann@qq.com", "王安"), Mailbox("bo@163.com")


def parsed(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=policy.default)


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


def test_each_header_once() -> None:
    """SC29: Date with a numeric zone, the sender's domain in the Message-ID."""
    content = compose(Draft(ANN, (BO, Mailbox("cy@c.test", "Cy, C")), "hi", "text"), NOW)
    message = parsed(content)
    for name in ("Date", "From", "To", "Message-ID", "Subject", "MIME-Version"):
        assert len(message.get_all(name, [])) == 1, name
    assert message["Date"] == "Sat, 21 Nov 2026 08:00:00 +0000"
    assert message["From"] == "王安 <ann@qq.com>"
    assert message["To"] == 'bo@163.com, "Cy, C" <cy@c.test>'
    assert message["Message-ID"].endswith("@qq.com>")
    assert text_of(message) == "text\n"


def strict(content: bytes) -> None:
    assert content.isascii()
    assert content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998


TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)


@given(TEXTS, TEXTS, TEXTS)
def test_any_text_arrives_and_adds_nothing(subject: str, name: str, text: str) -> None:
    """WM08, SC09, SC10, SC30: one header each, 7-bit, no long line, no bare CR or LF."""
    content = compose(Draft(ANN, (Mailbox("bo@163.com", name),), subject, text, "<p>x</p>"), NOW)
    strict(content)
    message = parsed(content)
    assert sorted(map(str.lower, message.keys())) == [
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "subject",
        "to",
    ]
    assert [item.addr_spec for item in message["To"].addresses] == ["bo@163.com"]


@given(st.text("计算机 a.,:=?_网", max_size=200))
def test_a_chinese_subject_arrives_intact(subject: str) -> None:
    """WM02, SC30: and its encoded words are at most 75 characters long."""
    content = compose(Draft(ANN, (BO,), subject, ""), NOW)
    words = [
        word for line in content.split(b"\r\n") for word in line.split() if word.startswith(b"=?")
    ]
    assert all(len(word) <= 75 for word in words)
    assert parsed(content)["Subject"] == subject.strip()


@pytest.mark.parametrize(
    "text", ["=?utf-8?q?x?= y", "a  b", "s" * 70 + " t", 'Q "q" \\ , ; <x@y> (c)', "x_y z"]
)
def test_a_text_is_not_taken_for_another(text: str) -> None:
    """SC30: in a subject and in a name."""
    message = parsed(compose(Draft(Mailbox("ann@qq.com", text), (BO,), text, ""), NOW))
    assert message["Subject"] == text
    assert message["From"].addresses[0].display_name == text
    assert message["From"].addresses[0].addr_spec == "ann@qq.com"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")))
def test_text_arrives_intact(text: str) -> None:
    """In quoted-printable or Base64, whichever is shorter."""
    assert text_of(parsed(compose(Draft(ANN, (BO,), "x", text), NOW))) == text + "\n"


@pytest.mark.parametrize("letter", ["x", "网", "网 ", '"', "=?"])
def test_no_line_is_too_long(letter: str) -> None:
    """SC10: however long a subject, a name or a paragraph is."""
    everyone = tuple(Mailbox(f"user{number}@b.test", letter * 600) for number in range(50))
    strict(compose(Draft(everyone[0], everyone, letter * 3000, letter * 3000), NOW))


def test_html_goes_beside_the_text() -> None:
    """W3: multipart/alternative, the text first."""
    message = parsed(compose(Draft(ANN, (BO,), "x", "你好", "<b>你好</b>"), NOW))
    assert message.get_content_type() == "multipart/alternative"
    assert (text_of(message), text_of(message, "html")) == ("你好\n", "<b>你好</b>\n")


@pytest.mark.parametrize(
    "address",
    [
        '"a b"@qq.com',
        "a@[127.0.0.1]",
        "a@[IPv6:::1]",
        '"a\\"@b"@qq.com',
        "ann@例子.测试",
        "用户@qq.com",
    ],
)
def test_every_good_address_can_be_written(address: str) -> None:
    """WM07: outside ASCII the header is UTF-8 (RFC 6532)."""
    sent = check_address(address)
    content = compose(Draft(Mailbox(sent), (Mailbox(sent),), "x", ""), NOW)
    assert sent.encode() in content


@given(st.emails())
def test_any_address_that_is_good_can_be_written(address: str) -> None:
    """No surprise between the check and the header."""
    try:
        sent = check_address(address)
    except AddressError:
        return
    strict(compose(Draft(Mailbox(sent), (Mailbox(sent),), "x", ""), NOW))


def test_a_message_id_needs_a_domain() -> None:
    """An address literal is none that it could stand for."""
    assert new_message_id("a@[127.0.0.1]").endswith("@localhost>")

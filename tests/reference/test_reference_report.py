"""Error reports, read by the programs that will read them."""

from __future__ import annotations

import email
from datetime import UTC, datetime
from email import policy

import pytest
from flufl.bounce import all_failures
from hypothesis import given
from hypothesis import strategies as st

from protocols.report import FailedRecipient, Report, status_of
from protocols.smtp import Failure, Kind, Reply

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ORIGINAL = b"From: ann@qq.com\r\nSubject: =?utf-8?b?5L2g?=\r\n\r\nsecret body"


def refused(address: str, *lines: str, code: int = 550) -> FailedRecipient:
    command = f"RCPT TO:<{address}>"
    return FailedRecipient(
        address, Failure(Kind.PERMANENT, command, Reply(code, lines)), "smtp.qq.com"
    )


def report(*failed: FailedRecipient) -> bytes:
    return Report("ann@qq.com", "proxy.test", failed, ORIGINAL, NOW, NOW).compose()


TOO_LONG = Failure(
    Kind.PERMANENT, "length check", reason="1001 bytes, allowed are 1000", status="5.3.4"
)


def test_its_parts_are_in_order_and_without_defects() -> None:
    """ER05, ER06, ER09, ER10."""
    message = email.message_from_bytes(
        report(refused("no@qq.com", "5.1.1 who")), policy=policy.default
    )
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["To"] == "ann@qq.com"
    assert [part.defects for part in message.walk() if part.defects] == []
    kinds = [part.get_content_type() for part in message.get_payload()]  # type: ignore[union-attr]
    assert kinds == ["text/plain", "message/delivery-status", "text/rfc822-headers"]


def test_words_and_status_name_the_failure() -> None:
    """W7: the recipient, the command and the reply, for a person and for a program."""
    failed = (refused("no@qq.com", "5.1.1 No such", "user"), FailedRecipient("bo@b.test", TOO_LONG))
    message = email.message_from_bytes(report(*failed))
    words, status, original = (part.as_string() for part in message.get_payload())  # type: ignore[union-attr]
    assert "RCPT TO:<no@qq.com> -> 550 5.1.1 No such user" in words
    assert "1001 bytes, allowed are 1000" in words
    assert "Reporting-MTA: dns; proxy.test" in status
    assert "Arrival-Date: Sat, 21 Nov 2026 08:00:00 +0000" in status
    assert "Final-Recipient: rfc822; no@qq.com\nAction: failed\nStatus: 5.1.1\n" in status
    assert "Diagnostic-Code: smtp; 550 5.1.1 No such user" in status
    assert "Final-Recipient: rfc822; bo@b.test\nAction: failed\nStatus: 5.3.4\n" in status
    assert status.count("Diagnostic-Code") == 1
    assert "Subject: =?utf-8?b?5L2g?=" in original
    assert "secret body" not in original


def test_flufl_finds_exactly_the_failed() -> None:
    """ER10, WM15: the oracle of mailing-list managers."""
    failed = (refused("no@qq.com", "no"), refused("nobody@163.com", "5.1.1 no"))
    temporary, permanent = all_failures(email.message_from_bytes(report(*failed)))
    assert permanent == {b"no@qq.com", b"nobody@163.com"}
    assert not temporary


@pytest.mark.parametrize(
    ("command", "code", "text", "status"),
    [
        ("RCPT TO:<a@b>", 550, "no", "5.1.1"),
        ("RCPT TO:<a@b>", 550, "5.7.1 no", "5.7.1"),
        ("RCPT TO:<a@b>", 501, "Bad address syntax", "5.1.3"),
        ("RCPT TO:<a@b>", 552, "full", "5.2.2"),
        ("RCPT TO:<a@b>", 571, "odd", "5.0.0"),
        ("MAIL FROM:<a@b>", 552, "big", "5.3.4"),
        ("end of data", 552, "big", "5.3.4"),
        ("end of data", 554, "5.6.0 no", "5.6.0"),
        ("greeting", 554, "no", "5.0.0"),
        ("greeting", 354, "?", "5.5.0"),
        ("DATA", 451, "later", "4.0.0"),
    ],
)
def test_the_status_is_the_servers_or_derived(
    command: str, code: int, text: str, status: str
) -> None:
    """ER01, ER02, RFC 3463."""
    assert status_of(Failure(Kind.PERMANENT, command, Reply(code, (text,)))) == status


def test_the_status_without_a_reply() -> None:
    """What is known here, else by the kind."""
    assert status_of(TOO_LONG) == "5.3.4"
    assert status_of(Failure(Kind.CONNECTION, "connect")) == "4.4.0"
    assert status_of(Failure(Kind.PERMANENT, "connect")) == "5.0.0"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=1500), min_size=1, max_size=3
    )
)
def test_no_reply_breaks_a_report(lines: list[str]) -> None:
    """ER07: 7-bit, no long line, no field added, whatever the server said."""
    content = report(refused("用户@qq.com", *lines))
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.count(b"\r\n") == content.count(b"\n")
    message = email.message_from_bytes(content, policy=policy.default)
    status = [part for part in message.walk() if "Reporting-MTA" in part or "Action" in part]
    assert [field.keys() for field in status] == [
        ["Reporting-MTA", "Arrival-Date"],
        ["Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code"],
    ]
    assert status[1]["Final-Recipient"] == r"utf-8; \x{7528}\x{6237}@qq.com"

"""Mailboxes: mails as their reader sees them, however damaged they are."""

from __future__ import annotations

import pytest
from harness.judge import judge
from harness.model.record import Event, Record, What
from harness.model.scenario import ActorKind, MailboxDemand, MailDemand, ReportFields
from harness.notation import parse_pattern
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation import cast, plan

MAIL = cast(mail=ActorKind.SMTP)
BASE64 = (
    "Content-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: base64\r\n\r\nxOO6ww==\r\n"
)
BOTH = (
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/html\r\n\r\n<p>web</p>\r\n"
    "--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n"
)


def findings(wanted: tuple[MailDemand, ...], *mails: bytes) -> list[str]:
    events = (Event(0.1, What.MAIL, "mail", data=m, facts={"mailbox": "a@b"}) for m in mails)
    verdict = judge(plan(MAIL, "", MailboxDemand("a@b", wanted)), Record(tuple(events)))
    return [finding.headline for finding in verdict.findings]


def wanted(**patterns: str) -> MailDemand:
    return MailDemand(**{name: parse_pattern(text) for name, text in patterns.items()})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mail", "demand"),
    [
        ("Subject: =?utf-8?B?5L2g5aW9?=\r\n\r\n", wanted(subject="你好")),
        ("Subject: a\r\n b\r\n\r\n", wanted(subject="a b")),
        ("From: =?utf-8?q?Ann?= <ann@x>\r\nTo: bo@y\r\n\r\n", wanted(sender="*ann@x*", to="bo@y")),
        (BASE64, wanted(text="你好")),
        (BOTH, wanted(text="plain")),
        ("\r\none\r\ntwo  \r\n", wanted(text="two")),
        ("\r\none\r\ntwo\r\n", wanted(text="one*two*")),
        ("", wanted()),
    ],
)
def test_is_read_as_a_person_would(mail: str, demand: MailDemand) -> None:
    assert findings((demand,), mail.encode()) == []


def test_mails_may_come_in_any_order() -> None:
    demands = (wanted(subject="one"), wanted(subject="two"))
    assert findings(demands, b"Subject: two\r\n\r\n", b"Subject: one\r\n\r\n") == []


def test_each_demand_has_a_mail_of_its_own() -> None:
    demands = (wanted(subject="one"), wanted(subject="two"))
    [headline] = findings(demands, b"Subject: one\r\n\r\n", b"Subject: one\r\n\r\n")
    assert headline == "The mail for a@b has another subject than expected."


def test_a_demand_that_any_mail_meets_takes_none_from_a_stricter_one() -> None:
    demands = (wanted(subject="*"), wanted(subject="two"))
    assert findings(demands, b"Subject: two\r\n\r\n", b"Subject: one\r\n\r\n") == []


def test_addresses_in_reports_are_equal_whatever_their_case() -> None:
    mail = (
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
        b"Final-Recipient: rfc822; Bo@X\r\nAction: Failed\r\nStatus: 5.1.1\r\n--b--\r\n"
    )
    report = ReportFields(("bo@x",), parse_pattern("5.1.*"))
    assert findings((MailDemand(report=report),), mail) == []


HEADERS = st.sampled_from(
    [
        b"Subject: =?x?B?====?=\r\n",
        b"From: @@<>,,;\r\n",
        b"To: \xff\r\n",
        b"Content-Type: multipart/report; boundary=b\r\n",
        b"Content-Type: text/plain; charset=nonsense\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Type: message/delivery-status\r\n",
        b"Content-Type: ;;\r\n",
        b"\r\n--b\r\n",
        b"Final-Recipient: ;\r\n",
    ]
)


@given(st.lists(HEADERS | st.binary(max_size=20), max_size=8).map(b"".join))
def test_a_damaged_mail_is_judged_like_any_other(mail: bytes) -> None:
    never = parse_pattern("never there")
    demand = MailDemand(never, never, never, never, ReportFields(("bo@x",)))
    assert len(findings((demand,), mail)) >= 4

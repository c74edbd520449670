"""Mailboxes: mails as their reader sees them, however damaged they are."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from harness.judge import judge
from harness.model.record import Event, Record, What
from harness.model.scenario import (
    ActorKind,
    AttachmentDemand,
    Check,
    Content,
    Count,
    FieldDemand,
    Has,
    InOrder,
    Lacks,
    MailboxDemand,
    MailDemand,
    ReportFields,
)
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
    fields = (FieldDemand(name, Has(parse_pattern(text))) for name, text in patterns.items())
    return MailDemand(tuple(fields))


@pytest.mark.parametrize(
    ("mail", "demand"),
    [
        ("Subject: =?utf-8?B?5L2g5aW9?=\r\n\r\n", wanted(subject="你好")),
        ("Subject: a\r\n b\r\n\r\n", wanted(subject="a b")),
        (
            "From: =?utf-8?q?Ann?= <ann@x>\r\nTo: bo@y\r\n\r\n",
            wanted(to="bo@y", **{"from": "*ann@x*"}),
        ),
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
    asked = ("subject", "from", "to", "text", "html", "header X", "return path")
    fields = tuple(FieldDemand(name, Has(parse_pattern("never there"))) for name in asked)
    original = ReportFields(("bo@x",), original=(FieldDemand("header X", fields[0].check),))
    demand = MailDemand(fields, original, (AttachmentDemand(parse_pattern("x")),) * 40)
    assert len(findings((demand,), mail)) >= 8


# -- head fields, envelopes, attachments and reports ------------------------------------

WITH_FILES = (
    b"From: ann@x\r\nTo: bo@y\r\nCc: cy@z\r\nReceived: by one\r\nReceived: by two\r\n"
    b"Message-ID: <1@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; name=notes.txt\r\n"
    b"Content-Disposition: attachment; filename=notes.txt\r\n\r\nnotes\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>web</p>\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''%E5%9B%BE.png\r\n\r\niVBORw==\r\n--b--\r\n"
)
PNG = b"\x89PNG"


def judged(demand: MailDemand, mail: bytes, sender: str = "ann@x") -> list[str]:
    event = Event(0.1, What.MAIL, "mail", data=mail, facts={"mailbox": "a@b", "sender": sender})
    verdict = judge(plan(MAIL, "", MailboxDemand("a@b", (demand,))), Record((event,)))
    return [finding.headline for finding in verdict.findings]


def part(name: str, check: Check) -> MailDemand:
    return MailDemand((FieldDemand(name, check),))


@pytest.mark.parametrize(
    ("name", "check", "right"),
    [
        ("cc", Has(parse_pattern("cy@z")), True),
        ("header message-id", Has(parse_pattern("<*@x>")), True),
        ("header Received", Count(parse_pattern("by *"), 2), True),
        ("header Received", InOrder((parse_pattern("*two"), parse_pattern("*one"))), False),
        ("header Bcc", Lacks(parse_pattern("*")), True),
        ("cc", Lacks(parse_pattern("*")), False),
        ("header Date", Has(parse_pattern("*")), False),  # it must be there at all
        ("subject", Has(parse_pattern("")), True),
        ("subject", Has(parse_pattern("*")), False),
        ("html", Has(parse_pattern("<p>*</p>")), True),
        ("text", Lacks(parse_pattern("notes")), True),  # that is a file
        ("return path", Has(parse_pattern("<ann@x>")), True),
        ("return path", Has(parse_pattern("ann@x")), True),
        ("return path", Has(parse_pattern("<>")), False),
    ],
)
def test_parts_of_a_mail(name: str, check: Check, *, right: bool) -> None:
    assert (judged(part(name, check), WITH_FILES) == []) is right


def test_the_null_return_path_is_that_of_reports() -> None:
    demand = part("return path", Has(parse_pattern("<>")))
    assert judged(demand, WITH_FILES, sender="") == []


def attachments(*demands: AttachmentDemand) -> MailDemand:
    return MailDemand(attachments=demands)


IMAGE = AttachmentDemand(
    parse_pattern("图.png"),
    parse_pattern("image/*"),
    Content(hashlib.sha256(PNG).hexdigest(), "x.png", PNG),
)
NOTES = AttachmentDemand(parse_pattern("notes.txt"))


def test_attachments_may_come_in_any_order() -> None:
    assert judged(attachments(IMAGE, NOTES), WITH_FILES) == []
    assert judged(attachments(NOTES, IMAGE), WITH_FILES) == []


@pytest.mark.parametrize(
    ("demands", "headline"),
    [
        ((), "The mail has 2 attachments, where none should be."),
        ((NOTES,), "The mail has 2 attachments, where 1 should be."),
        (
            (NOTES, AttachmentDemand(parse_pattern("*.gif"))),
            "The attachment 图.png has another name than expected.",
        ),
        (
            (NOTES, replace(IMAGE, content=Content("0" * 64, "x.png", b"\x89PNX"))),
            "The attachment 图.png differs from x.png from octet 4 on.",
        ),
        (
            (NOTES, replace(IMAGE, type=parse_pattern("image/gif"))),
            "The attachment 图.png has another type than expected.",
        ),
    ],
)
def test_an_attachment_that_differs_is_told(
    demands: tuple[AttachmentDemand, ...], headline: str
) -> None:
    assert judged(attachments(*demands), WITH_FILES) == [headline]


REPORT = (
    b"Subject: Undelivered\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    b"--b\r\n\r\nnot delivered\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; smtp.qq.com\r\n\r\nFinal-Recipient: rfc822; bo@x\r\nAction: failed\r\n"
    b"Status: 5.1.1\r\nRemote-MTA: dns; mx.x\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n nobody\r\n"
    b"\r\n--b\r\nContent-Type: KIND\r\n\r\nSubject: TEST\r\nMessage-ID: <1@x>\r\n\r\n--b--\r\n"
)
RIGHT = ReportFields(
    ("bo@x",),
    reporting_mta=parse_pattern("smtp.qq.com"),
    remote_mta=parse_pattern("dns; mx.x"),
    diagnostic=parse_pattern("550 5.1.1 nobody"),
    original=(FieldDemand("header Subject", Has(parse_pattern("TEST"))),),
)


@pytest.mark.parametrize("kind", [b"text/rfc822-headers", b"message/rfc822"])
def test_a_report_says_who_refused_what(kind: bytes) -> None:
    assert judged(MailDemand(report=RIGHT), REPORT.replace(b"KIND", kind)) == []


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (replace(RIGHT, reporting_mta=parse_pattern("mail")), "Reporting-MTA in the report"),
        (replace(RIGHT, remote_mta=parse_pattern("mail")), "Remote-MTA for bo@x"),
        (replace(RIGHT, diagnostic=parse_pattern("551*")), "Diagnostic-Code for bo@x"),
        (
            replace(RIGHT, original=(FieldDemand("header Date", Has(parse_pattern("*"))),)),
            "original Date",
        ),
    ],
)
def test_what_a_report_says_else_is_told(wanted: ReportFields, what: str) -> None:
    [headline] = judged(MailDemand(report=wanted), REPORT.replace(b"KIND", b"message/rfc822"))
    assert what in headline


def test_a_report_without_the_mail_is_told() -> None:
    [headline] = judged(MailDemand(report=RIGHT), REPORT.replace(b"KIND", b"text/plain"))
    assert "original mail" in headline

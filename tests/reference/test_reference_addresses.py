"""Addresses: which are none and why, and what a `to` field means."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.addresses import AddressError, Mailbox, check_address, parse_mailboxes


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("chengli", "no domain: there is no @"),
        ("chengli@", "empty domain: nothing follows the @"),
        ("bupt.edu.cn", "no local part before an @"),
        ("@qq.com", "empty local part: nothing precedes the @"),
        ("", "the address is empty"),
        ("a@b\r\nRCPT TO:<x@y>", "a control character is not allowed"),
        ("a\0@qq.com", "a control character is not allowed"),
    ],
)
def test_the_reason_is_named(address: str, reason: str) -> None:
    """W6: which half is missing."""
    with pytest.raises(AddressError) as caught:
        check_address(address)
    assert (caught.value.address, caught.value.reason) == (address, reason)
    assert repr(address) in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "a..b@qq.com",
        ".a@qq.com",
        "a b@qq.com",
        "a@qq..com",
        "a@-qq.com",
        "a@b@c.com",
        "a@localhost",
        "a@qq_x.com",
        "a@qq.com ",
        "x" * 65 + "@qq.com",
        f"a@{'x' * 64}.com",
        "<a@qq.com>",
        "a@qq.com,b@qq.com",
        '"a"b@qq.com',
        "a@[300.0.0.1]",
    ],
)
def test_what_is_no_address(address: str) -> None:
    """WM06: refused, with a clause that says why."""
    with pytest.raises(AddressError) as caught:
        check_address(address)
    assert caught.value.reason
    assert not caught.value.reason.endswith(".")


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("ann@example.test", "ann@example.test"),
        ("ann+list@QQ.com", "ann+list@qq.com"),
        ("a.b@mail.qq.com", "a.b@mail.qq.com"),
        ("x" * 64 + "@qq.com", "x" * 64 + "@qq.com"),
        ("ann@例子.测试", "ann@xn--fsqu00a.xn--0zwm56d"),
        ("用户@例子.测试", "用户@xn--fsqu00a.xn--0zwm56d"),
        ('"a b"@qq.com', '"a b"@qq.com'),
        ("a@[127.0.0.1]", "a@[127.0.0.1]"),
    ],
)
def test_unusual_addresses_are_good(address: str, sent: str) -> None:
    """WM07, SC19: in the form in which they are sent."""
    assert check_address(address) == sent


@pytest.mark.parametrize(
    ("text", "mailboxes"),
    [
        ("", []),
        (" ; , ", []),
        ("a@b", [Mailbox("a@b")]),
        (
            '"Ann"<ann@qq.com>;"Bo"<bo@163.com>',
            [Mailbox("ann@qq.com", "Ann"), Mailbox("bo@163.com", "Bo")],
        ),
        ('"Name"<a@b>;c@d, e@f;', [Mailbox("a@b", "Name"), Mailbox("c@d"), Mailbox("e@f")]),
        ('"Li, Bo; x" <bo@b>', [Mailbox("bo@b", "Li, Bo; x")]),
        (r'"a \"b\" c"<a@b>', [Mailbox("a@b", 'a "b" c')]),
        ("王安 <a@b>；c@d，e@f", [Mailbox("a@b", "王安"), Mailbox("c@d"), Mailbox("e@f")]),
        ("a@b;A@b;a@B;a@b", [Mailbox("a@b"), Mailbox("A@b")]),
        ("<a@b>", [Mailbox("a@b")]),
        ("chengli;chengli@", [Mailbox("chengli"), Mailbox("chengli@")]),
        ("a@b\r\nBcc: c@d", [Mailbox("a@b\r\nBcc: c@d")]),
        ('"never closed<a@b>', [Mailbox("a@b", '"never closed')]),
        ('"a,b"@c.d;e@f', [Mailbox('"a,b"@c.d'), Mailbox("e@f")]),
    ],
)
def test_what_a_to_field_means(text: str, mailboxes: list[Mailbox]) -> None:
    """W3, WM03."""
    assert parse_mailboxes(text) == mailboxes


@given(st.text(alphabet='ab@.<>";, \\\r\n'))
def test_no_field_breaks_it(text: str) -> None:
    """Whatever a form holds: mailboxes, or addresses that are refused, and nothing else."""
    for mailbox in parse_mailboxes(text):
        try:
            sent = check_address(mailbox.address)
        except AddressError:
            continue
        assert sent.isprintable()


@pytest.mark.parametrize("piece", ['"\\', '"a<', "<a", " ", "a@b;", '"'])
def test_a_hostile_field_takes_no_time(piece: str) -> None:
    """As for the content: the time grows with the length, not with its square."""
    started = time.process_time()
    parse_mailboxes(piece * (200_000 // len(piece)) + "x")
    assert time.process_time() - started < 2

"""The webmail's compose request: which it is, and what is in it."""

from __future__ import annotations

import time
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.addresses import Mailbox
from protocols.compose import FORM_TYPE, Form, Webmail, is_html, read_form, readable

QQ = Webmail()
COMPOSE = ("POST", "mail.qq.com", 80, "/cgi-bin/compose_send?sid=x", FORM_TYPE)


def test_the_compose_request_is_recognised() -> None:
    """W2: with a charset and in other case too."""
    assert QQ.is_compose(*COMPOSE)
    assert QQ.is_compose(
        "POST", "Mail.QQ.com.", 80, "/cgi-bin/compose_send", f"{FORM_TYPE.upper()}; charset=gbk"
    )


@pytest.mark.parametrize(
    ("index", "other"),
    [
        (0, "GET"),
        (1, "mail.163.com"),
        (1, "xmail.qq.com"),
        (2, 8080),
        (3, "/cgi-bin/compose_send2"),
        (3, "/x?/cgi-bin/compose_send"),
        (4, "multipart/form-data; boundary=x"),
        (4, ""),
    ],
)
def test_nothing_else_is(index: int, other: str | int) -> None:
    """WM04, WM16."""
    request = list(COMPOSE)
    request[index] = other
    assert not QQ.is_compose(*request)  # type: ignore[arg-type]


def form(content_type: str = FORM_TYPE, encoding: str = "utf-8", **fields: str) -> Form:
    return read_form(urlencode(fields, encoding=encoding).encode(), content_type, QQ)


def test_a_real_form_is_read() -> None:
    """W3, WM01, WM02."""
    found = form(
        sid="x",
        sendmailname="ann@qq.com",
        to='"波"<bo@163.com>;cy@c.test',
        subject="实验 二+",
        content__html="<div>你好&nbsp;&amp;</div>",
        empty="",
    )
    assert found == Form(
        "ann@qq.com",
        (Mailbox("bo@163.com", "波"), Mailbox("cy@c.test")),
        "实验 二+",
        "你好 &",
        "<div>你好&nbsp;&amp;</div>",
    )
    assert found.length == 8


@pytest.mark.parametrize("charset", ["gbk", "GB18030", '"gb2312"'])
def test_chinese_charsets(charset: str) -> None:
    """WM05: by the charset parameter, escaped or not."""
    kind = f"{FORM_TYPE}; charset={charset}"
    assert form(kind, "gb18030", subject="计算机").subject == "计算机"
    assert read_form("subject=计算机".encode("gb18030"), kind, QQ).subject == "计算机"


def test_repeated_and_missing_fields() -> None:
    """WM01: the first that says something counts; recipients add up."""
    found = read_form(b"subject=&subject=a&subject=b&to=a@b&to=c@d&&=&x", FORM_TYPE, QQ)
    assert found == Form("", (Mailbox("a@b"), Mailbox("c@d")), "a", "", None)


def test_text_without_markup_keeps_its_lines() -> None:
    """WM09: and is no HTML."""
    found = form(content__html="a\n.\n  b < c & d")
    assert (found.text, found.html) == ("a\n.\n  b < c & d", None)


@pytest.mark.parametrize(
    ("sender", "address"),
    [("ann@qq.com", "ann@qq.com"), (' "Ann"<ann@qq.com>', "ann@qq.com"), ("a@b;c@d", "a@b;c@d")],
)
def test_the_sender_is_one_address(sender: str, address: str) -> None:
    """Two are none, and left for the check to refuse."""
    assert form(sendmailname=sender).sender == address


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<div>A</div><div>B&nbsp;x</div>", "A\nB x"),
        ("<div>a<br></div><div><br></div><div>b</div>", "a\n\nb"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("x &amp; <b>y</b>&#20320;<p>q</p>r", "x & y你\nq\nr"),
        ("<div>\n  hi  <i>there</i>\n</div>", "hi there"),
        ("<style>p{}</style><script>if(a<b){}</script>a", "a"),
        ("a<br><br>", "a"),
        ("", ""),
        ("<div", "<div"),
        ("a<!-- <b> -->b<!-- c", "ab"),
        ("1 < 2 <b>&lt;x&gt;</b>", "1 < 2 <x>"),
    ],
)
def test_html_becomes_what_its_author_saw(content: str, text: str) -> None:
    """W3: lines as they were on the screen."""
    assert readable(content) == text


def test_markup_is_told_from_text() -> None:
    """A lone `<` or `&` is what somebody typed."""
    assert is_html("a<br>b")
    assert is_html("&nbsp;")
    assert not is_html("1 < 2 && 3 > 2")


@given(st.binary(max_size=200), st.sampled_from(["", "; charset=gbk", "; charset=x"]))
def test_no_body_breaks_it(body: bytes, charset: str) -> None:
    """Octets that are no text are replaced; nothing is raised."""
    read_form(b"content__html=" + body, FORM_TYPE + charset, QQ)
    read_form(b"content__html=" + quote_from_bytes(body).encode(), FORM_TYPE + charset, QQ)


@pytest.mark.parametrize(
    "piece", ["<a ", '<div a="', "<!--", "</", "<?", "&", "<script>", "<", " <b> "]
)
def test_a_hostile_form_takes_no_time(piece: str) -> None:
    """The proxy serves everybody from one loop: the time grows with the length, not its square."""
    content = piece * (100_000 // len(piece))
    started = time.process_time()
    is_html(content)
    readable(content)
    assert time.process_time() - started < 2

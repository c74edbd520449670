"""The SMTP core, played by hand: no socket, no clock."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.smtp import (
    MAX_REPLY_LINE,
    Dialogue,
    Envelope,
    Failure,
    Fate,
    Kind,
    Login,
    Phase,
    Reply,
    ReplyError,
    ReplyReader,
    Result,
    canonical,
    capabilities_of,
    stuffed,
)

CONTENT = b"Subject: x\r\n\r\nhello\r\n"


def replies_to(data: bytes) -> list[Reply]:
    reader = ReplyReader()
    reader.receive_data(data)
    found = []
    while (reply := reader.next_reply()) is not None:
        found.append(reply)
    return found


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"220 ready\r\n", Reply(220, ("ready",))),
        (b"250\r\n", Reply(250, ("",))),
        (b"250 \r\n", Reply(250, ("",))),
        (b"250-a\r\n250-\r\n250 c\r\n", Reply(250, ("a", "", "c"))),
        (b"250-a\r\n250\r\n", Reply(250, ("a", ""))),
        (b"571 blocked\r\n", Reply(571, ("blocked",))),
        (b"220 line feed alone\n", Reply(220, ("line feed alone",))),
        ("220 你好\r\n".encode(), Reply(220, ("你好",))),
    ],
)
def test_a_reply_is_read(data: bytes, reply: Reply) -> None:
    """SC03, SC04, SC05."""
    assert replies_to(data) == [reply]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello\r\n", "no SMTP reply"),
        (b"25\r\n", "no SMTP reply"),
        (b"2500 x\r\n", "no SMTP reply"),
        (b"199 x\r\n", "no SMTP reply"),
        (b"\xb2\xb25 x\r\n", "no SMTP reply"),
        (b"250-a\r\n550 b\r\n", "began with 250 goes on with 550"),
        (b"220 " + b"x" * MAX_REPLY_LINE, "more than 2048 octets"),
        (b"220 " + b"x" * MAX_REPLY_LINE + b"\r\n", "more than 2048 octets"),
        (b"250-x\r\n" * 300, "more than 256 lines"),
    ],
)
def test_what_is_no_reply_is_an_error(data: bytes, reason: str) -> None:
    """SC32, SC38: with the reason, and for good."""
    reader = ReplyReader()
    reader.receive_data(data)
    for _ in range(2):
        with pytest.raises(ReplyError, match=reason):
            reader.next_reply()


def test_replies_to_nothing_are_not_collected_for_ever() -> None:
    """A server that talks on unasked costs bounded memory."""
    reader = ReplyReader()
    reader.receive_data(b"250 ok\r\n" * 10_000)
    for _ in range(65):
        assert reader.next_reply() is not None
    with pytest.raises(ReplyError, match="never sent"):
        reader.next_reply()


REPLIES = st.lists(
    st.builds(
        Reply,
        st.integers(200, 599),
        st.lists(
            st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=20),
            min_size=1,
        ).map(tuple),
    ),
    max_size=5,
)


def written(reply: Reply) -> bytes:
    *first, last = reply.lines
    lines = [f"{reply.code}-{line}\r\n" for line in first] + [f"{reply.code} {last}\r\n"]
    return "".join(lines).encode()


@given(REPLIES, st.lists(st.integers(1, 7), min_size=1))
def test_replies_may_be_cut_anywhere(replies: list[Reply], sizes: list[int]) -> None:
    """SC03: several in one segment, one over many."""
    data = b"".join(map(written, replies))
    reader = ReplyReader()
    found: list[Reply] = []
    position = turn = 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        reader.receive_data(data[position : position + size])
        position, turn = position + size, turn + 1
        while (reply := reader.next_reply()) is not None:
            found.append(reply)
    assert found == replies


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(550, ("5.1.1 no",)), "5.1.1"),
        (Reply(550, ("5.01.001 no",)), "5.1.1"),
        (Reply(550, ("5.1.1",)), "5.1.1"),
        (Reply(550, ("4.1.1 no",)), None),
        (Reply(550, ("no 5.1.1",)), None),
        (Reply(354, ("go",)), None),
    ],
)
def test_enhanced_status_codes(reply: Reply, status: str | None) -> None:
    """One of another class than the reply's is no status (RFC 2034 4)."""
    assert reply.enhanced == status


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"..\r\n.x", b"...\r\n..x\r\n.\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\n.\r\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\r\n", b"a\r\n\r\n.\r\n"),
    ],
)
def test_content_is_made_safe(content: bytes, sent: bytes) -> None:
    """SC08, SC09, WM09: no content ends itself."""
    assert stuffed(canonical(content)) == sent


@given(st.text(alphabet=".\r\nab").map(str.encode))
def test_no_content_smuggles(content: bytes) -> None:
    """The line of one dot is there once, at the end, and no CR or LF is alone."""
    sent = stuffed(canonical(content))
    assert (b"\r\n" + sent).find(b"\r\n.\r\n") == len(sent) - 3
    assert sent.count(b"\r\n") == sent.count(b"\r") == sent.count(b"\n")


def test_capabilities() -> None:
    """The first line is a greeting; `AUTH=` is an old spelling."""
    reply = Reply(250, ("SIZE 1", "size 100", "AUTH PLAIN", "AUTH=LOGIN", "8BITMIME "))
    assert capabilities_of(reply) == {"SIZE": "100", "AUTH": "PLAIN LOGIN", "8BITMIME": ""}


@pytest.mark.parametrize("address", ["a@b\r\nRCPT TO:<x@y>", "a\0@b", "\ud800@b"])
def test_an_envelope_holds_no_control_characters(address: str) -> None:
    """WM08: no address smuggles a command."""
    with pytest.raises(ValueError, match="control character"):
        Envelope("a@b", (address,))


def answer(line: str, command: str, replies: dict[str, str]) -> str:
    by_line = [key for key in replies if line.startswith(key)]
    matches = by_line or [key for key in replies if key == command]
    return replies[max(matches, key=len)] if matches else "250 ok"


def play(
    replies: dict[str, str],
    *,
    to: tuple[str, ...] = ("bo@b.test",),
    login: Login | None = None,
    encrypted: bool = True,
    content: bytes = CONTENT,
    sender: str = "ann@a.test",
) -> tuple[list[str], Result]:
    """Play a dialogue against a server that says `replies` (by the start of the command)."""
    usual = {"greeting": "220 x", "DATA": "354 go", "QUIT": "221 bye", "EHLO": "250 x"}
    dialogue = Dialogue(
        Envelope(sender, to), content, hello="me.test", encrypted=encrypted, login=login
    )
    said: list[str] = []
    talk = dialogue.run()
    step = next(talk)
    while True:
        said.append(step.wire.decode() if step.phase is not Phase.END else "<content>")
        text = answer(said[-1], step.command, {**usual, **replies})
        [reply] = replies_to(text.replace("|", "\r\n").encode() + b"\r\n")
        try:
            step = talk.send(reply)
        except StopIteration:
            return [line.removesuffix("\r\n") for line in said], dialogue.result()


def fates(result: Result) -> list[Fate]:
    return [item.fate for item in result.outcomes]


def test_the_usual_dialogue() -> None:
    """W5, SC01, SC07, SC15: each line waits for its reply."""
    said, result = play({}, to=("bo@b.test", "cy@c.test"))
    assert said == [
        "",
        "EHLO me.test",
        "MAIL FROM:<ann@a.test>",
        "RCPT TO:<bo@b.test>",
        "RCPT TO:<cy@c.test>",
        "DATA",
        "<content>",
        "QUIT",
    ]
    assert fates(result) == [Fate.ACCEPTED, Fate.ACCEPTED]
    assert result.failure is None
    assert result.accepted == ("bo@b.test", "cy@c.test")


@pytest.mark.parametrize("code", [500, 502])
def test_helo_for_a_server_without_extensions(code: int) -> None:
    """SC02."""
    said, result = play({"EHLO": f"{code} what?"})
    assert said[1:3] == ["EHLO me.test", "HELO me.test"]
    assert fates(result) == [Fate.ACCEPTED]


@pytest.mark.parametrize("reply", ["251 will forward", "252 will try", "259 odd"])
def test_any_2yz_accepts_a_recipient(reply: str) -> None:
    """SC04, SC06."""
    assert fates(play({"RCPT": reply})[1]) == [Fate.ACCEPTED]


def test_one_bad_recipient_does_not_rob_the_good_one() -> None:
    """SC11: the refusal is kept with its command and reply."""
    said, result = play({"RCPT TO:<no": "550 5.1.1 who?"}, to=("nobody@b.test", "bo@b.test"))
    assert "DATA" in said
    assert fates(result) == [Fate.REFUSED, Fate.ACCEPTED]
    assert str(result.outcomes[0].failure) == "RCPT TO:<nobody@b.test> -> 550 5.1.1 who?"


def test_no_data_when_nobody_is_left() -> None:
    """SC12, RFC 5321 3.3."""
    said, result = play({"RCPT": "550 no"}, to=("a@b.test", "c@d.test"))
    assert said[-2:] == ["RCPT TO:<c@d.test>", "QUIT"]
    assert fates(result) == [Fate.REFUSED, Fate.REFUSED]


@pytest.mark.parametrize(
    ("replies", "last", "kind", "fate"),
    [
        ({"greeting": "554 go away"}, "QUIT", Kind.PERMANENT, Fate.NOT_SENT),
        ({"greeting": "421 busy"}, "", Kind.TEMPORARY, Fate.NOT_SENT),
        ({"EHLO": "550 no"}, "QUIT", Kind.PERMANENT, Fate.NOT_SENT),
        ({"EHLO": "502 x", "HELO": "550 no"}, "QUIT", Kind.PERMANENT, Fate.NOT_SENT),
        ({"MAIL": "451 later"}, "QUIT", Kind.TEMPORARY, Fate.NOT_SENT),
        ({"MAIL": "354 what"}, "QUIT", Kind.PROTOCOL, Fate.NOT_SENT),
        ({"DATA": "554 no"}, "QUIT", Kind.PERMANENT, Fate.REFUSED),
        ({"DATA": "250 ok"}, "QUIT", Kind.PROTOCOL, Fate.REFUSED),
        ({"DATA": "421 bye"}, "DATA", Kind.TEMPORARY, Fate.REFUSED),
        ({"end of data": "552 big"}, "QUIT", Kind.PERMANENT, Fate.REFUSED),
        ({"end of data": "471 odd"}, "QUIT", Kind.TEMPORARY, Fate.REFUSED),
        ({"RCPT": "421 bye"}, "RCPT TO:<bo@b.test>", Kind.TEMPORARY, Fate.NOT_SENT),
    ],
)
def test_refusals_stop_the_mail(replies: dict[str, str], last: str, kind: Kind, fate: Fate) -> None:
    """SC32, SC33: QUIT follows, except after 421."""
    said, result = play(replies)
    assert said[-1] == last
    assert result.failure is not None
    assert result.failure.kind is kind
    assert fates(result) == [fate]


def test_only_what_is_offered_is_used() -> None:
    """SC16, SC17: SIZE is sent if offered, and a mail over it is not sent at all."""
    said, _ = play({"EHLO": "250-x|250 SIZE"})
    assert f"MAIL FROM:<ann@a.test> SIZE={len(CONTENT)}" in said
    said, result = play({"EHLO": "250-x|250 SIZE 10"})
    assert said[-1] == "QUIT"
    assert len(said) == 3
    assert result.failure is not None
    assert result.failure.status == "5.3.4"


def test_eight_bit_content_needs_the_extension() -> None:
    """SC18: here it fails; composed mail is 7-bit and never comes to it."""
    content = CONTENT + b"\xe4\xbd\xa0\r\n"
    assert (
        "MAIL FROM:<ann@a.test> BODY=8BITMIME"
        in play({"EHLO": "250-x|250 8BITMIME"}, content=content)[0]
    )
    failure = play({}, content=content)[1].failure
    assert failure is not None
    assert failure.status == "5.6.3"


def test_utf8_addresses() -> None:
    """SC19: used if offered, else only that recipient fails."""
    to = ("用户@b.test", "bo@b.test")
    said, result = play({"EHLO": "250-x|250 SMTPUTF8"}, to=to)
    assert "MAIL FROM:<ann@a.test> SMTPUTF8" in said
    assert fates(result) == [Fate.ACCEPTED, Fate.ACCEPTED]
    said, result = play({}, to=to)
    assert fates(result) == [Fate.NOT_SENT, Fate.ACCEPTED]
    assert "RCPT TO:<用户@b.test>" not in said
    failure = play({}, sender="用户@b.test")[1].failure
    assert failure is not None
    assert failure.status == "5.6.7"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


LOGIN = Login("ann", "s3cret")


def test_auth_login() -> None:
    """SC20: whatever the prompts say."""
    replies = {"EHLO": "250-x|250 AUTH LOGIN PLAIN", "AUTH LOGIN": "334 ?", encoded("ann"): "334"}
    said, result = play({**replies, encoded("s3cret"): "235 ok"}, login=LOGIN)
    assert said[2:5] == ["AUTH LOGIN", encoded("ann"), encoded("s3cret")]
    assert fates(result) == [Fate.ACCEPTED]


def test_auth_plain() -> None:
    """SC20: with an initial response, unless that made the line too long."""
    blob = encoded("\0ann\0s3cret")
    said, _ = play({"EHLO": "250-x|250 AUTH PLAIN", "AUTH PLAIN": "235 ok"}, login=LOGIN)
    assert said[2] == f"AUTH PLAIN {blob}"
    login = Login("ann", "x" * 400)
    long = encoded("\0ann\0" + "x" * 400)
    replies = {"EHLO": "250-x|250 AUTH PLAIN", "AUTH PLAIN": "334", long: "235 ok"}
    said, _ = play(replies, login=login)
    assert said[2:4] == ["AUTH PLAIN", long]


@pytest.mark.parametrize(
    ("reply", "kind"), [("535 no", Kind.PERMANENT), ("454 later", Kind.TEMPORARY)]
)
def test_a_failed_login_stops(reply: str, kind: Kind) -> None:
    """SC21: no loop, no mail."""
    said, result = play({"EHLO": "250-x|250 AUTH PLAIN", "AUTH PLAIN": reply}, login=LOGIN)
    assert said[3:] == ["QUIT"]
    assert result.failure is not None
    assert (result.failure.kind, result.failure.command) == (kind, "AUTH PLAIN")


def test_no_password_in_clear_unless_allowed() -> None:
    """SC22."""
    offer = {"EHLO": "250-x|250 AUTH PLAIN", "AUTH PLAIN": "235 ok"}
    said, result = play(offer, login=LOGIN, encrypted=False)
    assert said[2:] == ["QUIT"]
    assert result.failure is not None
    allowed = Login("ann", "s3cret", in_clear=True)
    assert fates(play(offer, login=allowed, encrypted=False)[1]) == [Fate.ACCEPTED]
    assert "AUTH" not in " ".join(play({}, login=LOGIN, encrypted=False)[0])


def test_credentials_are_hidden() -> None:
    """SC21: in every form, also when the server echoes them; and in our own representation."""
    blob = encoded("\0ann\0s3cret")
    text = f"535 {encoded('s3cret')} s3cret {encoded('ann')} {blob} x"
    assert LOGIN.hide(text) == "535 ******** ******** ******** ******** x"
    assert Login("a", "o").hide("250 ok, or o?") == "250 ok, or ********?"
    assert "s3cret" not in repr(LOGIN)


def test_a_connection_lost_after_the_dot_is_uncertain() -> None:
    """SC35: neither sent nor failed; the refused one stays refused."""
    dialogue = Dialogue(Envelope("a@b.test", ("no@b.test", "bo@b.test")), CONTENT, hello="me")
    talk = dialogue.run()
    next(talk)
    for text in ("220", "250", "250", "550 no", "250", "354"):
        step = talk.send(replies_to(text.encode() + b"\r\n")[0])
    assert step.phase is Phase.END
    lost = Failure(Kind.CONNECTION, step.command, reason="lost")
    dialogue.lost(lost, all_sent=True)
    assert fates(dialogue.result()) == [Fate.REFUSED, Fate.UNCERTAIN]


def test_a_missing_farewell_is_no_failure() -> None:
    """SC15, ER12."""
    dialogue = Dialogue(Envelope("a@b.test", ("bo@b.test",)), CONTENT, hello="me")
    talk = dialogue.run()
    next(talk)
    for text in ("220", "250", "250", "250", "354", "250"):
        step = talk.send(replies_to(text.encode() + b"\r\n")[0])
    assert step.phase is Phase.QUIT
    dialogue.lost(Failure(Kind.CONNECTION, "QUIT", reason="lost"))
    assert dialogue.result().failure is None
    assert fates(dialogue.result()) == [Fate.ACCEPTED]

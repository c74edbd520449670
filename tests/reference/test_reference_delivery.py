"""Delivery against SMTP servers in the same loop: who gets what, and what the sender is told."""

from __future__ import annotations

import asyncio
import email
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.smtp import SMTP
from flufl.bounce import all_failures

from protocols.addresses import Mailbox
from protocols.delivery import Delivery, Mail, Route, may_retry, save
from protocols.endpoints import Endpoint
from protocols.log import Log, now
from protocols.message import Draft
from protocols.smtp import Failure, Fate, Kind, Outcome
from protocols.smtp_connection import Server, Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

HERE = Endpoint("127.0.0.1", 8800)
BROWSER = Endpoint("127.0.0.1", 50000)


def mail(number: int = 1, sender: str = "ann@a.test", *to: str, text: str = "hello") -> Mail:
    recipients = tuple(map(Mailbox, to or ("bo@b.test",)))
    draft = Draft(Mailbox(sender), recipients, f"mail {number}", text)
    return Mail(number, BROWSER, HERE, draft, len(text), now())


@dataclass
class Post:
    """An SMTP server's memory, and the replies it gives by the start of the recipient."""

    replies: dict[str, list[str]] = field(default_factory=dict)
    got: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        for start, replies in self.replies.items():
            if address.startswith(start) and replies:
                return replies.pop(0) if len(replies) > 1 else replies[0]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - the same
        self.arrived.set()
        if self.release is not None:
            await self.release.wait()
        self.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content))
        return "250 2.0.0 taken"


@asynccontextmanager
async def listening(post: Post) -> AsyncIterator[Server]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(post), "127.0.0.1", 0)
    async with server:
        where = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        yield Server(where, hello="me", timeouts=Timeouts.all(5))


@dataclass
class Scene:
    mails: Post
    reports: Post
    delivery: Delivery
    screen: list[str]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log.open(tmp_path)
    yield made
    made.close()


def play(
    log: Log, act: Callable[[Scene], Awaitable[None]], mails: Post | None = None, **route: Any
) -> Scene:
    """Act, then let everything come to its end."""

    async def run() -> Scene:
        posts = mails or Post(), Post()
        async with listening(posts[0]) as one, listening(posts[1]) as two:
            made = replace(Route(one, two, "proxy.test", retries=(0.01, 0.01)), **route)
            screen: list[str] = []
            scene = Scene(*posts, Delivery(made, log, screen.append), screen)
            await act(scene)
            while scene.delivery._workers:
                await asyncio.wait(scene.delivery._workers)
            await scene.delivery.stop(1)
        return scene

    return asyncio.run(run())


def submitting(*mails: Mail) -> Callable[[Scene], Awaitable[None]]:
    async def act(scene: Scene) -> None:
        for item in mails:
            scene.delivery.submit(item)

    return act


def failures(report: bytes) -> set[bytes]:
    return set(all_failures(email.message_from_bytes(report))[1])


def test_the_good_get_the_mail_and_one_report_names_the_others(log: Log) -> None:
    """W7, W8, WM15: one transaction; null return path; to the sender."""
    mails = Post({"no": ["550 5.1.1 who?"]})
    item = mail(1, "ann@a.test", "bo@b.test", "nobody@b.test", "none@c.test", "cy@c.test")
    scene = play(log, submitting(item), mails)
    assert [(found[0], found[1]) for found in mails.got] == [
        ("ann@a.test", ["bo@b.test", "cy@c.test"])
    ]
    [(sender, to, report)] = scene.reports.got
    assert (sender, to) == ("<>", ["ann@a.test"])
    assert failures(report) == {b"nobody@b.test", b"none@c.test"}
    assert b"RCPT TO:<nobody@b.test> -> 550 5.1.1 who?" in report
    shown = "\n".join(scene.screen)
    assert "mail 1: bo@b.test: accepted by the mail server" in shown
    assert "mail 1: nobody@b.test: refused: RCPT TO:<nobody@b.test> -> 550 5.1.1 who?" in shown
    assert "mail 1: error report to ann@a.test: accepted" in shown
    recorded = log.path.read_text("utf-8")
    assert "C: RCPT TO:<nobody@b.test>" in recorded
    assert "S: 550 5.1.1 who?" in recorded


def test_no_report_when_all_is_well(log: Log) -> None:
    """ER12."""
    scene = play(log, submitting(mail()))
    assert len(scene.mails.got) == 1
    assert scene.reports.got == []


@pytest.mark.parametrize(("length", "sent"), [(1000, True), (1001, False)])
def test_a_mail_over_the_limit_is_not_sent(log: Log, length: int, *, sent: bool) -> None:
    """W7, ER02: the report names the limit and the length."""
    scene = play(log, submitting(mail(text="x" * length)), limit=1000)
    assert bool(scene.mails.got) is sent
    assert bool(scene.reports.got) is not sent
    if not sent:
        report = scene.reports.got[0][2]
        assert b"Status: 5.3.4" in report
        assert b"1001 bytes, allowed are 1000 bytes" in report


def test_a_temporary_failure_is_tried_again(log: Log) -> None:
    """SC14: for that recipient only; then it is well."""
    mails = Post({"bo": ["451 later", "451 later", "250 ok"]})
    mails.replies["bo"][-1] = "550 5.1.1 never"
    scene = play(log, submitting(mail(1, "ann@a.test", "bo@b.test", "cy@c.test")), mails)
    assert [found[1] for found in mails.got] == [["cy@c.test"]]
    assert failures(scene.reports.got[0][2]) == {b"bo@b.test"}
    assert sum("again in 0.01 s" in line for line in scene.screen) == 2


def test_what_stays_temporary_is_reported(log: Log) -> None:
    """SC14: after the last attempt; the report says so."""
    mails = Post({"bo": ["451 4.7.1 later"]})
    report = play(log, submitting(mail()), mails).reports.got[0][2]
    assert b"Status: 4.7.1" in report
    assert b"tried several times" in report


def test_a_server_that_is_not_there_is_reported(log: Log) -> None:
    """The sender learns of it by way of the other server."""
    nowhere = Server(Endpoint("127.0.0.1", 1))
    scene = play(log, submitting(mail()), mail=nowhere)
    assert failures(scene.reports.got[0][2]) == {b"bo@b.test"}
    assert b"connection refused" in scene.reports.got[0][2]


def test_a_report_that_fails_is_told_and_that_is_all(log: Log) -> None:
    """ER11: no report about a report."""
    nowhere = Server(Endpoint("127.0.0.1", 1))
    scene = play(log, submitting(mail()), Post({"bo": ["550 no"]}), report=nowhere)
    assert "error report to ann@a.test: not sent: connect to 127.0.0.1:1" in scene.screen[-1]
    assert "error report" in log.path.read_text("utf-8").splitlines()[-1]


def test_one_senders_mails_stay_in_order_and_others_pass(log: Log) -> None:
    """W11: the first mail is held by its server, another sender's goes through."""
    mails = Post(release=asyncio.Event())

    async def act(scene: Scene) -> None:
        scene.delivery.submit(mail(1))
        await mails.arrived.wait()
        held, mails.release = mails.release, None
        scene.delivery.submit(mail(2))
        scene.delivery.submit(mail(3, "eve@e.test"))
        async with asyncio.timeout(5):
            while not mails.got:
                await asyncio.wait(scene.delivery._workers, timeout=0.01)
        assert held is not None
        held.set()

    scene = play(log, act, mails)
    assert [found[0] for found in scene.mails.got] == ["eve@e.test", "ann@a.test", "ann@a.test"]
    subjects = [email.message_from_bytes(found[2])["Subject"] for found in scene.mails.got]
    assert subjects == ["mail 3", "mail 1", "mail 2"]


def test_a_fault_with_one_mail_does_not_end_the_others(log: Log) -> None:
    """W11: a sender's queue outlives what nobody thought of."""
    bad = mail(1)
    bad = replace(bad, draft=replace(bad.draft, recipients=(Mailbox("a\r\nb@c.test"),)))
    scene = play(log, submitting(bad, mail(2)))
    assert len(scene.mails.got) == 1
    assert "a fault of this program" in "\n".join(scene.screen)


def test_stopping_tells_what_is_left(log: Log) -> None:
    """W13: a mail that waits for its next attempt is not forgotten in silence."""
    mails = Post({"bo": ["451 later"]})

    async def act(scene: Scene) -> None:
        scene.delivery.submit(mail(1))
        scene.delivery.submit(mail(2))
        async with asyncio.timeout(5):
            while not any("again in" in line for line in scene.screen):
                await asyncio.wait(scene.delivery._workers, timeout=0.01)
        await scene.delivery.stop(5)

    scene = play(log, act, mails, retries=(60.0,))
    left = [line for line in scene.screen if "not finished" in line]
    assert [line.partition(" mail ")[2][0] for line in left] == ["1", "2"]


def test_what_may_be_tried_again() -> None:
    """SC14, SC35: an uncertain mail too (RFC 5321 3.8)."""
    lost = Failure(Kind.CONNECTION, "end of data", reason="lost")
    assert may_retry(Outcome("a", Fate.UNCERTAIN, lost))
    assert not may_retry(Outcome("a", Fate.ACCEPTED))
    assert not may_retry(Outcome("a", Fate.REFUSED, replace(lost, kind=Kind.PERMANENT)))


def test_the_screen_shows_who_and_where(log: Log) -> None:
    """W9."""

    async def act(scene: Scene) -> None:
        item = mail(1, "ann@a.test", "bo@b.test", "cy@c.test")
        scene.delivery.announce(replace(item, rejected=(("che\nngli", "no domain"),)))

    [block] = play(log, act, mail_name="smtp.qq.com").screen
    lines = [line.strip() for line in block.splitlines()]
    assert lines[1:3] == ["browser: 127.0.0.1:50000", "proxy: 127.0.0.1:8800"]
    assert lines[3].startswith("mail server: smtp.qq.com 127.0.0.1:")
    assert lines[4:] == [
        "sender: ann@a.test",
        "recipients: bo@b.test, cy@c.test",
        "length: 5 bytes",
        r"invalid address: che\x0angli: no domain",
    ]


def test_a_mail_is_saved_whole_under_a_name_of_its_own(tmp_path: Path) -> None:
    """W4, WM12: and no field writes another one."""
    item = mail(1, text="one\ntwo 你好")
    item = replace(item, draft=replace(item.draft, subject="x\nsender: eve"))
    first, second = (save(item, tmp_path / "mails") for _ in range(2))
    assert first != second
    head, _, text = first.read_text("utf-8").partition("\n\n")
    assert text == "one\ntwo 你好\n"
    assert "browser: 127.0.0.1:50000\n" in head
    assert r"subject: x\x0asender: eve" in head
    assert head.count("sender: ann@a.test") == 1

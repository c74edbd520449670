"""The agent: which requests it takes, what it saves, hands on and answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from protocols.compose import FORM_TYPE
from protocols.delivery import Delivery, Mail, Route
from protocols.endpoints import Endpoint
from protocols.http_proxy import Answer, RequestHead
from protocols.log import Log
from protocols.smtp_connection import Server
from protocols.webmail_agent import MailAgent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOWHERE = Server(Endpoint("127.0.0.1", 1))
BROWSER, HERE = Endpoint("127.0.0.1", 50000), Endpoint("127.0.0.1", 8800)


def head(method: str = "POST") -> RequestHead:
    fields = ((b"Content-Type", FORM_TYPE.encode()),)
    target = "/cgi-bin/compose_send?sid=x"
    return RequestHead(
        method, "mail.qq.com", 80, "mail.qq.com", target, fields, "1.1", BROWSER, HERE
    )


class Recorder(Delivery):
    """Delivers nothing."""

    def __init__(self, log: Log, limit: int | None) -> None:
        super().__init__(Route(NOWHERE, NOWHERE, "me.test", limit=limit), log, lambda _text: None)
        self.submitted: list[Mail] = []

    def submit(self, mail: Mail) -> None:
        self.submitted.append(mail)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log.open(tmp_path)
    yield made
    made.close()


def take(log: Log, fields: dict[str, str], limit: int | None = None) -> tuple[str, list[Mail]]:
    delivery = Recorder(log, limit)
    responder = MailAgent(delivery, log.path.parent / "mails").hook(head())
    assert responder is not None
    answer: Answer = asyncio.run(_respond(responder, urlencode(fields).encode()))
    assert answer.status == 200
    return answer.body.decode(), delivery.submitted


async def _respond(responder: object, body: bytes) -> Answer:
    assert callable(responder)
    answer = await responder(body)
    assert isinstance(answer, Answer)
    return answer


FORM = {"sendmailname": "ann@qq.com", "subject": "TEST", "content__html": "<div>hi</div>"}


def test_only_the_compose_request_is_taken(log: Log) -> None:
    """WM04."""
    agent = MailAgent(Recorder(log, None), log.path.parent)
    assert agent.hook(head("GET")) is None
    assert agent.hook(head()) is not None


def test_the_valid_recipients_get_it_and_the_user_learns_of_the_others(log: Log) -> None:
    """W6, W12: and nobody is told that anything was delivered."""
    page, [mail] = take(log, FORM | {"to": '"波"<bo@163.com>;chengli;bo@163.COM;<i>@x'})
    assert [item.address for item in mail.draft.recipients] == ["bo@163.com"]
    assert "bo@163.com: accepted for delivery" in page
    assert "chengli: refused, no valid address: no domain" in page
    assert "<i>" not in page
    assert "delivered" not in page
    assert (mail.browser, mail.proxy, mail.length) == (BROWSER, HERE, 2)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({**FORM, "to": "bo@163.com", "sendmailname": "chengli"}, "no domain: there is no @"),
        ({**FORM, "to": "chengli"}, "it has no recipient"),
        ({**FORM, "to": ""}, "it has no recipient"),
        ({}, "the address is empty"),
    ],
)
def test_what_is_refused_whole(log: Log, fields: dict[str, str], reason: str) -> None:
    """W6: nothing is sent, the page says why; the mail is saved all the same (W4)."""
    page, submitted = take(log, fields)
    assert submitted == []
    assert "The mail is not sent" in page
    assert reason in page
    assert len(list((log.path.parent / "mails").iterdir())) == 1


def test_a_mail_over_the_limit_is_handed_on_for_its_report(log: Log) -> None:
    """W7: the user is told as well."""
    page, submitted = take(log, {**FORM, "to": "bo@163.com"}, 1)
    assert "its text has 2 bytes, and 1 are allowed" in page
    assert "accepted" not in page
    assert len(submitted) == 1


def test_what_cannot_be_saved_is_not_accepted(log: Log) -> None:
    """WM12: saved before anything else, or refused."""
    (log.path.parent / "mails").write_text("in the way")
    page, submitted = take(log, {**FORM, "to": "bo@163.com"})
    assert "it cannot be saved" in page
    assert submitted == []

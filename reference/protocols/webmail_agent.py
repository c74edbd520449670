"""The agent behind the webmail proxy: takes compose requests over, checks, saves, answers."""

from __future__ import annotations

import asyncio
import html
from typing import TYPE_CHECKING

from protocols.addresses import AddressError, Mailbox, check_address
from protocols.compose import Form, Webmail, read_form
from protocols.delivery import Delivery, Mail, save
from protocols.http_proxy import Answer, RequestHead, Responder
from protocols.log import now, visible
from protocols.message import Draft

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class MailAgent:
    """Takes the compose requests of a webmail over, and answers them.

    Args:
        delivery: gets the mails that can be sent.
        directory: every mail is saved here first.
        webmail: which requests they are.
    """

    def __init__(self, delivery: Delivery, directory: Path, webmail: Webmail | None = None) -> None:
        self._delivery = delivery
        self._directory = directory
        self._webmail = webmail or Webmail()

    def hook(self, head: RequestHead) -> Responder | None:
        """The proxy's hook: a responder for a compose request, None for any other."""
        kind = head.get("content-type")
        if not self._webmail.is_compose(head.method, head.host, head.port, head.target, kind):
            return None

        async def respond(body: bytes) -> Answer:
            return await self._take(head, read_form(body, kind, self._webmail))

        return respond

    async def _take(self, head: RequestHead, form: Form) -> Answer:
        sender, good, rejected = checked(form)
        mail = self._mail(head, form, sender, good, rejected)
        try:
            await asyncio.to_thread(save, mail, self._directory)
        except OSError as error:
            return answer(form, (), rejected, f"it cannot be saved ({error.strerror})")
        self._delivery.announce(mail)
        if isinstance(sender, AddressError):
            return answer(
                form, (), rejected, f"the sender {form.sender!r} is none: {sender.reason}"
            )
        if not good:
            return answer(form, (), rejected, "it has no recipient")
        limit = self._delivery.route.limit
        self._delivery.submit(mail)
        if limit is not None and mail.length > limit:
            reason = f"its text has {mail.length} bytes, and {limit} are allowed"
            return answer(form, (), rejected, reason)
        return answer(form, good, rejected)

    def _mail(
        self,
        head: RequestHead,
        form: Form,
        sender: str | AddressError,
        good: tuple[Mailbox, ...],
        rejected: tuple[tuple[str, str], ...],
    ) -> Mail:
        address = form.sender if isinstance(sender, AddressError) else sender
        draft = Draft(Mailbox(address), good, form.subject, form.text, form.html)
        return Mail(
            number=self._delivery.next_number(),
            browser=head.client,
            proxy=head.proxy,
            draft=draft,
            length=form.length,
            arrived=now(),
            rejected=rejected,
        )


def checked(
    form: Form,
) -> tuple[str | AddressError, tuple[Mailbox, ...], tuple[tuple[str, str], ...]]:
    """Check a form's addresses (W6): the sender's or its error, the good ones, the others why."""
    sender: str | AddressError
    try:
        sender = check_address(form.sender)
    except AddressError as error:
        sender = error
    good: dict[str, Mailbox] = {}
    rejected: list[tuple[str, str]] = []
    for mailbox in form.recipients:
        try:
            address = check_address(mailbox.address)
        except AddressError as error:
            rejected.append((mailbox.address, error.reason))
        else:
            good.setdefault(address, Mailbox(address, mailbox.name))
    return sender, tuple(good.values()), tuple(rejected)


def answer(
    form: Form,
    good: Sequence[Mailbox],
    rejected: Sequence[tuple[str, str]],
    refusal: str = "",
) -> Answer:
    """The page for the webmail's user (W12): what is known by now, which is never "delivered"."""
    title = "The mail is accepted for delivery" if good else "The mail is not sent"
    rows = [f"{item.address}: accepted for delivery" for item in good]
    rows += [f"{address}: refused, no valid address: {reason}" for address, reason in rejected]
    items = "".join(f"<li>{html.escape(visible(row))}</li>\n" for row in rows)
    why = f"<p>{html.escape(visible(refusal))}</p>\n" if refusal else ""
    subject = html.escape(visible(form.subject))
    text = (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><h1>{title}</h1>\n<p>{subject}</p>\n{why}<ul>\n{items}</ul></body></html>\n"
    )
    return Answer(200, text.encode("utf-8", "replace"))

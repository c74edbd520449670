"""Composes mail (RFC 5322, MIME): what a person wrote becomes what is sent.

The result has lines of at most 998 octets ended by CRLF, and is ASCII throughout, so that
it needs no extension of any server; only an address outside ASCII makes its header UTF-8
(RFC 6532), which servers take that offer SMTPUTF8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.addresses import Mailbox

# 7bit: what is not ASCII goes as quoted-printable or Base64, whichever is shorter.
POLICY = policy.SMTP.clone(cte_type="7bit")

# A word that has no blank is not folded, and a line may have 998 octets (RFC 5322 2.1.1).
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """A mail as its author sees it; addresses are checked already.

    `html` is shown instead of `text` by programs that can; they go as alternatives.
    """

    sender: Mailbox
    recipients: tuple[Mailbox, ...]
    subject: str = ""
    text: str = ""
    html: str | None = None


def compose(draft: Draft, date: datetime, message_id: str | None = None) -> bytes:
    """Write the mail with Date, From, To, Message-ID and Subject, each exactly once.

    `date` must know its time zone. No text of the draft can add a header: line ends
    and other control characters in a subject or a name become blanks.
    """
    everyone = (draft.sender, *draft.recipients)
    message = EmailMessage(POLICY.clone(utf8=not all(item.address.isascii() for item in everyone)))
    message["Date"] = format_datetime(date)
    message["From"] = _address(draft.sender)
    message["To"] = [_address(item) for item in draft.recipients]
    message["Message-ID"] = message_id or new_message_id(draft.sender.address)
    message["Subject"] = one_line(draft.subject)
    message.set_content(_lines(draft.text))
    if draft.html is not None:
        message.add_alternative(_lines(draft.html), subtype="html")
    return message.as_bytes()


def new_message_id(sender: str) -> str:
    """A Message-ID in the sender's domain: looking our own name up could take seconds."""
    domain = sender.rpartition("@")[2]
    return make_msgid(domain=domain if re.fullmatch(r"[A-Za-z0-9.-]+", domain) else "localhost")


def one_line(text: str) -> str:
    """Put a text into one line that is safe in a header: control characters become blanks."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text).strip()


def _lines(text: str) -> str:
    text = re.sub(r"\r\n|\r", "\n", text).encode("utf-8", "replace").decode()
    return text if not text or text.endswith("\n") else text + "\n"


def _address(mailbox: Mailbox) -> Address:
    name = one_line(mailbox.name)[:MAX_NAME]
    if mailbox.address.isascii():
        return Address(name, addr_spec=mailbox.address)
    local, _, domain = mailbox.address.rpartition("@")
    return Address(name, local, domain)  # `addr_spec` admits ASCII only

"""Composes mail (RFC 5322, MIME): what a person wrote becomes what is sent.

The result has lines of at most 998 octets ended by CRLF, and is ASCII throughout, so that
it needs no extension of any server; only an address outside ASCII makes its header UTF-8
(RFC 6532), which servers take that offer SMTPUTF8.
"""

from __future__ import annotations

import re
import textwrap
from base64 import b64encode
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from protocols.addresses import Mailbox

# 7bit: what is not ASCII goes as quoted-printable or Base64, whichever is shorter.
POLICY = policy.SMTP.clone(cte_type="7bit")

# A quoted name is not folded, and a line may have 998 octets (RFC 5322 2.1.1).
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
    fields = {
        "Date": format_datetime(date),
        "From": _mailbox(draft.sender),
        "To": ",\r\n ".join(map(_mailbox, draft.recipients)),
        "Message-ID": message_id or new_message_id(draft.sender.address),
        "Subject": encoded_text(one_line(draft.subject)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    body = EmailMessage(POLICY)
    body.set_content(_lines(draft.text))
    if draft.html is not None:
        body.add_alternative(_lines(draft.html), subtype="html")
    return head.encode() + body.as_bytes()


# The standard library folds header fields too, but in a time that grows with the square of
# their length, and it takes what only looks like an encoded word for one.


def encoded_text(text: str) -> str:
    """Write unstructured text for a header (RFC 2047): as it is if it can be, else encoded.

    Encoded words have at most 75 characters and hold whole characters each.
    """
    words = text.split(" ")
    plain = text.isascii() and "=?" not in text and max(map(len, words)) <= 60
    if plain and "" not in words:  # two blanks might not survive the folding
        return "\r\n ".join(textwrap.wrap(text, 66, break_on_hyphens=False))
    return "\r\n ".join(_encoded_words(text))


def _encoded_words(text: str) -> Iterator[str]:
    octets = b""
    for character in text:
        more = character.encode()
        if len(octets) + len(more) > 45:  # 45 octets are 60 characters of Base64
            yield f"=?utf-8?b?{b64encode(octets).decode()}?="
            octets = b""
        octets += more
    if octets:
        yield f"=?utf-8?b?{b64encode(octets).decode()}?="


def _mailbox(mailbox: Mailbox) -> str:
    """Write an address with its name (RFC 5322 3.4): an atom, quoted, or encoded."""
    name = one_line(mailbox.name)[:MAX_NAME]
    if not name:
        return mailbox.address
    if not name.isascii() or "=?" in name:
        return "\r\n ".join([*_encoded_words(name), f"<{mailbox.address}>"])
    if not re.fullmatch(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*", name):
        escaped = re.sub(r'(["\\])', r"\\\1", name)
        name = f'"{escaped}"'
    return f"{name} <{mailbox.address}>"


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

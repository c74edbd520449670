"""Error reports: a mail that tells a sender which recipients will not get theirs.

A `multipart/report` (RFC 6522) of three parts: words for a person, a delivery status for
a program (RFC 3464), and the header of the mail it is about. It is sent with the null
return path, `NULL_SENDER`, so that nobody reports about a report (RFC 5321 4.5.5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

from protocols.message import POLICY, new_message_id, one_line
from protocols.smtp import Failure, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

NULL_SENDER = ""

# A header line may have 998 octets (RFC 5322 2.1.1); a server's reply can be longer.
_MAX_FIELD = 900
_MAX_HEADERS = 32 * 1024


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """A recipient who does not get the mail, why, and (host name) who said so."""

    address: str
    failure: Failure
    server: str = ""


def status_of(failure: Failure) -> str:
    """The RFC 3463 status: the server's own, else what is known here, else by the reply code."""
    if failure.reply is None:
        return failure.status or {Kind.PERMANENT: "5.0.0"}.get(failure.kind, "4.4.0")
    if failure.reply.enhanced:
        return failure.reply.enhanced
    if failure.reply.severity not in {4, 5}:
        return "5.5.0"
    by_command = _STATUS.get(failure.command.partition(" ")[0], {})
    return by_command.get(failure.reply.code, f"{failure.reply.severity}.0.0")


# What the codes of RFC 5321 4.2.2 mean after each command, in the terms of RFC 3463.
_STATUS: dict[str, dict[int, str]] = {
    "MAIL": {501: "5.1.7", 553: "5.1.7", 550: "5.7.1", 552: "5.3.4", 452: "4.3.1"},
    "RCPT": {
        450: "4.2.0",
        452: "4.5.3",
        501: "5.1.3",
        550: "5.1.1",
        551: "5.1.6",
        552: "5.2.2",
        553: "5.1.3",
    },
    "DATA": {552: "5.3.4", 452: "4.3.1"},
    "end": {552: "5.3.4", 452: "4.3.1"},
    "AUTH": {535: "5.7.8", 454: "4.7.0"},
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a report is made of.

    Attributes:
        to: the envelope sender of the mail that failed (RFC 5321 6.1).
        reporter: the host name of the program that reports.
        failed: at least one recipient.
        headers: the header of the original; what follows its blank line is left out.
        arrived: when the mail came in.
        now: the report's own date.
    """

    to: str
    reporter: str
    failed: Sequence[FailedRecipient]
    headers: bytes
    arrived: datetime
    now: datetime

    def compose(self) -> bytes:
        """Write the report as a 7-bit message."""
        # Outside ASCII the sender's address makes the header UTF-8 (RFC 6532).
        message = EmailMessage(POLICY.clone(utf8=not self.to.isascii()))
        message["Date"] = format_datetime(self.now)
        message["From"] = f"Mail Delivery System <MAILER-DAEMON@{self.reporter}>"
        message["To"] = self.to
        message["Message-ID"] = new_message_id(f"@{self.reporter}")
        message["Subject"] = "Undelivered Mail Returned to Sender"
        message["Auto-Submitted"] = "auto-replied"  # RFC 3834 5
        message["Content-Type"] = "multipart/report; report-type=delivery-status"
        message["MIME-Version"] = "1.0"
        for part in (self._words(), self._delivery_status(), self._original()):
            message.attach(part)
        return message.as_bytes()

    def _words(self) -> EmailMessage:
        part = EmailMessage(POLICY)
        part.set_content("\n".join(self._sentences()))
        del part["MIME-Version"]
        return part

    def _sentences(self) -> list[str]:
        lines = ["Your mail could not be delivered to every recipient.", ""]
        for item in self.failed:
            lines += [f"{item.address}:", f"    {_explained(item.failure)}", ""]
        return [*lines, "The recipients that are not named here are not affected.", ""]

    def _delivery_status(self) -> EmailMessage:
        about_all = EmailMessage(POLICY)
        about_all["Reporting-MTA"] = f"dns; {self.reporter}"
        about_all["Arrival-Date"] = format_datetime(self.arrived)
        part = EmailMessage(POLICY)
        part["Content-Type"] = "message/delivery-status"
        part.set_payload([about_all, *map(_recipient_fields, self.failed)])
        return part

    def _original(self) -> EmailMessage:
        part = EmailMessage(POLICY)
        part["Content-Type"] = "text/rfc822-headers"
        head = re.split(rb"\r?\n\r?\n", self.headers, maxsplit=1)[0][:_MAX_HEADERS]
        part.set_payload(head.decode("ascii", "replace").replace("\ufffd", "?") + "\r\n")
        return part


def _explained(failure: Failure) -> str:
    if failure.reply is None:
        return f"{failure.command}: {failure.reason}"
    later = " (tried several times)" if failure.kind is Kind.TEMPORARY else ""
    return f"{failure.command} -> {failure.reply}{later}"


def _recipient_fields(item: FailedRecipient) -> EmailMessage:
    fields = EmailMessage(POLICY)
    fields["Final-Recipient"] = _typed_address(item.address)
    fields["Action"] = "failed"
    fields["Status"] = status_of(item.failure)
    if item.failure.reply is not None:
        if item.server:
            fields["Remote-MTA"] = f"dns; {_ascii(item.server)}"
        fields["Diagnostic-Code"] = f"smtp; {_ascii(str(item.failure.reply))}"
    return fields


def _typed_address(address: str) -> str:
    if address.isascii():
        return f"rfc822; {_ascii(address)}"
    # RFC 6533 3: outside a UTF-8 message the characters are written by their numbers.
    return "utf-8; " + "".join(c if c.isascii() else f"\\x{{{ord(c):X}}}" for c in address)


def _ascii(text: str) -> str:
    return one_line(text).encode("ascii", "replace").decode()[:_MAX_FIELD]

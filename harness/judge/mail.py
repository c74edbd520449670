"""Findings about mailboxes: mails as their reader sees them, and error reports (RFC 3464)."""

from __future__ import annotations

from email import message_from_bytes, message_from_string
from email.message import EmailMessage, Message
from email.policy import default as policy
from typing import TYPE_CHECKING

from harness.judge.attachments import attachment_differences, is_attachment
from harness.judge.evidence import last_messages
from harness.judge.lines import Line, fault_in, meets
from harness.judge.wording import counted, shown_pattern, shown_text
from harness.match import any_line
from harness.model.record import Event, Record, What
from harness.model.scenario import Check, Has
from harness.model.template import Template
from harness.model.verdict import Finding, Mark, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.model.scenario import MailboxDemand, MailDemand, ReportFields, Scenario

_SHOWN_LINES = 6


def unmet_mailbox(demand: MailboxDemand, scenario: Scenario, record: Record) -> list[Finding]:
    """What is wrong with one mailbox: too few or too many mails, or a field of one of them."""
    events = [e for e in record.of(What.MAIL) if e.facts["mailbox"] == demand.address]
    if len(events) != len(demand.mails):
        return [_number_finding(demand, scenario, record, events)]
    pairs = _paired(demand.mails, [_Mail(event) for event in events])
    return [f for wanted, mail in pairs for f in _mail_findings(demand, wanted, scenario, mail)]


def _paired(demands: Sequence[MailDemand], mails: list[_Mail]) -> list[tuple[MailDemand, _Mail]]:
    """Each demand with a mail of its own, so that as many as possible are met."""
    faults = [[len(list(mail.differences(wanted))) for mail in mails] for wanted in demands]
    taken: dict[int, int] = {}  # mail -> the demand that it meets

    def take(demand: int, tried: set[int]) -> bool:
        """Find a mail, if need be one whose demand can take another."""
        for mail, number in enumerate(faults[demand]):
            if number == 0 and mail not in tried:
                tried.add(mail)
                if mail not in taken or take(taken[mail], tried):
                    taken[mail] = demand
                    return True
        return False

    for index in range(len(demands)):
        take(index, set())
    mail_of = {demand: mail for mail, demand in taken.items()}
    for index in range(len(demands)):
        if index not in mail_of:
            left = set(range(len(mails))) - set(mail_of.values())
            mail_of[index] = min(left, key=faults[index].__getitem__)
    return [(wanted, mails[mail_of[index]]) for index, wanted in enumerate(demands)]


def _number_finding(
    demand: MailboxDemand, scenario: Scenario, record: Record, events: list[Event]
) -> Finding:
    expected, observed = counted(len(demand.mails), "mails"), counted(len(events), "mails")
    number = observed if events else "no mail"
    wanted = expected if demand.mails else "none"
    servers = [a.name for a in scenario.cast.values() if demand.address in a.mailboxes]
    subjects = tuple(
        Rung(Mark.HAPPENED, None, f"Subject: {shown_text(_Mail(event).subject)}")
        for event in events
    )
    return Finding(
        level=demand.level,
        actor=demand.address,
        file=scenario.file,
        line=demand.line,
        headline=f"The mailbox {demand.address} holds {number}, where {wanted} should be.",
        expected=expected,
        observed=observed,
        ladder=subjects or last_messages(record, *servers),
        alike=""
        if events
        else f"The mailboxes {{}} hold no mail, where {expected} should be in each.",
        name=demand.address,
        missing=len(events) < len(demand.mails),
    )


def _mail_findings(
    demand: MailboxDemand, wanted: MailDemand, scenario: Scenario, mail: _Mail
) -> Iterator[Finding]:
    for what, expected, observed in mail.differences(wanted):
        field = what.partition(" ")[0]
        yield Finding(
            level=demand.level,
            actor=demand.address,
            file=scenario.file,
            line=wanted.line or demand.line,
            headline=_headline(demand.address, what),
            expected=expected,
            observed=shown_text(observed),
            at_s=mail.at,
            ladder=(
                Rung(Mark.EXPECTED, None, f"{field}: {expected}", "expected"),
                *_instead(field, observed),
            ),
        )


def _headline(address: str, what: str) -> str:
    if what.endswith("."):  # a sentence of its own
        return what
    if what == "type":
        return f"The mail for {address} is no error report (RFC 3464)."
    if what == "failed":
        return f"The error report for {address} names other failed recipients than expected."
    if what.startswith(("status", "action")):
        return f"The error report for {address} tells another {what} than expected."
    return f"The mail for {address} has another {what} than expected."


def _instead(field: str, observed: str) -> Iterator[Rung]:
    lines = [line for line in observed.splitlines() if line.strip()] or ["(nothing)"]
    for number, line in enumerate(lines[:_SHOWN_LINES]):
        yield Rung(Mark.INSTEAD, None, f"{field}: {shown_text(line)}", "" if number else "instead")
    if len(lines) > _SHOWN_LINES:
        yield Rung(Mark.INSTEAD, None, f"({counted(len(lines) - _SHOWN_LINES, 'more lines')})")


#: What parts of a mail are called in a sentence.
_NAMES = {"from": "sender", "to": "recipient"}


class _Mail:
    """A delivered mail, MIME decoded."""

    def __init__(self, event: Event) -> None:
        self.at = event.at
        self._sender = str(event.facts.get("sender", ""))
        self._message: EmailMessage = message_from_bytes(event.data, policy=policy)

    @property
    def subject(self) -> str:
        return "".join(_header(self._message, "Subject"))

    def differences(self, wanted: MailDemand) -> Iterator[tuple[str, str, str]]:
        """What differs, what was expected of it, what it is: for each part that differs."""
        for demand in wanted.fields:
            name = demand.name.removeprefix("header ")
            yield from _field_differences(demand.check, name, self._values(demand.name))
        if wanted.attachments is not None:
            yield from attachment_differences(wanted.attachments, self._message)
        if wanted.report is not None:
            yield from self._report_differences(wanted.report)

    def _values(self, name: str) -> list[str]:
        """The text of a part, or the values of all head fields of that name."""
        if name in ("text", "html"):
            part = _readable(self._message, name)
            return [] if part is None else [_content(part)]
        if name == "return path":
            return [Line(f"<{self._sender}>", (f"<{self._sender}>", self._sender))]
        return _header(self._message, name.removeprefix("header "))

    def _report_differences(self, wanted: ReportFields) -> Iterator[tuple[str, str, str]]:
        blocks = self._delivery_status()
        if blocks is None:
            kind = self._message.get_content_type()
            yield "type", "multipart/report; report-type=delivery-status", kind
            return
        of_mail = next((block for block in blocks if block["Reporting-MTA"]), None)
        yield from _typed(wanted.reporting_mta, "Reporting-MTA", of_mail)
        blocks = [block for block in blocks if block["Final-Recipient"]]
        failed = {_address(block["Final-Recipient"]): block for block in blocks}
        named = {address.lower() for address in wanted.failed}
        if set(failed) != named:
            yield "failed", ", ".join(wanted.failed), ", ".join(failed)
        for address, block in failed.items():
            if address in named:  # that another is there at all is told above
                yield from _recipient_differences(wanted, shown_text(address), block)
        yield from self._original_differences(wanted)

    def _original_differences(self, wanted: ReportFields) -> Iterator[tuple[str, str, str]]:
        """The third part is the mail that was not delivered, or its head (RFC 3462 2)."""
        if not wanted.original:
            return
        original = _original(self._message)
        if original is None:
            yield "original mail", "message/rfc822 or text/rfc822-headers", "no such part"
            return
        for demand in wanted.original:
            name = demand.name.removeprefix("header ")
            values = _header(original, name)
            for _, expected, observed in _field_differences(demand.check, name, values):
                yield f"original {name}", expected, observed

    def _delivery_status(self) -> list[Message] | None:
        """The blocks of the report (RFC 3464 2.1); None if it is no report."""
        if self._message.get_content_type() != "multipart/report":
            return None
        for part in self._message.walk():
            if part.get_content_type() == "message/delivery-status":
                blocks = part.get_payload()
                return [b for b in blocks if isinstance(b, Message)] if _is_list(blocks) else []
        return None


def _is_list(payload: object) -> bool:
    return isinstance(payload, list)


def _recipient_differences(
    wanted: ReportFields, address: str, block: Message
) -> Iterator[tuple[str, str, str]]:
    """What is told of a failed recipient (RFC 3464 2.3)."""
    status, action = str(block.get("Status", "")), str(block.get("Action", ""))
    if wanted.status is not None and not any_line(wanted.status, [status.strip()]):
        yield f"status for {address}", shown_pattern(wanted.status), status
    if action.strip().lower() != wanted.action:
        yield f"action for {address}", wanted.action, action
    for pattern, name in (
        (wanted.remote_mta, "Remote-MTA"),
        (wanted.diagnostic, "Diagnostic-Code"),
    ):
        for _, expected, observed in _typed(pattern, name, block):
            yield f"{name} for {address}", expected, observed


def _typed(
    pattern: Template | None, name: str, block: Message | None
) -> Iterator[tuple[str, str, str]]:
    """A field such as `smtp; 550 5.1.1 unknown`: its type need not be in the pattern."""
    if pattern is None:
        return
    value = " ".join(str(block.get(name, "") if block is not None else "").split())
    if not any_line(pattern, [value, value.partition(";")[2].strip()]):
        yield f"{name} in the report", shown_pattern(pattern), value


def _field_differences(
    check: Check, name: str, values: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the values of a field, or with a text."""
    known, whole = _NAMES.get(name, name), "\n".join(values)
    lines = [line for value in values for line in _lines(value)]
    if isinstance(check, Has):
        empty = not values and check.pattern == Template()  # no subject is an empty one
        if not empty and not any(meets(check.pattern, text) for text in [*lines, *values]):
            yield known, shown_pattern(check.pattern), whole
    elif fault := fault_in(check, lines, f"the {known} of the mail"):
        yield fault.headline, fault.expected, fault.observed


def _lines(value: str) -> list[str]:
    if isinstance(value, Line):
        return [value]
    return [line.strip() for line in value.splitlines()] or [""]


def _header(message: Message, name: str) -> list[str]:
    """The values of all fields of this name, decoded."""
    try:
        return [str(value) for value in message.get_all(name, [])]
    except (AttributeError, ValueError, LookupError):  # the standard library's parser gives up
        raw = getattr(message, "raw_items", message.items)()
        return [str(value) for key, value in raw if key.lower() == name.lower()]


def _readable(message: EmailMessage, name: str) -> EmailMessage | None:
    """The part that a person reads; as text it is text/plain, else HTML as it is."""
    texts = [
        part
        for part in message.walk()
        if part.get_content_maintype() == "text" and not is_attachment(part)
    ]
    subtype = {"text": "plain"}.get(name, name)
    chosen = [part for part in texts if part.get_content_subtype() == subtype]
    return next(iter(chosen or (texts if name == "text" else [])), None)


def _original(message: EmailMessage) -> Message | None:
    for part in message.walk():
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            whole = inner[0] if isinstance(inner, list) and inner else None
            return whole if isinstance(whole, Message) else None
        if part.get_content_type() == "text/rfc822-headers":
            return message_from_string(_content(part), policy=policy)
    return None


def _content(part: EmailMessage | Message) -> str:
    try:
        return str(part.get_content())  # type: ignore[union-attr]
    except (LookupError, ValueError, KeyError):  # an unknown charset or a damaged part
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(payload)


def _address(field: str | None) -> str:
    """The address of `rfc822; bo@163.com` (RFC 3464 2.3.2)."""
    return str(field or "").rpartition(";")[2].strip().lower()

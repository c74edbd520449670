"""Findings about mailboxes: mails as their reader sees them, and error reports (RFC 3464)."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default as policy
from typing import TYPE_CHECKING

from harness.judge.evidence import last_messages
from harness.judge.wording import counted, shown_pattern, shown_text
from harness.match import any_line
from harness.model.record import Event, Record, What
from harness.model.verdict import Finding, Mark, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.model.scenario import MailboxDemand, MailDemand, ReportFields, Scenario
    from harness.model.template import Template

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


class _Mail:
    """A delivered mail, MIME decoded."""

    def __init__(self, event: Event) -> None:
        self.at = event.at
        self._message: EmailMessage = message_from_bytes(event.data, policy=policy)

    @property
    def subject(self) -> str:
        return self._header("Subject")

    def _header(self, name: str) -> str:
        try:
            return str(self._message.get(name, ""))
        except (AttributeError, ValueError, LookupError):  # the standard library's parser gives up
            raw = (value for key, value in self._message.raw_items() if key.lower() == name.lower())
            return str(next(raw, ""))

    @property
    def text(self) -> str:
        """The part that a person reads: text/plain, else HTML as it is."""
        parts = self._message.walk()
        texts = [part for part in parts if part.get_content_maintype() == "text"]
        plain = [part for part in texts if part.get_content_subtype() == "plain"]
        chosen = (plain or texts)[:1]
        return _content(chosen[0]) if chosen else ""

    def differences(self, wanted: MailDemand) -> Iterator[tuple[str, str, str]]:
        """Field, what was expected of it, what it is: for each field that differs."""
        for name, pattern, observed in (
            ("subject", wanted.subject, self.subject),
            ("sender", wanted.sender, self._header("From")),
            ("recipient", wanted.to, self._header("To")),
            ("text", wanted.text, self.text),
        ):
            if pattern is not None and not _found(pattern, observed):
                yield name, shown_pattern(pattern), observed
        if wanted.report is not None:
            yield from self._report_differences(wanted.report)

    def _report_differences(self, wanted: ReportFields) -> Iterator[tuple[str, str, str]]:
        blocks = self._delivery_status()
        if blocks is None:
            kind = self._message.get_content_type()
            yield "type", "multipart/report; report-type=delivery-status", kind
            return
        failed = {_address(block["Final-Recipient"]): block for block in blocks}
        named = {address.lower() for address in wanted.failed}
        if set(failed) != named:
            yield "failed", ", ".join(wanted.failed), ", ".join(failed)
        for address, block in failed.items():
            if address not in named:
                continue  # that it is there at all is told above
            status, action = str(block.get("Status", "")), str(block.get("Action", ""))
            if wanted.status is not None and not any_line(wanted.status, [status.strip()]):
                yield f"status for {shown_text(address)}", shown_pattern(wanted.status), status
            if action.strip().lower() != wanted.action:
                yield f"action for {shown_text(address)}", wanted.action, action

    def _delivery_status(self) -> list[Message] | None:
        """The per-recipient blocks of the report (RFC 3464 2.3); None if it is no report."""
        if self._message.get_content_type() != "multipart/report":
            return None
        for part in self._message.walk():
            if part.get_content_type() == "message/delivery-status":
                blocks = part.get_payload()
                if not isinstance(blocks, list):
                    return []
                return [b for b in blocks if isinstance(b, Message) and b["Final-Recipient"]]
        return None


def _content(part: EmailMessage | Message) -> str:
    try:
        return str(part.get_content())  # type: ignore[union-attr]
    except (LookupError, ValueError, KeyError):  # an unknown charset or a damaged part
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(payload)


def _found(pattern: Template, observed: str) -> bool:
    lines = [line.strip() for line in observed.splitlines()] or [""]
    return any_line(pattern, [*lines, observed])


def _address(field: str | None) -> str:
    """The address of `rfc822; bo@163.com` (RFC 3464 2.3.2)."""
    return str(field or "").rpartition(";")[2].strip().lower()

"""Delivers mails: to the mail server in one transaction each, and error reports to senders.

    mail -> checked -> saved -> queue of its sender -> SMTP -> retries -> outcome
                                                         |
                              failed recipients -> one error report, over the report server

Mails of one sender go in the order in which they came; several senders' go at once.
What a queue that survives a restart will need, `Mail` and the saved file already hold.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from protocols.log import Log, create_unique, now, stamp, visible
from protocols.message import Draft, compose
from protocols.report import NULL_SENDER, FailedRecipient, Report
from protocols.smtp import Envelope, Failure, Fate, Kind, Outcome, Result
from protocols.smtp_connection import Server, send_mail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from protocols.endpoints import Endpoint

# Several senders at once, but no more connections than a mail server grants one client.
MAX_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to be delivered.

    Attributes:
        number: tells the mails of one run apart on the screen and in the log.
        browser, proxy: the ends of the connection by which it came.
        draft: what was written; the addresses in it are checked.
        length: the length of the readable text in octets of UTF-8.
        arrived: when it came.
        rejected: recipients that are no addresses, each with the reason.
    """

    number: int
    browser: Endpoint
    proxy: Endpoint
    draft: Draft
    length: int
    arrived: datetime
    rejected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """Where mails and reports go, and what is allowed.

    Attributes:
        mail, report: the servers; `mail_name` is what the screen calls the first.
        own_name: our host name, in reports.
        limit: the largest readable text in octets, None for any (W7).
        retries: the pauses in seconds before each further attempt after a 4yz reply or a
            lost connection; when they are used up, the recipient counts as failed.
    """

    mail: Server
    report: Server
    own_name: str
    mail_name: str = ""
    limit: int | None = None
    retries: tuple[float, ...] = (5, 30, 120)


def save(mail: Mail, directory: Path) -> Path:
    """Write a mail to a file of its own (W4): who asked from where, and what it says.

    Raises:
        OSError: it could not be written whole.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path, file = create_unique(directory, f"mail-{mail.arrived:%Y%m%d-%H%M%S-%f}", ".txt")
    try:
        with file:
            file.write("".join(f"{line}\n" for line in [*_saved_head(mail), "", mail.draft.text]))
    except OSError:
        path.unlink(missing_ok=True)  # half a mail would be taken for a whole one
        raise
    return path


def _saved_head(mail: Mail) -> list[str]:
    recipients = ", ".join(_shown(item.name, item.address) for item in mail.draft.recipients)
    lines = [
        f"time: {stamp(mail.arrived)}",
        f"browser: {mail.browser}",
        f"proxy: {mail.proxy}",
        f"sender: {mail.draft.sender.address}",
        f"recipients: {recipients}",
        *(f"invalid recipient: {address}: {reason}" for address, reason in mail.rejected),
        f"subject: {mail.draft.subject}",
        f"length: {mail.length} bytes",
    ]
    return [visible(line) for line in lines]


def _shown(name: str, address: str) -> str:
    return f'"{name}" <{address}>' if name else address


@dataclass(slots=True)
class _Attempts:
    """What is known of a mail's recipients over several attempts."""

    open: list[str]
    failed: list[FailedRecipient] = field(default_factory=list)

    def take(self, result: Result, server: str, *, last: bool) -> list[Outcome]:
        """Sort one attempt's outcomes; gives those that are final."""
        final = [item for item in result.outcomes if last or not may_retry(item)]
        for item in final:
            self.open.remove(item.recipient)
            if item.failure is not None:
                self.failed.append(FailedRecipient(item.recipient, item.failure, server))
        return final


def may_retry(outcome: Outcome) -> bool:
    """Whether another attempt has a chance: anything but acceptance and a permanent refusal.

    An uncertain outcome is tried again too, as RFC 5321 3.8 has it: a mail that comes
    twice is better than one that never comes. The screen and the log say so.
    """
    return outcome.failure is not None and outcome.failure.kind is not Kind.PERMANENT


class Delivery:
    """Takes mails and delivers them in the background.

    Args:
        route: the servers and limits.
        log: records the dialogues and the outcomes.
        screen: told the lines that a person watches (W9).
    """

    def __init__(self, route: Route, log: Log, screen: Callable[[str], None]) -> None:
        self.route = route
        self._log = log
        self._screen = screen
        self._queues: dict[str, list[Mail]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)
        self._stopping = asyncio.Event()
        self._numbers = itertools.count(1)

    def next_number(self) -> int:
        """A number that no other mail of this run has."""
        return next(self._numbers)

    def announce(self, mail: Mail) -> None:
        """Show on the screen that a mail has come (W9)."""
        route, draft = self.route, mail.draft
        recipients = [item.address for item in draft.recipients]
        name = f"{route.mail_name} " if route.mail_name else ""
        lines = [
            f"{stamp(mail.arrived)} mail {mail.number}",
            f"    browser: {mail.browser}",
            f"    proxy: {mail.proxy}",
            f"    mail server: {name}{route.mail.endpoint}",
            f"    sender: {draft.sender.address}",
            f"    recipients: {', '.join(recipients)}",
            f"    length: {mail.length} bytes",
            *(f"    invalid address: {address}: {reason}" for address, reason in mail.rejected),
        ]
        self._screen("\n".join(visible(line) for line in lines))
        self._log.write(
            f"mail {mail.number} from {draft.sender.address} to {', '.join(recipients)}"
        )

    def submit(self, mail: Mail) -> None:
        """Queue a mail behind its sender's earlier ones; returns at once."""
        sender = mail.draft.sender.address
        if sender in self._queues:
            self._queues[sender].append(mail)
            return
        self._queues[sender] = [mail]
        worker = asyncio.create_task(self._work(sender))
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def stop(self, grace: float) -> None:
        """Let what is under way finish for `grace` seconds; say what is left undone."""
        self._stopping.set()
        if self._workers:
            await asyncio.wait(self._workers, timeout=grace)
        for worker in self._workers:
            worker.cancel()
        if self._workers:
            await asyncio.wait(self._workers, timeout=1)
        for mail in itertools.chain.from_iterable(self._queues.values()):
            self._tell(mail, "not finished when the program was stopped; its file is kept")
        self._queues.clear()

    async def _work(self, sender: str) -> None:
        queue = self._queues[sender]
        while queue and not self._stopping.is_set():
            if not await self._guarded(queue[0]):
                return
            queue.pop(0)
        if not queue:
            del self._queues[sender]

    async def _guarded(self, mail: Mail) -> bool:
        try:
            async with self._at_once:
                return await self._deliver(mail)
        except Exception as error:  # noqa: BLE001 - one mail's fault must not end the sender's others
            self._tell(mail, f"not sent, for a fault of this program: {error!r}; its file is kept")
            return True

    async def _deliver(self, mail: Mail) -> bool:
        """Bring one mail to its end; False if the stop came first."""
        content = compose(mail.draft, mail.arrived)
        attempts = _Attempts([item.address for item in mail.draft.recipients])
        excess = self._excess(mail)
        if excess is not None:
            attempts.failed = [FailedRecipient(item, excess) for item in attempts.open]
            attempts.open = []
            self._tell(mail, f"not sent: {excess.reason}")
        else:
            await self._attempt(mail, content, attempts)
        if attempts.failed:
            await self._report(mail, content, attempts.failed)
        return not attempts.open

    def _excess(self, mail: Mail) -> Failure | None:
        limit = self.route.limit
        if limit is None or mail.length <= limit:
            return None
        reason = f"the text is too long: {mail.length} bytes, allowed are {limit} bytes"
        return Failure(Kind.PERMANENT, "length check", reason=reason, status="5.3.4")

    async def _attempt(self, mail: Mail, content: bytes, attempts: _Attempts) -> None:
        sender = mail.draft.sender.address
        for pause in (*self.route.retries, None):
            envelope = Envelope(sender, tuple(attempts.open))
            result = await self._send(self.route.mail, envelope, content, mail)
            host = self.route.mail.endpoint.host
            for item in attempts.take(result, host, last=pause is None):
                self._tell(mail, f"{item.recipient}: {_described(item)}")
            if not attempts.open or not await self._pause(mail, result, pause):
                return

    async def _send(self, server: Server, envelope: Envelope, content: bytes, mail: Mail) -> Result:
        def observe(line: str) -> None:
            self._log.write(f"SMTP {server.endpoint} mail {mail.number} {line}")
            if line.startswith("-- "):
                self._tell(mail, line.removeprefix("-- "), log=False)

        return await send_mail(server, envelope, content, observe)

    async def _pause(self, mail: Mail, result: Result, seconds: float | None) -> bool:
        """Wait before the next attempt; False if there is to be none."""
        if seconds is None:
            return False
        for item in result.outcomes:
            if may_retry(item):
                self._tell(mail, f"{item.recipient}: {_described(item)}; again in {seconds:g} s")
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return True
        return False

    async def _report(self, mail: Mail, content: bytes, failed: Sequence[FailedRecipient]) -> None:
        """Mail one error report to the sender (W7). If that fails it is told, and that is all."""
        sender = mail.draft.sender.address
        own = self.route.own_name
        report = Report(sender, own, failed, content, mail.arrived, now()).compose()
        for pause in (*self.route.retries, None):
            envelope = Envelope(NULL_SENDER, (sender,))
            result = await self._send(self.route.report, envelope, report, mail)
            outcome = result.outcomes[0]
            if pause is None or not may_retry(outcome):
                break
            again = replace(result, outcomes=(replace(outcome, recipient="error report"),))
            if not await self._pause(mail, again, pause):
                break
        self._tell(mail, f"error report to {sender}: {_described(outcome)}")

    def _tell(self, mail: Mail, text: str, *, log: bool = True) -> None:
        self._screen(visible(f"{stamp(now())} mail {mail.number}: {text}"))
        if log:
            self._log.write(f"mail {mail.number}: {text}")


def _described(outcome: Outcome) -> str:
    if outcome.fate is Fate.UNCERTAIN:
        return f"uncertain, it may have been accepted: {outcome.failure}"
    if outcome.failure is None:
        return "accepted by the mail server"
    return f"{outcome.fate.value}: {outcome.failure}"

"""An SMTP server that behaves (RFC 5321), by aiosmtpd in our own event loop."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from harness.model.record import What
from harness.model.scenario import Tls
from harness.peers.tcp import StreamPeer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.scenario import Actor
    from harness.peers.witness import Witness
    from harness.record import Recorder

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # what it would tell, the record has

_NO_SUCH_USER = "550 5.1.1 No such user: {address}"
_REPLY = re.compile(r"[2-5]\d\d(?:[ -]|\Z)")
_COMMAND_LIMIT = 2048  # octets; generous, so that a long command is the scenario's affair
_IDENT = "Wirelab"


class SmtpPeer(StreamPeer):
    """Takes mail for its mailboxes; every other recipient is refused with 550.

    Replies by address come from the actor's `replies`: to a RCPT that names it, and to a
    MAIL if it refuses.  `users` may authenticate (RFC 4954); `limit` is announced as SIZE
    (RFC 1870).
    """

    def new_protocol(self, witness: Witness) -> asyncio.Protocol:
        host, _ = self._address
        return _Session(self.actor, witness, self._recorder, host)


class _Session(SMTP):
    """aiosmtpd's protocol, recording what it hears and says."""

    def __init__(self, actor: Actor, witness: Witness, recorder: Recorder, host: str) -> None:
        super().__init__(
            _Mailboxes(actor, recorder),
            data_size_limit=actor.limit,
            enable_SMTPUTF8=True,
            hostname=host,
            ident=_IDENT,
            authenticator=_Users(actor.users),
            auth_require_tls=False,
            auth_exclude_mechanism=() if actor.users else ("LOGIN", "PLAIN"),
            loop=asyncio.get_running_loop(),
        )
        # aiosmtpd keeps these limits in the class, where one session would change another's
        self.command_size_limits = defaultdict(lambda: _COMMAND_LIMIT)
        self._encrypted = actor.tls is not Tls.NONE
        self._witness = witness

    def data_received(self, data: bytes) -> None:
        if self._witness.heard(data):
            super().data_received(data)
        elif self.transport:
            self.transport.close()

    async def push(self, status: str | bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        text = status.encode() if isinstance(status, str) else status
        self._witness.say(text + b"\r\n")
        await self._writer.drain()

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        await super().smtp_QUIT(arg)
        await asyncio.sleep(0)  # aiosmtpd has cancelled itself: here it takes note of that

    def eof_received(self) -> bool:
        """Hear of the end, but take first what came before it.

        aiosmtpd calls off its work at once, and with it a mail that has come completely.
        """
        self._witness.ended()
        asyncio.get_running_loop().call_soon(self._stop)
        return not self._encrypted  # over TLS True has no effect but a warning

    def _stop(self) -> None:
        if self._handler_coroutine:
            self._handler_coroutine.cancel()

    def connection_lost(self, error: Exception | None) -> None:
        self._witness.lost(error)
        super().connection_lost(error)

    async def handle_exception(self, error: Exception) -> str:
        """Our own fault must not look like a verdict on the program's command."""
        self._witness.failed(error)
        return f"451 4.3.0 Wirelab itself failed: {type(error).__name__}"


class _Users:
    """Authenticates by a table of user names and passwords."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users

    def __call__(
        self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        del server, session, envelope, mechanism
        if isinstance(data, LoginPassword):
            password = self._users.get(data.login.decode("utf-8", "replace"))
            if password is not None and password.encode() == data.password:
                return AuthResult(success=True)
        # with handled=True aiosmtpd would leave the reply to us
        return AuthResult(success=False, handled=False)


class _Mailboxes:
    """aiosmtpd's hooks: who is accepted, and what becomes of a message."""

    def __init__(self, actor: Actor, recorder: Recorder) -> None:
        self._actor = actor
        self._recorder = recorder
        self._known = {address.lower(): address for address in actor.mailboxes}
        self._replies = {address.lower(): reply for address, reply in actor.replies.items()}

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self,
        server: Any,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        del server, envelope
        session.host_name = hostname
        # without users aiosmtpd offers AUTH with no mechanism, which RFC 4954 3 does not know
        return [line for line in responses if line.rstrip() != "250-AUTH"]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session
        reply = self._replies.get(address.lower())
        if reply is not None and _refuses(reply):
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"  # the only reply that accepts a sender (RFC 5321 4.3.2)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        reply = self._replies.get(address.lower())
        if reply is None and address.lower() not in self._known:
            reply = _NO_SUCH_USER.format(address=address)
        if reply is not None and _refuses(reply):
            return reply
        envelope.rcpt_tos.append(address)
        return reply or "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Session, envelope: Envelope
    ) -> str:
        del server, session
        content = envelope.original_content or b""
        for address in envelope.rcpt_tos:
            self._recorder.note(
                What.MAIL,
                self._actor.name,
                data=content,
                mailbox=self._known.get(address.lower(), address),
                sender=envelope.mail_from or "",
            )
        return "250 2.0.0 OK: taken"


def _refuses(reply: str) -> bool:
    return bool(_REPLY.match(reply)) and not reply.startswith("2")

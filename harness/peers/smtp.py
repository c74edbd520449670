"""An SMTP server that behaves (RFC 5321), by aiosmtpd in our own event loop."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from harness.model.instead import ACTS, within
from harness.model.record import What
from harness.model.scenario import Tls
from harness.peers.handshake import encrypt
from harness.peers.peer import PeerError
from harness.peers.tcp import StreamPeer, act_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from harness.model.scenario import Actor
    from harness.peers.witness import Witness
    from harness.record import Recorder

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # what it would tell, the record has

_NO_SUCH_USER = "550 5.1.1 No such user: {address}"
_REPLY = re.compile(r"[2-5]\d\d(?:[ -]|\Z)")
_COMMAND_LIMIT = 2048  # octets; generous, so that a long command is the scenario's affair
_IDENT = "Wirelab"
#: Behind 421 the server ends its own direction, and hears whether the client goes on all the same.
_GOODBYE = "half-close"


class SmtpPeer(StreamPeer):
    """Takes mail for its mailboxes; every other recipient is refused with 550.

    Replies by address come from the actor's `replies`: to a RCPT that names it, and to a
    MAIL if it refuses.  `users` may authenticate (RFC 4954); `limit` is announced as SIZE
    (RFC 1870).  At the steps of `instead` it says or does something else.
    """

    def new_protocol(self, witness: Witness) -> asyncio.Protocol:
        host, _ = self._address
        return _Session(self, witness, self._recorder, host)


class _Session(SMTP):
    """aiosmtpd's protocol, recording what it hears and says."""

    def __init__(self, peer: SmtpPeer, witness: Witness, recorder: Recorder, host: str) -> None:
        actor = peer.actor
        later = actor.tls is Tls.STARTTLS
        super().__init__(
            _Mailboxes(actor, recorder),
            data_size_limit=actor.limit,
            enable_SMTPUTF8=True,
            hostname=host,
            ident=_IDENT,
            authenticator=_Users(actor.users),
            tls_context=peer.context() if later else None,
            auth_require_tls=later,  # RFC 4954 4: no password goes in clear where it need not
            auth_exclude_mechanism=() if actor.users else ("LOGIN", "PLAIN"),
            loop=asyncio.get_running_loop(),
        )
        # aiosmtpd keeps these limits in the class, where one session would change another's
        self.command_size_limits = defaultdict(lambda: _COMMAND_LIMIT)
        self._encrypted = actor.tls is Tls.IMPLICIT
        self._peer = peer
        self._witness = witness
        self._instead = actor.instead
        self._greeted = False
        self._over = False  # it neither speaks nor takes commands any more
        self._words: str | None = None  # what is said for the next reply; empty: nothing
        self._taken: int | None = None  # octets of the mail that is on its way
        self._smtp_methods = {
            verb: partial(self._take, verb, method) for verb, method in self._smtp_methods.items()
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is not None:  # it goes on over TLS, and forgets (RFC 3207 4.2)
            self._encrypted = True
            self._original_transport = self._witness.below
            self._tls_protocol = cast("Any", self._witness.below.get_protocol())
        super().connection_made(transport)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        if arg or not self.tls_context:
            await super().smtp_STARTTLS(arg)
        elif self._encrypted:
            await self.push("503 5.5.1 TLS has begun already")
        else:
            self._witness.below.pause_reading()
            await self.push("220 2.0.0 Ready to start TLS")
            await self._witness.all_said()
            await self._begin_tls()

    async def _begin_tls(self) -> None:
        try:
            await encrypt(self._witness.below, self, self._witness, self._peer)
        except PeerError:  # the witness has told of it
            self._stop()
            await asyncio.sleep(0)  # here it takes note of that

    def data_received(self, data: bytes) -> None:
        if not self._witness.heard(data):
            if self.transport:
                self.transport.close()
        elif not self._over and not self._breaks_off(len(data)):
            super().data_received(data)

    async def push(self, status: str | bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if not self._greeted:
            self._greeted = True
            if await self._does_otherwise("greeting"):
                return
        if self._words is not None:  # behind 3xx comes another reply (RFC 5321 4.2.1)
            status, self._words = self._words, None if self._words.startswith("3") else ""
        text = status if isinstance(status, bytes) else "\r\n".join(status.split("\n")).encode()
        if text and not self._over:
            self._taken = 0 if text.startswith(b"354") else self._taken
            self._witness.say(text + b"\r\n")
            await self._writer.drain()

    # -- something else -----------------------------------------------------------------

    async def _take(self, verb: str, method: Callable[[str], Awaitable[None]], arg: str) -> None:
        """A command: as it should be, or as `instead` has it."""
        steps = (verb, "hello") if verb in ("EHLO", "HELO") else (verb,)
        step = next((step for step in steps if step in self._instead), verb)
        if _accepts(words := self._instead.get(step, ""), verb):
            self._witness.deviated(step, words)
            self._words = words
        elif await self._does_otherwise(step):
            return
        await method(arg)
        self._words = self._taken = None

    async def _does_otherwise(self, step: str) -> bool:
        """Do what `instead` has for a step; False if it has nothing."""
        words = self._instead.get(step)
        if words is None:
            return False
        self._witness.deviated(step, words)
        if words in ACTS:
            self._act(words)
        else:
            self._words = None
            await self.push(words)
            if words.startswith("421"):
                self._act(_GOODBYE)
            elif step == "greeting" and not words.startswith("2"):
                self._refuse_all()
        if self._over:  # whatever comes is heard, and not answered
            await asyncio.get_running_loop().create_future()
        return True

    async def answer_mail(self) -> str | None:
        """The reply to a mail that `instead` has; None if there is none.

        Unless it is a success, the mail must not be kept.
        """
        words = self._instead.get("end-of-data", "")
        if words.startswith("2"):
            self._witness.deviated("end-of-data", words)
        elif await self._does_otherwise("end-of-data"):
            self._words = ""  # it has been said
        return words or None

    def _breaks_off(self, octets: int) -> bool:
        """Count octets of a mail; whether this is where `instead` has something within it."""
        if self._taken is None or not (planned := within(self._instead, "body")):
            return False
        self._taken += octets
        place, words = planned
        if self._taken < place:
            return False
        self._witness.deviated(f"body@{place}", words)
        if words not in ACTS:
            self._witness.say(words.replace("\n", "\r\n").encode() + b"\r\n")
        self._act(words if words in ACTS else _GOODBYE)
        return True

    def _act(self, act: str) -> None:
        """The last thing that is done; TLS has no half-closed connections."""
        self._over = True
        if self.transport:
            act = "close" if act == _GOODBYE and self._encrypted else act
            act_on(cast("asyncio.Transport", self.transport), self._witness, act)

    def _refuse_all(self) -> None:
        """Who was not let in may only leave (RFC 5321 3.1)."""

        async def refuse(_arg: str) -> None:
            await self.push("503 5.5.1 Bad sequence of commands")

        quit_alone = {"QUIT": self._smtp_methods["QUIT"]}
        self._smtp_methods = dict.fromkeys(self._smtp_methods, refuse) | quit_alone

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
        self, server: _Session, session: Session, envelope: Envelope
    ) -> str:
        del session
        reply = await server.answer_mail()
        if reply is not None and not reply.startswith("2"):
            return reply
        content = envelope.original_content or b""
        for address in envelope.rcpt_tos:
            self._recorder.note(
                What.MAIL,
                self._actor.name,
                data=content,
                mailbox=self._known.get(address.lower(), address),
                sender=envelope.mail_from or "",
            )
        return reply or "250 2.0.0 OK: taken"


def _accepts(words: str, verb: str) -> bool:
    """Whether a reply lets a command go on as it should."""
    if verb in ("DATA", "AUTH"):  # 235 would let nobody in: that is up to the password
        return words.startswith("3")
    return words.startswith("2")


def _refuses(reply: str) -> bool:
    return bool(_REPLY.match(reply)) and not reply.startswith("2")

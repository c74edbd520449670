"""The client's side of SMTP (RFC 5321), without sockets.

`ReplyReader` turns the server's bytes into replies. `Dialogue` decides what to say:
its `run` is a generator that yields a `Step` (what to send, and how long the answer may
take) and is sent the `Reply` to it. `smtp_connection` plays a dialogue over a socket; a
test plays one by hand.

    greeting -> EHLO (-> HELO) -> AUTH -> MAIL -> RCPT ... -> DATA -> content -> QUIT
                  |                |       |        |          |         |
                  +----- refused --+-------+--------+ all -----+---------+--> QUIT
                  421, anywhere: the server is closing, nothing more is said

With `starttls`, STARTTLS and a second EHLO come behind the first (RFC 3207); who plays the dialogue
has the TLS handshake done in between, or breaks it off.
"""

from __future__ import annotations

import base64
import enum
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace

# RFC 5321 4.5.3.1.5 allows 512 octets for a reply line. Some servers explain themselves
# at more length; what is longer than this is no SMTP.
MAX_REPLY_LINE = 2048
MAX_REPLY_LINES = 256
# Without pipelining one reply is due at a time. A server that talks on unasked is cut off.
MAX_UNREAD_REPLIES = 64

MASK = "********"


class ReplyError(ValueError):
    """What the server sent is no SMTP reply (RFC 5321 4.2)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply: its code, and the text of each of its lines without the code."""

    code: int
    lines: tuple[str, ...]

    @property
    def severity(self) -> int:
        """The first digit, which alone decides (RFC 5321 4.3.2): 2 done, 3 go on, 4 later, 5 no."""
        return self.code // 100

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 2034), as `5.1.1`, if one of the same class is there."""
        found = re.match(r"([245])\.(\d{1,3})\.(\d{1,3})(?:\s|$)", self.lines[0])
        if found is None or int(found[1]) != self.severity:
            return None
        # RFC 3463 2: the numbers carry no leading zeros.
        return ".".join(str(int(part)) for part in found.groups())

    def __str__(self) -> str:
        return f"{self.code} {' '.join(line for line in self.lines if line)}".rstrip()


class ReplyReader:
    """Cuts the server's bytes into replies, however they are split over segments.

    Args:
        hide: applied to every line before anyone sees it, to keep credentials out.
        heard: told every line as it ends, also of a reply that never does.
    """

    # Reply-line of RFC 5321 4.2. Codes such as 571 are outside its grammar (the second
    # digit is 0-5) and in use: the first digit decides. `250` without text is allowed.
    _line = re.compile(r"(?P<code>[2-5][0-9]{2})(?:(?P<more>[ -])(?P<text>.*))?", re.DOTALL)

    def __init__(
        self,
        hide: Callable[[str], str] = lambda text: text,
        heard: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._hide = hide
        self._heard = heard
        self._buffer = bytearray()
        self._code = 0
        self._lines: list[str] = []
        self._replies: list[Reply] = []
        self._error: ReplyError | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing at all has come behind the last reply that was taken."""
        return not (self._buffer or self._lines or self.pending)

    @property
    def pending(self) -> bool:
        """Whether a reply (or what is wrong with one) is there to be taken."""
        return bool(self._replies) or self._error is not None

    def receive_data(self, data: bytes) -> None:
        """Take bytes as they came; never raises: `next_reply` does, in its turn."""
        if self._error is not None:
            return
        self._buffer += data
        try:
            self._split()
        except ReplyError as error:
            self._error = error
            self._buffer.clear()

    def next_reply(self) -> Reply | None:
        """Give the oldest complete reply, or None if more bytes are needed.

        Raises:
            ReplyError: what came is no reply. Nothing can be understood after it.
        """
        if self._replies:
            return self._replies.pop(0)
        if self._error is not None:
            raise self._error
        return None

    def _split(self) -> None:
        # A line feed alone ends a line here as well: we obey RFC 5321 2.3.8 in what we
        # send, and understand the servers that do not.
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._take(line)
        if len(self._buffer) > MAX_REPLY_LINE:
            raise ReplyError(f"a reply line of more than {MAX_REPLY_LINE} octets")

    def _take(self, raw: bytes) -> None:
        if len(raw) > MAX_REPLY_LINE:
            raise ReplyError(f"a reply line of more than {MAX_REPLY_LINE} octets")
        line = self._hide(raw.decode("utf-8", "backslashreplace"))
        self._heard(line)
        found = self._line.fullmatch(line)
        if found is None:
            raise ReplyError(f"no SMTP reply: {line[:80]!r}")
        code = int(found["code"])
        if self._lines and code != self._code:
            raise ReplyError(f"a reply that began with {self._code} goes on with {code}")
        self._code = code
        self._lines.append(found["text"] or "")
        if len(self._lines) > MAX_REPLY_LINES:
            raise ReplyError(f"a reply of more than {MAX_REPLY_LINES} lines")
        if found["more"] != "-":
            self._complete()

    def _complete(self) -> None:
        self._replies.append(Reply(self._code, tuple(self._lines)))
        self._lines = []
        if len(self._replies) > MAX_UNREAD_REPLIES:
            raise ReplyError("replies to commands that were never sent")


class Phase(enum.Enum):
    """The steps of a dialogue that have a time limit each (RFC 5321 4.5.3.2)."""

    CONNECT = "connect"
    GREETING = "greeting"
    HELLO = "hello"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END = "end"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Step:
    """What the client does next: it sends `wire` (nothing, for the greeting) and awaits a reply.

    `command` names it in reports; `shown` is what logs and screens may see of it.  With
    `encrypts`, TLS begins behind a reply that says yes (2yz), before anything else is said.
    """

    phase: Phase
    command: str
    wire: bytes = b""
    shown: tuple[str, ...] = ()
    encrypts: bool = False


class Kind(enum.Enum):
    """What kind of failure it was, and so what may be done about it."""

    PERMANENT = "permanent"  # 5yz, or found out here: the same again is in vain
    TEMPORARY = "temporary"  # 4yz: later (RFC 5321 4.5.4.1)
    CONNECTION = "connection"  # not reached, lost, or silent
    PROTOCOL = "protocol"  # the server does not speak SMTP


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something was not done: in answer to which command, and what the server replied.

    `reason` is a clause for people where there was no reply; `status` an RFC 3463 code
    known here, without a server (5.3.4 for a message over the announced SIZE).
    """

    kind: Kind
    command: str
    reply: Reply | None = None
    reason: str = ""
    status: str | None = None

    def __str__(self) -> str:
        said = str(self.reply) if self.reply else ""
        return f"{self.command} -> {' '.join(filter(None, (said, self.reason)))}"


class Fate(enum.Enum):
    """What became of the mail for one recipient."""

    ACCEPTED = "accepted"  # the server took responsibility (RFC 5321 4.2.5), no more
    REFUSED = "refused"
    NOT_SENT = "not sent"  # it never came to that
    UNCERTAIN = "uncertain"  # the connection was lost between the last dot and its reply


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipient's fate, with the failure that decided it unless it was accepted."""

    recipient: str
    fate: Fate
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How a transaction ended: per recipient, in their order, and as a whole.

    `failure` is what befell the message as a whole; None when only recipients were
    refused, or nothing. `reply` is the last one of the transaction.
    """

    outcomes: tuple[Outcome, ...]
    failure: Failure | None = None
    reply: Reply | None = None

    @property
    def accepted(self) -> tuple[str, ...]:
        """The recipients for whom the server took the mail."""
        return tuple(item.recipient for item in self.outcomes if item.fate is Fate.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends and who receives (RFC 5321 2.3.1). A sender of "" is the null return path.

    Raises:
        ValueError: an address holds a control character, and could smuggle a command.
    """

    sender: str
    recipients: tuple[str, ...]

    def __post_init__(self) -> None:
        for address in (self.sender, *self.recipients):
            if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", address):
                raise ValueError(f"a control character in {address!r}")


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials for AUTH (RFC 4954), and whether they may be sent unencrypted."""

    user: str
    password: str = field(repr=False)
    in_clear: bool = False

    def _plain(self) -> bytes:
        return b"\0" + _octets(self.user) + b"\0" + _octets(self.password)

    def tokens(self) -> tuple[str, str, str]:
        """User, password and PLAIN's message (RFC 4616 2), each in Base64."""
        octets = (_octets(self.user), _octets(self.password), self._plain())
        user, password, plain = (base64.b64encode(item).decode("ascii") for item in octets)
        return user, password, plain

    def secrets(self) -> tuple[str, ...]:
        """Every form in which a server could echo them: none may reach a log or a screen."""
        return tuple(text for text in (self.password, *self.tokens()) if text)

    def hide(self, text: str) -> str:
        """Mask the credentials in a line of the server's."""
        for secret in self.secrets():
            # As whole words: a password of `a` must not blacken every other word.
            text = re.sub(rf"(?<![\w+/=]){re.escape(secret)}(?![\w+/=])", MASK, text)
        return text


def _octets(text: str) -> bytes:
    # What came from the command line or the environment may be no UTF-8: it goes as it came.
    return text.encode("utf-8", "surrogateescape")


def canonical(content: bytes) -> bytes:
    """End every line with CRLF, the last one too: none may be alone (RFC 5321 2.3.8).

    Servers that take a lone LF for a line end would see `LF . LF` as the end of the mail
    and what follows as commands.
    """
    content = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    return content if not content or content.endswith(b"\r\n") else content + b"\r\n"


def stuffed(content: bytes) -> bytes:
    """Double the dot that begins a line, and add the line of one dot (RFC 5321 4.5.2)."""
    return re.sub(rb"(?m)^\.", b"..", content) + b".\r\n"


def capabilities_of(reply: Reply) -> dict[str, str]:
    """Read what an EHLO reply offers: keyword in capitals -> its parameters (RFC 5321 4.1.1.1)."""
    offered: dict[str, str] = {}
    for line in reply.lines[1:]:
        # `AUTH=LOGIN` is an old spelling that some servers send beside the right one.
        keyword, _, parameters = re.sub(r"(?i)^AUTH=", "AUTH ", line.strip()).partition(" ")
        known = offered.get(keyword.upper())
        offered[keyword.upper()] = f"{known} {parameters}" if known else parameters
    return offered


class _StopError(Exception):
    """Ends the dialogue early, for the given reason; `polite`: QUIT is still to be said."""

    def __init__(self, failure: Failure, *, polite: bool = True) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.polite = polite


Talk = Generator[Step, Reply, Reply]


class Dialogue:
    """One mail from the greeting to QUIT: what to say, and what the replies mean.

    Args:
        envelope: the addresses, in the form in which they are sent.
        content: the message; line ends are put right here, dots doubled.
        hello: the client's name, an FQDN or an address literal (RFC 5321 4.1.1.1).
        encrypted: whether TLS protects the connection.
        starttls: whether TLS must begin by STARTTLS before the mail is spoken of.
        login: credentials, used if the server offers a mechanism that we know.
    """

    def __init__(
        self,
        envelope: Envelope,
        content: bytes,
        *,
        hello: str,
        encrypted: bool = False,
        starttls: bool = False,
        login: Login | None = None,
    ) -> None:
        self.envelope = envelope
        self.hello = hello
        self.capabilities: dict[str, str] = {}
        self._content = canonical(content)
        self._encrypted = encrypted
        self._starttls = starttls
        self._login = login
        self._outcomes: dict[str, Outcome] = {}
        self._taken: list[str] = []
        self._failure: Failure | None = None
        self._last: Reply | None = None
        self._out_of_step = False

    def run(self) -> Generator[Step, Reply, None]:
        """Yield the steps; every one is to be answered with the server's reply to it."""
        try:
            yield from self._demand(Step(Phase.GREETING, "greeting"))
            yield from self._say_hello()
            if self._starttls:
                yield from self._encrypt()
            yield from self._authenticate()
            yield from self._transact()
        except _StopError as stop:
            self._failure = stop.failure
            if not stop.polite:
                return
        if not self._out_of_step:
            # Whatever is said to QUIT, or nothing: the mail is already what it is.
            yield _command(Phase.QUIT, "QUIT")

    def lost(self, failure: Failure, *, all_sent: bool = False) -> None:
        """Be told that the connection is gone; `all_sent`: the final dot had been sent."""
        if self._failure is None and not self._decided():
            self._failure = failure
            if all_sent:
                for address in self._taken:
                    self._outcomes[address] = Outcome(address, Fate.UNCERTAIN, failure)

    def interrupted(self) -> None:
        """Be told that the server replied before it had the whole content.

        It would take a QUIT for a line of the mail, so none is said.
        """
        self._out_of_step = True

    def result(self) -> Result:
        """Say what has become of every recipient by now."""
        return Result(
            tuple(self._outcome(address) for address in self.envelope.recipients),
            self._failure,
            self._last,
        )

    def _decided(self) -> bool:
        return all(address in self._outcomes for address in self.envelope.recipients)

    def _outcome(self, address: str) -> Outcome:
        if address in self._outcomes:
            return self._outcomes[address]
        refused = self._failure and self._failure.reply and address in self._taken
        return Outcome(address, Fate.REFUSED if refused else Fate.NOT_SENT, self._failure)

    def _ask(self, step: Step) -> Talk:
        reply = yield step
        if step.phase is not Phase.QUIT:
            self._last = reply
        if reply.code == 421:  # RFC 5321 3.8: may come in place of any reply
            raise _StopError(_refusal(step, reply), polite=False)
        return reply

    def _demand(self, step: Step, severity: int = 2) -> Talk:
        reply = yield from self._ask(step)
        if reply.severity != severity:
            raise _StopError(_refusal(step, reply))
        return reply

    def _say_hello(self) -> Generator[Step, Reply, None]:
        step = _command(Phase.HELLO, f"EHLO {self.hello}")
        reply = yield from self._ask(step)
        if reply.code in {500, 502}:  # RFC 5321 3.2: a server that knows no extensions
            yield from self._demand(_command(Phase.HELLO, f"HELO {self.hello}"))
        elif reply.severity != 2:
            raise _StopError(_refusal(step, reply))
        else:
            self.capabilities = capabilities_of(reply)

    def _encrypt(self) -> Generator[Step, Reply, None]:
        """Go on over TLS or not at all: whoever sits between could have dropped the offer."""
        if "STARTTLS" not in self.capabilities:
            reason = "the server does not offer it, and nothing is sent in clear"
            raise _StopError(Failure(Kind.PERMANENT, "STARTTLS", reason=reason, status="5.7.10"))
        yield from self._demand(replace(_command(Phase.STARTTLS, "STARTTLS"), encrypts=True))
        self._encrypted = True
        self.capabilities = {}  # RFC 3207 4.2: what was told in clear may have been told by anybody
        yield from self._say_hello()

    def _authenticate(self) -> Generator[Step, Reply, None]:
        offered = self.capabilities.get("AUTH", "").upper().split()
        if self._login is None or not {"LOGIN", "PLAIN"}.intersection(offered):
            return
        if not self._encrypted and not self._login.in_clear:
            reason = "the password would be sent unencrypted"
            raise _StopError(Failure(Kind.PERMANENT, "AUTH", reason=reason, status="5.7.11"))
        # LOGIN first: it is what the exercise speaks of. Under TLS neither is worse.
        login = self._auth_login if "LOGIN" in offered else self._auth_plain
        yield from login(*self._login.tokens())

    def _auth_login(self, user: str, password: str, _plain: str) -> Generator[Step, Reply, None]:
        # The prompts say `Username:` in many spellings and in Base64: they are not read.
        yield from self._demand(_command(Phase.AUTH, "AUTH LOGIN"), 3)
        yield from self._demand(_secret("AUTH LOGIN", user), 3)
        yield from self._demand(_secret("AUTH LOGIN", password))

    def _auth_plain(self, _user: str, _password: str, plain: str) -> Generator[Step, Reply, None]:
        line = f"AUTH PLAIN {plain}"
        if len(line) <= 510:  # RFC 4954 4: a longer initial response must wait for the 334
            yield from self._demand(_secret("AUTH PLAIN", line, f"AUTH PLAIN {MASK}"))
            return
        yield from self._demand(_command(Phase.AUTH, "AUTH PLAIN"), 3)
        yield from self._demand(_secret("AUTH PLAIN", plain))

    def _transact(self) -> Generator[Step, Reply, None]:
        yield from self._demand(self._mail())
        for address in self.envelope.recipients:
            yield from self._offer(address)
        if not self._taken:  # RFC 5321 3.3: then DATA must not follow
            return
        yield from self._demand(_command(Phase.DATA, "DATA"), 3)
        shown = (f"[{len(self._content)} octets of content]", ".")
        yield from self._demand(Step(Phase.END, "end of data", stuffed(self._content), shown))
        for address in self._taken:
            self._outcomes[address] = Outcome(address, Fate.ACCEPTED)

    def _mail(self) -> Step:
        command = f"MAIL FROM:<{self.envelope.sender}>"
        parameters = [*self._size(command), *self._utf8(command), *self._eight_bit(command)]
        wire = " ".join([command, *parameters])
        return replace(_command(Phase.MAIL, wire), command=command)

    def _size(self, command: str) -> list[str]:
        if "SIZE" not in self.capabilities:
            return []
        limit = self.capabilities["SIZE"].strip()
        # RFC 1870 4: 0, or nothing, means that no limit is known beforehand.
        if limit.isdecimal() and 0 < int(limit) < len(self._content):
            reason = f"the message has {len(self._content)} octets, the server takes {int(limit)}"
            raise _StopError(Failure(Kind.PERMANENT, command, reason=reason, status="5.3.4"))
        return [f"SIZE={len(self._content)}"]

    def _eight_bit(self, command: str) -> list[str]:
        if self._content.partition(b"\r\n\r\n")[2].isascii():
            return []
        if "8BITMIME" not in self.capabilities:
            reason = "the message is 8-bit and the server does not offer 8BITMIME"
            raise _StopError(Failure(Kind.PERMANENT, command, reason=reason, status="5.6.3"))
        return ["BODY=8BITMIME"]

    def _utf8(self, command: str) -> list[str]:
        head = self._content.partition(b"\r\n\r\n")[0]
        forced = not (self.envelope.sender.isascii() and head.isascii())
        wished = forced or not all(address.isascii() for address in self.envelope.recipients)
        if wished and "SMTPUTF8" in self.capabilities:
            return ["SMTPUTF8"]
        if forced:
            raise _StopError(_not_international(command))
        return []

    def _offer(self, address: str) -> Generator[Step, Reply, None]:
        step = _command(Phase.RCPT, f"RCPT TO:<{address}>")
        if not address.isascii() and "SMTPUTF8" not in self.capabilities:
            failure = _not_international(step.command)
            self._outcomes[address] = Outcome(address, Fate.NOT_SENT, failure)
            return
        reply = yield from self._ask(step)
        if reply.severity == 2:  # 251 and 252 too: the server has taken it (RFC 5321 3.4)
            self._taken.append(address)
        else:
            self._outcomes[address] = Outcome(address, Fate.REFUSED, _refusal(step, reply))


def _command(phase: Phase, line: str) -> Step:
    return Step(phase, line, line.encode() + b"\r\n", (line,))


def _secret(command: str, line: str, shown: str = MASK) -> Step:
    return Step(Phase.AUTH, command, line.encode() + b"\r\n", (shown,))


def _refusal(step: Step, reply: Reply) -> Failure:
    kinds = {4: Kind.TEMPORARY, 5: Kind.PERMANENT}
    kind = kinds.get(reply.severity, Kind.PROTOCOL)
    return Failure(kind, step.command, reply, "" if kind in kinds.values() else "(out of place)")


def _not_international(command: str) -> Failure:
    reason = "needs SMTPUTF8, which the server does not offer"
    return Failure(Kind.PERMANENT, command, reason=reason, status="5.6.7")


def untried(recipients: Sequence[str], failure: Failure) -> Result:
    """The result when no dialogue began: nothing was sent to anybody."""
    return Result(tuple(Outcome(item, Fate.NOT_SENT, failure) for item in recipients), failure)

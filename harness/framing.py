"""Bytes of one connection cut into messages, by the rules of its protocol.

Pure: bytes in, messages out, so that a recorded run is cut just as it was while it was
played.  Directions are the actor's: it hears the program and speaks to it.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from harness.model.scenario import ActorKind, LineEnd
from harness.model.template import decode

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from harness.model.scenario import Actor


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a command, a reply line, a datagram, an HTTP message.

    `texts` are the spellings that a pattern may meet; the first is the one to show.
    Content (a mail after DATA) is `listed=False`: no entry of an exchange speaks of it.
    What came of a message whose end never did is `whole=False`: no entry is met by it.
    """

    said: bool
    data: bytes
    texts: tuple[str, ...]
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    listed: bool = True
    whole: bool = True


class Framing(Protocol):
    """Cuts what passes on one connection, in both directions."""

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        """The messages that these bytes complete."""
        ...

    def end(self) -> Iterator[Message]:
        """The messages that the end of what the program sends completes."""
        ...

    def rest(self) -> bytes:
        """Bytes heard that are no complete message yet."""
        ...


class _Buffer:
    """Bytes that wait for their end; where it was looked for once, it is not again."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0

    def add(self, data: bytes) -> None:
        self._data += data

    def take(self, end: bytes) -> bytes | None:
        """Everything up to this end, the end included; None if it has not come."""
        place = self._data.find(end, self._searched)
        if place < 0:
            self._searched = max(len(self._data) - len(end) + 1, 0)
            return None
        return self.take_first(place + len(end))

    def take_first(self, length: int) -> bytes:
        taken = bytes(self._data[:length])
        del self._data[:length]
        self._searched = 0
        return taken

    def startswith(self, prefix: bytes) -> bool:
        return self._data.startswith(prefix)

    def __len__(self) -> int:
        return len(self._data)

    def __bytes__(self) -> bytes:
        return bytes(self._data)


def framing_for(actor: Actor) -> Framing | None:
    """The framing of an actor's connections; None where only patterns tell messages apart."""
    if actor.kind is ActorKind.SMTP:
        return SmtpServerFraming()
    if actor.kind is ActorKind.HTTP:
        return HttpFraming(hears_responses=actor.to is not None)
    if actor.kind is ActorKind.UDP:
        return DatagramFraming()
    if actor.kind is ActorKind.DNS:
        return DnsFraming()
    if actor.kind is ActorKind.ICMP:
        return IcmpFraming()
    if actor.kind is ActorKind.TCP and actor.eol is not LineEnd.NONE:
        return LineFraming(actor.eol)
    return None


class DatagramFraming:
    """One datagram is one message (RFC 768)."""

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        yield Message(said, data, (decode(data).rstrip("\r\n"), decode(data)))

    def end(self) -> Iterator[Message]:
        yield from ()

    def rest(self) -> bytes:
        return b""


class DnsFraming(DatagramFraming):
    """Questions as `MX 163.com`, answers as `MX 10 mx.163.com, A 198.51.100.7`.

    Each event holds one message, whatever carried it (RFC 1035 4.2).
    """

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        yield Message(said, data, _dns_texts(data, said=said))


def _dns_texts(data: bytes, *, said: bool) -> tuple[str, ...]:
    import dns.message  # noqa: PLC0415 - 80 ms that plays in which nobody asks need not pay

    try:
        message = dns.message.from_wire(data, question_only=not said)
    except Exception:  # noqa: BLE001 - these octets may be anything
        return (f"(no DNS message, {len(data)} octets)",)
    return (_answer_text(message),) if said else _question_texts(message)


def _question_texts(message: Any) -> tuple[str, ...]:
    """The name in small letters, since case means nothing (RFC 4343), and as it came."""
    for question in message.question:
        kind, name = _dns_type(question), question.name.to_text(omit_final_dot=True)
        return tuple(dict.fromkeys((f"{kind} {name.lower()}", f"{kind} {name}")))
    return ("(no question)",)


def _answer_text(message: Any) -> str:
    import dns.flags  # noqa: PLC0415 - as above
    import dns.rcode  # noqa: PLC0415

    if message.flags & dns.flags.TC:
        return "(truncated)"
    rows = ((_dns_type(rows), data) for rows in message.answer for data in rows)
    told = ", ".join(f"{kind} {_without_dot(str(data))}" for kind, data in rows)
    code = message.rcode()
    return told or ("NODATA" if code == dns.rcode.NOERROR else dns.rcode.to_text(code))


def _dns_type(rows: Any) -> str:
    """`MX` for 15; `TYPE4711` where nobody has given it a name (RFC 3597 5)."""
    import dns.rdatatype  # noqa: PLC0415 - as above

    return str(dns.rdatatype.to_text(rows.rdtype))


def _without_dot(data: str) -> str:
    """Data as a scenario writes it; the root stays the dot that it is."""
    return data if data.endswith(" .") else data.removesuffix(".")


#: Types that have an identifier and a sequence number (RFC 792, RFC 4443 4).
_ECHOES = {8: "echo request", 0: "echo reply", 128: "echo request", 129: "echo reply"}


class IcmpFraming(DatagramFraming):
    """ICMP messages as `echo request 1`, by their sequence number; others by type and code."""

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        yield Message(said, data, (_icmp_text(data),))


def _icmp_text(data: bytes) -> str:
    if len(data) < 8:
        return f"(no ICMP message, {len(data)} octets)"
    if name := _ECHOES.get(data[0]):
        return f"{name} {int.from_bytes(data[6:8])}"
    return f"type {data[0]} code {data[1]}"


class LineFraming:
    """Messages that end with a line end."""

    def __init__(self, eol: LineEnd) -> None:
        self._end = b"\r\n" if eol is LineEnd.CRLF else b"\n"
        self._either = eol is LineEnd.ANY
        self._buffers = {False: _Buffer(), True: _Buffer()}

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        buffer = self._buffers[said]
        buffer.add(data)
        while (line := buffer.take(self._end)) is not None:
            text = self._text(line.removesuffix(self._end))
            yield Message(said, line, _spellings(text) if self._end == b"\r\n" else (text,))

    def _text(self, line: bytes) -> str:
        return decode(line.removesuffix(b"\r") if self._either else line)

    def end(self) -> Iterator[Message]:
        yield from ()

    def rest(self) -> bytes:
        return bytes(self._buffers[False])


#: Commands of SMTP and POP3, the same in any case (RFC 5321 2.4, RFC 1939 3).
_COMMANDS = frozenset(
    "APOP AUTH CAPA DATA DELE EHLO EXPN HELO HELP LIST MAIL NOOP PASS QUIT RCPT RETR RSET "  # noqa: SIM905 - a list to read
    "STARTTLS STAT STLS TOP UIDL USER VRFY".split()
)


def _spellings(line: str) -> tuple[str, ...]:
    """A line, and its usual spelling if it is a command written in another case."""
    if line.partition(" ")[0].upper() not in _COMMANDS:
        return (line,)
    return tuple(dict.fromkeys((line, canonical_command(line))))


_VERB = re.compile(r"(?P<verb>[A-Za-z]+)(?P<rest>.*)", re.DOTALL)
_PATH = re.compile(r"(?P<word> +(?:FROM|TO):) *", re.IGNORECASE)


class SmtpServerFraming:
    """Commands and reply lines of a session, and mails as content (RFC 5321 3.3).

    What a client sends is content from the reply 354 on, up to the line that is a dot, and
    an answer as it stands after the reply 334 (RFC 4954 4).  So what comes behind DATA or
    AUTH is not cut before the reply has been said, whether the client waited for it or not.
    """

    def __init__(self) -> None:
        self._heard = _Buffer()
        self._said = _Buffer()
        self._reply = b""  # the code of the latest reply, until something was heard
        self._waits = False

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        (self._said if said else self._heard).add(data)
        while said and (line := self._said.take(b"\r\n")) is not None:
            yield Message(True, line, (decode(line.removesuffix(b"\r\n")),))
            self._reply, self._waits = line[:3], False
            yield from self._cut()
        yield from self._cut()

    def _cut(self) -> Iterator[Message]:
        while not self._waits and (message := self._next()):
            self._reply = b""
            yield message

    def _next(self) -> Message | None:
        if self._reply == b"354":
            return self._mail()
        data = self._heard.take(b"\n")
        if data is None:
            return None
        if self._reply == b"334":
            self._waits = True
            return Message(False, data, (decode(data).rstrip("\r\n"),))
        command = canonical_command(decode(data))
        self._waits = command.startswith(("DATA", "AUTH"))
        return Message(False, data, (command,))

    def _mail(self) -> Message | None:
        empty = self._heard.startswith(b".\r\n")
        data = self._heard.take_first(3) if empty else self._heard.take(b"\r\n.\r\n")
        if data is None:
            return None
        return Message(False, data, (f"({len(data)} octets of mail)",), listed=False)

    def end(self) -> Iterator[Message]:
        """What waited for a reply has waited in vain."""
        self._waits = False
        yield from self._cut()

    def rest(self) -> bytes:
        return bytes(self._heard)


def canonical_command(line: str) -> str:
    """One spelling for all that RFC 5321 2.4 and 4.1.1 allow: verbs in capitals.

    >>> canonical_command("mail from: <a@b>")
    'MAIL FROM:<a@b>'
    """
    found = _VERB.match(line.rstrip("\r\n "))
    if not found:
        return line.rstrip("\r\n ")
    verb, rest = found["verb"].upper(), found["rest"]
    if verb in ("MAIL", "RCPT"):
        rest = _PATH.sub(lambda word: word["word"].upper().replace("  ", " "), rest, count=1)
    return verb + rest


class HttpFraming:
    """HTTP/1.x messages, each read by h11 (RFC 9112 6).

    A message that is none is told as the text of what is wrong with it, and everything
    behind it is one stretch of bytes.
    """

    def __init__(self, *, hears_responses: bool) -> None:
        self._hears_responses = hears_responses
        self._methods: deque[bytes] = deque()  # of requests that have no final response yet
        self._readers = {said: self._reader(said=said) for said in (False, True)}

    def _reader(self, *, said: bool) -> _HttpReader:
        responses = said is not self._hears_responses
        return _HttpReader(said=said, responses=responses, methods=self._methods)

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        yield from self._readers[said].feed(data)

    def end(self) -> Iterator[Message]:
        yield from self._readers[False].end()

    def rest(self) -> bytes:
        return self._readers[False].rest()


class _HttpReader:
    """One direction of a connection; each message gets a reader of h11's for itself."""

    def __init__(self, *, said: bool, responses: bool, methods: deque[bytes]) -> None:
        import h11  # noqa: PLC0415 - most plays need none

        self._h11 = h11
        self._said = said
        self._responses = responses
        self._methods = methods
        self._raw = bytearray()  # of the message that is under way
        self._body = bytearray()
        self._head: Message | None = None
        self._connection: Any = None
        self._broken = False

    def feed(self, data: bytes) -> Iterator[Message]:
        self._raw += data
        while data and not self._broken:
            data = yield from self._read(data)

    def end(self) -> Iterator[Message]:
        """A body that ends with its connection is complete now, any other is cut short."""
        if self._raw and not self._broken and self._connection:
            yield from self._read(b"")

    def rest(self) -> bytes:
        return bytes(self._raw)

    def _read(self, data: bytes) -> Generator[Message, None, bytes]:
        """The messages that the data completes, up to the first final one; what is left."""
        try:
            if self._connection is None and not (data := self._begin(data)):
                return b""
            self._connection.receive_data(data)
            while isinstance(event := self._connection.next_event(), self._h11.Event):
                if isinstance(event, self._h11.ConnectionClosed):
                    break
                yield from self._take(event)
                if isinstance(event, self._h11.EndOfMessage):
                    return self._finished()
        except self._h11.ProtocolError as error:
            self._broken = True
            told = _fault(error, self._head, responses=self._responses)
            yield self._message(Message(self._said, b"", (told,)), left=0)
        return b""

    def _begin(self, data: bytes) -> bytes:
        """Start a message; an empty line in front of it is no part of it (RFC 9112 2.2)."""
        if not self._responses or not self._methods:
            data = data.lstrip(b"\r\n")
            del self._raw[: len(self._raw) - len(data)]
        if not data:
            return b""
        if not self._responses:
            self._connection = self._h11.Connection(self._h11.SERVER)
            return data
        self._connection = self._h11.Connection(self._h11.CLIENT)
        method = self._methods[0] if self._methods else b"GET"
        headers = [(b"Host", b"")]
        self._connection.send(self._h11.Request(method=method, target=b"/", headers=headers))
        self._connection.send(self._h11.EndOfMessage())
        return data

    def _take(self, event: Any) -> Iterator[Message]:
        if isinstance(event, self._h11.Data):
            self._body += event.data
        elif isinstance(event, self._h11.Request):
            self._methods.append(event.method)
            self._head = Message(self._said, b"", _request_texts(event), _fields(event))
        elif isinstance(event, self._h11.EndOfMessage) and self._head:
            yield self._message(self._head, left=self._left())
        else:
            head = Message(self._said, b"", _status_texts(event), _fields(event))
            if isinstance(event, self._h11.Response):
                self._head = head
            else:  # of any number of interim ones (RFC 9110 15.2)
                yield self._message(head, left=self._left())

    def _left(self) -> int:
        return len(self._connection.trailing_data[0])

    def _finished(self) -> bytes:
        """Forget the message; what has come of the next one."""
        if self._responses and self._methods:
            self._methods.popleft()
        self._head = self._connection = None
        return bytes(self._raw)

    def _message(self, head: Message, *, left: int) -> Message:
        """The message whose bytes are all but the last `left` that came."""
        end = len(self._raw) - left
        message = replace(head, data=bytes(self._raw[:end]), body=bytes(self._body))
        del self._raw[:end]
        self._body.clear()
        return message


#: What h11 says, and what it means to the author of the program that sent the message.
_FAULTS = {
    "peer unexpectedly closed connection": (
        "the connection ended before the empty line behind the header fields"
    ),
    "peer closed connection without sending complete message body": "the content was cut short",
    "no response line received": "no status line",
}


def _fault(error: Exception, head: Message | None, *, responses: bool) -> str:
    told = re.sub(r"bytearray\(b(?P<text>.*?)\)", r"\g<text>", str(error))
    for words, meaning in _FAULTS.items():
        told = told.replace(words, meaning)
    if responses:  # h11 gives a first line up early, whatever it should have been
        told = told.replace("illegal request line", "no status line")
    return f"({head.texts[0]}, broken: {told})" if head else f"(no HTTP: {told})"


def _status_texts(event: Any) -> tuple[str, ...]:
    code, reason = str(event.status_code), event.reason.decode("latin-1")
    line = f"{code} {reason}".rstrip()
    return line, code, f"HTTP/{event.http_version.decode('ascii')} {line}"


def _request_texts(event: Any) -> tuple[str, ...]:
    line = f"{event.method.decode('ascii')} {decode(event.target)}"
    return line, f"{line} HTTP/{event.http_version.decode('ascii')}"


def _fields(event: Any) -> tuple[tuple[str, str], ...]:
    raw = event.headers.raw_items()
    return tuple((name.decode("latin-1"), decode(value)) for name, value in raw)

"""Bytes of one connection cut into messages, by the rules of its protocol.

Pure: bytes in, messages out, so that a recorded run is cut just as it was while it was
played.  Directions are the actor's: it hears the program and speaks to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.model.scenario import ActorKind, LineEnd
from harness.model.template import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model.scenario import Actor


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a command, a reply line, a datagram, an HTTP message.

    `texts` are the spellings that a pattern may meet; the first is the one to show.
    Content (a mail after DATA) is `listed=False`: no entry of an exchange speaks of it.
    """

    said: bool
    data: bytes
    texts: tuple[str, ...]
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    listed: bool = True


class Framing(Protocol):
    """Cuts what passes on one connection, in both directions."""

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        """The messages that these bytes complete."""
        ...

    def rest(self) -> bytes:
        """Bytes heard that are no complete message yet."""
        ...


def framing_for(actor: Actor) -> Framing | None:
    """The framing of an actor's connections; None where only patterns tell messages apart."""
    if actor.kind is ActorKind.SMTP:
        return SmtpServerFraming()
    if actor.kind is ActorKind.HTTP:
        return HttpFraming(hears_responses=actor.to is not None)
    if actor.kind is ActorKind.UDP:
        return DatagramFraming()
    if actor.kind is ActorKind.TCP and actor.eol is not LineEnd.NONE:
        return LineFraming(actor.eol)
    return None


class DatagramFraming:
    """One datagram is one message (RFC 768)."""

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        yield Message(said, data, (decode(data).rstrip("\r\n"), decode(data)))

    def rest(self) -> bytes:
        return b""


class LineFraming:
    """Messages that end with a line end."""

    def __init__(self, eol: LineEnd) -> None:
        self._end = b"\r\n" if eol is LineEnd.CRLF else b"\n"
        self._bare = eol is not LineEnd.LF
        self._buffers = {False: b"", True: b""}

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        *lines, self._buffers[said] = (self._buffers[said] + data).split(self._end)
        for line in lines:
            yield Message(said, line + self._end, (self._text(line),))

    def _text(self, line: bytes) -> str:
        return decode(line.removesuffix(b"\r") if self._bare else line)

    def rest(self) -> bytes:
        return self._buffers[False]


_VERB = re.compile(r"(?P<verb>[A-Za-z]+)(?P<rest>.*)", re.DOTALL)
_PATH = re.compile(r"(?P<word> +(?:FROM|TO):) *", re.IGNORECASE)
_END_OF_DATA = re.compile(rb"(?:\A|\r\n)\.\r\n")


class SmtpServerFraming:
    """Commands and reply lines of a session, and mails as content (RFC 5321 3.3).

    What a client sends is content from the reply 354 on, up to the line that is a dot.
    """

    def __init__(self) -> None:
        self._heard = b""
        self._said = b""
        self._content = False

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        if said:
            *lines, self._said = (self._said + data).split(b"\r\n")
            for line in lines:
                yield Message(True, line + b"\r\n", (decode(line),))
                self._content = self._content or line.startswith(b"354")
        self._heard += b"" if said else data
        yield from self._cut()

    def _cut(self) -> Iterator[Message]:
        while self._heard:
            end = self._end()
            if end is None:
                return
            data, self._heard = self._heard[:end], self._heard[end:]
            if self._content:
                self._content = False
                yield Message(False, data, (f"({len(data)} octets of mail)",), listed=False)
            else:
                yield Message(False, data, (canonical_command(decode(data)),))

    def _end(self) -> int | None:
        if self._content:
            found = _END_OF_DATA.search(self._heard)
            return found.end() if found else None
        place = self._heard.find(b"\n")
        return place + 1 if place >= 0 else None

    def rest(self) -> bytes:
        return self._heard


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
    """HTTP/1.1 messages, cut by h11 (RFC 9112 6).

    A message that is none is told as the text of what is wrong with it, and everything
    behind it is one stretch of bytes.
    """

    def __init__(self, *, hears_responses: bool) -> None:
        import h11  # noqa: PLC0415 - most plays need none

        self._h11 = h11
        self._hears_responses = hears_responses
        self._client = h11.Connection(h11.CLIENT)
        self._server = h11.Connection(h11.SERVER)
        self._raw = {False: bytearray(), True: bytearray()}
        self._open: dict[bool, Message | None] = {False: None, True: None}
        self._broken = False

    def feed(self, data: bytes, *, said: bool) -> Iterator[Message]:
        self._raw[said] += data
        if self._broken:
            return
        yield from self._read(data, said=said, responses=said is not self._hears_responses)

    def _read(self, data: bytes, *, said: bool, responses: bool) -> Iterator[Message]:
        reader, writer = (self._client, self._server) if responses else (self._server, self._client)
        try:
            reader.receive_data(data)
            while True:
                event = reader.next_event()
                if not isinstance(event, self._h11.Event) or isinstance(
                    event, self._h11.ConnectionClosed
                ):
                    return
                writer.send(event)
                yield from self._assemble(event, said=said)
                self._next_cycle()
        except self._h11.ProtocolError as error:
            self._broken = True
            yield self._message(said, (f"(no HTTP: {error})",))

    def _next_cycle(self) -> None:
        done = self._h11.DONE
        for connection in (self._client, self._server):
            if connection.our_state is done and connection.their_state is done:
                connection.start_next_cycle()

    def _assemble(self, event: object, *, said: bool) -> Iterator[Message]:
        h11 = self._h11
        if isinstance(event, h11.InformationalResponse):
            yield self._message(said, _status_texts(event), _fields(event))
        elif isinstance(event, h11.Response):
            self._open[said] = Message(said, b"", _status_texts(event), _fields(event))
        elif isinstance(event, h11.Request):
            self._open[said] = Message(said, b"", _request_texts(event), _fields(event))
        elif isinstance(event, h11.Data):
            head = self._open[said]
            if head:
                body = head.body + bytes(event.data)
                self._open[said] = Message(said, b"", head.texts, head.fields, body)
        elif isinstance(event, h11.EndOfMessage) and (head := self._open[said]):
            self._open[said] = None
            yield self._message(said, head.texts, head.fields, head.body)

    def _message(
        self,
        said: bool,  # noqa: FBT001 - mirrors the field
        texts: tuple[str, ...],
        fields: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> Message:
        data = bytes(self._raw[said])
        self._raw[said].clear()
        return Message(said, data, texts, fields, body)

    def end(self) -> Iterator[Message]:
        """The program closed: a body that ends with its connection is complete now."""
        if not self._broken and self._hears_responses:
            yield from self._read(b"", said=False, responses=True)

    def rest(self) -> bytes:
        return bytes(self._raw[False])


def _status_texts(event: object) -> tuple[str, ...]:
    code = str(event.status_code)  # type: ignore[attr-defined]
    reason = event.reason.decode("latin-1")  # type: ignore[attr-defined]
    version = event.http_version.decode("ascii")  # type: ignore[attr-defined]
    line = f"{code} {reason}".rstrip()
    return line, code, f"HTTP/{version} {line}"


def _request_texts(event: object) -> tuple[str, ...]:
    method, target = event.method.decode("ascii"), decode(event.target)  # type: ignore[attr-defined]
    version = event.http_version.decode("ascii")  # type: ignore[attr-defined]
    return f"{method} {target}", f"{method} {target} HTTP/{version}"


def _fields(event: object) -> tuple[tuple[str, str], ...]:
    raw = event.headers.raw_items()  # type: ignore[attr-defined]
    return tuple((name.decode("latin-1"), decode(value)) for name, value in raw)

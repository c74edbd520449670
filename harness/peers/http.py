"""HTTP actors: a client that dials the program, an origin server that answers it."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlsplit

import h11

from harness.model.exchange import Directive
from harness.model.scenario import Page
from harness.model.template import Template
from harness.peers.peer import Files, PeerError, spoken
from harness.peers.tcp import Connection, ScriptedPeer, StreamPeer, Witness

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping

    from harness.model.exchange import BodyLine, Entry
    from harness.model.scenario import Actor
    from harness.network import Network
    from harness.peers.tls import Authority
    from harness.record import Recorder

_FORM = "application/x-www-form-urlencoded"
_END = b"\r\n"


class HttpClientPeer(ScriptedPeer):
    """Sends the requests of the exchange to the program."""

    def __init__(
        self,
        actor: Actor,
        recorder: Recorder,
        network: Network,
        authority: Authority,
        files: Files,
    ) -> None:
        super().__init__(actor, recorder, network, authority)
        self._files = files

    def message(self, entry: Entry, bound: Mapping[str, str]) -> bytes:
        return request(entry, bound, self._files)


def request(entry: Entry, bound: Mapping[str, str], files: Files) -> bytes:
    """The octets of a request: as the entry writes it, completed where it says nothing.

    Added are the version, Host (RFC 9112 3.2) and, where there is a body, its length and,
    for a form, its type.  A field that the entry writes itself is left as it is.

    Raises:
        PeerError: for a file that is not there or a directive that does not exist.
    """
    line = spoken(entry.text, bound)
    if not line.rsplit(b" ", 1)[-1].startswith(b"HTTP/"):
        line += b" HTTP/1.1"
    lines, body, form = _body(entry.body, bound, files)
    written = {field.partition(b":")[0].strip().lower() for field in lines}
    if b"host" not in written:
        lines.insert(0, b"Host: " + _host(line))
    if form and b"content-type" not in written:
        lines.append(b"Content-Type: " + _FORM.encode())
    if body and not written & {b"content-length", b"transfer-encoding"}:
        lines.append(b"Content-Length: %d" % len(body))
    return _END.join([line, *lines, b"", body])


def _host(line: bytes) -> bytes:
    target = line.split(b" ")[1] if line.count(b" ") > 1 else b""
    return urlsplit(target).netloc or b"server.example.test"


def _body(
    body: Iterable[BodyLine], bound: Mapping[str, str], files: Files
) -> tuple[list[bytes], bytes, bool]:
    """Field lines, content, and whether the content is a form."""
    fields: list[bytes] = []
    content: list[bytes] = []
    form = in_content = False
    for line in body:
        if isinstance(line, Directive):
            content.append(_directive(line, bound, files))
            form = form or line.name == "form"
        elif not in_content and line == Template():
            in_content = True
        else:
            (content if in_content else fields).append(spoken(line, bound))
    return fields, _END.join(content), form


def _directive(line: Directive, bound: Mapping[str, str], files: Files) -> bytes:
    argument = spoken(line.argument, bound).decode()
    if line.name == "form":
        return urlencoded(files.read(argument))
    if line.name == "file":
        return files.read(argument)
    if line.name == "bytes":
        return b"x" * int(argument)
    raise PeerError(f"@{line.name} does not exist; there are @form, @file and @bytes")


def urlencoded(form: bytes) -> bytes:
    """A form file (YAML, field: value) as a browser would send it (WHATWG URL 5.2)."""
    import yaml  # noqa: PLC0415 - only for forms

    fields = yaml.load(form, Loader=yaml.BaseLoader)  # noqa: S506 - the base loader makes strings only
    return "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in fields.items()).encode()


class HttpOriginPeer(StreamPeer):
    """An origin server with a table of pages; other paths are answered with 404."""

    def new_protocol(self, witness: Witness) -> asyncio.Protocol:
        return _Origin(witness, self.actor.pages)

    async def perform(self, entry: Entry, index: int, bound: Mapping[str, str]) -> None:
        del index, bound
        name = entry.act.name if entry.act else "speaking"
        raise PeerError(f"`{name}` is not played by an origin server, which acts by itself")


class _Origin(Connection):
    """One connection to the origin; keeps it as HTTP/1.1 does (RFC 9112 9.3)."""

    def __init__(self, witness: Witness, pages: Mapping[str, Page]) -> None:
        super().__init__(witness)
        self._pages = pages
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        try:
            self._http.receive_data(data)
            self._take_events()
        except h11.RemoteProtocolError as error:
            self._answer(Page(error.error_status_hint, "text/plain", f"{error}\n"))
            self.close()

    def _take_events(self) -> None:
        while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                self._request = event
            elif isinstance(event, h11.EndOfMessage):
                self._answer_request()
            elif isinstance(event, h11.ConnectionClosed):
                return

    def _answer_request(self) -> None:
        target = self._request.target.decode("latin-1") if self._request else ""
        path = target.partition("?")[0]
        page = self._pages.get(target) or self._pages.get(path)
        self._answer(page or Page(404, "text/plain", f"no page {path}\n"))
        if self._http.our_state is h11.MUST_CLOSE:
            self.close()
        else:
            self._http.start_next_cycle()

    def _answer(self, page: Page) -> None:
        """One write for head and body: two small ones would wait for each other (Nagle)."""
        content = page.text.encode()
        fields = [
            ("Date", formatdate(usegmt=True)),
            ("Content-Type", page.type),
            ("Content-Length", str(len(content))),
        ]
        out = self._http.send(h11.Response(status_code=page.status, headers=fields)) or b""
        if not (self._request and self._request.method == b"HEAD"):
            out += self._http.send(h11.Data(data=content)) or b""
        out += self._http.send(h11.EndOfMessage()) or b""
        self.say(out)

    def eof_received(self) -> bool:
        super().eof_received()
        return False

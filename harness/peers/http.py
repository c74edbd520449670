"""HTTP actors: a client that dials the program, an origin server that answers it."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlsplit

import h11

from harness.model.exchange import Directive
from harness.model.fixtures import find_fixture
from harness.model.instead import ACTS, within
from harness.model.scenario import DEFAULT_HOST, Page
from harness.model.template import Template
from harness.peers.peer import NotPlayedError, spoken
from harness.peers.tcp import Connection, ScriptedPeer, StreamPeer, act_on

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping

    from harness.model.exchange import BodyLine, Entry
    from harness.model.scenario import Actor
    from harness.peers.witness import Witness

_FORM = b"application/x-www-form-urlencoded"
_END = b"\r\n"
_WITH_CONTENT = (b"POST", b"PUT", b"PATCH")


class HttpClientPeer(ScriptedPeer):
    """Sends the requests of the exchange to the program."""

    heard_limit = StreamPeer.heard_limit

    def message(self, entry: Entry, bound: Mapping[str, str]) -> bytes:
        return request(entry, bound, self._setting.scenario)


def request(entry: Entry, bound: Mapping[str, str], scenario: str) -> bytes:
    """The octets of a request: as the entry writes it, completed where it says nothing.

    Added are the version, Host (RFC 9112 3.2) and, where the method asks for content, its
    length and, for a form, its type.  A field that the entry writes itself is left as it is.
    Files are looked for near the scenario file.

    Raises:
        PeerError: a value is named that nothing has bound so far.
        NotPlayedError: for a file that is not there or a directive that does not exist.
    """
    line = spoken(entry.text, bound)
    if not line.rsplit(b" ", 1)[-1].startswith(b"HTTP/"):
        line += b" HTTP/1.1"
    lines, body, form = _body(entry.body, bound, scenario)
    written = {field.partition(b":")[0].strip().lower() for field in lines}
    if b"host" not in written:
        lines.insert(0, b"Host: " + _host(line))
    if form and b"content-type" not in written:
        lines.append(b"Content-Type: " + _FORM)
    has_content = bool(body) or line.startswith(_WITH_CONTENT)
    if has_content and not written & {b"content-length", b"transfer-encoding"}:
        lines.append(b"Content-Length: %d" % len(body))
    return _END.join([line, *lines, b"", body])


def _host(line: bytes) -> bytes:
    """The authority of the target (RFC 9112 3.2); without one, the name of any server."""
    method, target, *_ = [*line.split(b" "), b""]
    authority = target if method == b"CONNECT" else urlsplit(target).netloc
    return authority.rpartition(b"@")[2] or DEFAULT_HOST.encode()


def _body(
    body: Iterable[BodyLine], bound: Mapping[str, str], scenario: str
) -> tuple[list[bytes], bytes, bool]:
    """Field lines, content, and whether the content is a form."""
    fields: list[bytes] = []
    content: list[bytes] = []
    form = in_content = False
    for line in body:
        if isinstance(line, Directive):
            content.append(_directive(line, bound, scenario))
            form = form or line.name == "form"
        elif not in_content and line == Template():
            in_content = True
        else:
            (content if in_content else fields).append(spoken(line, bound))
    return fields, _END.join(content), form


def _directive(line: Directive, bound: Mapping[str, str], scenario: str) -> bytes:
    argument = spoken(line.argument, bound).decode()
    if line.name == "form":
        return urlencoded(_file(scenario, argument))
    if line.name == "file":
        return _file(scenario, argument)
    if line.name == "bytes" and argument.isdecimal():
        return b"x" * int(argument)
    raise NotPlayedError(f"`@{line.name} {argument}` is none of @form FILE, @file FILE, @bytes N")


def _file(scenario: str, name: str) -> bytes:
    path = find_fixture(scenario, name)
    if path is None:
        raise NotPlayedError(f"there is no file {name}")
    return path.read_bytes()


def urlencoded(form: bytes) -> bytes:
    """A form file (YAML, field: value) as a browser would send it (WHATWG URL 5.2)."""
    import yaml  # noqa: PLC0415 - only for forms

    fields = yaml.load(form, Loader=yaml.BaseLoader)  # noqa: S506 - the base loader makes strings only
    return "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in fields.items()).encode()


class HttpOriginPeer(StreamPeer):
    """An origin server with a table of pages; other paths are answered with 404.

    At the steps of `instead` it says or does something else.
    """

    def new_protocol(self, witness: Witness) -> asyncio.Protocol:
        return _Origin(witness, self.actor)


class _Origin(Connection):
    """One connection to the origin; keeps it as HTTP/1.1 does (RFC 9112 9.3)."""

    def __init__(self, witness: Witness, actor: Actor) -> None:
        super().__init__(witness)
        self._pages = actor.pages
        self._instead = actor.instead
        self._octets = {"request": 0, "response": 0}
        self._over = False  # it neither speaks nor takes requests any more
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if act := self._instead.get("connect"):
            self._break_off("connect", act)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._over:
            return
        if self._up_to_break("request", data)[1]:
            self._break_within("request")
            return
        try:
            self._http.receive_data(data)
            self._take_events()
        except h11.RemoteProtocolError as error:
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program did not do it
            self._witness.failed(error)
            self.close()

    def _take_events(self) -> None:
        while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                self._request = event
                self._go_on()
            elif isinstance(event, h11.EndOfMessage):
                self._answer_request()

    def _go_on(self) -> None:
        """Ask for the content of a client that waits to be asked (RFC 9110 10.1.1)."""
        if self._http.they_are_waiting_for_100_continue:
            interim = h11.InformationalResponse(status_code=100, headers=[])
            self._say(self._http.send(interim) or b"")

    # -- something else -----------------------------------------------------------------

    def _break_off(self, step: str, act: str) -> None:
        self._over = True
        if self._transport and not self._transport.is_closing():
            self._witness.deviated(step, act)
            act_on(self._transport, self._witness, act)

    def _up_to_break(self, what: str, data: bytes) -> tuple[bytes, bool]:
        """What of a request or a response comes before `instead` breaks it off, and whether."""
        if not (planned := within(self._instead, what)):
            return data, False
        left = planned[0] - self._octets[what]
        self._octets[what] += len(data)
        return data[:left], left <= len(data)

    def _break_within(self, what: str) -> None:
        if planned := within(self._instead, what):
            self._break_off(f"{what}@{planned[0]}", planned[1])

    # -- responses ----------------------------------------------------------------------

    def _answer_request(self) -> None:
        words = self._instead.get("request", "")
        if words in ACTS:
            self._break_off("request", words)
            return
        if words:
            self._witness.deviated("request", words)
        self._answer(_page_of_status(words) if words else self._page())
        if self._over:
            return
        if self._http.our_state is h11.MUST_CLOSE:
            self.close()
        else:
            self._request = None
            self._http.start_next_cycle()

    def _page(self) -> Page:
        target = self._request.target.decode("latin-1") if self._request else ""
        path = target.partition("?")[0]
        page = self._pages.get(target) or self._pages.get(path)
        return page or Page(404, "text/plain", f"no page {path}\n")

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._answer(Page(error.error_status_hint, "text/plain", f"{error}\n"))
        self.close()

    def _answer(self, page: Page) -> None:
        """One write for head and body: two small ones would wait for each other (Nagle)."""
        content = page.text.encode()
        fields = [
            ("Date", formatdate(usegmt=True)),
            ("Content-Type", page.type),
            ("Content-Length", str(len(content))),
        ]
        out = (
            self._http.send(
                h11.Response(status_code=page.status, headers=fields, reason=page.reason)
            )
            or b""
        )
        if not (self._request and self._request.method == b"HEAD"):
            out += self._http.send(h11.Data(data=content)) or b""
        out += self._http.send(h11.EndOfMessage()) or b""
        self._say(out)

    def _say(self, data: bytes) -> None:
        if self._over or self._transport is None or self._transport.is_closing():
            return
        data, breaks = self._up_to_break("response", data)
        self.say(data)
        if breaks:
            self._break_within("response")

    def eof_received(self) -> bool:
        super().eof_received()
        return False


def _page_of_status(words: str) -> Page:
    return Page(int(words[:3]), "text/plain", f"{words}\n", reason=words[4:])

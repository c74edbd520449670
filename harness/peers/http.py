"""HTTP actors: a client that dials the program, and servers that answer it."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING

import h11

from harness.model.instead import ACTS, within
from harness.model.scenario import Page
from harness.peers.http_messages import file_of, request, response
from harness.peers.tcp import Connection, ScriptedPeer, StreamPeer, act_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.model.exchange import Entry
    from harness.model.scenario import Actor
    from harness.peers.witness import Witness

_WITHOUT_CONTENT = (204, 304)  # RFC 9112 6.3
_OF_CONTENT = {"content-type", "content-length"}


class HttpClientPeer(ScriptedPeer):
    """Sends the requests of the exchange to the program."""

    heard_limit = StreamPeer.heard_limit

    def message(self, entry: Entry, bound: Mapping[str, str]) -> bytes:
        return request(entry, bound, self._setting.scenario)


class HttpServerPeer(ScriptedPeer):
    """Answers the program's requests with the responses of the exchange."""

    heard_limit = StreamPeer.heard_limit

    def message(self, entry: Entry, bound: Mapping[str, str]) -> bytes:
        return response(entry, bound, self._setting.scenario)


class HttpOriginPeer(StreamPeer):
    """An origin server with a table of pages; other paths are answered with 404.

    At the steps of `instead` it says or does something else.
    """

    def new_protocol(self, witness: Witness) -> asyncio.Protocol:
        return _Origin(witness, self.actor, self._setting.scenario)


class _Origin(Connection):
    """One connection to the origin; keeps it as HTTP/1.1 does (RFC 9112 9.3)."""

    def __init__(self, witness: Witness, actor: Actor, scenario: str) -> None:
        super().__init__(witness)
        self._scenario = scenario
        self._later: asyncio.TimerHandle | None = None
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
        page = _page_of_status(words) if words else self._page()
        if page.delay:
            self._witness.will_speak = True
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(page.delay, self._answer_late, page)
        else:
            self._answer_and_go_on(page)

    def _answer_late(self, page: Page) -> None:
        self._witness.will_speak = False
        try:
            self._answer_and_go_on(page)
            if not self._over:
                self._take_events()  # requests may have come meanwhile
        except Exception as error:  # noqa: BLE001 - whatever it is, the program did not do it
            self._witness.failed(error)
            self.close()

    def _answer_and_go_on(self, page: Page) -> None:
        self._answer(page)
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
        content = file_of(self._scenario, page.file) if page.file else page.text.encode()
        fields = list(_fields(page, len(content)))
        head = h11.Response(status_code=page.status, headers=fields, reason=page.reason)
        out = self._http.send(head) or b""
        if page.status in _WITHOUT_CONTENT:
            content = b""
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

    def connection_lost(self, exc: Exception | None) -> None:
        if self._later:
            self._later.cancel()
        self._witness.will_speak = False
        super().connection_lost(exc)


def _fields(page: Page, length: int) -> Iterator[tuple[str, str]]:
    """Date, type and length, unless the page has them itself; and its own fields."""
    written = {name.lower() for name, _ in page.headers}
    if "transfer-encoding" in written:  # then h11 cuts the content into chunks
        written.add("content-length")
    if page.status in _WITHOUT_CONTENT:
        written |= _OF_CONTENT
    of_ours = {
        "Date": formatdate(usegmt=True),
        "Content-Type": page.type,
        "Content-Length": str(length),
    }
    yield from ((name, value) for name, value in of_ours.items() if name.lower() not in written)
    yield from page.headers


def _page_of_status(words: str) -> Page:
    return Page(int(words[:3]), "text/plain", f"{words}\n", reason=words[4:])

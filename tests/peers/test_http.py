"""HTTP actors: requests as they go out, an origin as a proxy meets it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind, LineEnd, Page
from harness.network import Place
from harness.peers import NotPlayedError, PeerError
from harness.peers.http import request, urlencoded

from tests.peers.stage import Client, OnStage, entry, staged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

FORM = b"to: '\"Bo\" <bo@163.com>'\nsubject: \xe8\xae\xa1 & co\n"


def built(lines: str, scenario: str = "", **bound: str) -> bytes:
    return request(entry(f"browser> {lines}"), bound, scenario)


# -- requests --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("GET /", b"GET / HTTP/1.1\r\nHost: server.example.test\r\n\r\n"),
        ("GET / HTTP/1.0", b"GET / HTTP/1.0\r\nHost: server.example.test\r\n\r\n"),
        (
            "GET http://ann@a.example:81/x",
            b"GET http://ann@a.example:81/x HTTP/1.1\r\nHost: a.example:81\r\n\r\n",
        ),
        (
            "CONNECT a.example:443",
            b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
        ),
        ("GET /\n  hOST: mine", b"GET / HTTP/1.1\r\nhOST: mine\r\n\r\n"),
        (
            "POST /",
            b"POST / HTTP/1.1\r\nHost: server.example.test\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "POST /\n  Host: a\n  @bytes 3",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxxx",
        ),
        (
            "POST /\n  Host: a\n\n  one\n  two",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\none\r\ntwo",
        ),
        (
            "POST /\n  Host: a\n  Content-Length: 99\n  @bytes 3",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nxxx",
        ),
        (
            "POST /\n  Host: a\n  Transfer-Encoding: chunked\n\n  0",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0",
        ),
    ],
)
def test_a_request_is_completed_where_it_says_nothing(written: str, sent: bytes) -> None:
    assert built(written) == sent


def test_a_value_that_was_bound_is_sent() -> None:
    assert built("GET /{sid}", sid="7").startswith(b"GET /7 HTTP/1.1\r\n")


def test_a_value_that_was_not_cannot_be() -> None:
    with pytest.raises(PeerError, match=r"\{sid\} has no value yet"):
        built("GET /{sid}")


def test_a_form_is_encoded_as_a_browser_does() -> None:
    assert urlencoded(FORM) == (b"to=%22Bo%22+%3Cbo%40163.com%3E&subject=%E8%AE%A1+%26+co")


def test_forms_and_files_are_looked_for_beside_the_scenario_and_in_fixtures(tmp_path: Path) -> None:
    scenario = tmp_path / "scenarios" / "role" / "s.yaml"
    scenario.parent.mkdir(parents=True)
    (tmp_path / "fixtures").mkdir()
    (scenario.parent / "form.yaml").write_text("a: b")
    (tmp_path / "fixtures" / "body.bin").write_bytes(b"\0\xff")

    form = built("POST /\n  Host: a\n  @form form.yaml", str(scenario))
    file = built("PUT /\n  Host: a\n  Content-Type: x/y\n  @file body.bin", str(scenario))

    assert form == (
        b"POST / HTTP/1.1\r\nHost: a\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b"
    )
    assert file == (
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\nContent-Length: 2\r\n\r\n\0\xff"
    )


def test_a_file_that_is_not_there_is_not_the_programs_fault() -> None:
    with pytest.raises(NotPlayedError, match=r"there is no file nowhere\.yaml"):
        built("POST /\n  @form nowhere.yaml", "scenarios/role/s.yaml")


# -- a client --------------------------------------------------------------------------


def test_a_browser_asks_the_program_and_hears_its_answer() -> None:
    async def main() -> None:
        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readuntil(b"\r\n\r\n") == (
                b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"
            )
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            await writer.wait_closed()

        program = await asyncio.start_server(proxy, "127.0.0.1", 0)
        browser = Actor("browser", ActorKind.HTTP, to="proxy", eol=LineEnd.CRLF)
        async with program, staged(browser) as stage:
            stage.peer.program_listens(Place(*program.sockets[0].getsockname()))
            await stage.play("browser> GET http://a.example/")
            await stage.seen(What.EOF)
            assert stage.told(What.HEARD) == [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]

    asyncio.run(main())


# -- an origin -------------------------------------------------------------------------

PAGES = {"/": Page(text="<p>计</p>"), "/a?b=1": Page(text="query"), "/gone": Page(410, text="gone")}


def ask(program: Callable[[OnStage, Client], Awaitable[None]]) -> None:
    async def main() -> None:
        origin = Actor("origin", ActorKind.HTTP, at="80", pages=PAGES)
        async with staged(origin) as stage:
            client = await Client.connect(stage.place)
            await program(stage, client)
            await client.close()

    asyncio.run(main())


async def get(
    client: Client, target: str, method: str = "GET", fields: str = ""
) -> tuple[str, bytes]:
    client.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
    status, length = await client.line(), 0
    while line := await client.line():
        if line.lower().startswith("content-length:"):
            length = int(line.partition(":")[2])
    return status, b"" if method == "HEAD" else await client.read(length)


def test_pages_are_served_one_after_the_other_on_one_connection() -> None:
    async def program(stage: OnStage, client: Client) -> None:
        assert await get(client, "/") == ("HTTP/1.1 200 ", "<p>计</p>".encode())
        assert await get(client, "/?x") == ("HTTP/1.1 200 ", "<p>计</p>".encode())
        assert await get(client, "/a?b=1") == ("HTTP/1.1 200 ", b"query")
        assert (await get(client, "/gone"))[0] == "HTTP/1.1 410 "
        assert await get(client, "/no") == ("HTTP/1.1 404 ", b"no page /no\n")
        assert await get(client, "/", "HEAD") == ("HTTP/1.1 200 ", b"")
        assert await get(client, "/") == ("HTTP/1.1 200 ", "<p>计</p>".encode())
        assert len(stage.recorder.record.of(What.OPENED)) == 1

    ask(program)


def test_a_connection_is_closed_when_the_client_wishes() -> None:
    async def program(_stage: OnStage, client: Client) -> None:
        await get(client, "/", fields="Connection: close\r\n")
        assert await client.rest() == b""

    ask(program)


def test_a_client_that_waits_to_be_asked_for_its_content_is_asked() -> None:
    async def program(_stage: OnStage, client: Client) -> None:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await client.line()).startswith("HTTP/1.1 100")
        assert await client.line() == ""
        client.send(b"ab")
        assert (await client.line()).startswith("HTTP/1.1 200")

    ask(program)


@pytest.mark.parametrize("rubbish", [b"rubbish\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 99])
def test_a_bad_request_is_answered_by_400_and_closed(rubbish: bytes) -> None:
    async def program(_stage: OnStage, client: Client) -> None:
        await get(client, "/", "HEAD")
        client.send(rubbish + b"\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 400")

    ask(program)


def test_a_client_that_sends_without_end_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.peers.http import HttpOriginPeer

    monkeypatch.setattr(HttpOriginPeer, "heard_limit", 1_000)

    async def program(stage: OnStage, client: Client) -> None:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + b"x" * 2_000)
        await stage.seen(What.BROKEN)
        await stage.seen(What.LEFT)

    ask(program)

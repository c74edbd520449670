"""HTTP actors: requests as they go out, an origin as a proxy meets it."""

from __future__ import annotations

import asyncio
import re
from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING

import pytest
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind, LineEnd, Page
from harness.network import Place
from harness.peers import NotPlayedError, PeerError
from harness.peers.http_messages import multipart, request, response, urlencoded

from tests.peers.stage import Client, OnStage, entry, in_a_loop, staged

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


def test_a_form_may_have_a_charset(tmp_path: Path) -> None:
    """WHATWG URL 5.2: what the charset does not have becomes a character reference."""
    assert urlencoded("subject: 计\n".encode(), "gb18030") == b"subject=%BC%C6"
    assert urlencoded("subject: é 计\n".encode(), "latin-1") == b"subject=%E9+%26%2335745%3B"
    (tmp_path / "form.yaml").write_text("a: 计\n", encoding="utf-8")
    sent = built("POST /\n  @form form.yaml as GB18030", str(tmp_path / "s.yaml"))
    assert sent.endswith(b"\r\n\r\na=%BC%C6")


def test_a_list_in_a_form_is_a_field_several_times() -> None:
    assert urlencoded(b"to: [a, b]\nc: d\n") == b"to=a&to=b&c=d"


def test_a_form_with_files_has_a_part_for_each_field(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")
    form = """
        to: [bo@163.com, li@163.com]
        'a"b': {file: cat.png, type: image/png, name: 猫.png}
        other: {file: cat.png}
    """.encode()
    boundary, content = multipart(form, str(tmp_path / "s.yaml"))

    parser = BytesParser(policy=policy.HTTP)
    head = b"Content-Type: multipart/form-data; boundary=" + boundary + b"\r\n\r\n"
    parts = list(parser.parsebytes(head + content).iter_parts())
    assert [part.get_payload(decode=True) for part in parts] == [
        b"bo@163.com",
        b"li@163.com",
        b"\x89PNG",
        b"\x89PNG",
    ]
    assert 'name="a%22b"; filename="猫.png"\r\nContent-Type: image/png'.encode() in content
    assert parts[3].get_filename() == "cat.png"
    assert parts[3].get_content_type() == "application/octet-stream"


def test_a_boundary_is_in_no_part(tmp_path: Path) -> None:
    boundary, _ = multipart(b"a: b\n", "s.yaml")
    (tmp_path / "f").write_bytes(boundary)
    again, content = multipart(b"a: {file: f}\n", str(tmp_path / "s.yaml"))
    assert content.count(again) == 2


def test_content_goes_in_chunks() -> None:
    assert built("POST /\n  Host: a\n\n  hello world\n  @chunked 8") == (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"8\r\nhello wo\r\n3\r\nrld\r\n0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("200 OK\n  Date: D\n\n  hi", b"HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 2\r\n\r\nhi"),
        ("HTTP/1.0 404 No\n  Date: D", b"HTTP/1.0 404 No\r\nDate: D\r\nContent-Length: 0\r\n\r\n"),
        ("304 Same\n  Date: D", b"HTTP/1.1 304 Same\r\nDate: D\r\n\r\n"),
        ("100 Continue\n  Date: D", b"HTTP/1.1 100 Continue\r\nDate: D\r\n\r\n"),
        (
            "200 OK\n  Date: D\n  Content-Length: 99\n\n  hi",
            b"HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 99\r\n\r\nhi",
        ),
        (
            "200 OK\n  Date: D\n  @chunked 1\n\n  hi",
            (
                b"HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"
            ),
        ),
    ],
)
def test_a_response_is_completed_where_it_says_nothing(written: str, sent: bytes) -> None:
    assert response(entry(f"server> {written}"), {}, "") == sent


def test_a_response_has_a_date() -> None:
    sent = response(entry("server> 200 OK"), {}, "")
    assert re.match(
        rb"HTTP/1.1 200 OK\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", sent
    )


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


def scripted() -> Actor:
    return Actor("server", ActorKind.HTTP, at="80", scripted=True, eol=LineEnd.CRLF)


@in_a_loop
async def test_a_scripted_server_says_what_the_exchange_says() -> None:
    async with staged(scripted()) as stage:
        client = await Client.connect(stage.place)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await stage.seen(What.HEARD)
        await stage.play("server> 302 Found\n  Date: D\n  Location: /new")
        await stage.play("server! close")
        assert await client.rest() == (
            b"HTTP/1.1 302 Found\r\nDate: D\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n"
        )
        await client.close()


async def got(page: Page, request: bytes, scenario: str = "") -> tuple[str, bytes]:
    """Head and content of the response with a page, to a request that closes."""
    actor = Actor("server", ActorKind.HTTP, at="80", pages={"/a": page})
    async with staged(actor, scenario) as stage:
        client = await Client.connect(stage.place)
        client.send(request + b" /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        head, _, content = (await client.rest()).partition(b"\r\n\r\n")
        await client.close()
    return head.decode(), content


@in_a_loop
async def test_a_page_may_have_fields_of_its_own() -> None:
    fields = (("Location", "/b"), ("date", "D"), ("Content-Type", "a/b"))
    head, content = await got(Page(302, text="moved", headers=fields), b"GET")
    assert head.split("\r\n")[1:-1] == [
        "Content-Length: 5",
        "Location: /b",
        "date: D",
        "Content-Type: a/b",
    ]
    assert content == b"moved"


@in_a_loop
async def test_a_page_may_go_in_chunks() -> None:
    head, content = await got(Page(text="hi", headers=(("Transfer-Encoding", "chunked"),)), b"GET")
    assert "Content-Length" not in head
    assert content == b"2\r\nhi\r\n0\r\n\r\n"


@pytest.mark.parametrize("status", [204, 304])
@in_a_loop
async def test_a_page_may_be_without_content(status: int) -> None:
    head, content = await got(Page(status, text="never sent"), b"GET")
    assert "Content-" not in head
    assert content == b""


def test_a_page_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")
    page = Page(type="image/png", file="cat.png")
    head, content = asyncio.run(got(page, b"GET", str(tmp_path / "s.yaml")))
    assert "Content-Length: 4" in head
    assert content == b"\x89PNG"


@in_a_loop
async def test_a_page_may_come_later_and_holds_up_those_behind_it() -> None:
    pages = {"/slow": Page(text="first", delay=0.05), "/fast": Page(text="second")}
    async with staged(Actor("server", ActorKind.HTTP, at="80", pages=pages)) as stage:
        client = await Client.connect(stage.place)
        client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await stage.seen(What.HEARD)
        assert stage.peer.busy
        client.send(b"GET /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answers = await client.rest()
        assert not stage.peer.busy
        assert answers.index(b"first") < answers.index(b"second")
        await client.close()

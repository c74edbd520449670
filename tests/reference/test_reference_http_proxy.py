"""The proxy core between raw clients and raw origins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from protocols.endpoints import Endpoint
from protocols.http_proxy import (
    Answer,
    Hook,
    Proxy,
    RefusedError,
    RequestHead,
    Timeouts,
    end_to_end,
    forwarded_request,
    parse_authority,
    parse_target,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOCAL = Endpoint("127.0.0.1", 0)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    ("text", "default", "found"),
    [
        ("a.test", 80, ("a.test", 80)),
        ("a.test:", 80, ("a.test", 80)),
        ("[::1]:443", None, ("::1", 443)),
        ("1.2.3.4:65535", None, ("1.2.3.4", 65535)),
    ],
)
def test_authorities(text: str, default: int | None, found: tuple[str, int]) -> None:
    """With a port of their own, or the scheme's."""
    assert parse_authority(text, default) == found


@pytest.mark.parametrize(
    "text", ["a.test", "a:0", "a:99999", "a:1:2", "u@a:80", "", ":80", "a:-1", "a b:1", "a:²"]
)
def test_what_is_no_authority(text: str) -> None:
    """PX13."""
    with pytest.raises(RefusedError) as caught:
        parse_authority(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("method", "target", "found"),
    [
        ("GET", "http://a.test/x?y=http://z", ("a.test", "a.test", 80, "/x?y=http://z")),
        ("GET", "HTTP://a.test:81", ("a.test:81", "a.test", 81, "/")),
        ("GET", "http://[::1]?q", ("[::1]", "::1", 80, "/?q")),
        ("OPTIONS", "http://a.test", ("a.test", "a.test", 80, "*")),
        ("GET", "http://a.test/x#y", ("a.test", "a.test", 80, "/x")),
    ],
)
def test_targets(method: str, target: str, found: tuple[str, str, int, str]) -> None:
    """PX01, RFC 9112 3.2."""
    assert parse_target(method, target) == found


@pytest.mark.parametrize(
    "target", ["/", "*", "https://a.test/", "ftp://a/", "http:///x", "http://u:p@a/", "a:80"]
)
def test_what_is_no_target_for_a_proxy(target: str) -> None:
    """PX23."""
    with pytest.raises(RefusedError):
        parse_target("GET", target)


def test_only_end_to_end_fields_pass() -> None:
    """PX08, PX09, PX24: the others keep their order and spelling."""
    fields = [
        (b"X-B", b"1"),
        (b"Connection", b"close, X-Drop"),
        (b"x-drop", b"x"),
        (b"TE", b"trailers"),
        (b"Proxy-Authorization", b"Basic x"),
        (b"Set-Cookie", b"a=1"),
        (b"Keep-Alive", b"x"),
        (b"Set-Cookie", b"b=2"),
        (b"connection", b"Content-Length, host"),
        (b"Content-Length", b"3"),
    ]
    kept = [
        (b"X-B", b"1"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
        (b"Content-Length", b"3"),
    ]
    assert end_to_end(fields) == kept


HEAD = RequestHead("GET", "a.test", 80, "a.test", "/", (), "1.1", LOCAL, LOCAL)


def test_a_request_that_comes_back_is_refused() -> None:
    """PX10."""
    forwarded = forwarded_request(HEAD, "me")
    assert (b"via", b"1.1 me") in forwarded.headers
    again = replace(HEAD, fields=((b"Via", b"1.1 me"),))
    with pytest.raises(RefusedError) as caught:
        forwarded_request(again, "me")
    assert caught.value.status == 508


@asynccontextmanager
async def origin(talk: Talk) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def proxied(
    hook: Hook = lambda _head: None, timeouts: Timeouts | None = None, log: list[str] | None = None
) -> AsyncIterator[Streams]:
    """A client's connection to a proxy."""
    proxy = Proxy(hook, (log if log is not None else []).append, timeouts)
    where = await proxy.start(LOCAL)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await proxy.stop(1)


async def exchange(streams: Streams, request: str | bytes) -> bytes:
    """Send, and read to the end of the connection."""
    reader, writer = streams
    writer.write(request.encode() if isinstance(request, str) else request)
    async with asyncio.timeout(10):
        return await reader.read()


def says(response: bytes, heard: list[bytes] | None = None) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(head)
        writer.write(response)
        await writer.drain()

    return talk


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def test_a_get_is_forwarded() -> None:
    """PX01, PX02, PX10: origin-form, Host from the URL, Via both ways."""

    async def scene() -> None:
        heard: list[bytes] = []
        log: list[str] = []
        async with origin(says(OK, heard)) as where, proxied(log=log) as streams:
            request = (
                f"GET http://{where}/x?y=1 HTTP/1.1\r\nHost: other\r\nX-A: b\r\n"
                "Connection: close\r\n\r\n"
            )
            answer = await exchange(streams, request)
        assert heard[0].startswith(
            f"GET /x?y=1 HTTP/1.1\r\nHost: {where}\r\nX-A: b\r\nVia: 1.1 ".encode()
        )
        assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 ")
        assert answer.endswith(b"\r\n\r\nhi")
        assert any(line.endswith(f"> GET http://{where}/x?y=1 HTTP/1.1") for line in log)
        assert any(line.endswith("< HTTP/1.1 200 OK") for line in log)

    asyncio.run(scene())


def test_requests_to_several_origins_on_one_connection() -> None:
    """PX04, PX14, PX15: pipelined, after an empty line, answered in order."""

    async def scene() -> None:
        first, second = OK.replace(b"hi", b"h1"), OK.replace(b"hi", b"h2")
        async with origin(says(first)) as one, origin(says(second)) as two, proxied() as streams:
            requests = (
                f"\r\nGET http://{one}/ HTTP/1.1\r\nHost: x\r\n\r\n"
                f"GET http://{two}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            answer = await exchange(streams, requests)
        assert answer.index(b"h1") < answer.index(b"h2")

    asyncio.run(scene())


def test_a_request_in_single_bytes() -> None:
    """PX04, PX03."""

    async def scene() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + await reader.readexactly(3)
            )

        async with origin(echo) as where, proxied() as (reader, writer):
            head = (
                f"PUT http://{where}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                "Connection: close\r\n\r\n"
            )
            for byte in head.encode() + b"\0\r\xff":
                writer.write(bytes([byte]))
                await writer.drain()
            assert (await reader.read()).endswith(b"\r\n\r\n\0\r\xff")

    asyncio.run(scene())


def test_a_large_body_both_ways_at_once() -> None:
    """PX03: 10 MiB echoed while it comes, chunked, byte-exact; nothing is collected here."""

    async def scene() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            left = len(body)
            while left:
                data = await reader.read(min(left, 65536))
                left -= len(data)
                writer.write(data)
                await writer.drain()

        body = bytes(range(256)) * 4096 * 10
        async with origin(echo) as where, proxied() as (reader, writer):
            head = (
                f"POST http://{where}/ HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(body)) == body

    asyncio.run(scene())


def test_chunked_both_ways_with_trailers() -> None:
    """PX07: extensions are dropped, trailers kept."""

    async def scene() -> None:
        heard: list[bytes] = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"A;x=y\r\n0123456789\r\n0\r\nX-T: u\r\n\r\n"
            )

        async with origin(talk) as where, proxied() as streams:
            answer = await exchange(
                streams,
                f"POST http://{where}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                "Connection: close\r\n\r\n"
                "3;a=b\r\nabc\r\n0\r\nX-R: s\r\n\r\n",
            )
        assert b"Transfer-Encoding: chunked\r\n" in heard[0]
        assert heard[1] == b"3\r\nabc\r\n0\r\nX-R: s\r\n\r\n"
        assert answer.endswith(b"a\r\n0123456789\r\n0\r\nX-T: u\r\n\r\n")

    asyncio.run(scene())


def test_an_old_client_gets_no_chunks() -> None:
    """PX17: the end of the connection ends the body."""

    async def scene() -> None:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        async with origin(says(chunked)) as where, proxied() as streams:
            answer = await exchange(streams, f"GET http://{where}/ HTTP/1.0\r\n\r\n")
        assert answer.endswith(b"\r\n\r\nhi")
        assert b"ransfer" not in answer

    asyncio.run(scene())


def test_an_origin_that_ends_by_closing() -> None:
    """The client learns the end by the last chunk, and its connection stays."""

    async def scene() -> None:
        async with (
            origin(says(b"HTTP/1.0 200 OK\r\n\r\nhello")) as where,
            proxied() as (reader, writer),
        ):
            writer.write(f"GET http://{where}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = await reader.readuntil(b"0\r\n\r\n")
        assert b"5\r\nhello\r\n0\r\n\r\n" in answer

    asyncio.run(scene())


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "BREW"])
def test_any_method_is_forwarded(method: str) -> None:
    """PX05, PX06: the answer to HEAD has no body, and nobody waits for one."""

    async def scene() -> None:
        heard: list[bytes] = []
        response = OK.removesuffix(b"hi") if method == "HEAD" else OK
        async with origin(says(response, heard)) as where, proxied() as (reader, writer):
            for _ in range(2):
                writer.write(f"{method} http://{where}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert b"Content-Length: 2" in await reader.readuntil(b"\r\n\r\n")
                if method != "HEAD":
                    assert await reader.readexactly(2) == b"hi"
        assert heard[1].startswith(f"{method} / HTTP/1.1".encode())

    asyncio.run(scene())


def test_expect_100_continue() -> None:
    """PX16: the origin's 100 gets through before the body is sent."""

    async def scene() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert b"Expect: 100-continue" in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX-Y: z\r\n\r\n")
            assert await reader.readexactly(2) == b"ab"
            writer.write(OK)

        async with origin(talk) as where, proxied() as (reader, writer):
            writer.write(
                f"PUT http://{where}/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                "Content-Length: 2\r\n\r\n".encode()
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            assert b"X-Y: z" in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"ab")
            assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200 OK")

    asyncio.run(scene())


def test_an_answer_before_the_whole_body() -> None:
    """An origin refuses early; the client gets the refusal, not a reset."""

    async def scene() -> None:
        refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
        async with origin(says(refusal)) as where, proxied() as streams:
            head = f"POST http://{where}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
            answer = await exchange(streams, head + "x" * 100)
        assert answer.startswith(b"HTTP/1.1 413 Too Large")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("garbage\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        ("\x05\x01\x00", 400),
        ("GET https://a.test/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET http://a.test/ HTTP/1.1\r\n\r\n", 400),
        ("GET http://a.test/ HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", 400),
        ("GET http://a.test/ HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
        ("GET http://a.test/ HTTP/1.1\r\nHost: x\r\nX: " + "a" * 200_000 + "\r\n\r\n", 431),
        ("POST http://a.test/ HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n", 400),
        (
            (
                "POST http://a.test/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                "Content-Length: 6\r\n\r\n"
            ),
            400,
        ),
        (
            (
                "POST http://a.test/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            "POST http://a.test/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
        ),
        ("POST http://a.test/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("CONNECT a.test HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT a.test:0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n", 502),
        ("CONNECT a.test:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 400),
        ("GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 502),
        ("GET http://a..b/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 502),
        ("HEAD http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 502),
    ],
)
def test_what_cannot_be_served_gets_a_page(request_text: str, status: int) -> None:
    """PX13, PX18, PX19, PX21, PX22, PX23."""

    async def scene() -> bytes:
        async with proxied() as streams:
            return await exchange(streams, request_text.encode("latin-1"))

    answer = asyncio.run(scene())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.endswith(b"</html>\n") != request_text.startswith("HEAD")


@pytest.mark.parametrize("size", ["0x5", "1_0", "+5", "-1", "f" * 21])
def test_a_bad_chunk_size_stops_the_request(size: str) -> None:
    """PX20: what Python's int() would take is refused."""

    async def scene() -> bytes:
        async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with origin(talk) as where, proxied() as streams:
            head = f"POST http://{where}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            return await exchange(streams, f"{head}{size}\r\nabcde\r\n0\r\n\r\n")

    assert asyncio.run(scene()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ],
)
def test_an_origin_that_fails_before_its_answer(response: bytes) -> None:
    """PX26, PX28: 502, and the connection can go on."""

    async def scene() -> None:
        async with origin(says(response)) as where, proxied() as (reader, writer):
            for _ in range(2):
                writer.write(f"GET http://{where}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert (await reader.readuntil(b"</html>\n")).startswith(b"HTTP/1.1 502 ")

    asyncio.run(scene())


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nxyz\r\n",
    ],
)
def test_a_client_can_tell_a_part_from_the_whole(response: bytes, version: str) -> None:
    """PX26, PX27: without a last chunk or a length, only a reset tells it."""

    async def scene() -> None:
        async with origin(says(response)) as where, proxied() as streams:
            request = f"GET http://{where}/ HTTP/{version}\r\nHost: x\r\n\r\n"
            with pytest.raises(ConnectionResetError):
                await exchange(streams, request)

    asyncio.run(scene())


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_a_silent_origin(reply: bytes) -> None:
    """PX27: 504 if nothing has been sent yet, else the connection breaks."""

    async def scene() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(reply)
            await reader.read()

        async with (
            origin(talk) as where,
            proxied(timeouts=Timeouts(response=0.1)) as (reader, writer),
        ):
            writer.write(f"GET http://{where}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            if reply:
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await reader.readuntil(b"</html>\n")
            else:
                assert (await reader.readuntil(b"</html>\n")).startswith(b"HTTP/1.1 504 ")

    asyncio.run(scene())


def test_slow_clients_are_bounded_and_hold_nobody_up() -> None:
    """PX25: half a head gets 408 in the end; another client is served meanwhile."""

    async def scene() -> None:
        proxy = Proxy(timeouts=Timeouts(head=0.5))
        where = await proxy.start(LOCAL)
        slow = [await asyncio.open_connection(where.host, where.port) for _ in range(50)]
        for _, writer in slow:
            writer.write(b"GET http://a.test/ HT")
        async with origin(says(OK)) as at:
            quick = await asyncio.open_connection(where.host, where.port)
            request = f"GET http://{at}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert (await exchange(quick, request)).endswith(b"hi")
        for reader, writer in slow:
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
            writer.close()
        quick[1].close()
        await proxy.stop(1)

    asyncio.run(scene())


def test_a_tunnel_is_transparent() -> None:
    """PX11, PX12: no length in the 200, early bytes kept, half-close passed on."""

    async def scene() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            data = await reader.read()
            writer.write(b"got " + data)
            await writer.drain()

        async with origin(talk) as where, proxied() as (reader, writer):
            writer.write(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n\x16early".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head == b"HTTP/1.1 200 Connection established\r\n\r\n"
            writer.write(b" late\0")
            writer.write_eof()
            assert await reader.read() == b"got \x16early late\0"

    asyncio.run(scene())


def test_an_idle_tunnel_ends() -> None:
    """Every wait has a deadline."""

    async def scene() -> None:
        async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with (
            origin(talk) as where,
            proxied(timeouts=Timeouts(tunnel=0.1)) as (reader, writer),
        ):
            writer.write(f"CONNECT {where} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            async with asyncio.timeout(5):
                with pytest.raises(ConnectionResetError):
                    await reader.readexactly(1)

    asyncio.run(scene())


def test_a_stop_does_not_wait_for_a_tunnel() -> None:
    """W13: nothing in it ever ends by itself."""

    async def scene() -> None:
        async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        proxy = Proxy()
        at = await proxy.start(LOCAL)
        async with origin(talk) as where:
            reader, writer = await asyncio.open_connection(at.host, at.port)
            writer.write(f"CONNECT {where} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            async with asyncio.timeout(2):
                await proxy.stop(60)
            writer.close()

    asyncio.run(scene())


def test_a_client_that_vanishes_frees_the_origin() -> None:
    """PX29: in the middle of an endless answer."""

    async def scene() -> None:
        freed = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            finally:
                freed.set()

        async with origin(talk) as where, proxied() as (reader, writer):
            writer.write(f"GET http://{where}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            async with asyncio.timeout(5):
                await freed.wait()

    asyncio.run(scene())


def taking(heads: list[RequestHead]) -> Hook:
    async def respond(body: bytes) -> Answer:
        return Answer(200, b"taken " + body, "text/plain")

    def hook(head: RequestHead) -> Callable[[bytes], Awaitable[Answer]] | None:
        heads.append(head)
        return respond if head.host == "mail.test" else None

    return hook


def test_a_request_is_taken_over() -> None:
    """W2, WM05: a later one on the connection, chunked, with 100-continue; the rest goes on."""

    async def scene() -> None:
        heads: list[RequestHead] = []
        async with origin(says(OK)) as where, proxied(taking(heads)) as (reader, writer):
            other = f"GET http://{where}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            writer.write(other)
            await reader.readuntil(b"hi")
            writer.write(
                b"POST http://mail.test/x?y HTTP/1.1\r\nHost: z\r\nTransfer-Encoding: chunked\r\n"
                b"Expect: 100-continue\r\nContent-Type: a/b\r\n\r\n"
            )
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n" + other)
            assert (await reader.readuntil(b"taken ab")).startswith(b"HTTP/1.1 200 OK\r\n")
            await reader.readuntil(b"hi")
        head = heads[1]
        assert (head.method, head.host, head.port, head.target) == ("POST", "mail.test", 80, "/x?y")
        assert (head.get("CONTENT-TYPE"), head.get("none")) == ("a/b", "")
        assert head.client.host == head.proxy.host == "127.0.0.1"

    asyncio.run(scene())


def test_a_body_that_is_too_large_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be held in memory is bounded."""
    monkeypatch.setattr("protocols.http_proxy.MAX_TAKEN_BODY", 10)

    async def scene() -> bytes:
        async with proxied(taking([])) as streams:
            head = "POST http://mail.test/ HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n"
            return await exchange(streams, head + "x" * 11)

    assert asyncio.run(scene()).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_breaks_off_is_not_taken() -> None:
    """Half a mail is none."""
    taken: list[bytes] = []

    async def respond(body: bytes) -> Answer:
        taken.append(body)
        return Answer(200, b"")

    async def scene() -> bytes:
        async with proxied(lambda _head: respond) as (reader, writer):
            writer.write(
                b"POST http://mail.test/ HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nxx"
            )
            writer.write_eof()
            return await reader.read()

    assert asyncio.run(scene()).startswith(b"HTTP/1.1 400 ")
    assert taken == []


def test_stopping_lets_what_is_under_way_finish() -> None:
    """W13: idle connections are closed at once, a busy one after its answer."""

    async def scene() -> None:
        asked, go = asyncio.Event(), asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await go.wait()
            writer.write(OK)

        proxy = Proxy()
        where = await proxy.start(LOCAL)
        idle = await asyncio.open_connection(where.host, where.port)
        busy = await asyncio.open_connection(where.host, where.port)
        async with origin(talk) as at:
            busy[1].write(f"GET http://{at}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await asked.wait()
            stopping = asyncio.create_task(proxy.stop(5))
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await idle[0].readexactly(1)
            go.set()
            assert (await busy[0].read()).endswith(b"hi")
            busy[1].close()
            idle[1].close()
            await stopping
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(where.host, where.port)

    asyncio.run(scene())

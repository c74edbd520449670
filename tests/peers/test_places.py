"""Certificates, places where nobody is, and the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import select
import socket
import ssl
import subprocess
import sys

import pytest
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind, LineEnd, Tls
from harness.peers import Authority, NotPlayedError

from tests.peers.stage import Client, staged

CLIENT = """
import socket, ssl, sys
context = ssl.create_default_context()
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
    with context.wrap_socket(sock, server_hostname=sys.argv[3]) as encrypted:
        encrypted.sendall(b"hello")
"""
SERVER = Actor("server", ActorKind.TCP, at="shop.example.test:443", tls=Tls.IMPLICIT)


async def python(*arguments: str, env: dict[str, str]) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", *arguments, env=env, stderr=subprocess.PIPE
    )
    _, errors = await process.communicate()
    return process.returncode or 0, errors


@pytest.mark.parametrize("name", ["shop.example.test", "127.0.0.1", "localhost"])
def test_a_program_that_has_only_the_bundle_trusts_every_name_of_an_actor(name: str) -> None:
    async def main() -> None:
        authority = Authority()
        env = {"SSL_CERT_FILE": str(authority.bundle)}
        async with staged(SERVER, authority=authority) as stage:
            host, port = stage.place
            assert await python(CLIENT, host, str(port), name, env=env) == (0, b"")
            await stage.seen(What.EOF)
            assert stage.told(What.HEARD) == [b"hello"]

    asyncio.run(main())


def test_another_name_is_refused_by_a_program_that_checks() -> None:
    async def main() -> None:
        authority = Authority()
        trust = ssl.create_default_context(cafile=authority.bundle)
        async with staged(SERVER, authority=authority) as stage:
            with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
                await Client.connect(stage.place, trust, "bank.example.test")

    asyncio.run(main())


def test_an_authority_leaves_no_file_behind_and_may_never_be_needed() -> None:
    unused, used = Authority(), Authority()
    bundle = used.bundle
    assert bundle.read_text().count("BEGIN CERTIFICATE") == 1
    unused.close()
    used.close()

    assert not bundle.exists()


def test_a_certificate_is_made_once_for_the_same_names() -> None:
    with contextlib.closing(Authority()) as authority:
        assert authority.context("a.example", "::1") is authority.context("a.example", "::1")
        assert authority.context("a.example") is not authority.context("b.example")


def test_what_is_said_right_behind_the_handshake_is_heard() -> None:
    """The first words may come with the last of the handshake, before anyone listens."""

    async def main() -> None:
        authority = Authority()
        trust = ssl.create_default_context(cafile=authority.bundle)
        origin = Actor("origin", ActorKind.HTTP, at="shop.example.test:443", tls=Tls.IMPLICIT)
        async with staged(origin, authority=authority) as stage:
            request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            answer = await asyncio.to_thread(at_once, stage.place, trust, request)
            assert answer.startswith(b"HTTP/1.1 404")

    asyncio.run(main())


def at_once(place: tuple[str, int], trust: ssl.SSLContext, data: bytes) -> bytes:
    """Sends the last message of the handshake and the first data in one segment."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trust.wrap_bio(incoming, outgoing, server_hostname="shop.example.test")
    with socket.create_connection(place, timeout=5) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65_536))
        tls.write(data)
        sock.sendall(outgoing.read())
        while True:
            incoming.write(sock.recv(65_536))
            try:
                return tls.read()
            except ssl.SSLWantReadError:
                continue  # a session ticket, no data


# -- nobody ----------------------------------------------------------------------------


def test_a_closed_place_refuses() -> None:
    async def main() -> None:
        async with staged(Actor("nobody", ActorKind.CLOSED, at="80")) as stage:
            with pytest.raises(ConnectionRefusedError):
                await Client.connect(stage.place)
            with pytest.raises(NotPlayedError, match=r"`accept` is not played by .* closed"):
                await stage.play("nobody! accept")

    asyncio.run(main())


def test_a_filtered_place_does_not_answer() -> None:
    async def main() -> None:
        async with staged(Actor("nobody", ActorKind.FILTERED, at="80")) as stage:
            with socket.socket() as sock:
                sock.setblocking(False)
                assert sock.connect_ex(stage.place) == errno.EINPROGRESS
                assert select.select([], [sock], [], 0.2) == ([], [], [])

    asyncio.run(main())


@pytest.mark.parametrize("kind", [ActorKind.CLOSED, ActorKind.FILTERED])
def test_datagrams_are_refused_where_it_is_closed_and_else_not_answered(kind: ActorKind) -> None:
    async def main() -> None:
        async with staged(Actor("nobody", kind, at="53", over="udp")) as stage:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.2)
                sock.connect(stage.place)
                sock.send(b"anybody?")
                with pytest.raises(REFUSAL[kind]):
                    sock.recv(100)

    asyncio.run(main())


REFUSAL = {ActorKind.CLOSED: ConnectionRefusedError, ActorKind.FILTERED: TimeoutError}


# -- the terminal ----------------------------------------------------------------------


def test_a_terminal_types_with_its_line_end() -> None:
    async def main() -> None:
        async with staged(Actor("user", ActorKind.TERMINAL, eol=LineEnd.LF)) as stage:
            await stage.play("user> hello {name}", name="Ann")
            assert stage.typed == [b"hello Ann\n"]
            await stage.play("user! close")
            assert stage.typed[-1] == b"\x04"
            with pytest.raises(NotPlayedError, match=r"`reset` is not played by .* terminal"):
                await stage.play("user! reset")

    asyncio.run(main())

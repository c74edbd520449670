"""Hosts that answer echo requests: what a small ping sees of them, and what the record tells."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from harness import network as network_module
from harness.errors import HarnessError, MachineError
from harness.framing import framing_for
from harness.model.faults import Choice, Faults
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind
from harness.network import Loopback, Private

from tests.network.programs import PYTHON, output_of
from tests.peers.test_unreachable import played

if TYPE_CHECKING:
    from harness.model.record import Record

TROUBLE = network_module._trouble()
on_private = pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)

#: Sends echo requests with these payloads by a socket of this kind; tells each answer in hex.
PING = """
import json, socket, struct, sys
host, raw, sizes = sys.argv[1], sys.argv[2] == "raw", json.loads(sys.argv[3])
six = ":" in host
family, protocol = (10, 58) if six else (2, 1)
sock = socket.socket(family, socket.SOCK_RAW if raw else socket.SOCK_DGRAM, protocol)
sock.settimeout(float(sys.argv[4]))
def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
told = []
for number, size in enumerate(sizes, 1):
    head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 77, number)
    body = b"x" * size
    head = head[:2] + checksum(head + body).to_bytes(2, "big") + head[4:]
    sock.sendto(head + body, (host, 0))
try:
    while len(told) < int(sys.argv[5]):
        data = sock.recv(65535)
        data = data if six or not raw else data[(data[0] & 15) * 4:]
        if data[0] in (0, 129):
            told.append(data.hex())
except TimeoutError:
    pass
print(json.dumps(told))
"""


def pinged(
    actor: Actor,
    sizes: list[int],
    *,
    host: str = "192.0.2.9",
    socket: str = "raw",
    answers: int | None = None,
    wait_s: float = 20,
) -> tuple[list[bytes], Record]:
    """The answers that a program got, and the record."""
    wanted = str(len(sizes) if answers is None else answers)

    async def main() -> tuple[list[bytes], Record]:
        async with played(actor) as (network, _, recorder):
            start = network.start

            def start_raw(*args: Any, **how: Any) -> Any:
                return start(*args, **how, raw=socket == "raw")

            network.start = start_raw  # type: ignore[method-assign]
            argv = [*PYTHON, PING, host, socket, json.dumps(sizes), str(wait_s), wanted]
            said = await output_of(network, argv)
            return [bytes.fromhex(text) for text in json.loads(said)], recorder.record

    return asyncio.run(main())


def host(at: str = "192.0.2.9:0", **how: Any) -> Actor:
    return Actor("target", ActorKind.ICMP, at=at, **how)


def texts(record: Record) -> list[str]:
    framing = framing_for(host())
    assert framing
    return [
        message.texts[0]
        for event in record.of(What.HEARD, What.SAID)
        for message in framing.feed(event.data, said=event.what is What.SAID)
    ]


@on_private
@pytest.mark.parametrize("socket", ["raw", "datagram"])
@pytest.mark.parametrize("at", ["192.0.2.9", "2001:db8::9", "127.0.0.1", "::1"])
def test_each_request_is_answered_by_the_actor_and_by_nobody_else(at: str, socket: str) -> None:
    place = f"[{at}]:0" if ":" in at else f"{at}:0"
    answers, record = pinged(host(place), [0, 5, 56, 4000], host=at, socket=socket)

    assert [(answer[0], answer[6:8], len(answer)) for answer in answers] == [
        (129 if ":" in at else 0, number.to_bytes(2), 8 + size)
        for number, size in enumerate([0, 5, 56, 4000], 1)
    ]
    assert sorted(texts(record)) == [
        *(f"echo reply {number}" for number in range(1, 5)),
        *(f"echo request {number}" for number in range(1, 5)),
    ]
    assert record.addresses["target.address"] == at


@on_private
def test_faults_hit_what_it_answers_and_what_it_hears() -> None:
    faults = Faults(
        lose=Choice({1: None}), repeat=Choice({2: 1.0}), corrupt=Choice({3: 9.0}),
        truncate=Choice({4: 10.0}),
    )  # fmt: skip
    heard = Faults(lose=Choice({5: None}), corrupt=Choice({6: None}))
    actor = host(faults=faults, faults_heard=heard)
    answers, record = pinged(actor, [4] * 6, answers=4)

    assert [answer[6:] for answer in answers] == [
        b"\0\2xxxx",
        b"\0\2xxxx",
        b"\0\3yxxx",  # a raw socket is given it all the same
        b"\0\4xx",
    ]
    assert [event.note for event in record.of(What.FAULT)] == [
        "answer 1 is lost",
        "answer 2 is repeated",
        "answer 3 is corrupted: octet 9 is 0x79 instead of 0x78",
        "answer 4 is cut to 10 of 12 octets",
        "datagram 5 is lost",
        "datagram 6 is corrupted: octet 12 is 0x79 instead of 0x78",
    ]
    assert len(record.of(What.HEARD)) == 4  # the sixth was noise
    assert record.of(What.BROKEN) == ()
    assert record.losses["target.lost"] == "2"


@on_private
def test_a_damaged_answer_over_ipv6_never_comes() -> None:
    """As a kernel drops it; and it would put a wrong checksum right on its way out."""
    actor = host("[2001:db8::9]:0", faults=Faults(corrupt=Choice({1: None})))
    answers, record = pinged(actor, [4, 4], host="2001:db8::9", answers=1)

    assert [answer[6:8] for answer in answers] == [b"\0\2"]
    assert [event.facts["fault"] for event in record.of(What.FAULT)] == ["corrupt"]


@on_private
def test_a_host_that_answers_nothing_hears_all_the_same() -> None:
    answers, record = pinged(host(answer="nothing"), [1, 1], wait_s=0.2)

    assert answers == []
    assert texts(record) == ["echo request 1", "echo request 2"]


ODD = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for message in ("0d00f2fa00040001", "0800f7ff00000000ff", "0800", "0800000000000000", "0000"):
    sock.sendto(bytes.fromhex(message), ("192.0.2.9", 0))
sock.sendto(bytes.fromhex("0800f7fe00000001"), ("192.0.2.9", 0))
sock.settimeout(20)
while sock.recv(99)[20:] != bytes.fromhex("0000fffe00000001"): pass
"""


@on_private
def test_what_is_no_echo_request_has_no_answer() -> None:
    async def main() -> Record:
        async with played(host()) as (network, _, recorder):
            start = network.start
            network.start = lambda *args, **how: start(*args, **how, raw=True)  # type: ignore[method-assign]
            assert await output_of(network, [*PYTHON, ODD]) == ""
            return recorder.record

    record = asyncio.run(main())
    assert texts(record) == ["type 13 code 0", "echo request 1", "echo reply 1"]
    assert [event.note for event in record.of(What.BROKEN)] == [
        "an ICMP message has the checksum 0xf7ff, and 0xf8fe is right; no host answers it"
    ]


@on_private
def test_nobody_can_stand_at_an_address_that_a_link_is_missing_for() -> None:
    async def main() -> None:
        with pytest.raises(MachineError, match="nobody can stand at fe80::1"):
            async with played(host("[fe80::1]:0")):
                pass

    asyncio.run(main())


def test_nobody_hears_icmp_on_loopback() -> None:
    with pytest.raises(HarnessError, match="nobody hears ICMP on the rung loopback"):
        Loopback().echo("192.0.2.9")


@on_private
def test_the_others_answer_as_long_as_no_actor_does() -> None:
    async def main() -> str:
        network = await Private.open()
        try:
            argv = [*PYTHON, PING, "192.0.2.77", "datagram", "[1]", "20", "1"]
            return await output_of(network, argv)
        finally:
            await network.close()

    assert len(json.loads(asyncio.run(main()))) == 1

"""Plays beside each other, and plays that are broken off."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.errors import MachineError
from harness.model.record import What
from harness.model.verdict import Outcome
from harness.network import Loopback, scratch_folder
from harness.pipeline import play_all
from harness.record import read_record

from tests.run.theatre import played, processes

if TYPE_CHECKING:
    from harness.model.plan import Plan

    from tests.run.theatre import Theatre

ECHO = """
server! accept
server> Welcome
user< *Welcome*
user> hello
server< hello
server> HELLO
user< *HELLO*
user> bye
server< bye
server! expect eof
"""
SERVER_AND_USER = "server: {kind: tcp, at: 12000}\nuser: {kind: terminal}"


def echo(theatre: Theatre) -> Plan:
    return theatre.plan(ECHO, "echo_client.py", role="echo-client", cast=SERVER_AND_USER)


def hanging(theatre: Theatre) -> Plan:
    """A play that lasts for a minute: the program speaks, connects and then sleeps."""
    program = """
        import os, signal, socket, sys
        os.fork()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
        server.sendall(b"here")
        while True:
            signal.pause()
    """
    more = "timeout: 1min\npatience: 1min\nexpect: {exit: 0}"
    cast = "server: {kind: tcp, at: 12000}"
    return theatre.plan("server! accept", program, role="echo-client", cast=cast, more=more)


def open_files() -> set[str]:
    """What every descriptor of this process leads to."""
    links = list(Path("/proc/self/fd").iterdir())
    return {f"{link.name} {link.readlink()}" for link in links if link.is_symlink()}


def scratch_folders() -> set[str]:
    return {path.name for path in Path(scratch_folder()).glob("play-*")}


def test_two_plays_of_the_same_program_do_not_meet(theatre: Theatre) -> None:
    plan = echo(theatre)

    async def both() -> list[set[str]]:
        results = await asyncio.gather(played(plan), played(plan))
        assert [result.headlines for result in results] == [[], []]
        return [set(result.record.addresses.values()) for result in results]

    first, second = asyncio.run(both())
    assert not (first & second) - {"127.0.0.1"}


def test_twenty_plays_at_once_pass(theatre: Theatre) -> None:
    plan = echo(theatre)

    async def twenty() -> None:
        results = await asyncio.gather(*(played(plan) for _ in range(20)))
        assert [result.headlines for result in results] == [[]] * 20

    asyncio.run(twenty())


def test_plays_leave_no_descriptor_open(theatre: Theatre) -> None:
    plans = [echo(theatre), hanging_briefly(theatre)]

    async def several() -> None:
        await asyncio.gather(*map(played, plans))  # what is made once is made
        gc.collect()
        before = open_files()
        for _ in range(5):
            await asyncio.gather(*map(played, plans * 2))
        gc.collect()
        assert len(open_files()) == len(before), open_files() ^ before

    asyncio.run(several())


def hanging_briefly(theatre: Theatre) -> Plan:
    """A program that is stopped while a connection is open and another has not ended its TLS."""
    cast = (
        "report: {kind: smtp, at: 'report.example.test:465', tls: implicit}\n"
        "mail: {kind: smtp, at: 'mail.example.test:25'}\n"
        "browser: {kind: http, to: proxy}"
    )
    run = "['{python}', program.py, '{host}', '{port}', '{mail.port}', '{report.port}', MARKER]"
    (theatre.author / "program.py").write_text(
        "import socket, sys\n"
        "listener = socket.create_server((sys.argv[1], int(sys.argv[2])))\n"
        "mail, report = (socket.create_connection((sys.argv[1], int(p))) for p in sys.argv[3:5])\n"
        "report.sendall(b'\\x16\\x03')\n"
        "client, _ = listener.accept()\n"
        "client.sendall(b'HTTP/1.1 200 OK')\n"
        "client.recv(65536)\n"
        "client.recv(65536)\n"
    )
    more = "patience: 50ms\nexpect: {heard: {mail: 1 connection}}"
    run = run.replace("MARKER", theatre.marker)
    exchange = "browser> GET /\nbrowser< 200"
    return theatre.plan_of(exchange, run, role="webmail-proxy", cast=cast, more=more)


def test_a_run_that_is_broken_off_leaves_nothing(theatre: Theatre) -> None:
    plans = [hanging(theatre)] * 4
    before = scratch_folders()

    async def broken_off() -> None:
        started = asyncio.Event()
        waiting = [None] * len(plans)

        def note_start(_plan: Plan) -> None:
            waiting.pop()
            if not waiting:
                started.set()

        running = asyncio.create_task(play_all(plans, theatre.request, on_start=note_start))
        await started.wait()
        while len(processes(theatre.marker)) < 2 * len(plans):  # noqa: ASYNC110 - a fork is no event
            await asyncio.sleep(0)
        running.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await running
        assert processes(theatre.marker) == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(broken_off())
    assert scratch_folders() <= before


@pytest.mark.parametrize("passes", [1, 3, 10, 30, 100])
def test_a_run_may_be_broken_off_at_any_moment(theatre: Theatre, passes: int) -> None:
    plan = hanging(theatre)

    async def broken_off() -> None:
        running = asyncio.create_task(played(plan))
        for _ in range(passes):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert processes(theatre.marker) == []

    asyncio.run(broken_off())


def test_an_actor_that_finds_no_place_is_the_machines_fault(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_port(*_arguments: object) -> None:
        raise MachineError("no port is left")

    plan = echo(theatre)
    monkeypatch.setattr(Loopback, "listen", no_port)
    (verdict,) = asyncio.run(play_all([plan], theatre.request))

    assert verdict.outcome is Outcome.ERROR
    assert verdict.reason == "no port is left"


def test_a_broken_actor_is_our_fault(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.peers.tcp import Connection

    def fail(*_arguments: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Connection, "say", fail)
    result = asyncio.run(played(echo(theatre)))

    assert result.outcome == "error"
    assert "a mistake of ours" in result.headline
    assert result.record.of(What.GAVE_UP) == ()


# -- chance ----------------------------------------------------------------------------

PINGER = """
    import socket, sys
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(0.05)
    for number in range(20):
        client.sendto(b"%d" % number, (sys.argv[1], int(sys.argv[2])))
        try:
            client.recv(100)
        except TimeoutError:
            pass
"""


def test_the_seed_of_a_run_decides_alone_what_chance_does(theatre: Theatre) -> None:
    """Whether a play stands alone or among others, each has faults of its own."""
    cast = "pong: {kind: udp, at: 12000, answer: echo, lose: 50%}"
    plans = [theatre.plan("", PINGER, role="udp-ping-client", cast=cast) for _ in range(3)]

    def faults(name: str, *plans: Plan, seed: int) -> list[list[str]]:
        out = theatre.folder / name
        request = replace(theatre.request, seed=seed, out=str(out), jobs=3)
        asyncio.run(play_all(plans, request))
        records = [read_record(out / plan.id / "record.jsonl") for plan in plans]
        return [[event.note for event in record.of(What.FAULT)] for record in records]

    together = faults("together", *plans, seed=7)
    assert together[:1] == faults("alone", plans[0], seed=7)
    assert together[0] != together[1] != together[2]
    assert together != faults("other", *plans, seed=8)

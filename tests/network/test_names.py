"""Programs of any language find the names of a play, and no others, at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from harness import network as network_module
from harness.model.names import first_addresses, is_one_address
from harness.model.record import What
from harness.model.scenario import Actor, ActorKind
from harness.model.verdict import Outcome, Verdict
from harness.network import Private
from harness.peers import Authority, Setting, make_peer
from harness.pipeline import Request, play_all, prepare
from harness.record import Recorder, read_record
from harness.report import failure_text

from tests.network.programs import PYTHON, output_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from harness.model.scenario import Records

AS_USER = "WIRELAB_TESTED_AS_USER"
TROUBLE = network_module._trouble()

needs_private = pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)

RECORDS: Records = {
    "two.test": {"A": ("198.51.100.25",), "AAAA": ("2001:db8::25",)},
    "alias.test": {"CNAME": ("two.test",)},
    "163.com": {"MX": ("10 mx.163.com",)},
}


class Named:
    """A private network with somebody who answers for names."""

    def __init__(self, network: Private, recorder: Recorder) -> None:
        self.network = network
        self.recorder = recorder

    async def says(self, *argv: str) -> str:
        return (await output_of(self.network, argv)).strip()

    async def tells(self, code: str) -> Any:
        """What a program in Python tells as JSON."""
        code = f"import json, socket, time\ntell = lambda x: print(json.dumps(x))\n{code}"
        return json.loads(await self.says(*PYTHON, code))

    @property
    def asked(self) -> list[str]:
        events = self.recorder.record.of(What.SAID)
        return [f"{event.facts['type']} {event.facts['name']}" for event in events]


@asynccontextmanager
async def named(*, hosts: bool) -> AsyncIterator[Named]:
    network, authority, recorder = await Private.open(), Authority(), Recorder()
    network.add_names({"smtp.qq.com": "10.1.2.3", **first_addresses(RECORDS)})
    if not hosts:
        network.keep_names_out_of_hosts()
    setting = Setting(network, recorder, authority, "", print, names=RECORDS)
    peer = make_peer(Actor("dns", ActorKind.DNS), setting)
    try:
        await peer.open()
        yield Named(network, recorder)
    finally:
        await peer.close()
        await network.close()
        authority.close()


def run(play: Callable[[Named], Awaitable[None]], *, hosts: bool = False) -> None:
    async def main() -> None:
        async with named(hosts=hosts) as stage:
            await play(stage)

    asyncio.run(main())


def compiled(folder: Path, compiler: str, source: str, text: str, *arguments: str) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    (folder / source).write_text(text)
    subprocess.run([compiler, *arguments, source], cwd=folder, check=True)


# -- resolvers -----------------------------------------------------------------------------


@needs_private
def test_python_finds_all_addresses_of_a_name() -> None:
    async def play(stage: Named) -> None:
        code = "tell(sorted({a[4][0] for a in socket.getaddrinfo('TWO.test', 25)}))"
        assert await stage.tells(code) == ["198.51.100.25", "2001:db8::25"]
        assert sorted(stage.asked) == ["A TWO.test", "AAAA TWO.test"]
        assert await stage.tells("tell(socket.gethostbyname('alias.test'))") == "198.51.100.25"

    run(play)


RESOLVE_C = """
#include <netdb.h>
#include <stdio.h>
#include <arpa/inet.h>
int main(int argc, char **argv) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(argv[1], "25", &hints, &found);
    if (error) { puts(gai_strerror(error)); return 1; }
    for (; found; found = found->ai_next) {
        char host[NI_MAXHOST];
        getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, 0, 0, NI_NUMERICHOST);
        puts(host);
    }
    return 0;
}
"""


@needs_private
def test_a_program_in_c_finds_names(tmp_path: Path) -> None:
    compiled(tmp_path, "gcc", "resolve.c", RESOLVE_C, "-o", "resolve")

    async def play(stage: Named) -> None:
        resolve = str(tmp_path / "resolve")
        assert await stage.says(resolve, "smtp.qq.com") == "10.1.2.3"
        found = await stage.says(resolve, "two.test")
        assert set(found.split()) == {"198.51.100.25", "2001:db8::25"}
        assert await stage.says(resolve, "nobody.test") == "Name or service not known"

    run(play)


RESOLVE_JAVA = """
import java.net.*;
class Resolve {
    public static void main(String[] names) throws Exception {
        System.out.println(InetAddress.getByName(names[0]).getHostAddress());
        try { InetAddress.getByName(names[1]); }
        catch (UnknownHostException unknown) { System.out.println(unknown.getMessage()); }
        System.out.println(InetAddress.getByName("10.1.2.3").getHostName());
    }
}
"""


@needs_private
def test_a_program_in_java_finds_names(tmp_path: Path) -> None:
    compiled(tmp_path, "javac", "Resolve.java", RESOLVE_JAVA)
    java = shutil.which("java")
    assert java

    async def play(stage: Named) -> None:
        said = await stage.says(java, "-cp", str(tmp_path), "Resolve", "smtp.qq.com", "nobody.test")
        first, unknown, name = said.splitlines()
        assert first == "10.1.2.3"
        assert unknown.startswith("nobody.test: ")
        assert name == "smtp.qq.com"

    run(play)


@needs_private
@pytest.mark.parametrize("hosts", [True, False])
def test_tools_find_names_and_the_way_back(*, hosts: bool) -> None:
    if not shutil.which("getent"):
        pytest.skip("there is no getent")

    async def play(stage: Named) -> None:
        for asked in ("smtp.qq.com", "10.1.2.3"):
            said = await stage.says("getent", "hosts", asked)
            assert said.split() == ["10.1.2.3", "smtp.qq.com"]
        assert ("PTR 3.2.1.10.in-addr.arpa" in stage.asked) is not hosts

    run(play, hosts=hosts)


@needs_private
@pytest.mark.parametrize("name", ["nobody.test", "nobody", "nobody.test."])
def test_an_unknown_name_is_unknown_at_once(name: str) -> None:
    """No time-out of a resolver, and no second try in a search domain."""

    async def play(stage: Named) -> None:
        code = (
            "begin = time.monotonic()\n"
            f"try: socket.getaddrinfo({name!r}, 25)\n"
            "except socket.gaierror as e: tell([e.errno, time.monotonic() - begin])\n"
        )
        error, seconds = await stage.tells(code)
        assert error == -2  # EAI_NONAME
        assert seconds < 2  # of the five that a resolver waits for an answer
        assert sorted(stage.asked) == [f"A {name.strip('.')}", f"AAAA {name.strip('.')}"]

    run(play)


@needs_private
def test_a_host_has_its_own_names_without_asking() -> None:
    async def play(stage: Named) -> None:
        code = "tell([socket.gethostbyname('localhost'), socket.gethostname(), socket.getfqdn()])"
        assert await stage.tells(code) == ["127.0.0.1", "lab", "lab"]
        assert stage.asked == []

    run(play)


@needs_private
def test_who_wants_no_hosts_asks_and_who_has_them_does_not() -> None:
    async def play(stage: Named) -> None:
        code = "tell(socket.gethostbyname('smtp.qq.com'))"
        assert await stage.tells(code) == "10.1.2.3"
        asked.append(stage.asked)

    asked: list[list[str]] = []
    run(play, hosts=True)
    run(play, hosts=False)
    assert asked == [[], ["A smtp.qq.com"]]


@needs_private
def test_many_threads_ask_at_once() -> None:
    async def play(stage: Named) -> None:
        code = (
            "from concurrent.futures import ThreadPoolExecutor as Pool\n"
            "with Pool(32) as pool: found = [*pool.map(socket.gethostbyname, ['two.test'] * 200)]\n"
            "tell(sorted(set(found)))"
        )
        assert await stage.tells(code) == ["198.51.100.25"]
        assert len(stage.asked) == 200

    run(play)


# -- plays -----------------------------------------------------------------------------------

CLIENT = """\
import socket, sys
peer = socket.create_connection((sys.argv[1], 12000))
print(peer.recv(100).decode())
"""

SCENARIO = """\
title: The client finds the server by its name
role: echo-client
{names}
cast:
  server: {{kind: tcp, at: "echo.test:12000", eol: lf}}
{cast}
exchange: |
{exchange}
  server! accept
  server> Welcome
expect:
  exit: 0
  screen: Welcome
"""


def outcome_of(
    folder: Path, host: str = "echo.test", network: str = "private", **parts: str
) -> tuple[Verdict, Path]:
    """The verdict of a play with a client that goes to `host`, and its run folder."""
    text = SCENARIO.format(**{"names": "", "cast": "", "exchange": "", **parts})
    scenario = folder / "scenarios" / "echo-client" / "names.yaml"
    scenario.parent.mkdir(parents=True)
    scenario.write_text(text)
    (folder / "client.py").write_text(CLIENT)
    implementation = {"run": [sys.executable, "client.py", host]}
    written = json.dumps({"name": "Ours", "programs": {"echo-client": implementation}})
    (folder / "wirelab.yaml").write_text(written)
    request = Request(
        paths=(str(scenario),), implementation=str(folder), network=network, out=str(folder / "run")
    )
    with contextlib.chdir(folder):
        (verdict,) = asyncio.run(play_all(prepare(request).plans, request))
    return verdict, folder / "run" / "echo-client" / "names"


@needs_private
def test_what_an_actor_for_names_hears_is_demanded(tmp_path: Path) -> None:
    verdict, run_folder = outcome_of(
        tmp_path,
        cast="  dns: {kind: dns, records: {echo.test: 198.51.100.7}}",
        exchange="  dns< A echo.test",
    )
    assert verdict.outcome is Outcome.PASSED, failure_text(verdict)
    transcript = (run_folder / "transcript.txt").read_text()
    assert "\ndns< A echo.test  # " in f"\n{transcript}"
    assert "\ndns> A 198.51.100.7  # " in transcript


@needs_private
def test_what_nobody_asks_for_is_missed(tmp_path: Path) -> None:
    verdict, _ = outcome_of(tmp_path, cast="  dns: {kind: dns}", exchange="  dns< MX echo.test")
    assert verdict.outcome is Outcome.FAILED
    assert "MX echo.test" in failure_text(verdict)


@needs_private
@pytest.mark.parametrize(
    ("names", "asks"),
    [
        ("names: {echo.test: 198.51.100.7}", False),
        ("names: {echo.test: [198.51.100.7, 198.51.100.8]}", True),
        ("names: {echo.test: {A: 198.51.100.7, MX: 10 mx.test}}", True),
    ],
)
def test_names_are_in_hosts_as_long_as_a_line_of_it_says_all(
    tmp_path: Path, names: str, *, asks: bool
) -> None:
    verdict, run_folder = outcome_of(tmp_path, names=names)
    assert verdict.outcome is Outcome.PASSED, failure_text(verdict)
    record = read_record(run_folder / "record.jsonl")
    assert any(event.actor == "dns" for event in record.of(What.HEARD)) is asks
    lines = (run_folder / "transcript.txt").read_text().splitlines()
    assert any(line.startswith("# dns< A echo.test  # ") for line in lines) is asks


@needs_private
def test_a_name_that_nobody_has_is_told_when_the_play_fails(tmp_path: Path) -> None:
    verdict, _ = outcome_of(tmp_path, host="ehco.test")
    assert verdict.outcome is Outcome.FAILED
    assert "  also  The program asked for ehco.test; no actor has that name.\n" in failure_text(
        verdict
    )


@pytest.mark.parametrize(
    "parts",
    [
        {"cast": "  dns: {kind: dns, records: {a.test: 198.51.100.7}}"},
        {"names": "names: {a.test: 198.51.100.7}"},
    ],
)
def test_without_names_of_its_own_a_network_has_no_such_plays(
    tmp_path: Path, parts: dict[str, str]
) -> None:
    verdict, _ = outcome_of(tmp_path, network="loopback", **parts)
    assert verdict.outcome is Outcome.SKIPPED
    assert verdict.reason == "this network (loopback) has no names of its own"


# -- what a file of hosts can say --------------------------------------------------------------


@pytest.mark.parametrize(
    ("types", "says_all"),
    [
        ({"A": ("10.0.0.1",)}, True),
        ({"AAAA": ("2001:db8::1",)}, True),
        ({"A": ("10.0.0.1", "10.0.0.2")}, False),
        ({"A": ("10.0.0.1",), "AAAA": ("2001:db8::1",)}, False),
        ({"A": ("10.0.0.1",), "TXT": ("x",)}, False),
        ({"CNAME": ("a.test",)}, False),
        ({}, False),
    ],
)
def test_one_address_is_all_that_a_line_says(
    types: dict[str, tuple[str, ...]], *, says_all: bool
) -> None:
    assert is_one_address(types) is says_all


def test_an_actor_stands_at_the_first_ipv4_address_of_its_name() -> None:
    records: Records = {
        "both.test": {"AAAA": ("2001:db8::1",), "A": ("10.0.0.1", "10.0.0.2")},
        "six.test": {"AAAA": ("2001:db8::2",)},
        "mail.test": {"MX": ("10 both.test",)},
    }
    assert first_addresses(records) == {"both.test": "10.0.0.1", "six.test": "2001:db8::2"}


@needs_private
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(AS_USER in os.environ, reason="this is the other user already")
@pytest.mark.timeout(180)
def test_all_of_this_holds_for_an_ordinary_user() -> None:
    from tests.network.test_private import ROOT, as_user, python_of_all

    command = [python_of_all(), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    played = as_user(command, cwd=ROOT)
    assert played.returncode == 0, played.stdout

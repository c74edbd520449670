"""The private rung: hard-coded hosts, addresses and ports are true, and nothing else is there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from harness import network as network_module
from harness.errors import HarnessError, MachineError
from harness.network import Place, Private, helper, open_network, private, room, rung_of

from tests.network.programs import DAEMON, PYTHON, output_of, started
from tests.network.test_process import gone, open_fds, show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from harness.network import Transport

_T = TypeVar("_T")
ROOT = Path(__file__).parents[2]
AS_USER = "WIRELAB_TESTED_AS_USER"
TROUBLE = network_module._trouble()

pytestmark = pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)


def run(play: Callable[[Private], Awaitable[_T]]) -> _T:
    async def main() -> _T:
        async with opened() as network:
            return await play(network)

    return asyncio.run(main())


@asynccontextmanager
async def opened() -> AsyncIterator[Private]:
    network = await Private.open()
    try:
        yield network
    finally:
        await network.close()


async def told(network: Private, code: str, **how: Any) -> Any:
    """What a program says in JSON, by `tell`."""
    code = (
        f"import errno, json, os, socket, sys, time\ntell = lambda x: print(json.dumps(x))\n{code}"
    )
    return json.loads(await output_of(network, [*PYTHON, code], **how))


async def ended(network: Private, code: str) -> None:
    process = await started(network, [*PYTHON, code])
    assert (await process.wait()).status == 0


async def accept(listener: socket.socket) -> tuple[socket.socket, tuple[Any, ...]]:
    return await asyncio.get_running_loop().sock_accept(listener)


async def dial(network: Private, place: Place) -> socket.socket:
    return await network.dial(place, "tcp", deadline=asyncio.get_running_loop().time() + 10)


async def read(sock: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(sock, 1000)


async def listens(
    network: Private, process: Any, place: Place, transport: Transport = "tcp"
) -> None:
    async with asyncio.timeout(20):
        while not network.listens(process, place, transport):  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.002)


# -- the ladder ----------------------------------------------------------------------------


def test_what_it_offers() -> None:
    assert rung_of("private") is rung_of("auto") is Private
    assert Private.rung == "private"
    assert {"names", "private-addresses", "filtered-port"} <= Private.offers


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(AS_USER in os.environ, reason="this is the other user already")
@pytest.mark.timeout(180)
def test_all_of_this_holds_for_an_ordinary_user() -> None:
    command = [python_of_all(), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    played = as_user(command, cwd=ROOT)
    assert played.returncode == 0, played.stdout
    assert "1 skipped" in played.stdout


def as_user(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
    paths = [path for path in sys.path if path.endswith("site-packages")]
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join([*paths, str(ROOT)]),
        AS_USER: "1",
    }
    return subprocess.run(
        command,
        user=1000,
        group=1000,
        extra_groups=[],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        **how,
    )


def python_of_all() -> str:
    """An interpreter of our version that others may run, and that finds pytest.

    Root's own may lie in its home, and the packages where only root may look.
    """
    code = f"import sys, pytest; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for path in (sys.executable, *(f"{folder}/python3" for folder in os.defpath.split(":"))):
        with contextlib.suppress(OSError):
            if as_user([path, "-c", code]).returncode == 0:
                return path
    pytest.skip("there is no interpreter that another user may run")


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        ("make a user namespace", errno.ENOSPC, "user.max_user_namespaces"),
        ("join two network namespaces by a veth pair", errno.EOPNOTSUPP, "modprobe veth"),
        ("map the user of a user namespace", errno.EPERM, "apparmor_restrict_unprivileged"),
        ("mount a /proc of its own", errno.EPERM, "systempaths=unconfined"),
        ("make a user namespace", errno.ENOSYS, "Linux 5"),
        ("mount an empty /run", errno.ENODEV, "tmpfs"),
    ],
)
def test_what_cannot_be_had_is_told_with_its_step_and_its_remedy(
    step: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            helper.send(theirs, "failed", step, code)
        return ours

    monkeypatch.setattr(private, "_new_room", failing)
    monkeypatch.setattr(network_module, "_trouble", network_module._trouble.__wrapped__)
    with pytest.raises(MachineError) as refusal:
        rung_of("private")
    for expected in (step, os.strerror(code), words, "--network loopback"):
        assert expected in str(refusal.value)
    with pytest.raises(MachineError, match=re.escape(step)):
        asyncio.run(Private.open())


@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare(1)")
def test_where_namespaces_are_forbidden_the_kernel_is_believed() -> None:
    code = (
        "from harness.network import rung_of\n"
        "from harness.errors import MachineError\n"
        "open('/proc/sys/user/max_net_namespaces', 'w').write('0')\n"
        "try: rung_of('private')\n"
        "except MachineError as error: print(error)\n"
    )
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-B", "-c", code]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert "namespace: No space left on device; raise sysctl user.max" in said


# -- who is reached ------------------------------------------------------------------------


COPY = """
import socket
server = socket.create_server(("", 8888))
mail = socket.create_connection(("smtp.gmail.com", 25))
token = mail.makefile().readline().encode()
echo = socket.create_connection(("192.168.10.211", 12000))
echo.sendall(token)
visitor, _ = server.accept()
visitor.sendall(token)
"""


async def play_a_copy(token: bytes) -> None:
    async with opened() as network:
        loop = asyncio.get_running_loop()
        mail = network.listen("smtp.gmail.com", 25, "tcp")
        echo = network.listen("192.168.10.211", 12000, "tcp")
        place = network.reserve("tcp", port=8888)
        process = await started(network, [*PYTHON, COPY])
        greeted, _ = await accept(mail)
        await loop.sock_sendall(greeted, token + b"\n")
        heard, source = await accept(echo)
        assert heard.getsockname() == ("192.168.10.211", 12000)
        assert source[0] == room.ADDRESS
        assert await read(heard) == token + b"\n"
        visiting = await dial(network, place)
        assert await read(visiting) == token + b"\n"
        assert (await process.wait()).status == 0
        for sock in (mail, echo, greeted, heard, visiting):
            sock.close()


def test_forty_copies_at_once_each_reach_their_own_peers() -> None:
    async def main() -> None:
        async with asyncio.timeout(50), asyncio.TaskGroup() as plays:
            for number in range(40):
                plays.create_task(play_a_copy(b"copy %d" % number))

    asyncio.run(main())


@pytest.mark.parametrize(
    "host", ["192.0.2.7", "2001:db8:7::7", "127.0.0.1", "::1", "lab", "x.test"]
)
def test_nobody_is_at_a_closed_port_and_that_is_told_at_once(host: str) -> None:
    code = (
        "host, port = sys.argv[1:]\n"
        "(family, *_, address), *_ = socket.getaddrinfo(host, int(port))\n"
        "tcp = socket.socket(family).connect_ex(address)\n"
        "udp = socket.socket(family, socket.SOCK_DGRAM)\n"
        "udp.settimeout(10)\n"
        "udp.connect(address)\n"
        "udp.send(b'')\n"
        "try: udp.recv(1)\n"
        "except OSError as error: tell([tcp, error.errno])\n"
    )

    async def play(network: Private) -> list[int]:
        place = network.closed(host, 81, "tcp")
        program = (
            f"import errno, json, os, socket, sys\ntell = lambda x: print(json.dumps(x))\n{code}"
        )
        argv = [*PYTHON, program, host, str(place.port)]
        return json.loads(await output_of(network, argv))  # type: ignore[no-any-return]

    assert run(play) == [errno.ECONNREFUSED, errno.ECONNREFUSED]


def test_a_hundred_closed_udp_ports_are_all_told_closed() -> None:
    code = (
        "refused = 0\n"
        "for port in range(100):\n"
        "    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.settimeout(2)\n"
        "    udp.connect(('192.0.2.7', 1000 + port)); udp.send(b'')\n"
        "    try: udp.recv(1)\n"
        "    except ConnectionRefusedError: refused += 1\n"
        "tell(refused)"
    )
    assert run(lambda network: told(network, code)) == 100


@pytest.mark.parametrize("host", ["scanned.test", "192.0.2.7", "2001:db8::7"])
def test_a_filtered_port_is_silent_beside_an_open_one(host: str) -> None:
    code = (
        f"open = socket.create_connection(({host!r}, 80))\n"
        f"try: socket.create_connection(({host!r}, 81), timeout=1.3)\n"
        "except OSError as error: tell(type(error).__name__)\n"
    )

    async def play(network: Private) -> Any:
        with network.listen(host, 80, "tcp"):
            network.filtered(host, 81)
            return await told(network, code)

    assert run(play) == "TimeoutError"


@pytest.mark.parametrize("host", ["2001:db8:1::25", "::1", "127.0.0.1", "lab", "8.8.8.8"])
def test_an_actor_stands_truly_where_it_is_said_to_stand(host: str) -> None:
    code = f"s = socket.create_connection(({host!r}, 25)); tell([s.getpeername(), s.getsockname()])"

    async def play(network: Private) -> None:
        with network.listen(host, 25, "tcp") as listener:
            there, here = await told(network, code)
            met, source = await accept(listener)
            with met:
                assert met.getsockname()[:2] == tuple(there[:2])
                assert source[:2] == tuple(here[:2])
                assert there[:2] == [room.ADDRESS if host == "lab" else host, 25]

    run(play)


def test_datagrams_come_and_go_with_true_addresses() -> None:
    code = (
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.bind(('', 5000)); s.sendto(b'ping', ('192.168.10.211', 12000)); tell(s.recvfrom(9)[1])"
    )

    async def play(network: Private) -> None:
        loop = asyncio.get_running_loop()
        with network.listen("192.168.10.211", 12000, "udp") as pong:
            telling = asyncio.create_task(told(network, code))
            data, source = await loop.sock_recvfrom(pong, 10)
            assert (data, source) == (b"ping", (room.ADDRESS, 5000))
            await loop.sock_sendto(pong, data, source)
            assert await telling == ["192.168.10.211", 12000]

    run(play)


def total(data: bytes) -> int:
    """The checksum of RFC 1071: 0 over data that includes its own."""
    data += bytes(len(data) % 2)
    words = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    return words ^ 0xFFFF


def test_frames_are_as_on_a_wire() -> None:
    """At most an MTU long, and with true checksums: neither is left to a network card."""
    code = "import socket; socket.create_connection(('a.test', 80)).sendall(bytes(30_000))"

    async def play(network: Private) -> None:
        tap = network._socket_of(room.HOST, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        with tap, network.listen("a.test", 80, "tcp") as listener:
            process = await started(network, [*PYTHON, code])
            met, _ = await accept(listener)
            with met:
                while await read(met):
                    pass
            await process.wait()
            frames = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame, (link, kind, *_) = tap.recvfrom(70_000)
                    if (link, kind) == ("eth0", 0x800):  # IPv4
                        frames.append(frame)
        assert max(map(len, frames)) == 14 + room.MTU
        for packet in (frame[14:] for frame in frames):
            segment = packet[20 : int.from_bytes(packet[2:4])]
            pseudo = packet[12:20] + bytes([0, packet[9]]) + len(segment).to_bytes(2)
            assert total(packet[:20]) == 0
            assert total(pseudo + segment) == 0

    run(play)


def test_two_actors_cannot_stand_at_one_place() -> None:
    async def play(network: Private) -> None:
        with (
            network.listen("a.test", 25, "tcp"),
            pytest.raises(MachineError, match=r"nobody can stand at .*:25: Address already"),
        ):
            network.listen("A.test", 25, "tcp")

    run(play)


# -- names -----------------------------------------------------------------------------------


RESOLVER = """
#include <netdb.h>
#include <stdio.h>
#include <arpa/inet.h>
int main(int argc, char **argv) {
    struct addrinfo hints = {.ai_family = AF_INET}, *found;
    if (getaddrinfo(argv[1], "25", &hints, &found)) return 1;
    puts(inet_ntoa(((struct sockaddr_in *)found->ai_addr)->sin_addr));
    return 0;
}
"""


def test_a_name_is_found_by_python_and_has_the_same_address_in_every_play() -> None:
    async def play(network: Private) -> Any:
        with network.listen("smtp.qq.com", 25, "tcp") as listener:
            address = listener.getsockname()[0]
            found = await told(network, "tell(socket.gethostbyname('SMTP.qq.com'))")
            assert found == address
            assert address.startswith("198.18.")
            return address

    assert run(play) == run(play)


@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc")
def test_a_name_is_found_by_a_program_in_c(tmp_path: Path) -> None:
    (tmp_path / "resolve.c").write_text(RESOLVER)
    subprocess.run(["gcc", "-o", "resolve", "resolve.c"], cwd=tmp_path, check=True)

    async def play(network: Private) -> None:
        with network.listen("smtp.qq.com", 25, "tcp") as listener:
            found = await output_of(network, [str(tmp_path / "resolve"), "smtp.qq.com"])
            assert found.strip() == listener.getsockname()[0]

    run(play)


def test_names_can_be_added_before_the_start_and_while_the_program_runs() -> None:
    code = (
        "first = socket.gethostbyname('one.test')\n"
        "print('go', flush=True); sys.stdin.readline()\n"
        "print(json.dumps([first, socket.gethostbyname('two.test')]))"
    )

    async def play(network: Private) -> None:
        network.add_names({"one.test": "10.9.8.7"})
        (out, writer), (reader, into) = os.pipe(), os.pipe()
        program = [*PYTHON, f"import json, socket, sys\n{code}"]
        process = await started(network, program, stdout=writer, stdin=reader)
        os.close(writer)
        assert await asyncio.to_thread(os.read, out, 100) == b"go\n"
        network.add_names({"two.test": "10.9.8.6", "one.test": "1.1.1.1"})
        os.write(into, b"\n")
        assert (await process.wait()).status == 0
        assert json.loads(os.read(out, 100)) == ["10.9.8.7", "10.9.8.6"]
        for fd in (out, reader, into):
            os.close(fd)

    run(play)


def test_names_that_would_share_an_address_get_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zlib.crc32", lambda _: 7)

    async def play(network: Private) -> None:
        addresses = {network.closed(f"{name}.test", 1, "tcp").host for name in "abc"}
        assert addresses == {"198.18.1.7", "198.18.1.8", "198.18.1.9"}

    run(play)


def test_an_unknown_name_is_unknown_at_once() -> None:
    code = (
        "before = time.monotonic()\n"
        "try: socket.gethostbyname('nobody.example')\n"
        "except OSError: tell(time.monotonic() - before)"
    )
    assert run(lambda network: told(network, code)) < 2


def test_the_host_has_a_name_of_its_own() -> None:
    code = "name = socket.gethostname(); tell([name, socket.gethostbyname(name)])"
    assert run(lambda network: told(network, code)) == [room.HOST_NAME, room.ADDRESS]


def test_what_is_known_by_name_is_told_by_name() -> None:
    async def play(network: Private) -> None:
        assert network.known_as("smtp.qq.com", Place("198.18.1.1", 25)) == ("smtp.qq.com", 25)

    run(play)


# -- the program as a server -----------------------------------------------------------------


SERVER = """
host, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
server = socket.create_server((host, port), family=family)
visitor, (host, *_) = server.accept()
visitor.sendall(host.encode())
"""


@pytest.mark.parametrize(
    ("wanted", "bound", "visitor"),
    [
        (("", 8888), "0.0.0.0", private.VISITOR),
        (("", 8888), "::", f"::ffff:{private.VISITOR}"),
        (("", 0), room.ADDRESS, private.VISITOR),
        (("0.0.0.0", 80), "0.0.0.0", private.VISITOR),
        (("::", 80), "::", private.VISITOR6),
        (("lab", 80), room.ADDRESS, private.VISITOR),
        (("10.1.2.3", 80), "10.1.2.3", private.VISITOR),
        (("2001:db8:9::1", 80), "2001:db8:9::1", private.VISITOR6),
        (("mail.example.test", 25), "", private.VISITOR),
        (("127.0.0.1", 7), "127.0.0.1", "127.0.0.1"),
        (("::1", 7), "::1", "::1"),
    ],
)
def test_a_server_is_dialled_from_the_internet_where_it_stands(
    wanted: tuple[str, int], bound: str, visitor: str
) -> None:
    async def play(network: Private) -> None:
        host, port = wanted
        place = network.reserve("tcp", host=host, port=port)
        assert place.port == (port or private.DEFAULT_PORT)
        code = SERVER
        if bound == "::":  # not `create_server`, which takes IPv6 only
            code = code.replace("family=family", "family=family, dualstack_ipv6=True")
        argv = [*PYTHON, f"import socket, sys\n{code}", bound or place.host, str(place.port)]
        process = await started(network, argv)
        await listens(network, process, place)
        with await dial(network, place) as visiting:
            assert (await read(visiting)).decode() == visitor

    run(play)


def test_a_foreign_address_cannot_be_bound() -> None:
    code = (
        "try: socket.create_server(('192.0.2.1', 80))\nexcept OSError as error: tell(error.errno)"
    )
    assert run(lambda network: told(network, code)) == errno.EADDRNOTAVAIL


def test_privileged_ports_are_open_to_the_program() -> None:
    code = (
        "for port in (1, 7, 25, 443):\n"
        "    socket.create_server(('', port))\n"
        "    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('', port))\n"
    )
    run(lambda network: ended(network, f"import socket\n{code}"))


def test_only_sockets_of_the_program_are_listening() -> None:
    code = (
        "import signal, socket\n"
        "tcp = socket.create_server(('127.0.0.1', 8081))\n"
        "udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('', 53))\n"
        "while True: signal.pause()"
    )

    async def play(network: Private) -> None:
        with network.listen("127.0.0.1", 8080, "tcp") as ours, network.listen("a.test", 9, "tcp"):
            process = await started(network, [*PYTHON, code])
            await listens(network, process, Place("127.0.0.1", 8081))
            await listens(network, process, Place("127.0.0.1", 53), "udp")
            assert network.listening(process, "tcp") == {Place("127.0.0.1", 8081)}
            assert network.listening(process, "udp") == {Place("0.0.0.0", 53)}
            assert not network.listens(process, Place(*ours.getsockname()), "tcp")
            assert not network.listens(object(), Place("127.0.0.1", 8081), "tcp")  # type: ignore[arg-type]
            assert network.listening(object(), "tcp") == set()  # type: ignore[arg-type]

    run(play)


def test_a_dial_where_nobody_listens_is_refused_and_one_to_silence_ends_in_time() -> None:
    async def play(network: Private) -> None:
        with pytest.raises(ConnectionRefusedError):
            await dial(network, Place(room.ADDRESS, 80))
        network.filtered("127.0.0.1", 81)
        soon = asyncio.get_running_loop().time() + 0.05
        with pytest.raises(TimeoutError):
            await network.dial(Place("127.0.0.1", 81), "tcp", deadline=soon)

    run(play)


# -- what the program cannot do ------------------------------------------------------------------


def test_the_networks_of_the_machine_are_out_of_reach() -> None:
    name = f"\0wirelab-test-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as outside,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        abstract.bind(name)
        abstract.listen()
        code = (
            f"there = ('127.0.0.1', {outside.getsockname()[1]})\n"
            "tcp = socket.socket().connect_ex(there)\n"
            f"unix = socket.socket(socket.AF_UNIX).connect_ex({name!r})\n"
            "tell([tcp, unix, [name for _, name in socket.if_nameindex()], os.listdir('/run')])"
        )
        refused = errno.ECONNREFUSED
        links = ["lo", "eth0"]
        assert run(lambda network: told(network, code)) == [refused, refused, links, []]


def test_the_program_is_nobody_special_and_sees_nobody_else() -> None:
    code = (
        "status = dict(line.split(':\\t', 1) for line in open('/proc/self/status'))\n"
        "caps = {status[f'Cap{kind}'].strip() for kind in ('Inh', 'Prm', 'Eff', 'Bnd', 'Amb')}\n"
        "pids = [name for name in os.listdir('/proc') if name.isdigit()]\n"
        "tell([sorted(caps), status['NoNewPrivs'].strip(), os.getuid(), os.getgid(),"
        " pids == ['1', str(os.getpid())]])"
    )
    said = run(lambda network: told(network, code))
    assert said == [["0" * 16], "1", room.USER, room.USER, True]


@pytest.mark.skipif(not Path("/sys/class/net/lo").exists(), reason="there is no /sys")
def test_the_program_sees_the_links_of_its_own_host() -> None:
    code = """
links = sorted(os.listdir("/sys/class/net"))
told = [open(f"/sys/class/net/{link}/mtu").read().strip() for link in links]
tell([links, sorted(name for _, name in socket.if_nameindex()), told, os.listdir("/run")])
"""
    links, named, sizes, run_folder = run(lambda network: told(network, code))
    assert links == named == ["eth0", "lo"]
    assert sizes[0] == str(room.MTU)
    assert ".sys" not in run_folder


def test_process_1_cannot_be_ended_stopped_or_read() -> None:
    code = (
        "import signal\n"
        "for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGCHLD):\n"
        "    os.kill(1, number)\n"
        "try: open('/proc/1/environ').read()\n"
        "except OSError as error: tell(error.errno)"
    )

    async def play(network: Private) -> None:
        assert await told(network, code) == errno.EACCES
        assert await told(network, "tell(1)") == 1  # and it still serves

    run(play)


PING = """
import socket, struct
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
request = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
request = struct.pack("!BBHHH", 8, 0, checksum(request), 1, 1)
ping = socket.socket(socket.AF_INET, KIND, socket.IPPROTO_ICMP)
ping.settimeout(10)
ping.sendto(request, ("192.0.2.9", 0))
reply, source = ping.recvfrom(100)
print(reply[-8], source[0])
"""


def test_a_ping_socket_is_open_to_all() -> None:
    code = PING.replace("KIND", "socket.SOCK_DGRAM")
    assert run(lambda network: output_of(network, [*PYTHON, code])) == "0 192.0.2.9\n"


@pytest.mark.parametrize("raw", [True, False])
def test_a_raw_socket_only_to_whom_it_is_granted(raw: bool) -> None:
    code = PING.replace("KIND", "socket.SOCK_RAW")

    async def play(network: Private) -> str:
        start = network.start
        network.start = lambda *args, **how: start(*args, **how, raw=raw)  # type: ignore[method-assign]
        return await output_of(network, [*PYTHON, code])

    said = run(play)
    assert said == "0 192.0.2.9\n" if raw else "Operation not permitted" in said


# -- its end -----------------------------------------------------------------------------------


def test_a_daemon_is_told_and_ended() -> None:
    async def play(network: Private) -> None:
        reader, writer = os.pipe()
        process = await started(network, [*PYTHON, DAEMON], stdout=writer)
        os.close(writer)
        assert (await process.wait()).status == 0
        assert os.read(reader, 100) == b"daemon\n"
        (leftover,) = await process.end()
        assert "os.setsid" in leftover
        assert os.read(reader, 1) == b""
        os.close(reader)

    run(play)


BOMB = """
import os, signal
for number in range(10_000):
    try:
        if not os.fork():
            while True: signal.pause()
    except BlockingIOError:
        break
print("full" if number < 10_000 - 1 else "endless", flush=True)
"""


@pytest.mark.skipif(room._release() < room._OWN_PID_MAX, reason="this kernel cannot limit root")
def test_a_program_does_not_fill_the_machine_with_processes() -> None:
    async def play(network: Private) -> tuple[str, int, int]:
        reader, writer = os.pipe()
        with os.fdopen(reader) as file:
            process = await started(network, [*PYTHON, BOMB], stdout=writer)
            os.close(writer)
            said = await asyncio.to_thread(file.readline)
            await process.wait()
            leftovers = await process.end()
            return said, process.crowd, len(leftovers)

    said, crowd, leftovers = run(play)
    assert said == "full\n"
    assert room._CROWD <= crowd < room.PROCESSES + room._RESERVED_PIDS
    assert leftovers == 65  # the last one counts the others


def test_a_program_of_few_processes_is_no_crowd() -> None:
    async def play(network: Private) -> int:
        process = await started(network, [*PYTHON, "import os; os.fork()"])
        await process.wait()
        await process.end()
        return process.crowd

    assert run(play) == 0


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.44-fc-v657", (6, 18)), ("5.15.0-91-generic", (5, 15)), ("6.8-rc1", (6, 8))],
)
def test_the_version_of_a_kernel_is_read(
    release: str, version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.uname_result(("Linux", "host", release, "#1", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: name)
    assert room._release() == version


def test_the_process_is_known_by_its_number_outside() -> None:
    async def play(network: Private) -> None:
        process = await started(network, ["/bin/sleep", "60"])
        assert show(process.pid, "cmdline") == b"/bin/sleep\x0060\x00"
        process.signal(signal.SIGTERM)
        assert (await process.wait()).signal == signal.SIGTERM

    run(play)


def test_one_program_after_the_other_but_never_two() -> None:
    async def play(network: Private) -> None:
        first = await started(network, ["/bin/sleep", "60"])
        with pytest.raises(HarnessError, match="a program already"):
            await started(network, ["/bin/true"])
        assert await first.end() == []
        second = await started(network, ["/bin/true"])
        assert (await second.wait()).status == 0

    run(play)


def test_a_program_that_is_not_there() -> None:
    async def play(network: Private) -> None:
        with pytest.raises(FileNotFoundError):
            await started(network, ["/no/such/program"])
        await ended(network, "pass")  # the next one may try

    run(play)


def test_process_1_that_was_killed_is_told_and_leaves_nothing() -> None:
    async def play(network: Private) -> None:
        process = await started(network, ["/bin/sleep", "60"])
        os.kill(process.warden, signal.SIGKILL)
        with pytest.raises(HarnessError, match="was killed"):
            await process.wait()
        gone(process.pid)
        with pytest.raises(HarnessError, match="process 1 of a private network was killed"):
            network.listen("a.test", 80, "tcp")

    run(play)


HARNESS = """
import asyncio, signal
from harness.network import Private
from tests.network.programs import started
async def main():
    networks = [await Private.open() for _ in range(3)]
    for network in networks:
        process = await started(network, ["/bin/sh", "-c", "setsid sleep 60 & setsid sleep 60"])
        print(process.pid, process.warden)
    print("ready", flush=True)
    signal.pause()
asyncio.run(main())
"""


def test_a_harness_that_was_killed_leaves_nothing() -> None:
    with subprocess.Popen(
        [sys.executable, "-B", "-c", HARNESS], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as harness:
        assert harness.stdout
        try:
            lines = iter(harness.stdout.readline, "ready\n")
            pids = [int(pid) for line in lines for pid in line.split()]
            lived_in = {Path(f"/proc/{pid}/ns/net").readlink() for pid in pids}
        finally:
            harness.kill()
    assert (len(pids), len(lived_in)) == (6, 3)
    for pid in pids:  # and nothing else holds a namespace: no mount, no descriptor
        gone(pid)


def test_many_plays_in_a_row_leave_no_descriptor_and_no_process() -> None:
    async def main() -> None:
        server = network_module.process.fork_server().pid
        for number in range(60):
            async with opened() as network:
                with network.listen("smtp.qq.com", 25, "tcp"):
                    network.filtered("smtp.qq.com", 26)
                    await ended(network, "pass")
            if number == 10:
                before = open_fds(), open_fds(server)
        assert (open_fds(), open_fds(server)) == before
        for pid in helper.children_of(server):
            gone(pid)

    asyncio.run(main())


def test_closing_twice_is_closing_once() -> None:
    async def main() -> None:
        network = await open_network("private")
        await network.close()
        await network.close()

    asyncio.run(main())


def test_a_play_that_is_called_off_while_it_is_set_up_leaves_nothing() -> None:
    async def main() -> None:
        before = open_fds()
        opening = asyncio.create_task(Private.open())
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()
        assert open_fds() == before

    asyncio.run(main())

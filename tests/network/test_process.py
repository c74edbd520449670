"""Programs under a warden: how they start, how they end, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from harness.errors import HarnessError
from harness.network import Exit, helper
from harness.network import process as process_module

from tests.network.programs import DAEMON, PYTHON, opened, output_of, started

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from harness.network import Network

_T = TypeVar("_T")
ROOT = Path(__file__).parents[2]
FOREVER = "import signal\nwhile True: signal.pause()"


def server_pid() -> int:
    return process_module.fork_server().pid


def open_fds(pid: int | None = None) -> int:
    return len(list(Path(f"/proc/{pid or 'self'}/fd").iterdir()))


def show(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def gone(pid: int) -> None:
    """Wait until a process, ours or not, has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(20_000), f"process {pid} is still there"
    os.close(fd)


async def told(network: Network, expression: str, **how: Any) -> Any:
    code = f"import json, os, resource, signal, sys\nprint(json.dumps({expression}))"
    return json.loads(await output_of(network, [*PYTHON, code], **how))


def run(play: Callable[[Network], Awaitable[_T]]) -> _T:
    async def main() -> _T:
        async with opened() as network:
            return await play(network)

    return asyncio.run(main())


# -- how it ends --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("pass", Exit(status=0)),
        ("raise SystemExit(7)", Exit(status=7)),
        ("import os; os.kill(os.getpid(), 9)", Exit(signal=9)),
        ("import os; os.abort()", Exit(signal=6)),
    ],
)
def test_the_end_of_a_program_is_told(code: str, how: Exit) -> None:
    async def play(network: Network) -> None:
        process = await started(network, [*PYTHON, code])
        assert await process.wait() == how
        assert await process.wait() == how
        assert await process.end() == []
        assert await process.end() == []
        process.signal(signal.SIGTERM)  # nobody is there any more

    run(play)


def test_a_signal_reaches_the_whole_group() -> None:
    async def play(network: Network) -> None:
        reader, writer = os.pipe()
        code = f"import os\nos.fork()\nos.write(1, b'x')\n{FOREVER}"
        process = await started(network, [*PYTHON, code], stdout=writer)
        os.close(writer)
        assert await asyncio.to_thread(os.read, reader, 1)
        assert await asyncio.to_thread(os.read, reader, 1)
        process.signal(signal.SIGTERM)
        assert await process.wait() == Exit(signal=signal.SIGTERM)
        assert await asyncio.to_thread(os.read, reader, 1) == b""  # the child is gone too
        os.close(reader)

    run(play)


def test_a_cancelled_wait_leaves_the_process_alone() -> None:
    async def play(network: Network) -> None:
        process = await started(network, [*PYTHON, FOREVER])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await process.wait()
        process.signal(signal.SIGKILL)
        assert await process.wait() == Exit(signal=9)

    run(play)


# -- what it cannot start -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "first", "mode", "code", "culprit"),
    [
        ("absent", None, 0, errno.ENOENT, "./absent"),
        ("locked", "#!/bin/sh", 0o644, errno.EACCES, "./locked"),
        ("plain", "print(1)", 0o755, errno.ENOEXEC, "./plain"),
        ("lost", "#!/no/such/python -u", 0o755, errno.ENOENT, "/no/such/python"),
        ("windows", "#!/bin/sh\r", 0o755, errno.ENOENT, "/bin/sh\r"),
    ],
)
@pytest.mark.parametrize("by_path", [True, False])
def test_a_program_that_cannot_be_started(
    tmp_path: Path, name: str, first: str | None, mode: int, code: int, culprit: str, by_path: bool
) -> None:
    if first:
        (tmp_path / name).write_text(first + "\n")
        (tmp_path / name).chmod(mode)
    command = f"./{name}" if by_path else name
    env = {"PATH": f"/nowhere:/etc/passwd:{tmp_path}:/"}

    async def play(network: Network) -> None:
        with pytest.raises(OSError) as caught:
            await started(network, [command], cwd=tmp_path, env=env)
        assert caught.value.errno == code
        assert caught.value.filename == (culprit if by_path else culprit.removeprefix("./"))

    run(play)


def test_a_command_that_was_not_found_is_told_at_once_and_leaves_nothing() -> None:
    async def play(network: Network) -> None:
        fds = open_fds()
        for _ in range(5):
            with pytest.raises(FileNotFoundError, match="nope"):
                await started(network, ["nope"])
        assert open_fds() == fds

    run(play)


def test_a_folder_that_is_not_there() -> None:
    async def play(network: Network) -> None:
        with pytest.raises(FileNotFoundError) as caught:
            await started(network, ["true"], cwd=Path("/no/such/folder"))
        assert caught.value.filename == "/no/such/folder"

    run(play)


def test_a_nul_in_an_argument() -> None:
    async def play(network: Network) -> None:
        with pytest.raises(OSError) as caught:
            await started(network, ["true", "a\0b"])
        assert caught.value.errno == errno.EINVAL

    run(play)


# -- what it finds ---------------------------------------------------------------------------


def test_it_has_three_descriptors() -> None:
    async def play(network: Network) -> None:
        seen = await told(network, "sorted(os.listdir('/proc/self/fd'), key=int)")
        assert seen == ["0", "1", "2", "3"]  # the last one reads the folder itself

    run(play)


def test_it_has_no_environment_but_its_own() -> None:
    async def play(network: Network) -> None:
        env = {"A": "b", "LC_ALL": "C.UTF-8", "LONG": "x" * 100_000, "ALSO": "y" * 100_000}
        assert await told(network, "dict(os.environ)", env=env) == env

    run(play)


def test_the_helpers_show_no_environment() -> None:
    async def play(network: Network) -> None:
        process = await started(network, [*PYTHON, FOREVER])
        for pid in (server_pid(), process.warden):
            environment = show(pid, "environ")
            assert not environment.replace(b"LC_CTYPE=C.UTF-8\0", b"").strip(b"\0") or (
                environment.startswith(b"LD_LIBRARY_PATH=")
            )

    run(play)


def test_arguments_may_be_any_bytes() -> None:
    async def play(network: Network) -> None:
        word = os.fsdecode(b"\xff\n\xc3\xa4")
        how = [*PYTHON, "import os, sys; os.write(1, os.fsencode(sys.argv[1]).hex().encode())"]
        assert bytes.fromhex(await output_of(network, [*how, word])) == b"\xff\n\xc3\xa4"

    run(play)


def test_it_leads_a_session_and_a_group_of_its_own() -> None:
    async def play(network: Network) -> None:
        seen = await told(network, "[os.getpid(), os.getsid(0), os.getpgid(0), os.getppid()]")
        pid, session, group, parent = seen
        assert pid == session == group
        assert parent not in (os.getpid(), server_pid())
        assert os.getsid(server_pid()) == server_pid() != os.getsid(0)  # Ctrl-C is ours alone

    run(play)


def test_signals_are_as_in_a_login_shell() -> None:
    expression = (
        "[sorted(int(s) for s in signal.valid_signals() if signal.getsignal(s) is signal.SIG_IGN),"
        " sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))]"
    )

    async def play(network: Network) -> None:
        ignored, blocked = await told(network, expression)
        # these two are ignored by the Python that tells it
        assert ignored == sorted({signal.SIGPIPE, signal.SIGXFSZ})
        assert blocked == []
        sleeper = await started(network, ["sleep", "600"])
        status = show(sleeper.pid, "status").decode()
        for field in ("SigIgn", "SigBlk", "SigCgt"):
            assert f"{field}:\t0000000000000000" in status

    run(play)


def test_limits_are_those_that_harm_nobody() -> None:
    async def play(network: Network) -> None:
        core, files, size, processes = await told(
            network,
            "[resource.getrlimit(getattr(resource, 'RLIMIT_' + name))"
            " for name in ('CORE', 'NOFILE', 'FSIZE', 'NPROC')]",
        )
        assert core == [0, 0]
        assert files[0] <= 1024
        assert 0 < size[0] <= 1 << 30
        assert processes == list(resource.getrlimit(resource.RLIMIT_NPROC))
        assert await told(network, "open('/proc/self/oom_score_adj').read()") == "1000\n"
        assert await told(network, "os.umask(0)") == 0o022

    run(play)


def test_a_terminal_becomes_its_controlling_terminal() -> None:
    async def play(network: Network) -> None:
        ours, its = os.openpty()
        code = (
            "import os; tty = os.open('/dev/tty', os.O_RDWR)\n"
            "print(os.ttyname(tty), os.tcgetpgrp(0) == os.getpid())"
        )
        seen = await output_of(network, [*PYTHON, code], stdin=its, tty=True)
        assert seen == "/dev/tty True\n"
        os.close(ours)
        os.close(its)

    run(play)


# -- what it leaves ----------------------------------------------------------------------------


def test_a_daemon_does_not_survive_and_is_told() -> None:
    async def play(network: Network) -> None:
        reader, writer = os.pipe()
        process = await started(network, [*PYTHON, DAEMON, "mark"], stdout=writer)
        os.close(writer)
        assert await process.wait() == Exit(status=0)
        assert await asyncio.to_thread(os.read, reader, 100) == b"daemon\n"
        (leftover,) = await process.end()
        assert leftover.startswith(PYTHON[0])
        assert len(leftover) <= 200
        assert await asyncio.to_thread(os.read, reader, 100) == b""  # it held standard output
        os.close(reader)

    run(play)


def test_a_child_in_the_programs_group_outlived_it_unless_it_was_told_to_go() -> None:
    async def leftovers(network: Network, number: int | None) -> int:
        reader, writer = os.pipe()
        ignore = "import signal\nsignal.signal(15, signal.SIG_IGN)\n"
        last = "if pid: raise SystemExit\n" if number is None else ""
        code = f"{ignore}import os\npid = os.fork()\nos.write(1, b'x')\n{last}{FOREVER}"
        process = await started(network, [*PYTHON, code], stdout=writer)
        os.close(writer)
        for _ in range(2):
            assert await asyncio.to_thread(os.read, reader, 1)
        if number is not None:
            process.signal(number)
        await process.wait()
        left = await process.end()
        assert os.read(reader, 1) == b""
        os.close(reader)
        return len(left)

    async def play(network: Network) -> None:
        assert await leftovers(network, None) == 1
        assert await leftovers(network, signal.SIGKILL) == 0

    run(play)


def test_many_leftovers_are_told_in_short() -> None:
    async def play(network: Network) -> None:
        code = f"""
import os
for _ in range(70):
    if not os.fork():
        os.write(1, b"x")
        {FOREVER.replace(chr(10), chr(10) + "        ")}
"""
        reader, writer = os.pipe()
        process = await started(network, [*PYTHON, code], stdout=writer)
        os.close(writer)
        ready = 0
        while ready < 70:
            ready += len(await asyncio.to_thread(os.read, reader, 70))
        await process.wait()
        leftovers = await process.end()
        assert len(leftovers) == 65
        assert leftovers[-1] == "... and 6 more"
        assert os.read(reader, 1) == b""
        os.close(reader)

    run(play)


def test_a_program_that_ignores_sigterm_is_ended() -> None:
    async def play(network: Network) -> None:
        reader, writer = os.pipe()
        code = f"import signal, os\nsignal.signal(15, signal.SIG_IGN)\nos.write(1, b'x')\n{FOREVER}"
        process = await started(network, [*PYTHON, code], stdout=writer)
        os.close(writer)
        assert await asyncio.to_thread(os.read, reader, 1) == b"x"
        process.signal(signal.SIGTERM)
        assert await process.end() == []
        assert await process.wait() == Exit(signal=9)
        assert os.read(reader, 1) == b""
        os.close(reader)

    run(play)


#: Always sixteen processes, never the same ones: each forks its successor and ends.
BOMB = """
import os
for _ in range(4): os.fork()
os.setsid() if os.getpid() != os.getsid(0) else None
while True:
    if os.fork(): os._exit(0)
"""


def test_a_fork_bomb_is_caught() -> None:
    async def play(network: Network) -> None:
        reader, writer = os.pipe()
        process = await started(network, [*PYTHON, BOMB], stdout=writer)
        os.close(writer)
        await process.wait()
        await process.end()
        assert os.read(reader, 1) == b""
        os.close(reader)

    run(play)


def test_a_stopped_program_is_ended() -> None:
    async def play(network: Network) -> None:
        process = await started(network, [*PYTHON, "import os; os.kill(os.getpid(), 19)"])
        await process.end()
        gone(process.pid)

    run(play)


def test_closing_the_network_ends_its_programs() -> None:
    async def main() -> None:
        async with opened() as network:
            process = await started(network, [*PYTHON, FOREVER])
        gone(process.pid)
        gone(process.warden)

    asyncio.run(main())


def test_a_start_that_is_cancelled_leaves_nothing() -> None:
    async def play(network: Network) -> None:
        reader, writer = os.pipe()
        starting = asyncio.create_task(started(network, [*PYTHON, FOREVER], stdout=writer))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        os.close(writer)
        assert await asyncio.to_thread(os.read, reader, 1) == b""
        os.close(reader)

    run(play)


# -- when somebody is killed ---------------------------------------------------------------------


HARNESS = """
import asyncio, os, sys
STAY = "os.write(1, b'daemon\\\\n')\\nwhile True: signal.pause()"
from pathlib import Path
from tests.network.programs import DAEMON, PYTHON, PATH
from harness.network import open_network

async def main() -> None:
    network = await open_network("loopback")
    for code in (DAEMON, DAEMON.replace("os.wait()", STAY)):
        await network.start([*PYTHON, code], cwd=Path("/"), env=PATH,
                            stdin_fd=0, stdout_fd=1, stderr_fd=1, tty=False)
    {end}

asyncio.run(main())
"""


@pytest.mark.parametrize("end", ["await asyncio.Event().wait()", "sys.stdin.read()", "os._exit(1)"])
def test_a_harness_that_is_killed_leaves_no_process(end: str) -> None:
    wait = end if end != "os._exit(1)" else "sys.stdin.readline(); os._exit(1)"
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS.format(end=wait)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as harness:
        assert harness.stdin
        assert harness.stdout
        for _ in range(3):
            assert harness.stdout.readline() == b"daemon\n"
        if end == "os._exit(1)":
            harness.stdin.write(b"\n")
            harness.stdin.flush()
        else:
            harness.kill()
        assert harness.stdout.read() == b""  # at the end: whoever could write there is gone


def test_a_helper_that_died_is_told_and_replaced() -> None:
    async def play(network: Network) -> None:
        first = server_pid()
        process = await started(network, [*PYTHON, FOREVER])
        os.kill(first, signal.SIGSTOP)
        starting = asyncio.create_task(started(network, ["true"]))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(HarnessError, match="the helper that starts programs has died"):
            await starting
        process.signal(signal.SIGTERM)
        assert await process.wait() == Exit(signal=15)  # its warden has lived on
        gone(first)
        again = await started(network, ["true"])
        assert await again.wait() == Exit(status=0)
        assert server_pid() != first

    run(play)


def test_a_program_that_kills_its_warden_is_ended_all_the_same() -> None:
    async def play(network: Network) -> None:
        reader, writer = os.pipe()
        code = f"{DAEMON.replace('os.wait()', '')}\nimport sys\nos.kill(os.getppid(), 9)\n{FOREVER}"
        process = await started(network, [*PYTHON, code], stdout=writer)
        os.close(writer)
        with pytest.raises(HarnessError, match="was killed"):
            await process.wait()
        while await asyncio.to_thread(os.read, reader, 100):
            pass  # until nobody is left who holds it
        os.close(reader)
        assert await process.end() == []

    run(play)


def test_a_program_that_stops_its_warden_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process_module, "_END_S", 0.05)

    async def play(network: Network) -> None:
        reader, writer = os.pipe()
        code = f"import os\nos.kill(os.getppid(), 19)\nos.write(1, b'x')\n{FOREVER}"
        process = await started(network, [*PYTHON, code], stdout=writer)
        os.close(writer)
        assert await asyncio.to_thread(os.read, reader, 1) == b"x"
        await process.end()
        assert await asyncio.to_thread(os.read, reader, 1) == b""
        os.close(reader)

    run(play)


def test_a_forked_harness_gets_a_helper_of_its_own() -> None:
    first = server_pid()
    pid = os.fork()
    if not pid:
        os._exit(0 if process_module._server is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert server_pid() == first


# -- many of them -----------------------------------------------------------------------------


def test_forty_programs_at_once() -> None:
    async def one(number: int) -> int | None:
        async with opened() as network:
            process = await started(network, [*PYTHON, f"raise SystemExit({number})"])
            return (await process.wait()).status

    async def main() -> list[int | None]:
        return await asyncio.gather(*(one(number) for number in range(40)))

    assert asyncio.run(main()) == list(range(40))


def test_every_thread_can_have_its_own_loop() -> None:
    def play(number: int) -> None:
        async def main(network: Network) -> None:
            process = await started(network, [*PYTHON, f"raise SystemExit({number})"])
            results[number] = await process.wait()

        run(main)

    results: dict[int, Exit] = {}
    threads = [threading.Thread(target=play, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: Exit(status=number) for number in range(4)}


def test_fifty_plays_leave_no_descriptor_thread_or_zombie() -> None:
    async def play() -> None:
        async with opened() as network:
            network.filtered("x", 1)
            network.reserve("tcp")
            process = await started(network, ["true"])
            await process.wait()
            network.listening(process, "tcp")

    def state() -> tuple[int, int]:
        return open_fds(), threading.active_count()

    async def main() -> None:
        await play()
        before = state(), open_fds(server_pid())
        for _ in range(50):
            await play()
        assert (state(), open_fds(server_pid())) == before
        # the last warden may be on its way out
        assert len(helper.children_of(server_pid())) <= 1
        assert server_pid() in helper.children_of(os.getpid())

    asyncio.run(main())


def test_the_helper_ends_with_the_harness() -> None:
    code = "from harness.network import process; print(process.fork_server().pid)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    gone(int(done.stdout))
    assert done.stderr == b""

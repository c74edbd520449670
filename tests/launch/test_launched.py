"""A program under test, as it is started, watched and ended, and what the record tells of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness.launch import Launched, Limits, Ready, start
from harness.model.record import PROGRAM, Event, What
from harness.network import Network, _trouble, open_network, scratch_folder
from harness.record import Recorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from harness.model.record import Record

PYTHON = (sys.executable, "-I", "-S", "-c")
FOREVER = "import signal\nwhile True: signal.pause()"
DAEMON = """
import os, signal, sys
if not os.fork():
    os.setsid()
    os.write(1, b"daemon\\n")
    while True: signal.pause()
"""


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Any:
    """No scratch folder outlives a test."""
    monkeypatch.setenv("SECRET", "do not tell")
    yield
    assert [path.name for path in Path(scratch_folder()).glob("play-*")] == []


class Play:
    """A network, a recorder, and programs on them."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.recorder = Recorder()

    @property
    def record(self) -> Record:
        return self.recorder.record

    @property
    def screen(self) -> bytes:
        return self.record.text(What.SCREEN)

    async def start(
        self,
        argv: Sequence[str] | str,
        folder: Path | None = None,
        env: dict[str, str] | None = None,
        limits: Limits | None = None,
    ) -> Launched:
        argv = [*PYTHON, argv] if isinstance(argv, str) else argv
        return await start(self.network, argv, folder, env or {}, self.recorder, limits=limits)

    async def seen(self, text: bytes, what: What = What.SCREEN) -> None:
        """Wait until the program has written this."""
        event = asyncio.Event()
        self.recorder.listen(lambda _: event.set())
        while text not in self.record.text(what):
            event.clear()
            await event.wait()

    async def run(self, argv: Sequence[str] | str, **how: Any) -> Launched:
        launched = await self.start(argv, **how)
        await launched.wait()
        await launched.finish()
        return launched


def played(play: Callable[[Play], Awaitable[None]]) -> Record:
    async def main() -> Record:
        network = await open_network("loopback")
        stage = Play(network)
        try:
            await play(stage)
        finally:
            await network.close()
        return stage.record

    return asyncio.run(main())


@pytest.mark.skipif(bool(_trouble()), reason=_trouble())
@pytest.mark.parametrize(("processes", "crowded"), [(20, False), (600, True)])
def test_far_too_many_processes_are_recorded(processes: int, crowded: bool) -> None:
    program = f"""
import os, signal
for _ in range({processes}):
    if not os.fork():
        signal.pause()
print("all there", flush=True)
signal.pause()
"""

    async def main() -> Record:
        network = await open_network("private")
        recorder, there = Recorder(), asyncio.Event()
        recorder.listen(lambda event: there.set() if event.what is What.SCREEN else None)
        try:
            argv = [sys.executable, "-I", "-S", "-c", program]
            launched = await start(network, argv, None, {}, recorder)
            async with asyncio.timeout(30):
                await there.wait()
            await launched.stop("the play is over")
            await launched.finish()
        finally:
            await network.close()
        return recorder.record

    told = [event.note for event in asyncio.run(main()).of(What.CROWDED)]
    assert told == ([f"{processes + 1} of them"] if crowded else [])


def whats(record: Record) -> list[What]:
    return [event.what for event in record.events]


def of(record: Record, what: What) -> Event:
    (event,) = record.of(what)
    assert event.actor == PROGRAM
    return event


def soon() -> float:
    return asyncio.get_running_loop().time() + 20


# -- the record -----------------------------------------------------------------------------


def test_a_play_of_one_program_in_full() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.run(
            "import os; os.write(1, b'out\\n'); os.write(2, b'err\\n'); open('log', 'w').write('x')"
        )
        assert launched.exit is not None
        assert launched.exit.status == 0
        assert not launched.folder.exists()

    record = played(play)
    assert whats(record) == [What.STARTED, What.SCREEN, What.ERRORS, What.EXITED, What.FILE]
    assert of(record, What.STARTED).note.startswith(f"{sys.executable} -I -S -c 'import os;")
    assert record.text(What.SCREEN) == b"out\n"
    assert record.text(What.ERRORS) == b"err\n"
    assert of(record, What.EXITED).facts == {"status": 0}
    assert (of(record, What.FILE).note, of(record, What.FILE).data) == ("log", b"x")


def test_the_end_by_a_signal_is_told() -> None:
    async def play(stage: Play) -> None:
        await stage.run("import os; os.abort()")

    assert of(played(play), What.EXITED).facts == {"signal": signal.SIGABRT}


def test_all_output_is_recorded_before_the_end_is_noted() -> None:
    async def play(stage: Play) -> None:
        await stage.run("import os\nfor n in range(200): os.write(1 + n % 2, b'x' * 997)")

    record = played(play)
    assert len(record.text(What.SCREEN)) == len(record.text(What.ERRORS)) == 99_700
    assert whats(record)[-1] is What.EXITED


def test_what_was_shown_before_a_prompt_on_standard_error_is_recorded_before_it() -> None:
    async def play(stage: Play) -> None:
        await stage.run("import os\nfor n in range(50): os.write(1, b'o'); os.write(2, b'e')")

    record = played(play)
    shown = errors = 0
    for event in record.of(What.SCREEN, What.ERRORS):
        shown += len(event.data) if event.what is What.SCREEN else 0
        errors += len(event.data) if event.what is What.ERRORS else 0
        assert shown >= errors


def test_names_that_are_no_text_can_be_written_down(tmp_path: Path) -> None:
    async def play(stage: Play) -> None:
        await stage.run([*PYTHON, "open(b'\\xff\\n', 'w'); import sys", "\udcff"])

    record = played(play)
    assert of(record, What.FILE).note == "\\xff\n"
    for event in record.events:
        event.note.encode("utf-8")


# -- its surroundings -------------------------------------------------------------------------


def test_it_runs_in_a_copy_of_its_authors_folder(tmp_path: Path) -> None:
    folder = tmp_path / "group 7"
    folder.mkdir()
    (folder / "tool").write_text("#!/bin/sh\npwd; echo more >> data\n")
    (folder / "tool").chmod(0o755)
    (folder / "data").write_text("some\n")
    os.utime(folder / "data", ns=(10**18, 10**18))

    async def play(stage: Play) -> None:
        launched = await stage.run(["./tool"], folder=folder)
        assert stage.screen.decode().strip() == str(launched.folder.resolve())
        assert launched.folder.name == "group 7"

    record = played(play)
    assert (of(record, What.FILE).note, of(record, What.FILE).data) == ("data", b"some\nmore\n")
    assert (folder / "data").read_text() == "some\n"


def test_its_environment_is_small_and_holds_no_secrets() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.run("import os, json; print(json.dumps(dict(os.environ)))")
        env = json.loads(stage.screen)
        root = launched.folder.parent.parent
        assert env.pop("HOME") == str(root / "home")
        assert env.pop("TMPDIR") == str(root / "tmp")
        assert env.pop("PATH") == os.environ["PATH"]
        for optional in ("LD_LIBRARY_PATH", "JAVA_HOME", "PYENV_ROOT", "PYENV_VERSION", "TZ"):
            assert env.pop(optional, None) == os.environ.get(optional)
        assert env == {
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    played(play)


def test_the_caller_adds_to_its_environment() -> None:
    async def play(stage: Play) -> None:
        env = {"SSL_CERT_FILE": "/ca.pem", "TERM": "xterm"}
        await stage.run("import os; print(os.environ['SSL_CERT_FILE'], os.getenv('TERM'))", env=env)
        assert stage.screen == b"/ca.pem xterm\n"

    played(play)


# -- the terminal ----------------------------------------------------------------------------


def test_it_sits_at_a_terminal() -> None:
    async def play(stage: Play) -> None:
        await stage.run(
            "import os\n"
            "print([os.isatty(fd) for fd in (0, 1, 2)], *os.get_terminal_size())\n"
            "os.write(os.open('/dev/tty', os.O_RDWR), b'here\\n')"
        )
        assert stage.screen == b"[True, True, False] 80 24\nhere\n"

    played(play)


def test_it_reads_what_is_typed_and_nothing_is_echoed() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.start("print(input('name? ').upper()); print(input())")
        await stage.seen(b"name? ", What.ERRORS)  # where Python asks when standard error is apart
        launched.type(b"ann\n")
        await stage.seen(b"ANN\n")
        launched.type("bö\r".encode())
        await launched.wait()
        await launched.finish()
        assert stage.screen == "ANN\nbö\n".encode()

    played(play)


def test_typing_more_than_is_read_holds_nobody_up() -> None:
    lines = b"".join(b"%d\n" % number for number in range(20_000))

    async def play(stage: Play) -> None:
        launched = await stage.start(
            "import sys, hashlib\nprint(sum(int(sys.stdin.readline()) for _ in range(20_000)))"
        )
        launched.type(lines)
        await launched.wait()
        await launched.finish()
        assert stage.screen == b"%d\n" % sum(range(20_000))

    played(play)


def test_what_nobody_reads_is_lost_without_harm() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.start("pass")
        launched.type(b"x\n" * 100_000)
        await launched.wait()
        launched.type(b"more\n")
        await launched.finish()
        launched.type(b"late\n")

    played(play)


def test_ctrl_c_interrupts_and_ctrl_d_ends_the_input() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.start(
            "import signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
            "print('go', flush=True)\nsignal.sigwait([signal.SIGINT])\n"
            "print('interrupted', flush=True)\n"
            "print(repr(sys.stdin.read()))"
        )
        await stage.seen(b"go\n")
        launched.type(b"\x03")
        await stage.seen(b"interrupted\n")
        launched.type(b"\x04")
        await launched.wait()
        await launched.finish()
        assert stage.screen == b"go\ninterrupted\n''\n"

    played(play)


def test_its_input_stays_open() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.start("print('go', flush=True); input()")
        await stage.seen(b"go\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await launched.wait()
        await launched.finish()

    record = played(play)
    assert of(record, What.EXITED).facts == {"signal": signal.SIGKILL}
    assert of(record, What.STOPPED).note == "the play is over"


# -- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("fd", "what"), [(1, What.SCREEN), (2, What.ERRORS)])
def test_a_flood_is_cut_and_ends_the_program(fd: int, what: What) -> None:
    async def play(stage: Play) -> None:
        code = f"import os\nwhile True: os.write({fd}, b'x' * 1000)"
        launched = await stage.run(code, limits=Limits(output=20_000))
        assert launched.exit is not None
        assert launched.exit.signal == signal.SIGKILL

    record = played(play)
    assert record.text(what) == b"x" * 20_000
    name = {What.SCREEN: "terminal", What.ERRORS: "standard error"}[what]
    assert of(record, What.FLOODED).note == name
    assert of(record, What.STOPPED).note == f"it wrote more than 20000 bytes to its {name}"


def test_as_much_as_is_allowed_is_no_flood() -> None:
    async def play(stage: Play) -> None:
        await stage.run("import os\nos.write(1, b'x' * 1000)", limits=Limits(output=1000))

    record = played(play)
    assert record.text(What.SCREEN) == b"x" * 1000
    assert not record.of(What.FLOODED)


def test_a_folder_that_is_too_large_is_refused(tmp_path: Path) -> None:
    from harness.errors import MachineError

    (tmp_path / "file").write_bytes(b"x" * 1001)

    async def play(stage: Play) -> None:
        with pytest.raises(MachineError, match="too large"):
            await stage.start("pass", folder=tmp_path, limits=Limits(copy_size=1000))

    played(play)


# -- what cannot be started ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("nope", "the command 'nope' was not found in PATH"),
        ("./nope", "the command './nope' was not found in the program's folder"),
        ("./locked", "'./locked' is not executable (chmod +x makes a file so)"),
        ("./plain", "'./plain' is no program that this machine can run; a script needs a first"),
        ("./lost", "the first line of './lost' asks for the interpreter '/no/python'"),
        ("./windows", "the first line of './windows' asks for the interpreter '/bin/sh\\r'"),
        ("no\0name", "'no\\x00name' could not be started: Invalid argument"),
    ],
)
def test_a_program_that_cannot_be_started_is_told(
    tmp_path: Path, command: str, message: str
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    for name, first, mode in [
        ("locked", "#!/bin/sh", 0o644),
        ("plain", "print(1)", 0o755),
        ("lost", "#!/no/python", 0o755),
        ("windows", "#!/bin/sh\r", 0o755),
    ]:
        (folder / name).write_text(first + "\n")
        (folder / name).chmod(mode)

    async def play(stage: Play) -> None:
        launched = await stage.start([command], folder=folder)
        assert launched.broken.startswith(message)
        assert launched.exit is None
        assert launched.listening("tcp") == set()
        assert await launched.ready(stage.network.reserve("tcp"), "tcp", soon()) is Ready.EXITED
        launched.signal(signal.SIGTERM)
        launched.type(b"hello\n")
        await launched.wait()
        await launched.stop("why not")
        await launched.finish()

    record = played(play)
    assert whats(record) == [What.BROKEN]
    assert of(record, What.BROKEN).note.startswith(message)


# -- readiness ---------------------------------------------------------------------------------

SERVER = """
import signal, socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("up", flush=True)
while True: signal.pause()
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_server_is_ready_once_it_listens(host: str) -> None:
    async def play(stage: Play) -> None:
        place = stage.network.reserve("tcp")
        launched = await stage.start([*PYTHON, SERVER, host, str(place.port)])
        assert await launched.ready(place, "tcp", soon()) is Ready.LISTENING
        assert of(stage.record, What.LISTENING).facts == {
            "host": "127.0.0.1",
            "port": place.port,
        }
        with await stage.network.dial(place, "tcp", deadline=soon()):
            pass
        await launched.finish()

    played(play)


def test_a_server_that_listens_elsewhere_is_found_out() -> None:
    async def play(stage: Play) -> None:
        place = stage.network.reserve("tcp")
        launched = await stage.start([*PYTHON, SERVER, "127.0.0.1", "0"])
        await stage.seen(b"up\n")
        deadline = asyncio.get_running_loop().time() + 0.05
        assert await launched.ready(place, "tcp", deadline) is Ready.TIMED_OUT
        assert asyncio.get_running_loop().time() >= deadline
        (elsewhere,) = launched.listening("tcp")
        assert elsewhere.port != place.port
        await launched.finish()

    assert not played(play).of(What.LISTENING)


def test_a_server_that_ends_is_never_ready() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.start("raise SystemExit(3)")
        place = stage.network.reserve("tcp")
        assert await launched.ready(place, "tcp", soon()) is Ready.EXITED
        assert launched.exit is not None
        assert launched.exit.status == 3
        await launched.finish()

    played(play)


# -- its end ----------------------------------------------------------------------------------


def test_stopping_asks_first() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.start(
            "import signal, sys\nsignal.signal(15, lambda *_: sys.exit(5))\n"
            f"print('up', flush=True)\n{FOREVER}"
        )
        await stage.seen(b"up\n")
        await launched.stop("enough", grace=20)
        assert launched.exit is not None
        assert launched.exit.status == 5
        await launched.stop("again")
        await launched.finish()

    record = played(play)
    assert whats(record)[-2:] == [What.STOPPED, What.EXITED]
    assert of(record, What.STOPPED).note == "enough"


def test_a_program_that_ignores_sigterm_is_killed() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.start(
            f"import signal\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\n{FOREVER}"
        )
        await stage.seen(b"up\n")
        await launched.stop("enough", grace=0.05)
        await launched.finish()

    assert of(played(play), What.EXITED).facts == {"signal": signal.SIGKILL}


def test_a_daemon_that_holds_the_terminal_does_not_hold_up_the_end() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.start(DAEMON)
        await launched.wait()
        await stage.seen(b"daemon\n")
        await launched.finish()

    record = played(play)
    assert of(record, What.EXITED).facts == {"status": 0}
    assert of(record, What.LEFTOVER).note.startswith(sys.executable)


def test_a_program_is_killed_and_started_again_in_the_same_folder() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.start(
            "import os, signal\n"
            "open('runs', 'a').write('run ')\n"
            f"print(os.path.getsize('runs'), flush=True)\n{FOREVER}"
        )
        await stage.seen(b"4\n")
        launched.signal(signal.SIGKILL)
        await launched.wait()
        await launched.restart()
        await stage.seen(b"8\n")
        assert launched.exit is None
        await launched.stop("enough")
        await launched.finish()

    record = played(play)
    assert of(record, What.FILE).data == b"run run "
    assert len(record.of(What.STARTED)) == len(record.of(What.EXITED)) == 2


def test_a_program_locks_its_folder_and_leaves_odd_files() -> None:
    async def play(stage: Play) -> None:
        await stage.run(
            "import os\nos.mkfifo('fifo')\nos.symlink('/etc/passwd', 'link')\n"
            "os.truncate(os.open('giant', os.O_CREAT | os.O_RDWR), 1 << 29)\n"
            "open('good', 'w').write('good')\nos.mkdir('locked')\nos.chmod('locked', 0)\n"
            "os.chmod('.', 0o555)\n"
        )

    files = played(play).of(What.FILE)
    assert [(event.note, event.data) for event in files] == [
        ("fifo (not collected: a FIFO)", b""),
        ("giant (not collected: 536870912 bytes, more than 1048576)", b""),
        ("good", b"good"),
        ("link (not collected: a symbolic link)", b""),
    ]
    assert files[0].facts == {"skipped": "a FIFO", "path": "fifo", "change": "created"}


def test_finishing_twice_is_finishing_once() -> None:
    async def play(stage: Play) -> None:
        launched = await stage.run("open('log', 'w')")
        await launched.finish()

    assert len(played(play).of(What.FILE)) == 1


def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async def play(stage: Play) -> None:
        for passes in range(8):
            starting = asyncio.create_task(stage.start(FOREVER, folder=tmp_path / "empty"))
            for _ in range(passes):
                await asyncio.sleep(0)
            if starting.done():  # every pass before was one in which it could be cancelled
                await starting.result().finish()
                break
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting

    (tmp_path / "empty").mkdir()
    played(play)


def test_fifty_launches_leave_no_descriptor() -> None:
    def open_fds() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def play(stage: Play) -> None:
        await stage.run(["true"])
        before = open_fds()
        for _ in range(50):
            await stage.run(["true"])
        assert open_fds() == before

    played(play)


def test_twenty_programs_at_once() -> None:
    async def one(number: int) -> Record:
        network = await open_network("loopback")
        stage = Play(network)
        launched = await stage.start(f"print({number}); input(); print('bye')")
        launched.type(b"\n")
        await launched.wait()
        await launched.finish()
        await network.close()
        return stage.record

    async def main() -> list[Record]:
        return list(await asyncio.gather(*(one(number) for number in range(20))))

    for number, record in enumerate(asyncio.run(main())):
        assert record.text(What.SCREEN) == b"%d\nbye\n" % number


def test_a_command_is_found_by_path() -> None:
    async def play(stage: Play) -> None:
        await stage.run(["sh", "-c", "command -v env"])
        assert stage.screen.decode().strip() == shutil.which("env")

    played(play)

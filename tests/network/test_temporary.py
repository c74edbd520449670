"""Folders that everybody on a machine shares: in a play they are its own, and gone with it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import network as network_module
from harness.network import Private, room

from tests.network.programs import PYTHON, output_of
from tests.network.test_private import AS_USER, as_user, python_of_all, run, told

if TYPE_CHECKING:
    from collections.abc import Iterator

TROUBLE = network_module._trouble()
on_private = pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)
ROOT = Path(__file__).parents[2]
SHARED = [folder for folder, _ in room._SHARED]

LEAVE = "for folder in {}: open(folder + '/left.txt', 'x').write('here')\n"
LOOK = "tell(['left.txt' in os.listdir(folder) for folder in {}])"


@pytest.fixture(params=SHARED)
def outside(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder of the machine's, below a shared one."""
    folder = Path(tempfile.mkdtemp(prefix="wirelab-test-", dir=request.param))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def listed(folder: Path) -> str:
    """A program that tells what is there, and does not name the folder."""
    parent, name = str(folder.parent), folder.name
    return (
        f"top = os.path.join({parent!r}, {name!r})\n"
        "tell(sorted(os.path.join(at, file)[len(top) + 1:]"
        " for at, _, files in os.walk(top) for file in files))"
    )


@on_private
def test_what_is_left_there_is_seen_by_no_other_play_and_not_outside() -> None:
    async def leave(network: Private) -> Any:
        return await told(network, LEAVE.format(SHARED) + LOOK.format(SHARED))

    assert run(leave) == run(leave) == [True] * len(SHARED)
    assert not [folder for folder in SHARED if Path(folder, "left.txt").exists()]


@on_private
def test_the_next_program_of_a_play_finds_it() -> None:
    async def twice(network: Private) -> Any:
        await told(network, LEAVE.format(SHARED) + "tell(0)")
        return await told(network, LOOK.format(SHARED))

    assert run(twice) == [True] * len(SHARED)


@on_private
def test_what_the_program_is_told_of_is_there_and_nothing_beside_it(outside: Path) -> None:
    for name in ("with blank", "variable", "one", "two", "python/bin", "python/lib", "secret"):
        (outside / name).mkdir(parents=True)
        (outside / name / "file").touch()

    async def play(network: Private) -> Any:
        env = {"PATH": f"{outside}/python/bin:/usr/bin", "HERE": f"{outside}/variable/new"}
        words = f"-cp={outside}/one/file:{outside}/two/:{outside}/none/file:{outside}/../../etc"
        code = f"import sys\n{listed(outside)}\n"
        code = f"import os, json\ntell = lambda told: print(json.dumps(told))\n{code}"
        argv = [*PYTHON, code, words]
        return await output_of(network, argv, env=env, cwd=outside / "with blank")

    found = ["one", "python/bin", "python/lib", "two", "variable", "with blank"]
    assert json.loads(run(play)) == [f"{name}/file" for name in found]


@on_private
def test_files_that_lie_there_themselves_are_brought_back_one_by_one(outside: Path) -> None:
    for name in ("named", "other"):
        outside.with_name(f"{outside.name}.{name}").write_text(name)
    code = (
        "import os, sys; named, other, folder = sys.argv[1:]\n"
        "print(open(named).read(), other in os.listdir(folder))"
    )
    named, other = (f"{outside.name}.{name}" for name in ("named", "other"))
    words = [f"{outside.parent}/{named}", other, str(outside.parent)]
    try:
        said = run(lambda network: output_of(network, [*PYTHON, code, *words]))
    finally:
        for name in (named, other):
            outside.with_name(name).unlink()
    assert said == "named False\n"


@on_private
def test_they_have_limits() -> None:
    code = f"""
told = []
for folder in {SHARED}:
    with open(folder + "/large", "wb") as file:
        try:
            while True: file.write(bytes(1 << 20)); file.flush()
        except OSError as error:
            told.append(errno.errorcode[error.errno])
    os.truncate(folder + "/large", 0)
tell(told)
"""
    assert run(lambda network: told(network, code)) == ["ENOSPC"] * len(SHARED)


@on_private
def test_shared_memory_and_semaphores_work() -> None:
    code = """
from multiprocessing import Process, Semaphore, shared_memory
memory, done = shared_memory.SharedMemory(create=True, size=1), Semaphore(0)
def child():
    memory.buf[0] = 7
    done.release()
Process(target=child).start()
done.acquire()
tell(memory.buf[0])
memory.close(); memory.unlink()
"""
    assert run(lambda network: told(network, code)) == 7


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(AS_USER in os.environ, reason="this is the other user already")
@pytest.mark.timeout(180)
@on_private
def test_all_of_this_holds_for_an_ordinary_user() -> None:
    command = [python_of_all(), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    played = as_user(command, cwd=ROOT)
    assert played.returncode == 0, played.stdout
    assert "1 skipped" in played.stdout

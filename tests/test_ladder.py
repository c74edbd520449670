"""The ladder of networks: which one was played on is told, and none is taken in silence.

The machine on which namespaces are refused is a real one: a user namespace whose limit of
further ones is 0.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from harness import network
from harness.errors import MachineError

from tests.course import SCENARIO, lay_out

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE_ONLY = SCENARIO.replace("patience:", "needs: [names]\npatience:")
REFUSED = "the private network cannot be had: make a user namespace: No space left on device"
can_be_had = pytest.mark.skipif(bool(network._trouble()), reason=network._trouble())


@pytest.fixture
def course(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    (tmp_path / "scenarios" / "echo-client" / "named.yaml").write_text(PRIVATE_ONLY, "utf-8")
    return tmp_path


def wirelab(course: Path, *words: str, refused: bool) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *words]
    if refused:
        if not shutil.which("unshare") or network._trouble():
            pytest.skip("there is no unshare(1), or no user namespace to forbid others in")
        forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
        command = ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", *command]
    return subprocess.run(
        command, cwd=course, capture_output=True, text=True, check=False, timeout=50
    )


def marking(course: Path) -> tuple[str, ...]:
    """A program that leaves a mark of having been started."""
    return ("--", sys.executable, "-c", f"open({str(course / 'started')!r}, 'w')")


@can_be_had
def test_the_private_network_is_taken_where_it_can_be_had(course: Path) -> None:
    done = wirelab(course, "harness", "run", refused=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith(" s (network: private)\n")


def test_where_it_cannot_the_run_says_so_and_why(course: Path) -> None:
    done = wirelab(course, "harness", "run", refused=True)
    assert done.returncode == 0, done.stdout + done.stderr
    summary, why = done.stdout.splitlines()[-2:]
    assert summary.startswith("1 passed, 1 skipped in ")
    assert summary.endswith(" s (network: loopback)")
    assert why == f"{REFUSED}; see `wirelab doctor`"


def test_what_loopback_has_not_is_skipped_with_its_reason(course: Path) -> None:
    done = wirelab(course, "harness", "run", refused=True)
    skipped = "echo-client/named  (this network (loopback) has no names of its own)"
    assert f"SKIPPED   {skipped}\n" in done.stdout


def test_who_asks_for_loopback_is_told_no_reason(course: Path) -> None:
    done = wirelab(course, "harness", "run", "--network", "loopback", refused=True)
    assert done.stdout.endswith(" s (network: loopback)\n")


def test_pytest_says_so_too(course: Path) -> None:
    done = wirelab(course, "pytest", "-p", "no:cacheprovider", "scenarios", refused=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"scenarios: network loopback\n{REFUSED}; see `wirelab doctor`\n" in done.stdout


def test_who_insists_is_refused_and_nothing_is_started(course: Path) -> None:
    words = ("run", "--network", "private", "scenarios/echo-client/upper.yaml", *marking(course))
    done = wirelab(course, "harness", *words, refused=True)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith(f"wirelab: {REFUSED}")
    assert not (course / "started").exists()


def test_the_mark_is_left_where_the_program_is_started(course: Path) -> None:
    words = ("run", "--network", "loopback", "scenarios/echo-client/upper.yaml", *marking(course))
    assert wirelab(course, "harness", *words, refused=False).returncode == 1
    assert (course / "started").exists()


@can_be_had
@pytest.mark.parametrize("choice", ["auto", "private"])
def test_a_network_that_fails_later_is_an_error_and_no_step_down(
    choice: str, course: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The machine may run out of namespaces in the middle of a run."""
    from harness.cli import main

    async def refuse(cls: type[network.Network]) -> network.Network:
        raise MachineError("no namespace is left")

    monkeypatch.setattr(network.Private, "open", classmethod(refuse))
    monkeypatch.chdir(course)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--network", choice, "scenarios/echo-client/upper.yaml", *marking(course)])
    assert ended.value.code == 3
    assert "no namespace is left" in capsys.readouterr().out
    assert not (course / "started").exists()

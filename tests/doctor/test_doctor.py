"""What the doctor tells of each step, with failures given to it and, where it can be, real ones."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.doctor import Verdict, examine, remedies, tell, trials
from harness.doctor.examination import (
    PRIVATE_PLAY,
    STEPS,
    Finding,
    Part,
    State,
    Step,
    verdict_of,
)
from harness.doctor.words import RECIPE
from harness.errors import HarnessError, MachineError
from harness.network import _trouble
from harness.network.room import recipe

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
DOCTOR = [sys.executable, "-B", "-m", "harness", "doctor"]
each_recipe_step = pytest.mark.parametrize("step", recipe())


NO_NAMESPACES = "echo 0 > /proc/sys/user/max_user_namespaces"
PROTECTED = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys"


def works() -> None:
    pass


def failing(code: int) -> Callable[[], None]:
    def trial() -> None:
        raise OSError(code, os.strerror(code))

    return trial


def step(part: Part, trial: Callable[[], None] = works, *, vital: bool = True) -> Step:
    return Step(part, f"a step of {part}", trial, lambda error: (f"mend {error.errno}",), vital)


def told(*steps: Step, refused: tuple[str, int] | None = None) -> tuple[Verdict, list[str]]:
    lines: list[str] = []
    findings = examine(steps, lambda: refused, step(Part.PRIVATE))
    return tell(findings, lines.append), lines


def doctor(*prefix: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, *DOCTOR], cwd=ROOT, capture_output=True, text=True, check=False, timeout=50
    )


def in_world(script: str) -> list[str]:
    """A command's beginning: it is run in namespaces of its own, which a script has changed."""
    if not shutil.which("unshare") or _trouble():
        pytest.skip("there is no unshare(1), or no user namespace")
    world = ["unshare", "--user", "--map-root-user", "--mount"]
    return [*world, "sh", "-c", f'{script} && exec "$@"', "sh"]


# -- the words ---------------------------------------------------------------------------------


def test_every_step_of_the_recipe_has_words_for_a_student() -> None:
    assert set(RECIPE) == set(recipe())


def test_where_everything_works_each_step_is_told() -> None:
    verdict, lines = told(step(Part.PLAY), step(Part.LOOPBACK))
    assert verdict is Verdict.PRIVATE
    assert [line for line in lines if "FAILS" in line or "untried" in line] == []
    assert all(any(words in line for line in lines) for words in RECIPE.values())
    assert lines[-1] == "The private network can be had: `wirelab run` plays on it."


@each_recipe_step
@pytest.mark.parametrize(
    "code",
    [errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENOSYS, errno.ENODEV, errno.EIO],
    ids=errno.errorcode.get,
)
def test_a_step_that_is_refused_is_told_with_its_reason_and_a_remedy(step: str, code: int) -> None:
    verdict, lines = told(refused=(step, code))
    assert verdict is Verdict.LOOPBACK
    at = lines.index(f"  FAILS   {RECIPE[step]}")
    assert lines[at + 1] == f"          why:     {os.strerror(code)}"
    assert lines[at + 2].startswith("          mend:    ")
    before, after = recipe()[: recipe().index(step)], recipe()[recipe().index(step) + 1 :]
    assert all(f"  works   {RECIPE[name]}" in lines for name in before)
    assert all(f"  untried {RECIPE[name]}" in lines for name in after)
    assert lines[-1].startswith("Only the loopback network can be had")


def machine(**files: str) -> Callable[[str], str]:
    return lambda path: files.get(path.rpartition("/")[2], "")


@pytest.mark.parametrize(
    ("step", "code", "files", "words"),
    [
        (
            "make a user namespace",
            errno.ENOSPC,
            {"max_user_namespaces": "0", "max_net_namespaces": "63000"},
            "sudo sysctl -w user.max_user_namespaces=16384",
        ),
        (
            "make a user namespace",
            errno.EPERM,
            {"unprivileged_userns_clone": "0"},
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "map the user of a user namespace",
            errno.EPERM,
            {"apparmor_restrict_unprivileged_userns": "1"},
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            "map the user of a user namespace",
            errno.EACCES,
            {"apparmor_restrict_unprivileged_userns": "1"},
            "sudo tee /etc/apparmor.d/wirelab",
        ),
        ("make a user namespace", errno.EPERM, {}, "seccomp=unconfined"),
        ("make a user namespace", errno.ENOSYS, {"status": "Seccomp:\t2"}, "seccomp=unconfined"),
        ("mount a /proc of its own", errno.EPERM, {}, "systempaths=unconfined"),
        ("mount a /proc of its own", errno.EPERM, {}, "unmask=ALL"),
        ("set up the kernel of the host's side", errno.EROFS, {}, "systempaths=unconfined"),
        (
            "join two network namespaces by a veth pair",
            errno.EOPNOTSUPP,
            {},
            "sudo modprobe veth",
        ),
        ("hear every frame on the wire", errno.EAFNOSUPPORT, {}, "sudo modprobe af_packet"),
    ],
)
def test_the_remedy_is_for_what_the_kernel_shows(
    step: str, code: int, files: dict[str, str], words: str
) -> None:
    assert words in "\n".join(remedies.of_recipe(step, code, machine(**files)))


def test_a_switch_that_is_on_is_not_blamed() -> None:
    files = {"unprivileged_userns_clone": "1", "apparmor_restrict_unprivileged_userns": "0"}
    remedy = "\n".join(remedies.of_recipe(recipe()[0], errno.EPERM, machine(**files)))
    assert "sysctl" not in remedy


@pytest.mark.parametrize("step", [*STEPS, PRIVATE_PLAY], ids=lambda step: step.words)
def test_every_step_has_a_remedy(step: Step) -> None:
    assert all(step.remedy(OSError(errno.EIO, "why")))


# -- what it comes to --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "verdict"),
    [
        (set(), Verdict.PRIVATE),
        ({Part.PRIVATE}, Verdict.LOOPBACK),
        ({Part.LOOPBACK}, Verdict.PRIVATE),
        ({Part.PRIVATE, Part.LOOPBACK}, Verdict.NOTHING),
        ({Part.PLAY}, Verdict.NOTHING),
    ],
)
def test_the_verdict(bad: set[Part], verdict: Verdict) -> None:
    findings = [Finding(p, "a step", State.FAILS if p in bad else State.WORKS) for p in Part]
    assert verdict_of(findings) is verdict


def test_a_step_that_fails_is_told_with_its_remedy() -> None:
    verdict, lines = told(step(Part.PLAY, failing(errno.EMFILE)))
    assert verdict is Verdict.NOTHING
    assert lines[1:4] == [
        "  FAILS   a step of every play",
        f"          why:     {os.strerror(errno.EMFILE)}",
        f"          mend:    mend {errno.EMFILE}",
    ]


def test_what_is_not_vital_is_told_and_decides_nothing() -> None:
    filtered = step(Part.LOOPBACK, failing(errno.EPERM), vital=False)
    verdict, lines = told(step(Part.LOOPBACK), filtered, refused=(recipe()[0], errno.EPERM))
    assert verdict is Verdict.LOOPBACK
    assert "  FAILS   a step of the loopback network" in lines


def test_a_machine_error_is_a_reason_too() -> None:
    def trial() -> None:
        raise MachineError("no port is left")

    assert "          why:     no port is left" in told(step(Part.PLAY, trial))[1]


def test_a_recipe_that_breaks_off_is_told() -> None:
    def refused() -> None:
        raise HarnessError("process 1 of a private network died")

    lines: list[str] = []
    assert tell(examine((), refused, PRIVATE_PLAY), lines.append) is Verdict.LOOPBACK
    assert "          why:     process 1 of a private network died" in lines


# -- tried for real ----------------------------------------------------------------------------


@pytest.mark.skipif(bool(_trouble()), reason=_trouble())
def test_on_this_machine() -> None:
    done = doctor()
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    assert done.stdout.endswith("The private network can be had: `wirelab run` plays on it.\n")


def test_where_user_namespaces_are_forbidden_only_loopback_is_left() -> None:
    done = doctor(*in_world(NO_NAMESPACES))
    assert done.returncode == 0, done.stdout
    assert f"  FAILS   {RECIPE[recipe()[0]]}\n" in done.stdout
    assert "sudo sysctl -w user.max_user_namespaces=16384\n" in done.stdout
    assert "Only the loopback network can be had" in done.stdout


@pytest.mark.parametrize(
    ("script", "status", "words", "remedy"),
    [
        (PROTECTED, 0, "(/proc/sys can be written)", "systempaths=unconfined"),
        ("mount -t tmpfs none /dev/pts", 3, "a program gets a terminal", "mount -t devpts"),
        ("mount -t tmpfs -o size=1m none $TMPDIR", 3, "takes 64 MB", "export TMPDIR="),
    ],
    ids=["a protected /proc/sys", "no terminals", "a full disk"],
)
def test_what_a_machine_lacks_is_found(
    script: str,
    status: int,
    words: str,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = doctor(*in_world(script))
    assert done.returncode == status, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "FAILS" in line and words in line]
    after = done.stdout.partition(line)[2].partition("  works ")[0]
    assert remedy in after.partition("  untried ")[0]


@pytest.mark.parametrize(
    ("limit", "words", "remedy"),
    [("--nofile=80:80", "256 files can be open at once", "ulimit -n 1024")],
)
def test_a_low_limit_is_found(limit: str, words: str, remedy: str) -> None:
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit(1)")
    done = doctor("prlimit", limit)
    assert done.returncode == 3, done.stdout
    assert f"  FAILS   {words}\n" in done.stdout
    assert remedy in done.stdout
    assert "Nothing can be played on this machine" in done.stdout


def test_processes_are_counted_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_FORK", f"import os; os._exit({errno.EAGAIN})")
    with pytest.raises(BlockingIOError):
        trials.processes()


def test_a_full_temporary_folder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "FREE_BYTES", 2**70)
    with pytest.raises(OSError, match="MB are left in"):
        trials.temporary_folder()


def test_a_port_that_answers_is_not_filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "harness.network.Loopback.filtered", lambda self, *at: self.closed(*at, "tcp")
    )
    with pytest.raises(OSError, match="refused"):
        trials.filtered_port()

"""Machines that are truly restricted: what `doctor` and `run` do there, and in which words."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from harness.doctor.words import RECIPE
from harness.network import _trouble

from tests.doctor.restrictions import SCRIPTS, SUPPORTED, command_under
from tests.documents import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(bool(_trouble()), reason=_trouble()),
    pytest.mark.skipif(not SUPPORTED, reason="the system calls of this machine are not known"),
    pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare(1)"),
]

HARMLESS = ["without clone3", "masked /sys"]
NAMESPACES, PROC = "make a user namespace", "mount a /proc of its own"
SECCOMP, SYSTEM_PATHS = "seccomp=unconfined", "systempaths=unconfined"

each_restriction = pytest.mark.parametrize(
    ("name", "step", "why", "remedies", "other"),
    [
        ("no namespaces", NAMESPACES, "No space left", ["user.max_user_namespaces="], SECCOMP),
        ("container", NAMESPACES, "Operation not permitted", [SECCOMP], "sysctl -w"),
        ("sandbox", NAMESPACES, "Operation not permitted", [SECCOMP], "sysctl -w"),
        ("no second network", "make a network namespace", "Operation not permitted", [], PROC),
        ("masked /proc", PROC, "Operation not permitted", [SYSTEM_PATHS, "unmask=ALL"], "sysctl"),
        (
            "protected /proc/sys",
            "set up the kernel of the Internet's side",
            "Read-only file system",
            [SYSTEM_PATHS, "unmask=ALL"],
            "sysctl",
        ),
    ],
)


def wirelab(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = command_under(name, sys.executable, "-B", "-m", "harness", *words)
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50
    )


def run(name: str, network: str, out: Path) -> subprocess.CompletedProcess[str]:
    scenario = "scenarios/http-client/get.yaml"
    return wirelab(name, "run", scenario, "--network", network, "--out", str(out))


@each_restriction
def test_the_doctor_names_the_step_and_what_mends_it(
    name: str, step: str, why: str, remedies: list[str], other: str
) -> None:
    done = wirelab(name, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("FAILS") == 1, done.stdout
    failed = done.stdout.partition(f"  FAILS   {RECIPE[step]}\n")[2].partition("  untried ")[0]
    assert f"why:     {why}" in failed
    for remedy in remedies:
        assert remedy in failed
    assert other not in failed
    assert "Only the loopback network can be had" in done.stdout


@each_restriction
def test_a_run_comes_down_to_loopback_and_says_why(
    name: str, step: str, why: str, remedies: list[str], other: str, tmp_path: Path
) -> None:
    done = run(name, "auto", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(network: loopback)" in done.stdout
    assert f"the private network cannot be had: {step}: {why}" in done.stdout
    assert "see `wirelab doctor`" in done.stdout
    assert done.stderr == ""


@each_restriction
def test_a_run_that_insists_starts_nothing(
    name: str, step: str, why: str, remedies: list[str], other: str, tmp_path: Path
) -> None:
    done = run(name, "private", tmp_path)
    assert done.returncode == 3, done.stdout
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"the private network cannot be had: {step}: {why}" in done.stderr
    for remedy in remedies:
        assert remedy.rstrip("=") in done.stderr
    assert other not in done.stderr
    assert "--network loopback" in done.stderr
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_no_harm_leaves_the_private_network(name: str, tmp_path: Path) -> None:
    done = run(name, "private", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "(network: private)" in done.stdout


def test_every_restriction_by_mounts_is_tried() -> None:
    tried = {case[0] for case in each_restriction.args[1]}
    assert tried | set(HARMLESS) >= set(SCRIPTS)

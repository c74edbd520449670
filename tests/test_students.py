"""Programs as students write them, with hosts and ports in their sources, are played unchanged."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from harness.model.verdict import Outcome
from harness.network import _trouble
from harness.pipeline import Request, play_all, prepare
from harness.report import failure_text

ROOT = Path(__file__).parents[1]
STUDENTS = "fixtures/students"
REQUEST = Request(paths=(f"{STUDENTS}/scenarios",), network="private", out=None, jobs=40)
PINGS = {"icmp-ping/lost", "icmp-ping/unreachable"}

pytestmark = pytest.mark.skipif(bool(_trouble()), reason=_trouble())


def played(group: str, times: int = 1) -> dict[str, set[Outcome]]:
    """The outcomes of a group's plays, by id; failures are told."""
    with contextlib.chdir(ROOT):
        request = replace(REQUEST, implementation=f"{STUDENTS}/{group}")
        plans = [plan for plan in prepare(request).plans if not plan.skipped]
        verdicts = asyncio.run(play_all(plans * times, request))
    for verdict in verdicts:
        assert verdict.outcome is Outcome.PASSED, failure_text(verdict)
    return {plan.id: {v.outcome for v in verdicts if v.plan is plan} for plan in plans}


@pytest.mark.parametrize(
    ("group", "tool", "ids"),
    [
        (
            "python",
            "python3",
            {"smtp-client/one-mail", "echo-server/upper", "echo-server/lost", *PINGS},
        ),
        ("c", "cc", {"udp-ping-client/loss", *PINGS}),
        ("java", "java", {"smtp-client/one-mail"}),
        ("asking", "python3", {"smtp-client/one-mail"}),
    ],
)
def test_what_is_hard_coded_is_true(group: str, tool: str, ids: set[str]) -> None:
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool}")
    assert set(played(group)) == ids


def test_twenty_copies_of_each_are_played_at_once() -> None:
    assert len(played("python", times=20)) == 5


def test_a_ping_with_wrong_checksums_is_told_so() -> None:
    request = replace(
        REQUEST,
        paths=(f"{STUDENTS}/scenarios/icmp-ping/lost.yaml",),
        implementation=f"{STUDENTS}/checksum",
    )
    with contextlib.chdir(ROOT):
        (verdict,) = asyncio.run(play_all(prepare(request).plans, request))
    text = failure_text(verdict)
    assert verdict.outcome is Outcome.FAILED
    assert "never sent `echo request 1` to target" in text
    assert "is right (the octets are the wrong way round); no host answers it" in text


def test_on_the_loopback_rung_they_are_skipped_with_the_reason() -> None:
    with contextlib.chdir(ROOT):
        request = replace(REQUEST, network="loopback", implementation=f"{STUDENTS}/c")
        reasons = {plan.id: plan.skipped for plan in prepare(request).plans}
    no_addresses = "this network (loopback) has no addresses of its own"
    assert reasons["udp-ping-client/loss"] == no_addresses
    assert reasons["icmp-ping/lost"] == no_addresses.replace("addr", "raw ICMP and no addr")


@pytest.mark.parametrize("implementation", ["reference", "fixtures/mutants"])
def test_all_scenarios_hold_on_the_private_rung_too(implementation: str) -> None:
    request = replace(REQUEST, paths=("scenarios",), implementation=implementation)
    with contextlib.chdir(ROOT):
        verdicts = asyncio.run(play_all(prepare(request).plans, request))
    assert verdicts
    for verdict in verdicts:
        assert verdict.outcome is Outcome.PASSED, failure_text(verdict)

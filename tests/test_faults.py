"""Every scenario catches the fault that it names, and blames no program that is right.

What is said of each fault is kept in fixtures/verdicts/faults/; with WIRELAB_WRITE_GOLDEN=1
in the environment the files are written anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.model.verdict import Finding, Mark, Outcome, Verdict
from harness.network import _trouble
from harness.pipeline import Request, judge_runs, play_all, prepare
from harness.report import failure_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model.plan import Plan

ROOT = Path(__file__).parents[1]
MUTANTS = ROOT / "fixtures" / "mutants"
GOLDEN = ROOT / "fixtures" / "verdicts" / "faults"
WRITE = bool(os.environ.get("WIRELAB_WRITE_GOLDEN"))
FIRST_EPHEMERAL_PORT = 32_768  # of Linux (ip_local_port_range)

#: Behind their first finding the program and the actor talk past each other, so who is first
#: to hang up, and how, differs from play to play.
RACING = {
    "echo-server/plain",
    "echo-server/reset",
    "smtp-client/greeting",
    "smtp-client/lost-replies",
    "smtp-client/lost-segments",
    "smtp-client/multi-line-replies",
    "smtp-client/pieces",
    "smtp-client/split-reply",
}

pytestmark = pytest.mark.timeout(300)  # the first test waits for all plays

REQUEST = Request(network="loopback", out=None, jobs=16, seed=7)


def plans_with(implementation: str, network: str = "loopback") -> tuple[Plan, ...]:
    """The plans of all scenarios, named by paths relative to the repository."""
    with contextlib.chdir(ROOT):
        request = replace(REQUEST, implementation=implementation, network=network)
        return tuple(map(alone, prepare(request).plans))


def alone(plan: Plan) -> Plan:
    """The plan, whatever becomes of those that it comes after."""
    return replace(plan, scenario=replace(plan.scenario, after=()))


def with_fault(plan: Plan) -> Plan:
    assert plan.program is not None
    command = (*plan.program.run, "--fault", str(plan.scenario.catches))
    return replace(plan, program=replace(plan.program, run=command))


@dataclass(frozen=True)
class Verdicts:
    reference: dict[str, Verdict]
    faultless: dict[str, Verdict]
    faulty: dict[str, Verdict]

    def __iter__(self) -> Iterator[dict[str, Verdict]]:
        return iter((self.reference, self.faultless, self.faulty))


ALL = plans_with("fixtures/mutants")
LOW = tuple(plan for plan in ALL if not plan.skipped)
#: What the loopback rung does not offer is played a rung higher, on machines that have it.
HIGH = tuple(
    plan
    for plan in (() if _trouble() else plans_with("fixtures/mutants", "private"))
    if plan.id not in {low.id for low in LOW}
)
PLANS = LOW + HIGH
each_plan = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.id)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    runs = tmp_path_factory.mktemp("runs")
    low, high = played(LOW, "loopback", runs), played(HIGH, "private", runs)
    return Verdicts(*(one | other for one, other in zip(low, high, strict=True)))


@pytest.fixture(scope="module")
def judged_again(verdicts: Verdicts) -> Verdicts:
    folders = [
        [str(verdict.run_folder) for verdict in series.values() if verdict.run_folder]
        for series in verdicts
    ]
    with contextlib.chdir(ROOT):
        found = [judge_runs(series).verdicts for series in folders]
    return Verdicts(*({verdict.plan.id: verdict for verdict in series} for series in found))


def played(plans: tuple[Plan, ...], network: str, runs: Path) -> list[dict[str, Verdict]]:
    """All plays in one event loop: they mostly wait, so together they last as long as one."""
    if not plans:
        return [{}, {}, {}]
    ids = [plan.id for plan in plans]
    reference = [plan for plan in plans_with("reference", network) if plan.id in ids]
    series = (reference, plans, tuple(map(with_fault, plans)))
    request = replace(REQUEST, network=network, jobs=REQUEST.jobs // len(series) + 1)

    async def everything() -> list[list[Verdict]]:
        folders = [str(runs / str(number)) for number in range(len(series))]
        return await asyncio.gather(
            *(
                play_all(each, replace(request, out=out))
                for each, out in zip(series, folders, strict=True)
            )
        )

    with contextlib.chdir(ROOT):
        found = asyncio.run(everything())
    return [{verdict.plan.id: verdict for verdict in each} for each in found]


def told(verdict: Verdict) -> str:
    """The text of a verdict, with the name of an actor where its port was."""
    if verdict.plan.scenario.id in RACING:
        verdict = replace(verdict, findings=verdict.findings[:1])
    if verdict.plan.pieces:
        verdict = replace(verdict, findings=tuple(map(_without_before, verdict.findings)))
    text = failure_text(replace(verdict, run_folder=None))
    for actor, address in verdict.places:
        port = address.rpartition(":")[2]
        text = re.sub(rf"\b{port}\b", f"<{actor}>", text)
    return normalised(text)


def _without_before(finding: Finding) -> Finding:
    """How far an actor has come with its pieces when it is misunderstood is up to both."""
    return replace(finding, ladder=tuple(r for r in finding.ladder if r.mark is not Mark.HAPPENED))


def normalised(text: str) -> str:
    """Without what differs from play to play: times, ports, dates, and the order of ports."""
    text = re.sub(r"(?m)^(   [ ✗]) +\d+\.\d{3}  ", r"\1  t.ttt  ", text)
    text = re.sub(r"\b\d+(?:\.\d+)? (s|ms)\b", r"T \1", text)
    text = re.sub(r"\b\d+ more characters", "N more characters", text)  # of a Message-ID
    text = re.sub(r"\b\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\b", "HTTP-DATE", text)
    text = re.sub(r"(?m)\b\w{3}, \d\d \w{3} \d{4} [\d:]{0,8}$", "HTTP-DATE, cut off", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?", "DATE TIME", text)
    text = re.sub(r"\b\d{10}\.\d+(?: *( {2})(?=came))?", r"CLOCK\1", text)  # of a ping
    text = re.sub(r"\b\d{5}\b", _port, text)
    return re.sub(r"(?m)(?:^ +Port .*\n)+", _in_order, text)


def _port(number: re.Match[str]) -> str:
    return "PORT" if int(number[0]) >= FIRST_EPHEMERAL_PORT else number[0]


def _in_order(lines: re.Match[str]) -> str:
    return "".join(sorted(lines[0].splitlines(keepends=True)))


def golden_file(plan: Plan) -> Path:
    label = f"[{plan.label}]" if plan.label else ""
    return GOLDEN / f"{plan.scenario.id.replace('/', '--')}{label}.txt"


@each_plan
def test_the_reference_passes(plan: Plan, verdicts: Verdicts) -> None:
    verdict = verdicts.reference[plan.id]

    assert verdict.outcome is Outcome.PASSED, failure_text(verdict)


@each_plan
def test_another_program_without_a_fault_passes(plan: Plan, verdicts: Verdicts) -> None:
    verdict = verdicts.faultless[plan.id]

    assert verdict.outcome is Outcome.PASSED, failure_text(verdict)


@each_plan
def test_the_fault_is_caught_and_told_in_these_words(plan: Plan, verdicts: Verdicts) -> None:
    verdict = verdicts.faulty[plan.id]
    text = told(verdict)
    if WRITE:
        GOLDEN.mkdir(parents=True, exist_ok=True)
        golden_file(plan).write_text(text, encoding="utf-8")

    assert verdict.outcome is Outcome.FAILED, text
    assert text == golden_file(plan).read_text(encoding="utf-8")


@each_plan
def test_the_records_are_judged_again_to_the_same_verdicts(
    plan: Plan, verdicts: Verdicts, judged_again: Verdicts
) -> None:
    for first, again in zip(verdicts, judged_again, strict=True):
        assert replace(again[plan.id], plan=plan) == replace(first[plan.id], plan=plan)


def test_every_text_belongs_to_a_scenario() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {golden_file(plan).name for plan in ALL}


@each_plan
def test_the_fault_is_one_of_the_program(plan: Plan) -> None:
    assert plan.program is not None
    program = next(word for word in plan.program.run if word.endswith(".py"))
    listed = subprocess.run(
        [sys.executable, MUTANTS / program, "--list-faults"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert plan.scenario.catches in [line.partition(":")[0] for line in listed.stdout.splitlines()]


def test_ports_are_told_in_one_order_whatever_numbers_they_have() -> None:
    assert normalised("  Port <b> open\n  Port <a> closed\nend\n") == (
        "  Port <a> closed\n  Port <b> open\nend\n"
    )


def test_times_and_ports_are_no_part_of_what_is_compared() -> None:
    text = "   ✗  0.012  mail< QUIT to 127.0.0.1:40001 (12000), 2026-11-21 08:00:00, 4.1 s\n"

    assert normalised(text) == (
        "   ✗  t.ttt  mail< QUIT to 127.0.0.1:PORT (12000), DATE TIME, T s\n"
    )

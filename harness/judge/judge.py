"""The verdict of a play: every finding of its record, and whom it blames."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.follow import Follower, followed
from harness.judge.clocks import untimely_lines
from harness.judge.demands import unmet
from harness.judge.exchange import missed_lines
from harness.judge.packets import places_of_nobody
from harness.judge.program import faults_of_program, names_of_nobody, not_played
from harness.judge.together import as_consequences, told_together, with_names
from harness.model.record import PROGRAM, Record, What
from harness.model.scenario import (
    HeardDemand,
    Lacks,
    Level,
    MailboxDemand,
    Scenario,
    TextDemand,
)
from harness.model.template import bind
from harness.model.verdict import Finding, Outcome, Verdict

if TYPE_CHECKING:
    from harness.model.plan import Plan
    from harness.model.program import ExpectedFailure
    from harness.model.scenario import Demand


def judge(plan: Plan, record: Record, follower: Follower | None = None) -> Verdict:
    """Everything that is wrong with a play, the most telling first.

    `follower` is the one of `followed`, if there is one already.
    """
    if plan.skipped is not None:
        return Verdict(plan, Outcome.SKIPPED, reason=plan.skipped)
    if broken := _our_own_fault(record):
        return Verdict(plan, Outcome.ERROR, reason=broken, duration_s=record.duration)
    findings = _findings(plan, record, follower or followed(plan, record))
    failed = any(finding.level is Level.MUST for finding in findings)
    if failed:  # a program that came through without them may ask for what it likes
        findings += names_of_nobody(plan.scenario, record)
        findings += places_of_nobody(plan, record)
    findings += _gap(plan.scenario, record)
    verdict = Verdict(
        plan=plan,
        outcome=Outcome.FAILED if failed else Outcome.PASSED,
        findings=tuple(findings),
        duration_s=record.duration,
        places=_places(plan, record),
    )
    return _as_expected(verdict, plan.expected_failure) if plan.expected_failure else verdict


def _gap(scenario: Scenario, record: Record) -> list[Finding]:
    """What the capture has not: it is nobody's fault, but who reads it must know."""
    if record.capture is None or not record.capture.gap:
        return []
    gap = record.capture.gap
    headline, line = f"The capture is not whole: {gap}.", scenario.lines.get("title", 1)
    return [Finding(Level.MAY, PROGRAM, scenario.file, line, headline, "every frame", gap)]


def _as_expected(verdict: Verdict, expected: ExpectedFailure) -> Verdict:
    """The verdict on a play in which a failure is expected: passing is the failure then."""
    if verdict.outcome is Outcome.FAILED:
        return replace(verdict, outcome=Outcome.EXPECTED, reason=expected.reason)
    remedy = f"take the line out of {expected.place}"
    if expected.pattern != verdict.plan.id:  # it may be right about others
        remedy = f"let `{expected.pattern}` in {expected.place} not mean it any more"
    reason = f"it passes now, and was expected to fail ({expected.reason}); {remedy}"
    return replace(verdict, outcome=Outcome.FAILED, reason=reason)


def satisfied(plan: Plan, record: Record) -> bool:
    """Whether every demand that a play can wait for holds already.

    What can only go wrong later (a line that must not come, the exit status, files) does not
    count: it is judged at the end.
    """
    scenario = _with_addresses(plan, record)
    waiting = (demand for demand in scenario.demands if _can_be_waited_for(demand))
    return not any(unmet(demand, scenario, record) for demand in waiting)


def _can_be_waited_for(demand: Demand) -> bool:
    if isinstance(demand, TextDemand):
        waits = demand.observer in ("screen", "errors", "wire")
        return waits and not isinstance(demand.check, Lacks)
    return isinstance(demand, HeardDemand | MailboxDemand)


def _with_addresses(plan: Plan, record: Record) -> Scenario:
    """The scenario with the addresses and the losses that this very play had."""
    return plan.filled({**record.addresses, **record.losses}) if plan.open else plan.scenario


def _our_own_fault(record: Record) -> str | None:
    broken = (event for event in record.of(What.BROKEN) if event.facts.get("ours"))
    return next((event.note for event in broken), None)


def _findings(plan: Plan, record: Record, follower: Follower) -> list[Finding]:
    scenario = _with_addresses(plan, record)
    if finding := not_played(plan, scenario, record):
        return [finding]
    first, last = faults_of_program(plan, scenario, record, _awaited_ends(follower))
    missed = missed_lines(scenario, follower) + untimely_lines(scenario, follower)
    demands = bind(scenario.demands, follower.bound)
    unmet_ones = _demanded(plan, replace(scenario, demands=demands), record)
    demanded = told_together(as_consequences(missed, unmet_ones))
    if first and _came_first(scenario, missed, first[0]):
        # an actor that is sent something wrong hangs up, which some programs do not survive
        first = [replace(finding, cause=False) for finding in first]
        return _once([*missed, *first, *demanded, *last])
    return _once([*first, *missed, *demanded, *last])


def _demanded(plan: Plan, scenario: Scenario, record: Record) -> list[Finding]:
    """What was not found at the end; addresses of this play are told whose they are."""
    return [
        finding
        for written, demand in zip(plan.scenario.demands, scenario.demands, strict=True)
        if (missed := unmet(demand, scenario, record))
        for finding in with_names(missed, written, record.addresses)
    ]


def _awaited_ends(follower: Follower) -> set[float]:
    """When the program ended as the exchange says that it must."""
    return {line.at for line in follower.lines if line.ends_program and line.at is not None}


def _came_first(scenario: Scenario, missed: list[Finding], crash: Finding) -> bool:
    """Whether the program sent something wrong to a strict actor before it crashed."""
    return any(
        finding.at_s is not None
        and crash.at_s is not None
        and finding.at_s < crash.at_s
        and finding.instead
        and not scenario.cast[finding.actor].lenient
        for finding in missed
    )


def _once(findings: list[Finding]) -> list[Finding]:
    """Several demands on a file that is not there are one finding."""
    once: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        once.setdefault((finding.actor, finding.headline), finding)
    return list(once.values())


def _places(plan: Plan, record: Record) -> tuple[tuple[str, str], ...]:
    """Where everybody stood: as the scenario names it, and where that was on this network."""
    addresses = record.addresses
    places = []
    for name, actor in plan.scenario.cast.items():
        here = addresses.get(f"{name}.address")
        named = actor.place
        shown = ", here ".join(dict.fromkeys(place for place in (named, here) if place))
        if shown:
            places.append((name, shown))
    return tuple(places)

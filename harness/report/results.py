"""The results file (`--json`): what graders, CI and `wirelab compare` read."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.model.verdict import Finding, Outcome, Verdict
from harness.report.points import points

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from harness.model.plan import Plan


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is true of a run as a whole; `plans` are all that were chosen, if that is known."""

    network: str
    seed: int
    started: datetime
    duration_s: float
    implementation: str
    path: str
    suite: str | None = None
    plans: tuple[Plan, ...] = ()


def results(verdicts: Sequence[Verdict], facts: RunFacts) -> dict[str, Any]:
    """The run as plain data, ready for JSON; names and shape are fixed."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    total = points(verdicts, facts.plans)
    data = {
        "wirelab": __version__,
        "network": facts.network,
        "seed": facts.seed,
        "started": facts.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "duration_s": round(facts.duration_s, 3),
        "implementation": {"name": facts.implementation, "path": facts.path},
        "scenarios": [_scenario(verdict) for verdict in verdicts],
        "suite": facts.suite,
        "points": {"earned": total.earned, "of": total.of, "unjudged": total.unjudged},
        "summary": {outcome.value: counts[outcome] for outcome in Outcome},
    }
    return {key: _writable(value) for key, value in data.items()}


def results_text(verdicts: Sequence[Verdict], facts: RunFacts) -> str:
    """The results file: JSON, for people to read too."""
    return json.dumps(results(verdicts, facts), ensure_ascii=False, indent=1) + "\n"


def _writable(value: Any) -> Any:
    """The same with text that can be written as UTF-8, whatever a program had in its names."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, dict):
        return {key: _writable(item) for key, item in value.items()}
    return value


def _scenario(verdict: Verdict) -> dict[str, Any]:
    scenario, expected = verdict.plan.scenario, verdict.plan.expected_failure
    return {
        "id": scenario.id,
        "case": verdict.plan.case,
        "title": scenario.title,
        "role": scenario.role,
        "covers": list(scenario.covers),
        "uses": list(scenario.uses),
        "points": scenario.points,
        "pieces": verdict.plan.pieces,
        "expected_failure": expected.reason if expected else None,
        "verdict": verdict.outcome.value,
        "duration_s": round(verdict.duration_s, 3),
        "reason": verdict.reason,
        "findings": [_finding(finding) for finding in verdict.findings],
        "run": verdict.run_folder,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level.value,
        "actor": finding.actor,
        "file": finding.file,
        "line": finding.line,
        "headline": finding.headline,
        "expected": finding.expected,
        "observed": finding.observed,
        "why": finding.why or None,
        "at_s": round(finding.at_s, 3) if finding.at_s is not None else None,
    }

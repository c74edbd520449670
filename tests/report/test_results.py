"""The results file: its shape is promised, whatever a program did."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.model.scenario import Level
from harness.model.verdict import Finding, Mark, Outcome, Rung, Verdict
from harness.report import results
from harness.report.results import RunFacts
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation import plan

if TYPE_CHECKING:
    from harness.model.plan import Plan

FACTS = RunFacts(
    network="private",
    seed=7,
    started=datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
    duration_s=3.20049,
    implementation="reference",
    path="reference",
)
FINDING = Finding(
    level=Level.MUST,
    actor="mail",
    file="scenarios/a/b.yaml",
    line=14,
    headline="The program sent `DATA`.",
    expected="QUIT",
    observed="DATA",
    why="RFC 5321 3.3",
    at_s=0.01349,
    ladder=(Rung(Mark.EXPECTED, None, "mail< QUIT"),),
)
PLAN: Plan = plan({}, covers=("W7",), uses=("starttls",), points=2)


def of(*verdicts: Verdict) -> dict[str, Any]:
    return results(verdicts, FACTS)


def test_the_shape_is_as_promised() -> None:
    verdict = Verdict(
        PLAN, Outcome.FAILED, (FINDING,), duration_s=0.21049, run_folder="run/smtp-client/example"
    )
    assert of(verdict) == {
        "wirelab": __version__,
        "network": "private",
        "seed": 7,
        "started": "2026-11-21T08:00:00Z",
        "duration_s": 3.2,
        "implementation": {"name": "reference", "path": "reference"},
        "scenarios": [
            {
                "id": "smtp-client/example",
                "case": None,
                "title": "An example",
                "role": "smtp-client",
                "covers": ["W7"],
                "uses": ["starttls"],
                "points": 2,
                "pieces": None,
                "expected_failure": None,
                "verdict": "failed",
                "duration_s": 0.21,
                "reason": None,
                "findings": [
                    {
                        "level": "must",
                        "actor": "mail",
                        "file": "scenarios/a/b.yaml",
                        "line": 14,
                        "headline": "The program sent `DATA`.",
                        "expected": "QUIT",
                        "observed": "DATA",
                        "why": "RFC 5321 3.3",
                        "at_s": 0.013,
                    }
                ],
                "run": "run/smtp-client/example",
            }
        ],
        "suite": None,
        "points": {"earned": 0, "of": 2, "unjudged": 0},
        "summary": {
            "passed": 0,
            "failed": 1,
            "expected": 0,
            "skipped": 0,
            "unchecked": 0,
            "error": 0,
        },
    }


def test_what_is_unknown_is_null() -> None:
    finding = Finding(Level.MAY, "program", "f", 1, "h", "", "")
    [scenario] = of(Verdict(PLAN, Outcome.PASSED, (finding,)))["scenarios"]
    assert (scenario["findings"][0]["why"], scenario["findings"][0]["at_s"]) == (None, None)
    assert (scenario["run"], scenario["reason"]) == (None, None)


def test_every_outcome_is_counted_and_scenarios_stay_in_order() -> None:
    verdicts = [Verdict(PLAN, outcome, reason=outcome.value) for outcome in reversed(Outcome)]
    data = of(*verdicts, Verdict(PLAN, Outcome.SKIPPED))
    others = ("passed", "failed", "expected", "unchecked", "error")
    assert data["summary"] == {**dict.fromkeys(others, 1), "skipped": 2}
    assert [s["reason"] for s in data["scenarios"]] == [*[o.value for o in reversed(Outcome)], None]


def test_nothing_played_is_a_result_too() -> None:
    assert of()["scenarios"] == []
    assert set(of()["summary"].values()) == {0}


@given(st.text(st.characters() | st.characters(categories=["Cs", "Cc"])))
def test_any_text_can_be_written(text: str) -> None:
    finding = Finding(Level.MUST, text, "f", 1, text, text, text, text)
    data = of(Verdict(PLAN, Outcome.FAILED, (finding,), reason=text, run_folder=text))
    written = json.dumps(data, ensure_ascii=False).encode("utf-8")
    assert json.loads(written) == data
    if text.isprintable():
        assert data["scenarios"][0]["reason"] == text

"""A scenario is fair if a program that thousands of servers are used with passes it.

What a tool of the distribution does must pass, what it does not do is skipped for a reason
that its implementation file gives; so no scenario demands a habit of our own programs.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.model.verdict import Outcome
from harness.pipeline import Request, play_all, prepare
from harness.report import failure_text

if TYPE_CHECKING:
    from harness.model.plan import Plan

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "fixtures" / "tools"
ROLES = {"curl": {"http-client", "smtp-client"}}
SKIPPED = {
    "curl": {
        f"smtp-client/invalid-address[{address}]": (
            "curl's smtp-client does not offer: address-check"
        )
        for address in ("chengli", "chengli@", "bupt.edu.cn")
    }
}


def _is_for_another_rung(plan: Plan) -> bool:
    return plan.skipped is not None and plan.skipped.startswith("this network (")


def test_every_tool_is_played() -> None:
    assert {path.name for path in TOOLS.iterdir()} == set(ROLES)


@pytest.mark.parametrize("rung", ["loopback", "auto"])
@pytest.mark.parametrize("tool", ROLES)
def test_what_a_tool_does_passes_and_what_it_lacks_is_skipped(tool: str, rung: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool}; the distribution has it")
    request = Request(implementation=f"fixtures/tools/{tool}", network=rung, out=None, jobs=16)
    with contextlib.chdir(ROOT):
        prepared = [plan for plan in prepare(request).plans if plan.scenario.role in ROLES[tool]]
        plans = [plan for plan in prepared if not _is_for_another_rung(plan)]
        verdicts = asyncio.run(play_all(plans, request))
    assert {plan.scenario.role for plan in plans} == ROLES[tool]
    skipped = {v.plan.id: v.reason for v in verdicts if v.outcome is Outcome.SKIPPED}
    assert skipped == SKIPPED[tool]
    for verdict in verdicts:
        fair = (Outcome.PASSED, Outcome.SKIPPED, Outcome.EXPECTED)  # what is expected is told why
        assert verdict.outcome in fair, failure_text(verdict)

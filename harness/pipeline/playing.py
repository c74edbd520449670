"""Plans -> verdicts: each is played, judged and kept."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness import report
from harness.errors import WirelabError
from harness.follow import followed
from harness.judge import judge, satisfied
from harness.model.verdict import Outcome, Verdict
from harness.network import rung_of
from harness.plan.order import waits, why_unchecked
from harness.record import origin_of
from harness.run import Stage, play, play_many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.model.plan import Plan
    from harness.pipeline.preparing import Programme, Request


async def play_all(
    plans: Sequence[Plan],
    request: Request,
    *,
    on_start: Callable[[Plan], None] = lambda _plan: None,
    on_verdict: Callable[[Verdict], None] = lambda _verdict: None,
) -> list[Verdict]:
    """Play the plans, several at once in this event loop; their verdicts in order of plans.

    What comes after others waits for them.
    When cancelled, what is under way is ended and cleaned up; verdicts so far were told
    through `on_verdict`.
    """
    stage = Stage(network=request.network, satisfied=satisfied, seed=request.seed)

    async def perform(plan: Plan, before: list[Verdict]) -> Verdict:
        if plan.skipped is None and (reason := why_unchecked(before)):
            verdict = Verdict(plan, Outcome.UNCHECKED, reason=reason)
        else:
            on_start(plan)
            verdict = await _verdict(plan, stage, request)
        on_verdict(verdict)
        return verdict

    def is_last(verdict: Verdict) -> bool:
        return request.stop_at_first_failure and verdict.outcome is Outcome.FAILED

    try:
        return await play_many(
            plans, perform, at_once=request.workers, is_last=is_last, waits=waits(plans)
        )
    finally:
        await stage.close()


async def _verdict(plan: Plan, stage: Stage, request: Request) -> Verdict:
    """Play and judge one plan; what breaks on our side is an error, never the program's."""
    if plan.skipped is not None:
        return Verdict(plan, Outcome.SKIPPED, reason=plan.skipped)
    started = time.monotonic()
    try:
        record = await play(plan, stage)
        follower = followed(plan, record)
        verdict = judge(plan, record, follower)
    except WirelabError as error:
        return Verdict(plan, Outcome.ERROR, reason=str(error))
    except Exception as error:  # noqa: BLE001 - one broken play must not end the others
        return Verdict(plan, Outcome.ERROR, reason=f"Wirelab failed: {error!r}")
    verdict = replace(verdict, duration_s=time.monotonic() - started)
    if request.out is None:
        return verdict
    origin = origin_of(
        plan,
        network=rung_of(request.network).rung,
        seed=request.seed,
        again=again(plan, request),
        duration_s=verdict.duration_s,
    )
    return report.keep(verdict, record, request.out, origin=origin, follower=follower)


def again(plan: Plan, request: Request) -> str:
    """The command that plays this plan again."""
    seed = ("--seed", str(request.seed)) if plan.scenario.by_chance else ()
    return report.again(plan, options=(*request.options, *seed), command=request.command)


# -- what is told of it ---------------------------------------------------------------


def story(verdict: Verdict, request: Request) -> str:
    """All that there is to tell of a verdict, and how it is played again."""
    return story_of(verdict, again(verdict.plan, request))


def story_of(verdict: Verdict, note: str) -> str:
    """The same, with the command that plays it again."""
    return report.failure_text(verdict, implementation=verdict.plan.implementation, again=note)


def facts(programme: Programme, request: Request, seconds: float) -> report.RunFacts:
    """What is true of a run that took so long until now."""
    return report.RunFacts(
        network=programme.rung,
        seed=request.seed,
        started=datetime.fromtimestamp(time.time() - seconds, UTC),
        duration_s=seconds,
        implementation=programme.implementation.name,
        path=programme.implementation.path,
        suite=programme.suite,
        plans=programme.plans,
    )

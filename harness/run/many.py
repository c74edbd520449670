"""Many plays at once, in one event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

_Plan = TypeVar("_Plan")
_Verdict = TypeVar("_Verdict")


async def play_many(
    plans: Sequence[_Plan],
    perform: Callable[[_Plan, list[_Verdict]], Awaitable[_Verdict]],
    *,
    at_once: int,
    is_last: Callable[[_Verdict], bool],
    waits: Sequence[Collection[int]] = (),
) -> list[_Verdict]:
    """Perform each plan, so many at once; the verdicts in order of plans.

    `waits` has for each plan the indexes of those that come before it, without a circle: their
    verdicts are given to `perform`, and meanwhile others go on.  After a verdict for which
    `is_last` holds no further play begins.  When cancelled, what is under way is cancelled and
    cleans up.
    """
    free = asyncio.Semaphore(at_once)
    over = asyncio.Event()
    tasks: list[asyncio.Task[list[_Verdict]]] = []

    async def one(index: int, plan: _Plan) -> list[_Verdict]:
        first = [tasks[other] for other in waits[index]] if waits else []
        before = [verdict for task in first for verdict in await task]
        async with free:
            if over.is_set():
                return []
            verdict = await perform(plan, before)
            if is_last(verdict):
                over.set()
            return [verdict]

    async with asyncio.TaskGroup() as group:
        tasks += [group.create_task(one(index, plan)) for index, plan in enumerate(plans)]
    return [verdict for task in tasks for verdict in task.result()]

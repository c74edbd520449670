"""Many plays at once, in one event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_Plan = TypeVar("_Plan")
_Verdict = TypeVar("_Verdict")


async def play_many(
    plans: Iterable[_Plan],
    perform: Callable[[_Plan], Awaitable[_Verdict]],
    *,
    at_once: int,
    is_last: Callable[[_Verdict], bool],
) -> list[_Verdict]:
    """Perform each plan, so many at once; the verdicts in order of plans.

    After a verdict for which `is_last` holds no further play begins.  When cancelled, what is
    under way is cancelled and cleans up.
    """
    free = asyncio.Semaphore(at_once)
    over = asyncio.Event()

    async def one(plan: _Plan) -> list[_Verdict]:
        async with free:
            if over.is_set():
                return []
            verdict = await perform(plan)
            if is_last(verdict):
                over.set()
            return [verdict]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(plan)) for plan in plans]
    return [verdict for task in tasks for verdict in task.result()]

"""How a play is played again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model.plan import Plan


def again(plan: Plan, *, options: Sequence[str] = (), command: Sequence[str] = ()) -> str:
    """The command that plays this plan again, exactly, to be pasted into a shell."""
    file = plan.scenario.file
    words = ["wirelab", "run", f"{file}[{plan.label}]" if plan.label else file, *options]
    return shlex.join([*words, "--", *command] if command else words)

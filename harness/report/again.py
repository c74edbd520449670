"""How a play is played again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model.plan import Plan


def again(plan: Plan, *, options: Sequence[str] = (), command: Sequence[str] = ()) -> str:
    """The command that plays this plan again, exactly, to be pasted into a shell."""
    file, label = (plan.suite, plan.id) if plan.suite else (plan.scenario.file, plan.label)
    words = ["wirelab", "run", f"{file}[{label}]" if label else file, *options]
    return shlex.join([*words, "--", *command] if command else words)

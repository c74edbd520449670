"""load -> plan -> run -> judge -> report: the one corridor that joins the rooms.

Both faces (the command line and the pytest plugin) ask it for plans, have them played, and show the
verdicts.  It composes what the rooms do, and knows nothing of how.
"""

from harness.pipeline.judging import Judged, judge_runs
from harness.pipeline.playing import again, facts, play_all, story
from harness.pipeline.preparing import (
    DEFAULT_IMPLEMENTATION,
    DEFAULT_SCENARIOS,
    Programme,
    Request,
    check,
    listing,
    prepare,
)
from harness.pipeline.writing import begin, bless

__all__ = [
    "DEFAULT_IMPLEMENTATION",
    "DEFAULT_SCENARIOS",
    "Judged",
    "Programme",
    "Request",
    "again",
    "begin",
    "bless",
    "check",
    "facts",
    "judge_runs",
    "listing",
    "play_all",
    "prepare",
    "story",
]

"""Record x plan -> verdict.  Pure: any recorded run can be judged again later."""

from harness.judge.judge import judge, satisfied
from harness.judge.rejudge import rejudge

__all__ = ["judge", "rejudge", "satisfied"]

"""Record x plan -> verdict.  Pure: any recorded run can be judged again later."""

from harness.judge.judge import judge, satisfied

__all__ = ["judge", "satisfied"]

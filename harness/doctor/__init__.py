"""What this machine offers, tried for real step by step, and how to mend what does not work."""

from harness.doctor.examination import Verdict, examine
from harness.doctor.report import tell

__all__ = ["Verdict", "examine", "tell"]

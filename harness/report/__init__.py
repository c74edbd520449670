"""Projections of verdicts and records, for people and for machines; never read back."""

from harness.report.again import again
from harness.report.folder import check_folder, keep
from harness.report.junit import junit
from harness.report.points import Points, points
from harness.report.results import RunFacts, results, results_text
from harness.report.target import Target
from harness.report.text import failure_text, fallback_text, one_line, points_text, summary
from harness.report.transcript import transcript

__all__ = [
    "Points",
    "RunFacts",
    "Target",
    "again",
    "check_folder",
    "failure_text",
    "fallback_text",
    "junit",
    "keep",
    "one_line",
    "points",
    "points_text",
    "results",
    "results_text",
    "summary",
    "transcript",
]

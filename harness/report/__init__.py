"""Projections of verdicts and records, for people and for machines; never read back."""

from harness.report.results import results
from harness.report.text import failure_text, one_line, summary
from harness.report.transcript import transcript

__all__ = ["failure_text", "one_line", "results", "summary", "transcript"]

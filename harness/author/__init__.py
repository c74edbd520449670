"""Scenario files, written: one to start from.  Pure: text in, text out."""

from harness.author.starter import starter

__all__ = ["starter"]

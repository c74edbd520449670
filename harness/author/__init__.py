"""Scenario files, written: one to start from, and the exchange of a play that was recorded.

Pure: text and records in, text out.
"""

from harness.author.bless import NotBlessedError, agreed, check_blessable, told
from harness.author.block import exchange_text, with_exchange
from harness.author.starter import starter

__all__ = [
    "NotBlessedError",
    "agreed",
    "check_blessable",
    "exchange_text",
    "starter",
    "told",
    "with_exchange",
]

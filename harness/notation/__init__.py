"""The notation of an exchange, read and written.

One notation serves as script, expectation, transcript and diff, so whatever can be
read can be written and read again to the same entries.  docs/notation.md tells what it means, and
has its grammar, which a test holds against the reader.
"""

from harness.notation.acts import (
    ACTS,
    PROGRAM,
    PROGRAM_ACTS,
    format_act,
    format_clock,
    format_duration,
    parse_act,
    parse_duration,
)
from harness.notation.reading import INDENTED, actor_of, parse_exchange
from harness.notation.templates import (
    NotationError,
    escape,
    format_template,
    parse_pattern,
    parse_text,
    regex_fault,
    visible,
)
from harness.notation.writing import INDENT, format_entry, format_exchange

__all__ = [
    "ACTS",
    "INDENT",
    "INDENTED",
    "PROGRAM",
    "PROGRAM_ACTS",
    "NotationError",
    "actor_of",
    "escape",
    "format_act",
    "format_clock",
    "format_duration",
    "format_entry",
    "format_exchange",
    "format_template",
    "parse_act",
    "parse_duration",
    "parse_exchange",
    "parse_pattern",
    "parse_text",
    "regex_fault",
    "visible",
]

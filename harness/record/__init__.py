"""What happened, written down: the only writer of records, and their way to disk and back."""

from harness.record.origin import (
    CAPTURE,
    RECORD,
    Origin,
    find_runs,
    origin_of,
    read_run,
    stage_of,
    write_origin,
)
from harness.record.pcapng import BadCaptureError, read_capture, write_capture
from harness.record.recorder import Recorder
from harness.record.store import read_record, write_record

__all__ = [
    "CAPTURE",
    "RECORD",
    "BadCaptureError",
    "Origin",
    "Recorder",
    "find_runs",
    "origin_of",
    "read_capture",
    "read_record",
    "read_run",
    "stage_of",
    "write_capture",
    "write_origin",
    "write_record",
]

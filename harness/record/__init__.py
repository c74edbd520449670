"""What happened, written down: the only writer of records, and their way to disk and back."""

from harness.record.recorder import Recorder
from harness.record.store import read_record, write_record

__all__ = ["Recorder", "read_record", "write_record"]

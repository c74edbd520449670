"""The run folder of a play: its record, its transcript and its verdict."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MachineError
from harness.record import CAPTURE, RECORD, write_capture, write_origin, write_record
from harness.report.text import failure_text
from harness.report.transcript import transcript

if TYPE_CHECKING:
    from harness.follow import Follower
    from harness.model.plan import Plan
    from harness.model.record import Record
    from harness.model.verdict import Verdict
    from harness.record import Origin


def check_folder(name: str, *, option: str = "--out") -> None:
    """See that run folders can be written here.

    Raises:
        MachineError: they cannot.
    """
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=name):
            pass
    except OSError as error:
        raise MachineError(
            f"{name}: cannot be written ({error.strerror}); give {option} DIR"
        ) from error


def keep(
    verdict: Verdict,
    record: Record,
    out: str,
    *,
    origin: Origin,
    follower: Follower | None = None,
) -> Verdict:
    """Write the run folder of a verdict below `out`; the verdict then names it.

    `follower` is as for `transcript`.
    A verdict is not lost with its folder: where it cannot be written, that is its `reason`.
    """
    folder = Path(out, folder_name(verdict.plan))
    kept = replace(verdict, run_folder=str(folder), captured=record.capture is not None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_record(record, folder / RECORD)
        _write_capture(record, folder / CAPTURE)
        _write(folder / "transcript.txt", transcript(verdict.plan, record, follower))
        _write(folder / "verdict.txt", failure_text(kept, again=origin.again))
        write_origin(origin, folder)
    except OSError as error:
        told = f"{folder} cannot be written: {error.strerror}"
        return replace(verdict, reason="; ".join(filter(None, [verdict.reason, told])))
    return kept


def _write_capture(record: Record, path: Path) -> None:
    """The capture, or none: that of an earlier play would be taken for this one's."""
    if record.capture is None:
        path.unlink(missing_ok=True)
        return
    path.write_bytes(b"".join(write_capture(record.capture)))


def folder_name(plan: Plan) -> str:
    """The plan's id, with what stands in its brackets in a form that every file system takes."""
    name = plan.scenario.id
    if plan.label:
        label = "".join(char if char.isalnum() or char in "-_.@," else "_" for char in plan.label)
        name = f"{name}[{label}]"
    return name.encode(sys.getfilesystemencoding(), "backslashreplace").decode()


def _write(path: Path, text: str) -> None:
    """UTF-8, whatever bytes were in the names of files."""
    path.write_bytes(text.encode("utf-8", "backslashreplace"))

"""Findings about the files that a program made, changed or removed."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.judge.content import difference, is_content
from harness.judge.lines import Fault, fault_in, lines_of
from harness.judge.wording import shown_text
from harness.model.record import Event, Record, What
from harness.model.scenario import Became, Content, FileDemand, Lacks, TextDemand
from harness.model.template import decode
from harness.model.verdict import Mark, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.model.scenario import Check

_SHOWN = 8  # files that are named


def faults_of_files(demand: TextDemand | FileDemand, record: Record) -> Iterator[Fault]:
    """What is wrong with the files of a pattern; one that is right is enough, but for `lacks`."""
    touched = [event for event in record.of(What.FILE) if fnmatchcase(path(event), demand.glob)]
    check = demand.check
    if isinstance(check, Became):
        yield from _became(check, touched, demand.glob, record)
        return
    left = [event for event in touched if not _is(event, "removed")]
    files = [event for event in left if "skipped" not in event.facts]
    if not files:
        yield _not_read(left[0]) if left else _none_left(demand.glob, record)
        return
    faults = [_fault(check, event) for event in files]
    if isinstance(check, Lacks):
        yield from filter(None, faults)
    elif all(faults) and faults[0]:
        yield faults[0]


def path(event: Event) -> str:
    """The path of a file in the program's folder."""
    return str(event.facts.get("path", event.note))


def _is(event: Event, state: str) -> bool:
    return event.facts.get("change", "created") == state


def _fault(check: Check | Content, event: Event) -> Fault | None:
    name = shown_text(path(event))
    if not isinstance(check, Content):
        return fault_in(check, lines_of(decode(event.data)), name)
    if is_content(check, event.data):
        return None
    how, expected, observed = difference(check, event.data)
    rungs = Rung(Mark.EXPECTED, None, expected, "expected"), Rung(Mark.INSTEAD, None, observed)
    return Fault(f"The file {name} {how}.", expected, observed, rungs)


def _became(check: Became, touched: Sequence[Event], glob: str, record: Record) -> Iterator[Fault]:
    if check.state == "absent":
        left = [event for event in touched if not _is(event, "removed")]
        if left:
            names = _names(left)
            headline = f"The program left the file {names[0]}, which should not be there."
            rungs = tuple(Rung(Mark.INSTEAD, None, name) for name in names[:_SHOWN])
            yield Fault(headline, f"no {glob}", ", ".join(names), rungs)
    elif not any(_is(event, check.state) for event in touched):
        headline = f"The program {check.state} no file {glob}."
        expected = f"{glob}: {check.state}"
        yield Fault(headline, expected, _told(record), _all(record), missing=True)


def _none_left(glob: str, record: Record) -> Fault:
    headline, observed = f"The program left no file {glob}.", f"files: {_told(record)}"
    return Fault(headline, glob, observed, _all(record), missing=True)


def _not_read(event: Event) -> Fault:
    why = str(event.facts["skipped"])
    headline = f"The file {shown_text(path(event))} could not be read: {why}."
    return Fault(headline, "a file that can be read", why, ())


def _names(events: Sequence[Event]) -> list[str]:
    return [shown_text(event.note) for event in events]


def _told(record: Record) -> str:
    return ", ".join(_names(record.of(What.FILE))) or "no file at all"


def _all(record: Record) -> tuple[Rung, ...]:
    """What became of every file that the program touched."""
    words = {"created": "is there", "changed": "was changed", "removed": "was removed"}
    files = record.of(What.FILE)[:_SHOWN]
    rungs = [
        Rung(
            Mark.HAPPENED,
            None,
            shown_text(event.note),
            words[str(event.facts.get("change", "created"))],
        )
        for event in files
    ]
    return tuple(rungs) or (Rung(Mark.HAPPENED, None, "no file at all", "is there"),)

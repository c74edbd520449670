"""What became of files, and which octets they hold."""

from __future__ import annotations

import hashlib

import pytest
from harness.judge import judge
from harness.model.record import PROGRAM, Event, Record, What
from harness.model.scenario import Became, Content, FileDemand, Has, Lacks, TextDemand
from harness.notation import parse_pattern

from tests.conversation import plan


def touched(**changes: str) -> Record:
    """Files by name (without `.bin`) and what became of them."""
    events = (
        Event(0.1, What.FILE, PROGRAM, data=b"data", note=f"{name}.bin", facts={"change": change})
        for name, change in changes.items()
    )
    return Record(tuple(events))


def headlines(demand: FileDemand | TextDemand, record: Record) -> list[str]:
    return [finding.headline for finding in judge(plan({}, "", demand), record).findings]


ALL = touched(new="created", old="changed", gone="removed")


@pytest.mark.parametrize(
    ("glob", "state", "right"),
    [
        ("new.bin", "created", True),
        ("old.bin", "created", False),
        ("old.bin", "changed", True),
        ("new.bin", "changed", False),
        ("gone.bin", "removed", True),
        ("new.bin", "removed", False),
        ("*.bin", "changed", True),
        ("gone.bin", "absent", True),
        ("other", "absent", True),
        ("n*", "absent", False),
        ("old.bin", "absent", False),
    ],
)
def test_what_became_of_a_file(glob: str, state: str, *, right: bool) -> None:
    demand = FileDemand(glob, Became(state))  # type: ignore[arg-type]
    assert (headlines(demand, ALL) == []) is right


def test_a_file_that_was_removed_has_no_lines() -> None:
    for check in (Has(parse_pattern("data")), Lacks(parse_pattern("data"))):
        demand = TextDemand("files", check, "gone.bin")
        assert headlines(demand, ALL) == ["The program left no file gone.bin."]


def content(data: bytes, like: str = "") -> FileDemand:
    known = data if like else None
    return FileDemand("new.bin", Content(hashlib.sha256(data).hexdigest(), like, known))


@pytest.mark.parametrize("like", ["", "forms/x.bin"])
def test_a_file_holds_exactly_these_octets(like: str) -> None:
    assert headlines(content(b"data", like), ALL) == []
    assert headlines(content(b"data\n", like), ALL) != []


def test_the_first_octet_that_differs_is_told() -> None:
    [finding] = judge(plan({}, "", content(b"daXa", "forms/x.bin")), ALL).findings
    assert finding.headline == "The file new.bin differs from forms/x.bin from octet 3 on."
    assert (finding.expected, finding.observed) == ("octet 3: Xa", "octet 3: ta")
    assert headlines(content(b"dat", "x.bin"), ALL) == [
        "The file new.bin has 4 octets where x.bin has 3 octets."
    ]


def test_a_file_that_was_not_read_is_told_and_meets_nothing() -> None:
    facts = {"skipped": "a FIFO", "path": "new.bin", "change": "created"}
    event = Event(0.1, What.FILE, PROGRAM, note="new.bin (not collected: a FIFO)", facts=facts)
    record = Record((event,))
    assert headlines(content(b""), record) == ["The file new.bin could not be read: a FIFO."]
    assert headlines(FileDemand("new.bin", Became("created")), record) == []
    assert headlines(FileDemand("new.bin", Became("absent")), record) != []

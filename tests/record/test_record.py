"""Records: written down in order, and the same again from disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.model.record import Event, Record, What
from harness.record import Recorder, read_record, write_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters() | st.characters(categories=["Cs", "Cc"]), max_size=8)
DATA = st.one_of(st.binary(max_size=12), TEXT.map(lambda t: t.encode("utf-8", "ignore")))
MICROSECONDS = st.integers(0, 10**9).map(lambda number: round(number / 10**6, 6))
EVENTS = st.builds(
    Event,
    at=MICROSECONDS,
    what=st.sampled_from(What),
    actor=TEXT,
    connection=st.integers(0, 99),
    data=DATA,
    note=TEXT,
    entry=st.none() | st.integers(0, 99),
    facts=st.dictionaries(TEXT, TEXT | st.integers()),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENTS, max_size=5))
def test_a_record_comes_back_from_disk_as_it_was(tmp_path: Path, events: list[Event]) -> None:
    record = Record(tuple(events))
    write_record(record, tmp_path / "record.jsonl")
    assert read_record(tmp_path / "record.jsonl") == record


def test_text_stays_readable_and_other_bytes_are_base64(tmp_path: Path) -> None:
    events = (
        Event(0.1234567, What.HEARD, "mail", 1, "你好\r\n".encode()),
        Event(0.2, What.HEARD, "mail", 1, b"\xff"),
    )
    write_record(Record(events), tmp_path / "record.jsonl")
    lines = (tmp_path / "record.jsonl").read_text(encoding="utf-8").splitlines()
    assert '"data": "你好\\r\\n"' in lines[0]
    assert json.loads(lines[0])["at"] == 0.123457
    assert json.loads(lines[1])["base64"] == "/w=="


class TestRecorder:
    @staticmethod
    def ticking() -> Recorder:
        times = iter(range(100, 200))
        return Recorder(clock=lambda: float(next(times)))

    def test_times_count_from_the_curtain(self) -> None:
        recorder = self.ticking()
        recorder.note(What.STANDS, "mail", host="127.0.0.1", port=25)
        recorder.curtain()
        recorder.note(What.OPENED, "mail", 1)
        assert [(e.what, e.at) for e in recorder.record.events] == [
            (What.STANDS, 0.0),
            (What.CURTAIN, 1.0),
            (What.OPENED, 2.0),
        ]

    def test_listeners_hear_everything_from_then_on(self) -> None:
        recorder = self.ticking()
        heard: list[Event] = []
        recorder.note(What.STARTED, "program")
        recorder.listen(heard.append)
        event = recorder.note(What.HEARD, "mail", 2, b"x", note="n", entry=3, ordinal=4)
        assert heard == [event]
        assert event == Event(0.0, What.HEARD, "mail", 2, b"x", "n", 3, {"ordinal": 4})

    def test_a_record_that_was_taken_does_not_grow(self) -> None:
        recorder = self.ticking()
        before = recorder.record
        recorder.note(What.OPENED, "mail")
        assert before.events == ()
        assert len(recorder.record.events) == 1


class TestRecord:
    RECORD = Record(
        (
            Event(0.0, What.STANDS, "mail", facts={"host": "::1", "port": 25}),
            Event(0.5, What.SCREEN, "program", data=b"a"),
            Event(1.5, What.SCREEN, "program", data=b"b"),
        )
    )

    def test_tells_where_everybody_stands(self) -> None:
        assert self.RECORD.addresses == {
            "mail.host": "::1",
            "mail.port": "25",
            "mail.address": "[::1]:25",
        }

    def test_joins_what_was_printed(self) -> None:
        assert self.RECORD.text(What.SCREEN) == b"ab"

    def test_lasts_until_its_last_event(self) -> None:
        assert self.RECORD.duration == 1.5
        assert Record(()).duration == 0.0

"""Dates relative to the play."""

from __future__ import annotations

import pytest
from harness.model.dates import dates_in, is_date
from harness.model.record import Event, Record, What


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("http-date", "Thu, 01 Jan 1970 01:00:00 GMT"),
        ("http-date -60s", "Thu, 01 Jan 1970 00:59:00 GMT"),
        ("http-date +2min", "Thu, 01 Jan 1970 01:02:00 GMT"),
        ("http-date -1h", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("http-date +1d", "Fri, 02 Jan 1970 01:00:00 GMT"),
    ],
)
def test_a_date_counts_from_the_play(name: str, date: str) -> None:
    text = f"Last-Modified: ${{{name}}}, ${{mail.port}}"
    assert dates_in({"a": (text,)}, 3600.9) == {name: date}
    assert is_date(name)


@pytest.mark.parametrize("name", ["http-date -60", "http-date 60s", "http-date-60s", "date", "a"])
def test_what_is_no_date(name: str) -> None:
    assert not is_date(name)
    assert dates_in(f"${{{name}}}", 0.0) == {}


def test_the_record_keeps_what_they_stood_for() -> None:
    dated = Event(0.0, What.DATED, "program", facts={"http-date -60s": "D"})
    assert Record((dated,)).addresses == {"http-date -60s": "D"}

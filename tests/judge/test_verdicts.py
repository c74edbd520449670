"""What a student reads about every kind of finding, word by word.

The texts stand in fixtures/verdicts/; WIRELAB_WRITE_GOLDEN=1 writes them anew, and then a
person reads them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness.judge import judge
from harness.report import failure_text
from rich.cells import cell_len

from tests.judge.plays import PLAYS

VERDICTS = Path(__file__).parents[2] / "fixtures" / "verdicts"
WRITE = os.environ.get("WIRELAB_WRITE_GOLDEN") == "1"


def told(kind: str) -> str:
    plan, record = PLAYS[kind].plan_and_record()
    return failure_text(
        judge(plan, record), implementation="Group 7", again="wirelab run scenarios/example.yaml"
    )


@pytest.mark.parametrize("kind", PLAYS)
def test_is_told_in_these_words(kind: str) -> None:
    path = VERDICTS / f"{kind}.txt"
    text = told(kind)
    if WRITE:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", PLAYS)
def test_lines_are_short_and_harmless(kind: str) -> None:
    for line in told(kind).splitlines():
        assert cell_len(line) <= 125
        assert line.isprintable()


def test_no_text_is_left_of_a_play_that_is_gone() -> None:
    assert {path.stem for path in VERDICTS.glob("*.txt")} == set(PLAYS)

"""What stands above single scenarios, as a course uses it: played, and told on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.cli import main

from tests.course import SCENARIO, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Wirelab = Callable[..., tuple[int, str, str]]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A right program as `reference/`, one that always says `goodbye` as `students/`."""
    lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def wirelab(capsys: pytest.CaptureFixture[str]) -> Wirelab:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def write(course: Path, name: str, text: str) -> None:
    """Write a file of the course."""
    path = course / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class TestValues:
    @pytest.fixture(autouse=True)
    def _scenario(self, course: Path) -> None:
        text = SCENARIO.replace("cast:", 'values: {word: hello, place: "here.test:12000"}\ncast:')
        text = text.replace("at: 12000", 'at: "${place}"').replace("hello\n", "${word}\n", 1)
        write(course, "scenarios/echo-client/upper.yaml", text.replace("< hello", "< ${word}"))

    def test_they_stand_where_they_are_named(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run")
        assert status == 0, out

    def test_a_program_that_is_wrong_is_blamed_with_the_value(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-i", "students")
        assert status == 1
        assert "server< hello" in out

"""What is said of files that are wrong: whole texts, compared with fixtures/bad_scenarios/."""

from __future__ import annotations

import pytest
import yaml

from tests.load.golden import FOLDER, complaints, names


@pytest.fixture(autouse=True)
def _in_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="the texts are those of the parser in C")
@pytest.mark.parametrize("name", names())
def test_every_problem_of_a_bad_file_is_told(name: str) -> None:
    """Place, fault and remedy of each; `python -m tests.load.golden` writes the texts anew."""
    assert complaints(name) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", names())
def test_every_problem_stands_in_its_file(name: str) -> None:
    """Line and column lead an editor to something."""
    for complaint in complaints(name).splitlines():
        file, line, column, _ = complaint.split(":", 3)
        lines = (FOLDER / file).read_bytes().decode("utf-8", "replace").splitlines() or [""]
        assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1


def test_no_text_is_left_over() -> None:
    """A text without its file would never be compared again."""
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == names()


def test_every_file_is_bad() -> None:
    """A file without a problem would prove nothing."""
    assert [name for name in names() if not (FOLDER / f"{name}.txt").read_text()] == []

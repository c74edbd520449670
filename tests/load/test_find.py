"""Which files are scenarios, and many of them at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness.errors import AuthorError
from harness.load import find_scenarios, load_roles, load_scenarios
from harness.pipeline import check

GOOD = "title: A client\ncast: {mail: {kind: smtp, at: 25}}\nexchange: |\n  mail< QUIT\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = [
        "smtp-client/b.yaml",
        "smtp-client/a.yaml",
        "smtp-client/notes.txt",
        "smtp-server/.draft/c.yaml",
        ".hidden/c.yaml",
        "roles.yaml",
        "smtp-client/deep/er/d.yaml",
    ]
    for name in files:
        path = tmp_path / "scenarios" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOOD)
    return tmp_path / "scenarios"


def test_folders_are_searched(folder: Path) -> None:
    """One level down, in order, without roles and hidden folders."""
    expected = [folder / "smtp-client" / "a.yaml", folder / "smtp-client" / "b.yaml"]
    assert find_scenarios([folder]) == expected
    assert find_scenarios([folder / "smtp-client"]) == expected


def test_files_are_taken_as_they_are_and_once(folder: Path) -> None:
    """Whatever their names; a file in a folder that was given too is no second one."""
    a, b = folder / "smtp-client" / "a.yaml", folder / "smtp-client" / "b.yaml"
    assert find_scenarios([b, folder, b]) == [b, a]


def test_every_missing_path_is_told(folder: Path) -> None:
    """A slip on the command line must not play less than was asked for."""
    with pytest.raises(AuthorError) as raised:
        find_scenarios([folder, Path("nowhere"), Path("nothing.yaml")])
    assert [problem.file for problem in raised.value.problems] == ["nothing.yaml", "nowhere"]


def test_good_ones_are_loaded_beside_bad_ones(folder: Path) -> None:
    """Problems are collected over all files."""
    (folder / "smtp-client" / "b.yaml").write_text("titel: x\n")
    scenarios, problems = load_scenarios([folder], load_roles())
    assert [scenario.id for scenario in scenarios] == ["smtp-client/a"]
    assert {Path(problem.file).name for problem in problems} == {"b.yaml"}


def test_missing_paths_are_problems_too(folder: Path) -> None:
    """`wirelab check` tells them as it tells others."""
    scenarios, (problem,) = load_scenarios([folder, Path("nowhere")], load_roles())
    assert (scenarios, problem.message) == ([], "there is no such file or folder")


def test_ids_and_missing_endings_are_understood(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results and suites name a scenario by its id, so people type it."""
    monkeypatch.chdir(folder.parent)
    _, problems = load_scenarios(
        [Path(p) for p in ("smtp-client/a", "scenarios/smtp-client/a", "smtp-client", "x")],
        load_roles(),
    )
    assert {problem.file: problem.message.partition("; ")[2] for problem in problems} == {
        "smtp-client/a": "did you mean `scenarios/smtp-client/a.yaml`?",
        "scenarios/smtp-client/a": "did you mean `scenarios/smtp-client/a.yaml`?",
        "smtp-client": "did you mean `scenarios/smtp-client`?",
        "x": "",
    }


def test_an_implementation_file_in_a_folder_is_read_as_one(folder: Path) -> None:
    """It is no scenario, though it lies where one could."""
    group = folder.parent / "group7"
    group.mkdir()
    (group / "wirelab.yaml").write_text("name: Group 7\nprogram: {}\n")
    count, problems = check([str(folder.parent)])
    assert find_scenarios([folder.parent]) == []
    assert count == 1
    assert {Path(problem.file).name for problem in problems} == {"wirelab.yaml"}
    assert "unknown key `program`; did you mean `programs`?" in {p.message for p in problems}


def test_two_files_cannot_have_one_id(folder: Path, tmp_path: Path) -> None:
    """Results are told apart by their ids."""
    other = tmp_path / "more" / "smtp-client" / "a.yaml"
    other.parent.mkdir(parents=True)
    other.write_text(GOOD)
    scenarios, (problem,) = load_scenarios([folder, other], load_roles())
    assert len(scenarios) == 2
    assert problem.message.endswith("a.yaml is smtp-client/a already")


def test_pydantic_is_imported_when_something_is_loaded() -> None:
    """Commands that load nothing start without it."""
    code = "import sys, harness.load, harness.plan; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

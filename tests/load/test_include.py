"""What scenarios share, and how it goes together with what they say themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.errors import AuthorError, Problem, joined
from harness.load import find_scenarios, load_roles, load_scenario, load_scenarios
from harness.load.document import read_document

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model.scenario import Scenario

ROLES = load_roles()
HEARS = "exchange: |\n  mail< QUIT\n"
BY = "(included by slug.yaml)"
MAIL = 'cast:\n  mail: {kind: smtp, at: "a.test:25", mailboxes: [bo@b.test], limit: 100}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scenarios" / "smtp-client").mkdir(parents=True)
    return tmp_path / "scenarios"


def load(folder: Path, text: str, **shared: str) -> Scenario:
    """A scenario, and the files `_<name>.yaml` beside it."""
    for name, content in shared.items():
        (folder / "smtp-client" / f"_{name}.yaml").write_text(content)
    path = folder / "smtp-client" / "slug.yaml"
    path.write_text("title: A client\n" + text)
    return load_scenario(path, ROLES)


def problems(folder: Path, text: str, **shared: str) -> list[str]:
    with pytest.raises(AuthorError) as raised:
        load(folder, text, **shared)
    return [str(problem).replace(f"{folder}/smtp-client/", "") for problem in raised.value.problems]


def test_keys_of_an_actor_lie_over_those_that_are_included(folder: Path) -> None:
    """Whole keys: a list of the scenario's own replaces the included one."""
    own = "include: _a.yaml\ncast:\n  mail: {limit: 5, mailboxes: []}\n  bo: {kind: smtp, at: 26}\n"
    cast = load(folder, own + HEARS, a=MAIL).cast
    assert list(cast) == ["mail", "bo"]
    assert (cast["mail"].at, cast["mail"].limit, cast["mail"].mailboxes) == ("a.test:25", 5, ())


def test_the_last_file_wins_and_the_scenario_over_all(folder: Path) -> None:
    """Name by name, in mappings."""
    scenario = load(
        folder,
        "include: [_a.yaml, _b.yaml]\nprogram: {text: own}\n" + HEARS,
        a=MAIL + "program: {to: a@a.test, subject: a, text: a}\npatience: 1s\ntimeout: 9s\n",
        b="program: {subject: b, text: b}\ntimeout: 8s\n",
    )
    assert scenario.program == {"to": ("a@a.test",), "subject": "b", "text": "own"}
    assert (scenario.limits.quiet, scenario.limits.play) == (1, 8)


def test_words_add_up(folder: Path) -> None:
    """Those of the scenario first, each once."""
    text = "include: _a.yaml\ntags: [own, both]\nuses: [auth]\n"
    scenario = load(folder, text + HEARS, a=MAIL + "tags: [both, a]\nneeds: [names]\n")
    assert (scenario.tags, scenario.uses, scenario.needs) == (
        ("own", "both", "a"),
        ("auth",),
        ("names",),
    )


def test_values_can_be_given_anew(folder: Path) -> None:
    """By the scenario, and by a row; what of them nobody asks for is no mistake here."""
    shared = 'values: {port: "25", host: a.test, more: x}\n'
    shared += 'cast: {mail: {kind: smtp, at: "${host}:${port}"}}\n'
    scenario = load(folder, "include: _a.yaml\nvalues: {host: b.test}\n" + HEARS, a=shared)
    assert scenario.cast["mail"].at == "b.test:25"
    text = "include: _a.yaml\ncases: [{host: c.test}]\n"
    assert load(folder, text + HEARS, a=shared).cases[0].values["port"] == "25"


def test_a_shared_file_includes_others(folder: Path) -> None:
    """It lies over them; two ways to one file are fine."""
    scenario = load(
        folder,
        "include: [_a.yaml, _b.yaml]\n" + HEARS,
        a="include: _c.yaml\ncast: {mail: {limit: 5}}\n",
        b="include: _c.yaml\n",
        c=MAIL,
    )
    assert scenario.cast["mail"].at == "a.test:25"
    assert scenario.cast["mail"].limit == 100  # `_b.yaml` is the last one, and says so by `_c.yaml`


def test_it_is_found_beside_and_above(folder: Path) -> None:
    """What is beside hides what is above; a folder may keep many."""
    (folder / "_a.yaml").write_text("tags: [above]\n" + MAIL)
    assert load(folder, "include: _a.yaml\n" + HEARS).tags == ("above",)
    assert load(folder, "include: _a.yaml\n" + HEARS, a="tags: [beside]\n" + MAIL).tags == (
        "beside",
    )
    (folder / "_kept").mkdir()
    (folder / "_kept" / "mail.yaml").write_text("tags: [kept]\n" + MAIL)
    assert load(folder, "include: _kept/mail.yaml\n" + HEARS).tags == ("kept",)
    assert find_scenarios([folder]) == [folder / "smtp-client" / "slug.yaml"]


def test_lines_of_findings_are_those_of_the_scenario(folder: Path) -> None:
    """What is included has no line there."""
    scenario = load(folder, "include: _a.yaml\n" + HEARS, a="patience: 1s\n" + MAIL)
    assert scenario.lines == {"title": 1, "include": 2, "exchange": 3}


def test_what_a_scenario_says_wrong_stands_in_its_own_file(folder: Path) -> None:
    """And what is wrong with the included part, in that."""
    own = "include: _a.yaml\ncast: {mail: {limit: many}}\n"
    shared = "program: {subjet: x}\n" + MAIL
    assert problems(folder, own + HEARS, a=shared) == [
        "slug.yaml:3:22: `limit` must be a whole number, not `many`"
    ]
    assert problems(folder, "include: _a.yaml\n" + HEARS, a=shared) == [
        "_a.yaml:1:11: smtp-client has no parameter `subjet`; did you mean `subject`? " + BY
    ]


def test_a_shared_file_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many scenarios include it."""
    from harness.load import include

    read = []

    def reading(path: Path) -> object:
        read.append(path.name)
        return read_document(path)

    monkeypatch.setattr(include, "read_document", reading)
    load(folder, "include: _a.yaml\n" + HEARS, a="include: _b.yaml\n", b=MAIL)
    text = (folder / "smtp-client" / "slug.yaml").read_text()
    for number in range(5):
        (folder / "smtp-client" / f"slug-{number}.yaml").write_text(text)
    read.clear()
    scenarios, wrong = load_scenarios([folder], ROLES)
    assert (len(scenarios), wrong, read) == (6, [], ["_a.yaml", "_b.yaml"])


def test_files_are_not_included_without_end(folder: Path) -> None:
    """Many are told in a sentence, however deep they are."""
    shared = {f"s{number}": f"include: _s{number + 1}.yaml\n" for number in range(2000)}
    assert problems(folder, "include: _s0.yaml\n" + HEARS, **shared, s2000=MAIL) == [
        f"_s31.yaml:1:10: more than 32 files, each included by the one before {BY}"
    ]


def test_one_mistake_names_all_whom_it_spoils() -> None:
    """In the order in which they were read."""
    shared = [Problem("_a.yaml", 1, 1, "wrong", (name,)) for name in ("x", "y", "z")]
    own = Problem("x", 1, 1, "wrong")
    assert [str(problem) for problem in joined([*shared[:1], own, *shared[1:], own])] == [
        "_a.yaml:1:1: wrong (included by x and 2 others)",
        "x:1:1: wrong",
    ]


def test_not_every_scenario_needs_all_of_a_shared_cast(folder: Path) -> None:
    """An actor of its own that does nothing is a mistake."""
    idle = "cast:\n  names: {kind: dns}\n"
    own = "include: _a.yaml\n" + MAIL + HEARS
    assert "names" in load(folder, own, a=idle).cast
    [problem] = problems(folder, MAIL + "  names: {kind: dns}\n" + HEARS)
    assert "`names` knows no name" in problem

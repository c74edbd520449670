"""The JSON Schemas judge files as the loader does, as far as a schema can."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from harness.errors import AuthorError
from harness.load import is_shared, schema_text
from harness.load.document import read_document
from harness.load.json_schema import SHAPES
from harness.load.shapes import shape_of
from jsonschema import Draft202012Validator

from tests.documents import ROOT
from tests.load.golden import FOLDER, names
from tests.test_docs import YAML, completed

if TYPE_CHECKING:
    from pathlib import Path

    from jsonschema.protocols import Validator

SCENARIOS = sorted(
    path
    for folder in ("scenarios", "fixtures/students/scenarios")
    for path in (ROOT / folder).glob("*/*.yaml")
)
IMPLEMENTATIONS = sorted(
    path
    for path in ROOT.rglob("wirelab.yaml")
    if ".tox" not in path.parts and "run" not in path.parts
)


@cache
def validator(of: str) -> Validator:
    schema = json.loads(schema_text(of))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def mistakes(path: Path, of: str) -> list[str]:
    """What the schema says against a file, as an editor sees it."""
    return [error.message for error in validator(of).iter_errors(as_json(read_document(path).data))]


def as_json(value: Any) -> Any:
    """The data of a file as JSON has it: keys are texts."""
    if isinstance(value, dict):
        return {getattr(key, "text", str(key)): as_json(inner) for key, inner in value.items()}
    return [as_json(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: "/".join(path.parts[-2:]))
def test_scenarios_are_accepted(path: Path) -> None:
    assert mistakes(path, "shared" if is_shared(path) else "scenario") == []


@pytest.mark.parametrize("path", IMPLEMENTATIONS, ids=lambda path: path.parent.name)
def test_implementations_are_accepted(path: Path) -> None:
    assert mistakes(path, "implementation") == []


def test_our_own_roles_are_accepted() -> None:
    assert mistakes(ROOT / "harness" / "load" / "roles.yaml", "roles") == []


@pytest.mark.parametrize("block", YAML, ids=str)
def test_what_the_documents_show_is_accepted(block: Any, tmp_path: Path) -> None:
    what, _, role = block.label.partition(" of ")
    if block.label.startswith("wrong: "):
        return
    of = block.label if block.label in SHAPES else "scenario"
    if what.startswith("shared: "):
        of = "shared"
    if block.label.endswith("wirelab.yaml"):
        of = "implementation"
    path = tmp_path / "example.yaml"
    is_part = what in {"cast", "expect", "part"}
    path.write_text(completed(block.text, role) if is_part else block.text, encoding="utf-8")
    assert mistakes(path, of) == []


def _kind(name: str) -> str:
    first = name.partition("-")[0]
    return first if first in SHAPES else "scenario"


def _has_wrong_shape(name: str) -> bool:
    try:
        document = read_document(FOLDER / f"{name}.yaml")
    except AuthorError:  # no YAML at all
        return False
    if "include" in (document.data or {}):  # then this is not all that there is
        return False
    return shape_of(document, SHAPES[_kind(name)]) is None


WRONG = [name for name in names() if _has_wrong_shape(name)]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_shape_is_refused(name: str) -> None:
    """Whatever the loader refuses for its shape alone, an editor marks too."""
    assert mistakes(FOLDER / f"{name}.yaml", _kind(name)) != []


def test_there_are_wrong_shapes() -> None:
    assert len(WRONG) > 20
    assert {_kind(name) for name in WRONG} == set(SHAPES) - {"shared"}


def test_a_shared_file_has_a_part_of_a_scenario() -> None:
    """What is not shared is marked in it."""
    assert len(mistakes(FOLDER / "_wrong-keys.yaml", "shared")) > 2
    assert mistakes(FOLDER / "_mail.yaml", "shared") == []


def test_what_lies_over_an_included_actor_is_a_part_of_one() -> None:
    """Its kind and its place may be in the other file, and nowhere else."""
    scenario: dict[str, Any] = {"title": "A", "cast": {"it": {"limit": 5}}}
    assert not validator("scenario").is_valid(scenario)
    assert validator("scenario").is_valid({**scenario, "include": "_mail.yaml"})
    scenario["cast"]["it"] = {"limits": 5}
    assert not validator("scenario").is_valid({**scenario, "include": "_mail.yaml"})


@pytest.mark.parametrize(
    "actor",
    [
        {"kind": "smtp"},
        {"kind": "smtp", "at": 25, "pages": {}},
        {"kind": "smtp", "at": 25, "to": "server"},
        {"kind": "tcp", "at": 25, "to": "server"},
        {"kind": "tcp", "at": "http://example.test"},
        {"kind": "tcp", "at": 70000},
        {"kind": "terminal", "at": 25},
        {"kind": "udp", "at": 12000, "lose": "0%"},
        {"kind": "udp", "at": 12000, "delay": {"8": "1300"}},
        {"kind": "pop4", "at": 110},
    ],
    ids=str,
)
def test_keys_that_an_actor_of_this_kind_has_not(actor: dict[str, Any]) -> None:
    assert not validator("scenario").is_valid({"title": "A", "cast": {"it": actor}})


@pytest.mark.parametrize(
    "actor",
    [
        {"kind": "smtp", "at": 25},
        {"kind": "tcp", "to": "server"},
        {"kind": "tcp", "at": "${where}"},
        {"kind": "tcp", "at": "[2001:db8::25]:80"},
        {"kind": "udp", "at": 12000, "lose": "0.5%", "delay": {"8": "1300ms", "30%": "1.5s"}},
        {"kind": "dns"},
    ],
    ids=str,
)
def test_keys_that_it_has(actor: dict[str, Any]) -> None:
    assert validator("scenario").is_valid({"title": "A", "cast": {"it": actor}})

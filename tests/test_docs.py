"""Every YAML block of docs/ loads, and every command in them prints what is shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from harness.errors import AuthorError
from harness.load import load_implementation, load_roles, load_scenario
from harness.load.schema import ActorShape, PickShape, ScenarioShape, Shape, SuiteShape
from harness.model.scenario import ActorKind
from harness.pipeline import check

from tests.documents import ROOT, WRITE, Block, blocks, normal, printed

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
YAML = [block for document in DOCUMENTS for block in blocks(document, "yaml")]
WITH_COMMANDS = [document for document in DOCUMENTS if blocks(document, "console")]


def _keys(shape: type[Shape]) -> list[str]:
    return [field.alias or name for name, field in shape.model_fields.items()]


#: What is added to a part of a scenario that has no cast of its own.
CASTS = {
    "smtp-client": "mail: {kind: smtp, at: 25, mailboxes: [ann@example.test, bo@example.test]}",
    "udp-ping-client": "pong: {kind: udp, at: 12000, answer: echo}",
    "echo-client": "server: {kind: tcp, at: 12000}\n  user: {kind: terminal}",
}


def completed(text: str, role: str) -> str:
    """A part of a scenario with a title, a cast and a demand, where it has none."""
    keys = {line.partition(":")[0] for line in text.splitlines() if line[:1].isalpha()}
    added = "" if "title" in keys else "title: An example\n"
    if "cast" not in keys:
        added += f"cast:\n  {CASTS[role]}\n"
    if not keys & {"expect", "exchange"}:
        added += "expect: {exit: 0}\n"
    return text + added


@pytest.mark.parametrize("block", YAML, ids=str)
def test_a_yaml_block_is_right(block: Block, tmp_path: Path) -> None:
    """Also what is a part only; tests/documents.py tells what the comments above mean."""
    what, _, role = block.label.partition(" of ")
    if (ROOT / block.label).is_file():
        content = (ROOT / block.label).read_text(encoding="utf-8")
        if WRITE:
            block.rewrite(content)
        assert block.text == content
    elif what in {"file", "cast", "expect", "part"}:
        _write_around(block, tmp_path, role)
        text = block.text if what == "file" else completed(block.text, role)
        _load(_written(tmp_path, f"scenarios/{role}/example.yaml", text), tmp_path)
    elif block.label == "suite":
        (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
        _, problems = check([str(_written(tmp_path, "suites/lab2.yaml", block.text))])
        assert problems == []
    elif block.label in {"implementation", "roles"}:
        name = {"implementation": "wirelab.yaml", "roles": "scenarios/roles.yaml"}[block.label]
        _load(_written(tmp_path, name, block.text), tmp_path)
    elif block.label.startswith("shared: "):
        name = block.label.removeprefix("shared: ")
        assert f"include: {name.removeprefix('scenarios/')}" in block.document.read_text("utf-8")
    elif block.label.startswith("write: "):
        _load(_written(tmp_path, block.label.removeprefix("write: "), block.text), tmp_path)
    elif block.label.startswith("wrong: "):
        with pytest.raises(AuthorError):
            _load(_written(tmp_path, block.label.removeprefix("wrong: "), block.text), tmp_path)
    else:
        pytest.fail(f"{block}: no comment above says what it is: `{block.label}`")


def _write_around(block: Block, folder: Path, role: str) -> None:
    """What a scenario includes, and what it comes after."""
    for shared in blocks(block.document, "yaml"):
        if shared.label.startswith("shared: "):
            _written(folder, shared.label.removeprefix("shared: "), shared.text)
    for name in re.findall(r"(?m)^after: ([\w-]+)", block.text):
        _written(folder, f"scenarios/{role}/{name}.yaml", "title: It is there\n")


def _written(folder: Path, name: str, text: str) -> Path:
    if not (folder / "fixtures").exists():
        (folder / "fixtures").symlink_to(ROOT / "fixtures")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _load(path: Path, folder: Path) -> None:
    roles = load_roles(folder / "scenarios")
    if path.name == "wirelab.yaml":
        load_implementation(path, roles)
    elif path.name != "roles.yaml":
        load_scenario(path, roles)


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=lambda document: document.name)
def test_commands_print_what_is_shown(document: Path, tmp_path: Path) -> None:
    """One after the other, in a folder with the files that the reader has written so far."""
    shown, told = [], []
    for block in blocks(document):
        verb, _, name = block.label.partition(": ")
        if verb in {"write", "wrong"}:
            _written(tmp_path, name, block.text)
        elif block.kind == "console" and block.can_be_shown_here:
            text = printed(block.command, tmp_path)
            if WRITE:
                block.rewrite(text)
            shown.append(normal(block.text))
            told.append(normal(text))
    assert told == shown


@pytest.mark.parametrize("key", [*_keys(ScenarioShape), *_keys(ActorShape), *ActorKind])
def test_the_reference_tells_every_key_and_kind(key: str) -> None:
    """Whoever adds one says in docs/scenarios.md what it means."""
    tables = re.findall(r"^\|.*", (ROOT / "docs" / "scenarios.md").read_text("utf-8"), re.MULTILINE)
    assert re.search(rf"\b{key}\b", "\n".join(tables))


@pytest.mark.parametrize("key", [*_keys(SuiteShape), *_keys(PickShape)])
def test_the_reference_of_suites_tells_every_key(key: str) -> None:
    """Whoever adds one says in docs/suites.md what it means."""
    tables = re.findall(r"^\|.*", (ROOT / "docs" / "suites.md").read_text("utf-8"), re.MULTILINE)
    assert re.search(rf"`{key}`", "\n".join(tables))


@pytest.mark.parametrize("path", sorted((ROOT / "suites").glob("*.yaml")), ids=lambda p: p.stem)
def test_our_own_suites_are_right(path: Path) -> None:
    """They pick what is there, once."""
    assert check([str(path)])[1] == []

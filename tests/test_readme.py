"""What README.md shows is what really is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.load import load_implementation, load_roles

from tests.documents import ROOT, WRITE, Block, blocks, normal, printed

if TYPE_CHECKING:
    from pathlib import Path

README = ROOT / "README.md"
YAML = blocks(README, "yaml")


@pytest.mark.parametrize("block", blocks(README, "console"), ids=str)
def test_a_command_prints_what_is_shown(block: Block, tmp_path: Path) -> None:
    if not block.can_be_shown_here:
        pytest.skip("it shows the private network, which is not to be had here")
    text = printed(block.command, ROOT, "--out", str(tmp_path)).replace(str(tmp_path), "run")
    if WRITE:
        block.rewrite(text)
    assert normal(text) == normal(block.text)


@pytest.mark.parametrize("block", [b for b in YAML if b.label], ids=lambda b: b.label)
def test_a_file_is_shown_as_it_is(block: Block) -> None:
    content = (ROOT / block.label).read_text(encoding="utf-8")
    if WRITE:
        block.rewrite(content)
    assert block.text == content


def test_the_implementation_file_is_right(tmp_path: Path) -> None:
    (block,) = [block for block in YAML if not block.label]
    path = tmp_path / "wirelab.yaml"
    path.write_text(block.text, encoding="utf-8")
    assert load_implementation(path, load_roles()).name == "Group 7"

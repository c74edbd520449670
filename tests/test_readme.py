"""What README.md shows is what really is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness.load import load_implementation, load_roles
from harness.network import rung_of

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
_BLOCK = re.compile(r"(?:<!-- (?P<file>\S+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```\n", re.DOTALL)
_VARYING = [
    (re.compile(r"\d+\.\d+ s"), "0.0 s"),
    (re.compile(r"\d+\.\d{3}(?=  )"), "0.000"),
    (re.compile(r"  +"), "  "),
]
WRITE = bool(os.environ.get("WIRELAB_WRITE_GOLDEN"))


def blocks(kind: str) -> list[re.Match[str]]:
    found = _BLOCK.finditer(README.read_text(encoding="utf-8"))
    return [block for block in found if block["kind"] == kind]


def normal(text: str) -> str:
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return text


def rewrite(block: re.Match[str], text: str) -> None:
    readme = README.read_text(encoding="utf-8")
    new = block[0].replace(f"```{block['kind']}\n{block['text']}", f"```{block['kind']}\n{text}")
    README.write_text(readme.replace(block[0], new), encoding="utf-8")


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block["text"].split("\n")[0])
def test_a_command_prints_what_is_shown(block: re.Match[str], tmp_path: Path) -> None:
    command = block["text"].split("\n")[0].removeprefix("$ ")
    if rung_of("auto").rung not in block["text"]:
        pytest.skip("it shows the private network, which is not to be had here")
    words = [sys.executable, "-m", "harness", *command.split()[1:], "--out", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    printed = f"$ {command}\n{done.stdout.strip()}\n".replace(str(tmp_path), "run")
    if WRITE:
        rewrite(block, printed)
    assert normal(printed) == normal(block["text"])


@pytest.mark.parametrize("block", [b for b in blocks("yaml") if b["file"]], ids=lambda b: b["file"])
def test_a_file_is_shown_as_it_is(block: re.Match[str]) -> None:
    content = (ROOT / block["file"]).read_text(encoding="utf-8")
    if WRITE:
        rewrite(block, content)
    assert block["text"] == content


def test_the_implementation_file_is_right(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("yaml") if not block["file"]]
    path = tmp_path / "wirelab.yaml"
    path.write_text(block["text"], encoding="utf-8")
    assert load_implementation(path, load_roles()).name == "Group 7"

"""The documents and their blocks: what they show is what there is, and what is printed.

The line above a block may say in an HTML comment what the block is:

| comment | the block is |
|---|---|
| `scenarios/x/y.yaml` | this file of the project, as it is |
| `file of ROLE` | a whole scenario of a role |
| `cast of ROLE`, `expect of ROLE`, `part of ROLE` | a part of one; what is missing is added |
| `implementation`, `roles` | a `wirelab.yaml`, a `roles.yaml` |
| `suite` | a suite of the project's own scenarios |
| `shared: PATH` | a file that scenarios of the document include |
| `write: PATH` | a file that the reader writes; commands below find it |
| `wrong: PATH` | the same, with a mistake in it |

`WIRELAB_WRITE_GOLDEN=1` writes anew what files hold and what commands print.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.network import rung_of

ROOT = Path(__file__).parent.parent
WRITE = bool(os.environ.get("WIRELAB_WRITE_GOLDEN"))
_BLOCK = re.compile(
    r"(?:<!-- (?P<label>[^\n]+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```\n", re.DOTALL
)
_VARYING = [
    (re.compile(r"\d+\.\d+ s"), "0.0 s"),
    (re.compile(r"\d+\.\d{3}(?=  )"), "0.000"),
    (re.compile(r"  +"), "  "),
]


@dataclass(frozen=True)
class Block:
    """A fenced block of a document, and what the comment above it says."""

    document: Path
    label: str
    kind: str
    text: str
    line: int
    whole: str

    def __str__(self) -> str:
        first = self.text.partition("\n")[0]
        return first if self.kind == "console" else f"{self.document.name}-{self.line}"

    @property
    def command(self) -> str:
        """What the user types, without the prompt."""
        return self.text.partition("\n")[0].removeprefix("$ ")

    @property
    def can_be_shown_here(self) -> bool:
        """Whether the network that it names, if it names one, is the one of this machine."""
        return "(network: " not in self.text or f"(network: {rung_of('auto').rung})" in self.text

    def rewrite(self, text: str) -> None:
        """Put another text into the document."""
        content = self.document.read_text(encoding="utf-8")
        fence = f"```{self.kind}\n"
        new = self.whole.replace(f"{fence}{self.text}", f"{fence}{text}")
        self.document.write_text(content.replace(self.whole, new), encoding="utf-8")


def blocks(document: Path, *kinds: str) -> list[Block]:
    """The blocks of a document, of these kinds or of all, from top to bottom."""
    content = document.read_text(encoding="utf-8")
    return [
        Block(
            document=document,
            label=found["label"] or "",
            kind=found["kind"],
            text=found["text"],
            line=content.count("\n", 0, found.start("text")),
            whole=found[0],
        )
        for found in _BLOCK.finditer(content)
        if not kinds or found["kind"] in kinds
    ]


def normal(text: str) -> str:
    """Printed text without what differs from play to play."""
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return text


def printed(command: str, folder: Path, *more: str) -> str:
    """What a `wirelab` or `cat` command prints in a folder, below the command itself."""
    name, *words = command.split()
    argv = {"wirelab": [sys.executable, "-m", "harness"], "cat": ["cat"]}[name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*argv, *words, *more],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    return f"$ {command}\n{(done.stdout + done.stderr).strip()}\n"

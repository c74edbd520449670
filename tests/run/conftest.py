from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from tests.run.theatre import Theatre, processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def theatre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theatre]:
    """A theatre that leaves no process behind, and the author's files as they were."""
    # the module, which its own function hides in the package
    monkeypatch.setattr(import_module("harness.run.play"), "GRACE_SECONDS", 0.5)
    theatre = Theatre(tmp_path)
    yield theatre
    assert processes(theatre.marker) == []
    assert sorted(path.name for path in theatre.author.iterdir()) == ["program.py", "wirelab.yaml"]

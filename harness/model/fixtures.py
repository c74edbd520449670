"""Where the files are that an exchange names: `@form FILE`, `@file FILE`."""

from __future__ import annotations

import os.path
from pathlib import Path


def fixture_folders(scenario: str) -> tuple[Path, Path]:
    """Beside the scenario first, then in the `fixtures/` that lies beside `scenarios/`."""
    folder = Path(scenario).parent
    return folder, Path(os.path.normpath(folder / ".." / ".." / "fixtures"))


def find_fixture(scenario: str, name: str) -> Path | None:
    """The file that a directive of the scenario file names; None if there is none."""
    found = (folder / name for folder in fixture_folders(scenario))
    return next((path for path in found if path.is_file()), None)

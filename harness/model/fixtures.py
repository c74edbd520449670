"""The files that an exchange names (`@form FILE`, `@file FILE`): where they are, and forms."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import Any


def fixture_folders(scenario: str) -> tuple[Path, Path]:
    """Beside the scenario first, then in the `fixtures/` that lies beside `scenarios/`."""
    folder = Path(scenario).parent
    return folder, Path(os.path.normpath(folder / ".." / ".." / "fixtures"))


def find_fixture(scenario: str, name: str) -> Path | None:
    """The file that a directive of the scenario file names; None if there is none."""
    found = (folder / name for folder in fixture_folders(scenario))
    return next((path for path in found if path.is_file()), None)


def parse_form(data: bytes) -> Any:
    """What stands in the file of a form: mappings, lists and strings.

    Raises:
        yaml.YAMLError, UnicodeError: it is no YAML.
    """
    import yaml  # noqa: PLC0415 - only for forms

    # the base loader makes strings only; the one in C takes a tenth of the time
    return yaml.load(data, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506

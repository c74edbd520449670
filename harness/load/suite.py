"""A suite file -> `Suite`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.load.document import Document, read_document
from harness.load.find import is_folder
from harness.load.schema import PickShape, SuiteShape
from harness.load.shapes import shape_of
from harness.model.suite import Pick, Suite

if TYPE_CHECKING:
    from harness.load.document import Path as Steps

_SCENARIOS = "scenarios"


def load_suite(path: Path) -> Suite:
    """The suite of a file.

    Raises:
        AuthorError: with every problem of the file.
    """
    document = read_document(path)
    shape = shape_of(document, SuiteShape)
    document.raise_problems()
    assert shape is not None  # noqa: S101 - else the document had a problem
    if not shape.suite.strip():
        document.complain(("suite",), "`suite` is empty; write the title of the assignment")
    if not shape.scenarios:
        message = "`scenarios` is empty; list some, such as [smtp-client/*]"
        document.complain(("scenarios",), message)
    folder = _folder(document, path, shape)
    picks = tuple(_pick(document, index, item) for index, item in enumerate(shape.scenarios))
    document.raise_problems()
    return Suite(shape.suite, str(path), folder, picks)


def _folder(document: Document, path: Path, shape: SuiteShape) -> Path:
    """Where the scenarios lie: where the file says, else the next `scenarios/` upwards."""
    beside = path.absolute().parent
    if shape.says("from_"):
        folder = beside / shape.from_
        if not is_folder(folder):
            document.complain(("from",), f"there is no folder `{_as_given(folder, path)}`")
        return _as_given(folder, path)
    for folder in (beside, *beside.parents):
        if folder.name == _SCENARIOS:
            return _as_given(folder, path)
        if (folder / _SCENARIOS).is_dir():
            return _as_given(folder / _SCENARIOS, path)
    message = f"there is no folder `{_SCENARIOS}` here or above; write `from: FOLDER`"
    document.complain((), message)
    return beside


def _as_given(folder: Path, path: Path) -> Path:
    """Relative, where the path of the suite is."""
    return Path(os.path.normpath(folder) if path.is_absolute() else os.path.relpath(folder))


def _pick(document: Document, index: int, item: str | PickShape) -> Pick:
    path: Steps = ("scenarios", index)
    line, column = document.value_place(path)
    if isinstance(item, str):
        _check_pattern(document, path, item)
        return Pick(pattern=item, line=line, column=column)
    if item.says("scenario") == item.says("tag"):
        message = "an item picks by `scenario` (ROLE/NAME, or a pattern) or by `tag`"
        document.complain(path, f"{message}, not by both" if item.says("tag") else message)
    elif item.says("scenario"):
        _check_pattern(document, (*path, "scenario"), item.scenario)
    elif not item.tag.strip():
        document.complain((*path, "tag"), "`tag` is empty; write one of the scenarios")
    for number, pattern in enumerate(item.except_):
        _check_pattern(document, (*path, "except", number), pattern)
    return Pick(
        pattern=item.scenario,
        tag=item.tag,
        but=tuple(item.except_),
        points=item.points if item.says("points") else None,
        timeout=item.timeout if item.says("timeout") else None,
        patience=item.patience if item.says("patience") else None,
        line=line,
        column=column,
    )


def _check_pattern(document: Document, path: Steps, pattern: str) -> None:
    if "[" in pattern:
        message = f"all plays of a scenario are picked; write `{pattern.partition('[')[0]}`"
        document.complain(path, message)
    elif "/" not in pattern:
        message = f"`{pattern}` is no id of a scenario; write ROLE/{pattern or 'NAME'}"
        document.complain(path, message)

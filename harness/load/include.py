"""`include`: what several scenarios share, laid under what each of them says itself."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from harness.errors import AuthorError
from harness.load.document import Document, read_document
from harness.load.find import is_shared, is_there
from harness.load.schema import ScenarioShape, SharedShape
from harness.load.shapes import shape_of
from harness.load.wording import shown, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.load.document import Path

_PATH = ("include",)
_MAPPINGS = ("names", "program", "values")  # a name of the scenario's own hides the included one
_LISTS = ("tags", "uses", "needs")  # both lists count
_MAX_DEPTH = 32  # far above every honest scenario; below it, recursion has its way
_SHARED_KEYS = tuple(SharedShape.model_fields)


class Includes:
    """The files that scenarios include: each is read once, whoever includes it."""

    def __init__(self) -> None:
        self._read: dict[FilePath, Document] = {}
        self._found: dict[tuple[str, str], FilePath] = {}  # by folder of who includes, and name

    def complete(self, document: Document) -> None:
        """Lay what a scenario includes under it; mistakes are noted in the scenario's document.

        Their places are those of the included file, and they name the scenario.
        """
        before = len(document.problems)
        self._complete(document, ())
        for index, problem in enumerate(document.problems[before:], before):
            if problem.file != document.file:
                document.problems[index] = replace(problem, included_by=(document.file,))

    def _complete(self, document: Document, way: tuple[FilePath, ...]) -> None:
        # what is included last lies on top
        for path, name in reversed(list(_names(document))):
            file = self._find(document, path, name)
            if file is None:
                continue
            if file in way:
                told = " -> ".join(each.name for each in (*way, file))
                document.complain(path, f"this includes itself: {told}")
                continue
            if len(way) == _MAX_DEPTH:
                message = f"more than {_MAX_DEPTH} files, each included by the one before"
                document.complain(path, message)
                continue
            shared = self._shared(file, way)
            document.problems += shared.problems
            if not shared.problems:
                _lay_under(document, shared)

    def _shared(self, file: FilePath, way: tuple[FilePath, ...]) -> Document:
        """An included file, with what it includes itself; it keeps its problems."""
        if file not in self._read:
            self._read[file] = self._read_shared(file, (*way, file))
        return self._read[file]

    def _read_shared(self, file: FilePath, way: tuple[FilePath, ...]) -> Document:
        try:
            document = read_document(file)
        except AuthorError as error:
            return Document(str(file), [], problems=list(error.problems))
        if isinstance(document.data, dict):
            for key in [key for key in document.data if _is_of_scenarios(key)]:
                message = f"`{key}` cannot be shared: each scenario says it itself; shared are: "
                document.complain((key,), message + ", ".join(_SHARED_KEYS), key=True)
                del document.data[key]
            self._complete(document, way)
        shape_of(document, SharedShape)
        return document

    def _find(self, document: Document, path: Path, name: str) -> FilePath | None:
        place = (os.path.dirname(document.file), name)  # noqa: PTH120 - for each scenario
        if place not in self._found:
            if (file := _search(document, path, name)) is None:
                return None
            self._found[place] = file
        return self._found[place]


def _search(document: Document, path: Path, name: str) -> FilePath | None:
    """The file of a name: beside the file that includes it, or one folder above."""
    beside = FilePath(document.file).absolute().parent
    folders = [beside, beside.parent]
    file = next((f / name for f in folders if name and is_there(f / name)), None)
    if file is None:
        known = [each.name for f in folders for each in sorted(f.glob("_*.yaml")) if is_there(each)]
        places = " or ".join(_as_given(f, document.file) for f in folders)
        hint = suggest(name, known) if known else ""
        document.complain(path, f"there is no `{name}` in {places}{hint}")
        return None
    if not is_shared(file):
        message = (
            f"`{name}` cannot be included: the name of a shared file, or of its folder, "
            f"begins with `_`, so that it is not taken for a scenario"
        )
        document.complain(path, message)
        return None
    return FilePath(_as_given(file, document.file))


def _is_of_scenarios(key: object) -> bool:
    fields = ScenarioShape.model_fields.items()
    return key not in _SHARED_KEYS and key in {field.alias or name for name, field in fields}


def _as_given(place: FilePath, beside: str) -> str:
    """A path as the user would write it: relative, where the path of the scenario is."""
    if FilePath(beside).is_absolute():
        return os.path.normpath(place)
    return os.path.relpath(place)


def _names(document: Document) -> Iterator[tuple[Path, str]]:
    """The files that are named, each with its place; what is no name is noted."""
    if "include" not in document.data:
        return
    written = document.data["include"]
    if written is None or written == [] or isinstance(written, dict):
        wanted = "a file or a list of files such as [_mail.yaml]"
        document.complain(_PATH, f"`include` must be {wanted}, not {shown(written)}")
        return
    several = isinstance(written, list)
    seen = set()
    for index, name in enumerate(written if several else [written]):
        path = (*_PATH, index) if several else _PATH
        if not isinstance(name, str):
            document.complain(path, f"`include` takes names of files, not {shown(name)}")
        elif name in seen:
            document.complain(path, f"`{name}` is listed above already")
        else:
            seen.add(name)
            yield path, name


# -- one document under another ---------------------------------------------------------


def _lay_under(document: Document, shared: Document) -> None:
    """Add what only the shared document says; a list of words is added to."""
    taken: dict[Path, Path] = {}  # what comes along: its place there, and here
    for key, value in shared.data.items():
        if key == "include":
            continue
        if key not in document.data:
            document.data[key] = value
            taken[key,] = (key,)
        elif key == "cast":
            document.data[key] = _mapping(document.data[key], value, (key,), taken, depth=2)
        elif key in _MAPPINGS:
            document.data[key] = _mapping(document.data[key], value, (key,), taken, depth=1)
        elif key in _LISTS and isinstance(document.data[key], list):
            document.data[key] = _list(document.data[key], value, key, taken)
    _take_places(document, shared, taken)


def _mapping(own: Any, shared: Any, path: Path, taken: dict[Path, Path], *, depth: int) -> Any:
    """Both mappings in one, the shared keys first; `depth` is how many levels are joined."""
    if not (isinstance(own, dict) and isinstance(shared, dict)):
        return own
    joined = dict(shared)
    for key in shared:
        if key not in own:
            taken[*path, key] = (*path, key)
        elif depth > 1:
            joined[key] = _mapping(own[key], shared[key], (*path, key), taken, depth=depth - 1)
        else:
            joined[key] = own[key]
    return {**joined, **{key: own[key] for key in own if key not in shared}}


def _list(own: list[Any], shared: list[Any], key: str, taken: dict[Path, Path]) -> list[Any]:
    joined = list(own)
    for index, item in enumerate(shared):
        if item not in own:
            taken[key, index] = (key, len(joined))
            joined.append(item)
    return joined


def _take_places(document: Document, shared: Document, taken: dict[Path, Path]) -> None:
    """Where everything stands that comes along, with the file in which it does."""
    for old, new in _moved(shared.values, taken):
        document.values[new] = shared.values[old]
        document.files[new] = shared.files.get(old, shared.file)
        if old in shared.styles:
            document.styles[new] = shared.styles[old]
    for old, new in _moved(shared.keys, taken):
        document.keys[new] = shared.keys[old]


def _moved(places: Iterable[Path], taken: dict[Path, Path]) -> Iterator[tuple[Path, Path]]:
    for path in places:
        for length in range(1, min(len(path), 3) + 1):
            if path[:length] in taken:
                yield path, (*taken[path[:length]], *path[length:])
                break

"""Which scenario files are meant by what stands on a command line."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import AuthorError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_ROLES = "roles.yaml"
_IMPLEMENTATION = "wirelab.yaml"
_SUITE = re.compile(rb"^suite[ \t]*:", re.MULTILINE)


@dataclass
class Found:
    """A scenario file, as it was given first; `cases` are those asked for, None is all."""

    file: Path
    cases: set[str] | None = field(default_factory=set)

    def ask(self, case: str | None) -> None:
        """Have this case played too, or all of them."""
        if case is None:
            self.cases = None
        elif self.cases is not None:
            self.cases.add(case)


def find(paths: Sequence[str]) -> list[Found]:
    """The scenario files of `FILE`, `FILE[case]` and folders, each once.

    Raises:
        AuthorError: if a path does not exist.
        UsageError: if it looks like a command line that lacks its `--`.
    """
    found: dict[Path, Found] = {}
    missing: list[str] = []
    for path in paths:
        place, case = _split(path)
        if not _is(place, Path.exists):
            missing.append(path)
        for file in _files(place):
            found.setdefault(file.resolve(), Found(file)).ask(case)
    _complain(missing, paths)
    return list(found.values())


def _split(path: str) -> tuple[Path, str | None]:
    """`FILE[case]`; a real file of that name wins."""
    if path.endswith("]") and not _is(Path(path), Path.exists):
        for cut in (at for at, char in enumerate(path) if char == "["):
            if _is(file := Path(path[:cut]), Path.is_file):
                return file, path[cut + 1 : -1]
    return Path(path), None


def _is(path: Path, asked: Callable[[Path], bool]) -> bool:
    try:
        return asked(path)
    except (OSError, ValueError):  # a name that is too long, say, or has a zero in it
        return False


def _files(place: Path) -> Iterable[Path]:
    if not _is(place, Path.is_dir):
        return [place] if _is(place, Path.exists) else []
    return [file for file in _yaml_below(place) if not is_suite(file)]


#: Paths compare by their parts, which each comparison takes out of them anew.
_PARTS = attrgetter("parts")


def _yaml_below(folder: Path) -> list[Path]:
    """What may be a scenario or a suite, in order: in a folder, and one further down."""
    return [
        file
        for file in sorted([*folder.glob("*.yaml"), *folder.glob("*/*.yaml")], key=_PARTS)
        if file.name not in (_ROLES, _IMPLEMENTATION)
        and not file.parent.name.startswith(".")
        and not is_shared(file)
    ]


def is_shared(path: Path) -> bool:
    """Whether a file is no scenario but included by some: its name, or its folder's, tells."""
    return path.name.startswith("_") or path.parent.name.startswith("_")


def is_suite(path: Path) -> bool:
    """Whether a file is a suite: it has the key at its left margin."""
    try:
        return path.suffix == ".yaml" and bool(_SUITE.search(path.read_bytes()))
    except OSError:  # it is a folder, or whoever reads it will tell
        return False


def suites_among(paths: Sequence[str]) -> dict[Path, set[str] | None]:
    """The suites that are given, each with the plays of `FILE[id]`; None is all of them."""
    found: dict[Path, Found] = {}
    for path in paths:
        file, play = _split(path)
        if is_suite(file):
            found.setdefault(file, Found(file)).ask(play)
    return {file: each.cases for file, each in found.items()}


def suites_below(places: Iterable[Path]) -> list[Path]:
    """The suites that lie in these folders."""
    folders = (place for place in places if _is(place, Path.is_dir))
    return [file for folder in folders for file in _yaml_below(folder) if is_suite(file)]


def implementations_below(places: Iterable[Path]) -> list[Path]:
    """The implementation files one level down in these folders."""
    folders = (place for place in places if _is(place, Path.is_dir))
    files = (file for folder in folders for file in sorted(folder.glob(f"*/{_IMPLEMENTATION}")))
    return [file for file in files if not file.parent.name.startswith(".")]


def is_there(path: Path) -> bool:
    """Whether this is a file; what could be the name of none is none."""
    return _is(path, Path.is_file)


def is_folder(path: Path) -> bool:
    """Whether this is a folder; what could be the name of none is none."""
    return _is(path, Path.is_dir)


def ids_around(files: Iterable[Path]) -> set[str]:
    """The ids of all scenarios in the folders in which these lie, by the names of their files."""
    folders = {file.absolute().parent.parent for file in files}
    return {
        f"{file.parent.name}/{file.stem}"
        for folder in folders
        for file in folder.glob("*/*.yaml")
        if not is_shared(file)
    }


def _complain(missing: Sequence[str], paths: Sequence[str]) -> None:
    if any("{" in path or ("/" not in path and shutil.which(path)) for path in missing):
        at = paths.index(missing[0])
        words = ["wirelab", "run", *paths[:at], "--", *paths[at:]]
        raise UsageError(
            f"there is no file or folder `{missing[0]}`; "
            f"a command line stands behind `--`: {shlex.join(words)}"
        )
    if missing:
        message = "there is no such file or folder"
        raise AuthorError(Problem(p, 1, 1, message + _meant(p)) for p in missing)


def _meant(path: str) -> str:
    """How a message about a missing path goes on, if it is an id or lacks its ending."""
    near = (f"{path}.yaml", f"scenarios/{path}.yaml", f"scenarios/{path}")
    found = next((name for name in near if path and is_there(Path(name))), None)
    found = found or next((name for name in near if path and is_folder(Path(name))), None)
    return f"; did you mean `{found}`?" if found else ""


def folder_with_roles(places: Iterable[Path]) -> Path | None:
    """The folder of scenarios that adds roles of its own (`roles.yaml`)."""
    near = (folder for place in places for folder in (place, *place.absolute().parents[:2]))
    return next((folder for folder in near if _is(folder / _ROLES, Path.is_file)), None)

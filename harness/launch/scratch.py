"""The scratch copy of an author's folder: made for one play, searched, and removed."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.errors import MachineError
from harness.network import scratch_folder
from harness.network.tree import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not copied: version control, and what tools make anew.  A folder with a pyvenv.cfg is a
# virtual environment: its interpreter is a link to outside and would be lost anyway.
# __pycache__ is copied, and with it the times of the sources: it saves compiling them.
_SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
)
_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"
_CACHE = "__pycache__"
_PLAIN_FOLDER = "program"  # the name where the author has none
_FEW, _LITTLE = 96, 1 << 20  # entries, bytes: a few milliseconds
_VISITED = 20_000  # entries looked at in search of new files
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A file that the program touched; `skipped` says why its content is left out."""

    path: str
    data: bytes = b""
    skipped: str = ""
    change: Literal["created", "changed", "removed"] = "created"


@dataclass
class Scratch:
    """Three folders of one play: the copy (under its own name), a home, and one for /tmp."""

    root: Path
    folder: Path
    home: Path
    temporary: Path
    _made: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def make(cls, source: Path | None, *, files: int, size: int) -> Scratch:
        """Copy a folder, or make an empty one.

        Symbolic links are kept if they point inside, and then as links; other ones, devices,
        FIFOs and sockets are left out.

        Args:
            source: The author's folder; None for an empty one.
            files: The most entries that it may have.
            size: The most bytes.

        Raises:
            MachineError: it is larger, cannot be read, or there is no room for the copy.
        """
        source = source.resolve() if source else None
        name = source.name if source else ""
        try:
            root = Path(tempfile.mkdtemp(prefix="play-", dir=scratch_folder()))
            scratch = cls(
                root, root / "copy" / (name or _PLAIN_FOLDER), root / "home", root / "tmp"
            )
            try:
                for folder in (
                    scratch.folder.parent,
                    scratch.folder,
                    scratch.home,
                    scratch.temporary,
                ):
                    folder.mkdir()
                if source:
                    copy = _Copy(source, scratch.folder, files, size)
                    copy.folder()
                    scratch._made = copy.made
            except BaseException:
                scratch.remove()
                raise
        except OSError as error:
            raise MachineError(
                f"{source or 'a scratch folder'} cannot be copied: {error}"
            ) from error
        return scratch

    def new(self, *, files: int, size: int) -> Iterator[Found]:
        """What is new, has changed or is gone since the copy was made, by path.

        Args:
            files: The most files whose content is read.
            size: The most bytes of each.
        """
        changed = sorted(self._changed())
        for path, status in changed[:files]:
            found = _collect(self.folder / path, path, status, size)
            yield replace(found, change="changed") if path in self._made else found
        if len(changed) > files:
            more = f"... and {len(changed) - files} more"
            yield Found(more, skipped=f"only {files} files are collected")

        for path in sorted(self._made):
            if _is_gone(self.folder / path):
                yield Found(path, change="removed")

    def _changed(self) -> Iterator[tuple[str, os.stat_result]]:
        visited = 0
        folders = [""]
        while folders:
            at = folders.pop()
            for entry in _entries(self.folder / at):
                visited += 1
                if visited > _VISITED:
                    return
                path = os.path.join(at, entry.name)  # noqa: PTH118 - "" / name is ./name
                if entry.is_dir(follow_symlinks=False):
                    folders += [path] if entry.name != _CACHE else []
                elif self._made.get(path) != _identity(entry.stat(follow_symlinks=False)):
                    yield path, entry.stat(follow_symlinks=False)

    def remove(self) -> None:
        """Remove all of it, whatever the program did to its modes.

        Raises:
            OSError: something resists.
        """
        remove_tree(self.root)


def is_small(folder: Path) -> bool:
    """Whether it is copied or removed sooner than a thread would be found that does it."""
    entries, size = 0, 0
    folders = [str(folder)]
    while folders and entries <= _FEW and size <= _LITTLE:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as found:
            for entry in found:
                entries += 1
                if entries > _FEW:
                    break
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    size += entry.stat(follow_symlinks=False).st_size
    return entries <= _FEW and size <= _LITTLE


class _Copy:
    """Copies a folder; `made` then tells what each copied file was, by its path in there."""

    def __init__(self, source: Path, target: Path, files: int, size: int) -> None:
        self.source = source
        self.made: dict[str, tuple[int, ...]] = {}
        self._target = str(target)
        self._files, self._most_files = 0, files
        self._size, self._most_size = 0, size

    def folder(self, path: str = "") -> None:
        """Copy what is in a folder of the source; it is there already."""
        here = os.path.join(self.source, path)  # noqa: PTH118 - a Path costs as much as a copy
        with os.scandir(here) as entries:
            for entry in entries:
                self._count(entry)
                self._copy(entry, f"{path}/{entry.name}" if path else entry.name)
        mode = os.stat(here).st_mode & 0o777 | stat.S_IRWXU  # noqa: PTH116 - as above
        os.chmod(f"{self._target}/{path}", mode)  # noqa: PTH101 - as above

    def _copy(self, entry: os.DirEntry[str], path: str) -> None:
        target = f"{self._target}/{path}"
        if entry.is_symlink():
            self._link(Path(entry.path), path)
        elif entry.is_dir():
            if entry.name not in _SKIPPED and not Path(entry.path, _VIRTUAL_ENVIRONMENT).exists():
                os.mkdir(target)  # noqa: PTH102 - as above
                self.folder(path)
        elif entry.is_file():
            self.made[path] = _identity(_copy_file(entry.path, target))

    def _link(self, link: Path, path: str) -> None:
        end = Path(os.path.realpath(link))  # unlike resolve, it bears loops
        if end.is_relative_to(self.source):
            target = Path(self._target, path)
            # Relative, and without detours: an absolute one would lead to the author's folder.
            target.symlink_to(os.path.relpath(end, link.parent))
            self.made[path] = _identity(target.lstat())

    def _count(self, entry: os.DirEntry[str]) -> None:
        self._files += 1
        if self._files > self._most_files:
            raise MachineError(
                f"{self.source} is too large to be copied for each play: "
                f"more than {self._most_files} files"
            )
        if entry.is_file(follow_symlinks=False):
            self._size += entry.stat(follow_symlinks=False).st_size
        if self._size > self._most_size:
            raise MachineError(
                f"{self.source} is too large to be copied for each play: "
                f"more than {self._most_size >> 20} MiB"
            )


def _copy_file(source: str, target: str) -> os.stat_result:
    """Content, mode and time: a third of what shutil.copy2 takes, which looks for more."""
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            status = os.fstat(reader)
            left = status.st_size
            while left and (sent := os.sendfile(writer, reader, None, left)):
                left -= sent
            os.fchmod(writer, status.st_mode & 0o777)
            os.utime(writer, ns=(status.st_atime_ns, status.st_mtime_ns))
            return os.fstat(writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _is_gone(file: Path) -> bool:
    """Whether it is known not to be there: a folder that is locked does not tell."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []  # the program has locked it, or its path is longer than a path may be


def _collect(file: Path, path: str, status: os.stat_result, size: int) -> Found:
    if kind := _KINDS.get(stat.S_IFMT(status.st_mode)):
        return Found(path, skipped=kind)
    if status.st_size > size:
        return Found(path, skipped=f"{status.st_size} bytes, more than {size}")
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:  # noqa: PTH123 - a Path cannot be opened without following
            return Found(path, opened.read(size))
    except OSError as error:
        return Found(path, skipped=error.strerror or "unreadable")

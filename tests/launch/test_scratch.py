"""The scratch copy: what comes along, what does not, and that nothing of it stays."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest
from harness.errors import MachineError
from harness.launch.scratch import Found, Scratch
from harness.network.tree import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "group 7"
    made.mkdir()
    return made


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scratch]]:
    """Copies a folder; every copy is removed again, and then nothing is left."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr("harness.launch.scratch.scratch_folder", lambda: str(place))
    copies: list[Scratch] = []

    def copy(source: Path | None, files: int = 100, size: int = 1 << 20) -> Scratch:
        copies.append(Scratch.make(source, files=files, size=size))
        return copies[-1]

    yield copy
    for scratch in copies:
        scratch.remove()
    assert list(place.iterdir()) == []


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def found(scratch: Scratch, files: int = 100, size: int = 1000) -> list[Found]:
    return list(scratch.new(files=files, size=size))


# -- the copy --------------------------------------------------------------------------------


def test_the_copy_keeps_names_contents_modes_and_times(
    folder: Path, copied: Callable[..., Scratch]
) -> None:
    (folder / "src").mkdir()
    program = folder / "src" / "run.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o750)
    os.utime(program, ns=(10**18, 10**18))
    copy = copied(folder).folder / "src" / "run.sh"
    assert copy.parent.parent.name == "group 7"
    assert copy.read_text() == "#!/bin/sh\n"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o750
    assert copy.stat().st_mtime_ns == 10**18  # or a .pyc beside it would be stale


def test_the_authors_folder_is_not_touched(folder: Path, copied: Callable[..., Scratch]) -> None:
    (folder / "data").write_text("mine")
    (copied(folder).folder / "data").write_text("yours")
    assert (folder / "data").read_text() == "mine"


def test_no_folder_is_an_empty_one(copied: Callable[..., Scratch]) -> None:
    scratch = copied(None)
    assert names(scratch.folder) == set()
    assert scratch.home.is_dir()
    assert scratch.temporary.is_dir()
    assert found(scratch) == []


def test_version_control_and_caches_stay_behind(
    folder: Path, copied: Callable[..., Scratch]
) -> None:
    for name in (".git", ".tox", ".pytest_cache", "__pycache__", "env", "src"):
        (folder / name).mkdir()
        (folder / name / "file").touch()
    (folder / "env" / "pyvenv.cfg").touch()
    (folder / "name\nwith \udcff").touch()
    assert names(copied(folder).folder) == {
        "__pycache__",
        "__pycache__/file",
        "src",
        "src/file",
        "name\nwith \udcff",
    }


def test_links_are_kept_only_if_they_point_inside(
    folder: Path, tmp_path: Path, copied: Callable[..., Scratch]
) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "sub").mkdir()
    (folder / "file").touch()
    (folder / "sub" / "relative").symlink_to("../file")
    (folder / "absolute").symlink_to(folder / "file")
    (folder / "folder").symlink_to("sub")
    (folder / "dangling").symlink_to("later")
    (folder / "outside").symlink_to("/etc/passwd")
    (folder / "dots").symlink_to("../secret")
    (folder / "loop").symlink_to("loop")
    scratch = copied(folder)
    copy = scratch.folder
    links = {
        name: str((copy / name).readlink()) for name in names(copy) if (copy / name).is_symlink()
    }
    links.pop("loop", None)
    assert links == {
        "sub/relative": "../file",
        "absolute": "file",
        "folder": "sub",
        "dangling": "later",
    }
    assert found(scratch) == []


def test_what_is_no_file_stays_behind(folder: Path, copied: Callable[..., Scratch]) -> None:
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket"))
        assert names(copied(folder).folder) == set()


def test_too_many_files_are_refused(folder: Path, copied: Callable[..., Scratch]) -> None:
    for number in range(5):
        (folder / str(number)).touch()
    with pytest.raises(MachineError, match=r"group 7 is too large .* more than 4 files"):
        copied(folder, files=4)


def test_too_much_is_refused_before_it_is_copied(
    folder: Path, copied: Callable[..., Scratch]
) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(MachineError, match=r"group 7 is too large .* more than 1 MiB"):
        copied(folder)


def test_a_folder_that_is_not_there_is_refused(
    tmp_path: Path, copied: Callable[..., Scratch]
) -> None:
    with pytest.raises(MachineError, match="nowhere cannot be copied"):
        copied(tmp_path / "nowhere")


def test_a_read_only_folder_can_be_written_in_its_copy(
    folder: Path, copied: Callable[..., Scratch]
) -> None:
    folder.chmod(0o555)
    try:
        (copied(folder).folder / "log").touch()
    finally:
        folder.chmod(0o755)


# -- what is new ---------------------------------------------------------------------------


def test_new_and_changed_files_are_found_by_path(
    folder: Path, copied: Callable[..., Scratch]
) -> None:
    (folder / "same").write_text("same")
    (folder / "changed").write_text("old")
    os.utime(folder / "changed", ns=(10**18, 10**18))
    scratch = copied(folder)
    (scratch.folder / "changed").write_text("new")
    (scratch.folder / "sub").mkdir()
    (scratch.folder / "sub" / "added").write_bytes(b"\xff")
    (scratch.folder / "__pycache__").mkdir()
    (scratch.folder / "__pycache__" / "x.pyc").touch()
    (scratch.home / "cache").touch()
    (scratch.folder / "same").unlink()
    assert found(scratch) == [
        Found("changed", b"new", change="changed"),
        Found("sub/added", b"\xff"),
        Found("same", change="removed"),
    ]


def test_what_cannot_be_collected_is_told(folder: Path, copied: Callable[..., Scratch]) -> None:
    scratch = copied(folder)
    os.mkfifo(scratch.folder / "fifo")
    (scratch.folder / "link").symlink_to("/etc/passwd")
    (scratch.folder / "folder").symlink_to("/etc")
    with (scratch.folder / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert found(scratch) == [
        Found("fifo", skipped="a FIFO"),
        Found("folder", skipped="a symbolic link"),
        Found("link", skipped="a symbolic link"),
        Found("sparse", skipped=f"{1 << 40} bytes, more than 1000"),
    ]


def test_only_so_many_files_are_collected(copied: Callable[..., Scratch]) -> None:
    scratch = copied(None)
    for number in range(5):
        (scratch.folder / str(number)).touch()
    assert found(scratch, files=3)[2:] == [
        Found("2"),
        Found("... and 2 more", skipped="only 3 files are collected"),
    ]


def test_the_search_is_bounded(
    copied: Callable[..., Scratch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.launch.scratch._VISITED", 3)
    scratch = copied(None)
    for number in range(5):
        (scratch.folder / str(number)).touch()
    assert len(found(scratch)) == 3


# -- its end ---------------------------------------------------------------------------------


def test_locked_folders_are_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").touch()
    for path in (root / "a" / "b" / "file", root / "a" / "b", root / "a", root):
        path.chmod(0)
    remove_tree(root)
    assert not root.exists()


def test_a_folder_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    at = os.open(root, os.O_RDONLY)
    for _ in range(1500):  # deeper than recursion goes, and longer than PATH_MAX
        os.mkdir("deep", dir_fd=at)
        below = os.open("deep", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    remove_tree(root)
    assert not root.exists()


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (root / "link").symlink_to(tmp_path / "kept")
    remove_tree(root)
    assert (tmp_path / "kept" / "file").exists()
    assert not root.exists()

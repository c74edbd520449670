"""Removing folders, for the harness and for its helper, which imports as little as it can."""

from __future__ import annotations

import os

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def remove_tree(root: str | os.PathLike[str]) -> None:
    """Remove a folder and all in it: without recursion (it may be deep), following no link.

    Raises:
        OSError: something resists.
    """
    os.chmod(root, 0o700)  # noqa: PTH101 - pathlib would cost the helper 5 ms
    at = os.open(root, _DIRECTORY)
    path: list[str] = []
    try:
        while True:
            if below := _remove_files(at):
                os.chmod(below, 0o700, dir_fd=at)
                at = _move(at, below)
                path.append(below)
            elif path:
                at = _move(at, "..")
                os.rmdir(path.pop(), dir_fd=at)
            else:
                break
    finally:
        os.close(at)
    os.rmdir(root)  # noqa: PTH106 - as above


def _remove_files(at: int) -> str | None:
    """Remove what is no folder up to the first one that is; its name."""
    with os.scandir(at) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                return entry.name
            os.unlink(entry.name, dir_fd=at)
    return None


def _move(at: int, name: str) -> int:
    there = os.open(name, _DIRECTORY, dir_fd=at)
    os.close(at)
    return there

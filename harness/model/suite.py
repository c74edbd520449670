"""A suite: the scenarios of one assignment, with what each of them counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pick:
    """One item of a suite: the scenarios of an id or a pattern, or those with a tag.

    `but` are ids and patterns of scenarios that are left out.  What is None is as the scenario
    says: points, and seconds.
    """

    pattern: str = ""
    tag: str = ""
    but: tuple[str, ...] = ()
    points: float | None = None
    timeout: float | None = None
    patience: float | None = None
    line: int = 0
    column: int = 0

    @property
    def name(self) -> str:
        """What it picks, in words."""
        return f"the tag `{self.tag}`" if self.tag else f"`{self.pattern}`"

    def may_mean(self, name: str) -> bool:
        """Whether it may pick the scenario of this id; its tags are not known."""
        return bool(self.tag) or matches(self.pattern, name)


@dataclass(frozen=True, slots=True)
class Suite:
    """What a suite file says; `folder` is where its scenarios lie, `file` its path as given."""

    title: str
    file: str
    folder: Path
    picks: tuple[Pick, ...]


def matches(pattern: str, name: str) -> bool:
    """Whether a name is meant by a pattern, in which `*` stands for anything."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name))

"""Whose fault it is: three kinds of error, and no others, leave a room.

The author's (a scenario or implementation file is wrong), the machine's (it cannot
offer what was asked for), and ours.  The program under test is never among them: what
it does wrong is a finding of the verdict, not an exception.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class WirelabError(Exception):
    """Base of every error that Wirelab raises on purpose."""


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One mistake in a file that a person wrote; lines and columns count from 1.

    `included_by` are the scenarios that it spoils, where the file is one that they share.
    """

    file: str
    line: int
    column: int
    message: str
    included_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f"{self.file}:{self.line}:{self.column}: {self.message}"
        if not self.included_by:
            return told
        first, *more = self.included_by
        others = f" and {len(more)} other{'s' if len(more) > 1 else ''}" if more else ""
        return f"{told} (included by {first}{others})"


def joined(problems: Iterable[Problem]) -> list[Problem]:
    """The same problems, each once; one of a shared file names everybody who includes it."""
    found: dict[Problem, dict[str, None]] = {}
    for problem in problems:
        alone = replace(problem, included_by=())
        found.setdefault(alone, {}).update(dict.fromkeys(problem.included_by))
    return [replace(problem, included_by=tuple(names)) for problem, names in found.items()]


class AuthorError(WirelabError):
    """A scenario or implementation file is wrong; carries every problem found in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class UsageError(WirelabError):
    """What was asked for on the command line does not go together."""


class MachineError(WirelabError):
    """This machine cannot do what was asked: a rung is missing, a resource is used up."""


class HarnessError(WirelabError):
    """Wirelab itself is wrong; never charged to the program under test."""

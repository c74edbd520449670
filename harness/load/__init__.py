"""YAML files into nouns; every mistake in them with file, line and column.

pydantic is imported when the first file is loaded, not before: commands that load
nothing start without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import AuthorError, Problem, joined
from harness.load.find import (
    Found,
    find,
    folder_with_roles,
    ids_around,
    implementations_below,
    is_shared,
    is_suite,
    suites_among,
    suites_below,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from harness.model.program import Implementation, Role
    from harness.model.scenario import Scenario
    from harness.model.suite import Suite

__all__ = [
    "Found",
    "command_implementation",
    "find",
    "find_scenarios",
    "folder_with_roles",
    "ids_around",
    "implementations_below",
    "is_implementation",
    "is_shared",
    "is_suite",
    "load_implementation",
    "load_roles",
    "load_scenario",
    "load_scenarios",
    "load_suite",
    "schema_text",
    "slug_of",
    "suites_among",
    "suites_below",
]


def find_scenarios(paths: Iterable[Path]) -> list[Path]:
    """The scenario files of files and folders, each once, folders in order of names.

    A folder is `scenarios/` itself or that of one role: `*.yaml` in it and in its
    folders count, but for `roles.yaml` and what scenarios include (`_*`).

    Raises:
        AuthorError: if a path does not exist.
    """
    return [found.file for found in find(list(map(str, paths)))]


def load_scenario(path: Path, roles: Mapping[str, Role]) -> Scenario:
    """The scenario of a file.

    Raises:
        AuthorError: with every problem of the file.
    """
    from harness.load import scenario  # noqa: PLC0415 - imports pydantic

    return scenario.load_scenario(path, roles)


def load_scenarios(
    paths: Iterable[Path], roles: Mapping[str, Role]
) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of files and folders that are right, and the problems of the others."""
    from harness.load.include import Includes  # noqa: PLC0415 - imports pydantic
    from harness.load.scenario import load_scenario  # noqa: PLC0415

    scenarios: dict[str, Scenario] = {}
    problems: list[Problem] = []
    try:
        files = find_scenarios(paths)
    except AuthorError as error:
        return [], list(error.problems)
    includes = Includes()
    for path in files:
        try:
            scenario = load_scenario(path, roles, includes)
        except AuthorError as error:
            problems += error.problems
            continue
        first = scenarios.setdefault(scenario.id, scenario)
        if first is not scenario:
            problems.append(Problem(str(path), 1, 1, f"{first.file} is {scenario.id} already"))
    return list(scenarios.values()), joined(problems)


def slug_of(name: str) -> str:
    """The name with what the file of a scenario may not have in it replaced."""
    from harness.load import scenario  # noqa: PLC0415 - imports pydantic

    return scenario.slug_of(name)


def load_suite(path: Path) -> Suite:
    """The suite of a file.

    Raises:
        AuthorError: with every problem of the file.
    """
    from harness.load import suite  # noqa: PLC0415 - imports pydantic

    return suite.load_suite(path)


def load_roles(folder: Path | None = None) -> dict[str, Role]:
    """Wirelab's roles by name, and those of `roles.yaml` in a folder of scenarios.

    Raises:
        AuthorError: if that file is wrong, or gives one of Wirelab's roles again.
    """
    from harness.load import roles  # noqa: PLC0415 - imports pydantic

    return roles.load_roles(folder)


def schema_text(of: str) -> str:
    """The JSON Schema (2020-12) of a kind of file, as it is published.

    `of` is `scenario`, `implementation` or `roles`.
    """
    from harness.load import json_schema  # noqa: PLC0415 - imports pydantic

    return json_schema.schema_text(of)


def is_implementation(place: Path) -> bool:
    """Whether a path is that of an implementation file, or of a folder that has one."""
    return place.name == "wirelab.yaml" or (place / "wirelab.yaml").is_file()


def load_implementation(path: Path, roles: Mapping[str, Role]) -> Implementation:
    """The implementation of a file, or of the `wirelab.yaml` in a folder.

    Raises:
        AuthorError: with every problem of the file, also if there is none.
    """
    from harness.load import implementation  # noqa: PLC0415 - imports pydantic

    return implementation.load_implementation(path, roles)


def command_implementation(
    role: Role, argv: Sequence[str], *, folder: Path | None = None
) -> Implementation:
    """An implementation that is one command line; its arguments may hold placeholders.

    Raises:
        AuthorError: for an unknown placeholder.
    """
    from harness.load import implementation  # noqa: PLC0415 - imports pydantic

    return implementation.command_implementation(role, argv, folder=folder)

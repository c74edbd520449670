"""An implementation file (`wirelab.yaml`), or a command line, -> `Implementation`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import AuthorError, Problem
from harness.load.addresses import parse_address, parse_host
from harness.load.document import Document, read_document
from harness.load.schema import ImplementationShape, ProgramShape
from harness.load.shapes import shape_of
from harness.load.wording import suggest
from harness.model.command import PlaceholderError, placeholder_names, placeholders
from harness.model.program import ExpectedFailure, Implementation, Program, Role
from harness.notation import NotationError, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE_NAME = "wirelab.yaml"


def load_implementation(path: Path, roles: Mapping[str, Role]) -> Implementation:
    """The implementation of a file, or of the `wirelab.yaml` in a folder.

    Raises:
        AuthorError: with every problem of the file, also if there is none.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise AuthorError([Problem(str(path), 1, 1, _no_file(path))])
    if file.suffix not in ("", ".yaml", ".yml", ".json"):
        message = f"this is no {FILE_NAME}; give one, its folder, or the program behind `--`"
        raise AuthorError([Problem(str(path), 1, 1, message)])
    document = read_document(file)
    shape = shape_of(document, ImplementationShape)
    document.raise_problems()
    assert shape is not None  # noqa: S101 - else the document had a problem
    reader = _Reader(document, roles)
    implementation = Implementation(
        name=shape.name,
        path=str(path),
        folder=file.resolve().parent,
        programs=reader.programs(shape.programs),
        lacks=reader.lacks(shape.lacks),
        expected_failures=reader.expected_failures(shape.expected_failures),
    )
    document.raise_problems()
    return implementation


def _no_file(path: Path) -> str:
    if path.is_dir():
        return (
            f"there is no {FILE_NAME} in this folder; write one that says how to start the programs"
        )
    return "there is no such implementation file or folder"


def command_implementation(
    role: Role, argv: Sequence[str], *, folder: Path | None = None
) -> Implementation:
    """An implementation that is one command line; its arguments may hold placeholders.

    Raises:
        AuthorError: for an unknown placeholder; the column is the number of the argument.
    """
    shown = shlex.join(argv)
    problems = [
        Problem("command line", 1, number, message)
        for number, argument in enumerate(argv, 1)
        for message in placeholder_problems(argument, role)
    ]
    if not argv:
        problems.append(Problem("command line", 1, 1, "there is no command after `--`"))
    if problems:
        raise AuthorError(problems)
    program = Program(role.name, tuple(argv))
    return Implementation(shown, shown, (folder or Path.cwd()).resolve(), {role.name: program})


def placeholder_problems(argument: str, role: Role) -> list[str]:
    """What is wrong with the placeholders of one argument."""
    known = placeholder_names(role)
    try:
        names = [name for name, _ in placeholders(argument)]
    except PlaceholderError as error:
        return [f"in `{argument}`: {error}"]
    return [
        f"`{{{name}}}` stands for nothing{suggest(name, known)}"
        for name in names
        if name not in known
    ]


class _Reader:
    def __init__(self, document: Document, roles: Mapping[str, Role]) -> None:
        self._document = document
        self._roles = roles

    def programs(self, shapes: Mapping[str, ProgramShape]) -> dict[str, Program]:
        programs: dict[str, Program] = {}
        for name, shape in shapes.items():
            if role := self._role("programs", name):
                programs[name] = self._program(role, shape)
        return programs

    def _role(self, section: str, name: str) -> Role | None:
        if name not in self._roles:
            message = f"there is no role `{name}`{suggest(name, self._roles)}"
            self._document.complain((section, name), message, key=True)
        return self._roles.get(name)

    def _program(self, role: Role, shape: ProgramShape) -> Program:
        path = ("programs", role.name)
        for index, argument in enumerate(shape.run):
            for message in placeholder_problems(argument, role):
                self._document.complain((*path, "run", index), message)
        for name, text in shape.env.items():
            for message in placeholder_problems(text, role):
                self._document.complain((*path, "env", name), message)
        self._check_asks(path, role, shape)
        return Program(
            role=role.name,
            run=tuple(shape.run),
            env=dict(shape.env),
            addresses=self._addresses(role, shape),
            asks=dict(shape.asks),
            build=self._build(path, shape),
            line=self._document.key_place(path).line,
        )

    def _build(self, path: tuple[str, str], shape: ProgramShape) -> tuple[str, ...]:
        for index, argument in enumerate(shape.build):
            try:
                unknown = [name for name, _ in placeholders(argument) if name != "python"]
            except PlaceholderError as error:
                self._document.complain((*path, "build", index), f"in `{argument}`: {error}")
                continue
            for name in unknown:
                message = f"`{{{name}}}` is not known yet: a program is built before all plays"
                self._document.complain((*path, "build", index), message)
        return tuple(shape.build)

    def _check_asks(self, path: tuple[str, str], role: Role, shape: ProgramShape) -> None:
        for pattern, text in shape.asks.items():
            place = (*path, "asks", pattern)
            try:
                if parse_pattern(pattern).matches_everything or not pattern.strip():
                    message = 'this is every line; write what the prompt says: "*ecipient*"'
                    self._document.complain(place, message, key=True)
            except NotationError as error:
                self._document.complain(place, error.message, key=True)
            if not text.isprintable():
                self._document.complain(place, "an answer is one line")
            for message in placeholder_problems(text, role):
                self._document.complain(place, message)

    def _addresses(self, role: Role, shape: ProgramShape) -> dict[str, str]:
        """The keys beside `run` and `env`: endpoints that the program has hard-coded."""
        addresses: dict[str, str] = {}
        for key, value in (shape.model_extra or {}).items():
            path = ("programs", role.name, str(key))
            endpoint = _endpoint(role, str(key))
            if endpoint is None:
                self._document.complain(path, _unknown(role, str(key)), key=True)
                continue
            try:
                if role.endpoints[endpoint].protocol == "icmp":
                    addresses[endpoint] = parse_host(str(value))
                else:
                    addresses[endpoint] = parse_address(str(value), default_host=None)
            except ValueError as error:
                self._document.complain(path, str(error))
        return addresses

    def lacks(self, lists: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
        for name, features in lists.items():
            role = self._role("lacks", name)
            for index, feature in enumerate(features if role else []):
                if role and feature not in role.features:
                    message = (
                        f"`{feature}` is no feature of {name}{suggest(feature, role.features)}"
                    )
                    self._document.complain(("lacks", name, index), message)
        return {name: tuple(features) for name, features in lists.items()}

    def expected_failures(self, reasons: Mapping[str, str]) -> tuple[ExpectedFailure, ...]:
        for pattern in reasons:
            path = ("expected failures", pattern)
            role, slash, _ = pattern.partition("/")
            if not slash:
                message = f"`{pattern}` is no id of a scenario; write ROLE/{pattern.lstrip('/')}"
                self._document.complain(path, message, key=True)
            elif "*" not in role and role not in self._roles:
                message = f"there is no role `{role}`{suggest(role, self._roles)}"
                self._document.complain(path, message, key=True)
        return tuple(
            ExpectedFailure(
                pattern,
                reason,
                self._document.file,
                *self._document.key_place(("expected failures", pattern)),
            )
            for pattern, reason in reasons.items()
        )


def _endpoint(role: Role, key: str) -> str | None:
    """`server:` stands for the only endpoint of a role, whatever its name."""
    if key in role.endpoints:
        return key
    return next(iter(role.endpoints)) if key == "server" and len(role.endpoints) == 1 else None


def _unknown(role: Role, key: str) -> str:
    if key == "server":
        names = ", ".join(role.endpoints)
        return f"{role.name} has several endpoints; name the one that is hard-coded: {names}"
    return f"unknown key `{key}`{suggest(key, ['run', 'env', 'asks', 'build', *role.endpoints])}"

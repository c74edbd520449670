"""The program under test: what a role is, and how an implementation plays it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from typing import Literal as OneOf

from harness.model.suite import matches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.model.scenario import LineEnd

Value = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a role meets the network: it `listens` there, or it `dials` an actor there.

    `protocol` is that of the actor that stands there; `any` takes every actor.
    """

    name: str
    direction: OneOf["listens", "dials"]
    protocol: OneOf["smtp", "http", "pop3", "tcp", "udp", "icmp", "any"]
    about: str = ""


@dataclass(frozen=True, slots=True)
class ParameterOf:
    """A parameter of a role, with the value that it has where a scenario names none."""

    name: str
    default: Value
    about: str


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of program, by what it does on the network."""

    name: str
    about: str
    endpoints: Mapping[str, Endpoint]
    parameters: Mapping[str, ParameterOf]
    features: Mapping[str, str]
    eol: LineEnd

    @property
    def speaks_icmp(self) -> bool:
        """Whether it is one of programs that ping, and so cannot do without raw sockets."""
        return any(endpoint.protocol == "icmp" for endpoint in self.endpoints.values())

    @property
    def listens(self) -> Endpoint | None:
        """The endpoint where peers dial the program, if it is a server."""
        return next((e for e in self.endpoints.values() if e.direction == "listens"), None)


@dataclass(frozen=True, slots=True)
class Program:
    """How an implementation plays one role.

    `run` is the command line with `{host}`, `{port}`, `{parameter}` still in it;
    `addresses` are endpoints that are hard-coded in the program (`host:port` by name); `asks`
    what is answered to its prompts, by pattern, as open as the command line; `build` is the
    command that makes it, in its folder.
    """

    role: str
    run: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    asks: Mapping[str, str] = field(default_factory=dict)
    build: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ExpectedFailure:
    """Plays of which it is known that the program fails in them, and why.

    `pattern` is the id of a scenario or of one of its plays; `*` stands for anything.
    """

    pattern: str
    reason: str
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)

    @property
    def place(self) -> str:
        """Where it is written: `wirelab.yaml:12`."""
        return f"{self.file}:{self.line}"

    def means(self, name: str) -> bool:
        """Whether it is about the scenario or the play of this name."""
        return matches(self.pattern, name)


@dataclass(frozen=True, slots=True)
class Implementation:
    """What an implementation file says; the programs start in a copy of `folder`."""

    name: str
    path: str  # as the user gave it: shown again in reports
    folder: Path
    programs: Mapping[str, Program]
    lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    expected_failures: tuple[ExpectedFailure, ...] = ()

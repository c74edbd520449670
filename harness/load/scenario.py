"""A scenario file -> `Scenario`: shape first, then what its parts mean together."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.load.addresses import parse_address, parse_host
from harness.load.cast import read_cast
from harness.load.demands import read_demands
from harness.load.document import Document, Place, read_document
from harness.load.find import is_folder, is_shared, is_there
from harness.load.include import Includes
from harness.load.instead import cases_of_steps
from harness.load.mail import check_mail
from harness.load.names import check_aliases, read_records
from harness.load.schema import ScenarioShape
from harness.load.script import (
    check_exchange,
    could_fail,
    read_exchange,
    templates,
    unknown_actors,
)
from harness.load.shapes import shape_of
from harness.load.vain import check_vain
from harness.load.wording import as_text, suggest
from harness.model.dates import is_date
from harness.model.needs import NEEDS
from harness.model.scenario import (
    Actor,
    ActorKind,
    Case,
    Demand,
    Limits,
    Number,
    Scenario,
    TextDemand,
)
from harness.model.template import PARAMETER, substitute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path as FilePath

    from harness.load.document import Path
    from harness.model.exchange import Exchange
    from harness.model.program import Role, Value

_NOT_IN_SLUGS = re.compile(r"[^\w-]+")  # letters of every script, digits and `_` are \w
_VALUE_NAME = re.compile(r"[^\W\d][\w-]*")
_REQUIREMENT = re.compile(r"[A-Z][0-9]+")
_ADDRESS_FIELDS = ("host", "port", "address")


def load_scenario(
    path: FilePath, roles: Mapping[str, Role], includes: Includes | None = None
) -> Scenario:
    """The scenario of a file; `includes` has what was included before, to be used again.

    Raises:
        AuthorError: with every problem of the file, and of the files that it includes.
    """
    document = read_document(path)
    if is_shared(path):
        message = "the name begins with `_`, so this file is no scenario; scenarios include it"
        document.complain((), message)
        document.raise_problems()
    if isinstance(document.data, dict):
        (includes or Includes()).complete(document)
        document.raise_problems()
    shape = shape_of(document, ScenarioShape)
    role = _role(document, path, roles)
    exchange = read_exchange(document) if isinstance(document.data, dict) else None
    if shape is None or role is None or exchange is None:
        _check_actors_at_least(document, exchange)
        document.raise_problems()
        raise HarnessError(f"{path} did not load, and nothing was said of it")
    scenario = _Maker(document, path, shape, role, exchange).scenario()
    document.raise_problems()
    return scenario


def _check_actors_at_least(document: Document, exchange: Exchange | None) -> None:
    """A file of the wrong shape still has names that can be compared."""
    cast = document.data.get("cast", {}) if isinstance(document.data, dict) else None
    if isinstance(cast, dict) and exchange is not None:
        unknown_actors(document, exchange, [str(name) for name in cast])


# -- the role -------------------------------------------------------------------------


def _role(document: Document, path: FilePath, roles: Mapping[str, Role]) -> Role | None:
    if not isinstance(document.data, dict):
        return None
    written = document.data.get("role", "")
    if written is None or isinstance(written, list | dict):
        return None  # the shape says so
    written = as_text(written)
    folder = path.absolute().parent
    of_folder = folder.name if folder.name in roles or folder.parent.name == "scenarios" else None
    if written and of_folder and written != of_folder:
        message = f"the role is `{written}`, but the file is in the folder of `{of_folder}`"
        document.complain(("role",), message)
        return None
    name = written or of_folder
    if name is None:
        message = "`role` is missing; write it, or put the file into scenarios/<role>/"
        document.complain((), message)
    elif name not in roles:
        document.complain(("role",), f"there is no role `{name}`{suggest(name, roles)}")
    return roles.get(name or "")


# -- the parts ------------------------------------------------------------------------


class _Maker:
    def __init__(
        self,
        document: Document,
        path: FilePath,
        shape: ScenarioShape,
        role: Role,
        exchange: Exchange,
    ) -> None:
        self._document = document
        self._path = path
        self._shape = shape
        self._role = role
        self._exchange = exchange

    def scenario(self) -> Scenario:
        shape, document = self._shape, self._document
        self._check_words()
        self._check_values()
        self._fill_places()
        cast = read_cast(document, shape.cast, self._role)
        steps = self._cases_of_steps()
        cases = self._cases() or steps
        self._check_pieces(cast)
        self._check_places(cast, cases)
        check_exchange(document, self._exchange, cast, shape.timeout)
        check_mail(document, self._exchange, cast, self._role)
        names = read_records(document, shape.names, ("names",))
        for records in (names, *(actor.records for actor in cast.values())):
            check_aliases(document, records, cast)
        demands = read_demands(document, shape.expect, cast, self._exchange, self._role)
        self._check_expressions(demands, cases)
        check_vain(document, self._exchange, cast, demands)
        self._check_parameters(self._known(cast, cases))
        # after a mistake it might be the mistake's fault
        if not (document.problems or demands or could_fail(self._exchange)):
            self._complain_nothing_to_fail()
        scenario = Scenario(
            id=f"{self._role.name}/{self._path.stem}",
            file=str(self._path),
            title=shape.title,
            role=self._role.name,
            cast=cast,
            exchange=self._exchange,
            demands=demands,
            program=self._program(),
            names=names,
            cases=cases,
            pieces=tuple(dict.fromkeys(shape.pieces)),
            covers=tuple(shape.covers),
            uses=tuple(shape.uses),
            needs=tuple(shape.needs),
            tags=tuple(shape.tags),
            after=self._after(),
            catches=shape.catches or None,
            points=shape.points,
            limits=Limits(play=shape.timeout, quiet=shape.patience),
            lines={
                key: document.keys[key,].line
                for key in document.data
                if (key,) not in document.files
            },
        )
        # the values of a case come in when its play is planned, those of the scenario with them
        return scenario if cases or not shape.values else self._filled(scenario)

    def _filled(self, scenario: Scenario) -> Scenario:
        """The scenario with its values; most actors hold none, and are much to look through."""
        holding = {path[1] for path, _ in self._holes if path[0] == "cast" and len(path) > 1}
        cast = {
            name: substitute(actor, self._shape.values) if name in holding else actor
            for name, actor in scenario.cast.items()
        }
        return replace(substitute(replace(scenario, cast={}), self._shape.values), cast=cast)

    def _complain(self, path: Path, message: str, *, key: bool = False) -> None:
        self._document.complain(path, message, key=key)

    def _complain_nothing_to_fail(self) -> None:
        message = (
            "this could not fail: nothing is heard (`<`), expected (`! expect`) or in `expect`"
        )
        key = next(
            (k for k in ("expect", "exchange", "title") if k in self._document.data), "title"
        )
        self._complain((key,), message, key=True)

    # -- words ------------------------------------------------------------------------

    def _check_words(self) -> None:
        slug = slug_of(self._path.stem)
        if self._path.stem != slug:
            allowed = "letters, digits, `-` and `_`, without blanks"
            message = f"the name of a scenario is {allowed}; rename this file to `{slug}.yaml`"
            self._complain((), message)
        if not self._shape.title.strip():
            self._complain(("title",), "`title` is empty; write in one sentence what must hold")
        for index, requirement in enumerate(self._shape.covers):
            if not _REQUIREMENT.fullmatch(requirement):
                message = f"`{requirement}` is no requirement; they look like W5"
                self._complain(("covers", index), message)
        self._check_among("uses", self._role.features, f"feature of {self._role.name}")
        self._check_among("needs", NEEDS, "need")

    def _check_among(self, key: str, known: Mapping[str, Any], what: str) -> None:
        for index, word in enumerate(getattr(self._shape, key)):
            if word not in known:
                message = f"`{word}` is no {what}{suggest(word, known)}"
                self._complain((key, index), message)

    # -- what it comes after ------------------------------------------------------------

    def _after(self) -> tuple[str, ...]:
        several = isinstance(self._document.data.get("after"), list)
        found: dict[str, None] = {}
        for index, name in enumerate(self._shape.after):
            path = ("after", index) if several else ("after",)
            role, slash, slug = name.rpartition("/")
            full = name if slash else f"{self._role.name}/{slug}"
            if message := self._why_not_after(role or self._role.name, slug, full):
                self._complain(path, message)
            elif full in found:
                self._complain(path, f"`{name}` is listed above already")
            found[full] = None
        return tuple(found)

    def _why_not_after(self, role: str, slug: str, full: str) -> str | None:
        if full == f"{self._role.name}/{self._path.stem}":
            return "a scenario cannot come after itself"
        if "[" in slug:
            return f"all plays of a scenario count; write `{full.partition('[')[0]}`"
        folder = self._path.absolute().parent
        same = [folder] if role == self._role.name else []
        folders = [*same, folder.parent / role, folder / role]
        if any(is_there(each / f"{slug}.yaml") for each in folders):
            return None
        near = filter(is_folder, [*same, folder.parent / role] if _is_name(role) else same)
        known = [file.stem for each in near for file in sorted(each.glob("[!_]*.yaml"))]
        hint = suggest(slug, known)
        return f"there is no scenario `{full}`{hint if 'did you mean' in hint else ''}"

    # -- values and cases -------------------------------------------------------------

    def _check_values(self) -> None:
        if self._shape.says("values") and not self._shape.values:
            self._complain(("values",), "`values` is empty; write one, or leave it out")
        for name, text in self._shape.values.items():
            if not _VALUE_NAME.fullmatch(name):
                message = f"`{name}` is no name of a value; names are letters, digits, `-` and `_`"
                self._complain(("values", name), message, key=True)
            if name in {"name", "why"}:
                message = f"`{name}` is a word of `cases`; give this value another name"
                self._complain(("values", name), message, key=True)
            if "${" in text:
                message = "a value is plain text: nothing is filled in here"
                self._complain(("values", name), message)

    def _cases(self) -> tuple[Case, ...]:
        rows = self._shape.cases
        if self._shape.says("cases") and not rows:
            self._complain(("cases",), "`cases` is empty; write one, or leave it out")
        cases = tuple(self._case(i, row) for i, row in enumerate(rows))
        self._check_case_names(cases)
        for index, (case, row) in enumerate(zip(cases, rows, strict=True)):
            if row.keys() - {"name", "why"}:
                self._check_alike(cases[0], case, index)
        return cases

    def _cases_of_steps(self) -> tuple[Case, ...]:
        cases = cases_of_steps(self._document, self._shape.cast)
        return tuple(replace(c, values={**self._shape.values, **c.values}) for c in cases)

    def _case(self, index: int, row: Mapping[str, str]) -> Case:
        values = {key: text for key, text in row.items() if key not in {"name", "why"}}
        if not values and "name" not in row:
            self._complain(("cases", index), "this case has no value; write {address: chengli}")
        name = row.get("name") or next(iter(values.values()), "")
        return Case(name, {**self._shape.values, **values}, row.get("why", ""))

    def _check_case_names(self, cases: tuple[Case, ...]) -> None:
        names: dict[str, int] = {}
        for index, case in enumerate(cases):
            first = names.setdefault(case.name, index)
            if case.name.strip() == "":
                if self._shape.cases[index].keys() - {"name", "why"}:
                    message = "this case has an empty name; give it a `name:`"
                    self._complain(("cases", index), message)
            elif first != index:
                message = f"case {first + 1} is named `{case.name}` too; give this one a `name:`"
                self._complain(("cases", index), message)

    def _check_alike(self, first: Case, case: Case, index: int) -> None:
        """Every row has the same values; those that are in `values` can be left out."""
        for key in first.values.keys() - case.values.keys():
            message = f"this case has no `{key}`, which the first one has"
            self._complain(("cases", index), message)
        for key in case.values.keys() - first.values.keys():
            message = f"only this case has `{key}`; the first one lacks it"
            self._complain(("cases", index, key), message, key=True)

    def _fillings(self, cases: tuple[Case, ...]) -> list[tuple[Mapping[str, str], str]]:
        """The values of each play, and how a message about them begins."""
        if not cases:
            return [(self._shape.values, "")]
        return [(case.values, f"in case {case.name}: ") for case in cases]

    def _check_pieces(self, cast: Mapping[str, Actor]) -> None:
        if not self._shape.says("pieces"):
            return
        if not self._shape.pieces:
            self._complain(("pieces",), "`pieces` is empty; write [whole, bytewise]")
        elif not any(actor.speaks_tcp for actor in cast.values()):
            message = "`pieces` cuts what actors say over TCP, and nobody in the cast does"
            self._complain(("pieces",), message, key=True)

    def _check_places(self, cast: Mapping[str, Actor], cases: tuple[Case, ...]) -> None:
        """Places with a value in them are places in every case."""
        for actor in cast.values():
            if actor.at and "${" in actor.at:
                for values, whose in self._fillings(cases):
                    self._check_place(actor, substitute(actor.at, values), whose)

    def _check_place(self, actor: Actor, at: str, whose: str) -> None:
        path = ("cast", actor.name, "at")
        if "${" in at:
            message = (
                "only `values` and those of cases can stand in `at`: other places are not known yet"
            )
            self._complain(path, message)
            return
        try:
            if actor.transport == "icmp":
                parse_host(at.removesuffix(":0"))
            else:
                parse_address(at, default_host=None)
        except ValueError as error:
            self._complain(path, f"{whose}{error}")

    def _fill_places(self) -> None:
        """Where an actor stands is read with the values that are the same in every case."""
        varying = {key for row in self._shape.cases for key in row}
        fixed = {name: text for name, text in self._shape.values.items() if name not in varying}
        for actor in self._shape.cast.values():
            if "${" in actor.at:
                actor.at = substitute(actor.at, fixed)

    def _check_expressions(self, demands: tuple[Demand, ...], cases: tuple[Case, ...]) -> None:
        """What `near` becomes when values are filled in is a regular expression still."""
        for demand in demands:
            if isinstance(demand, TextDemand) and isinstance(demand.check, Number):
                for values, whose in self._fillings(cases):
                    self._check_expression(substitute(demand.check.near, values), demand, whose)

    def _check_expression(self, near: str, demand: Demand, whose: str) -> None:
        try:
            re.compile(near)
        except re.error as error:
            message = f"{whose}`{near}` is no regular expression: {error.msg}"
            source = self._document.source[demand.line - 1]
            self._document.complain_at(Place(demand.line, source.find("near") + 1), message)

    # -- the program --------------------------------------------------------------------

    def _program(self) -> dict[str, Value]:
        program: dict[str, Value] = {}
        for name, values in self._shape.program.items():
            parameter = self._role.parameters.get(name)
            if parameter is None:
                hint = suggest(name, self._role.parameters)
                message = f"{self._role.name} has no parameter `{name}`{hint}"
                self._complain(("program", name), message, key=True)
            elif isinstance(parameter.default, tuple):
                program[name] = tuple(values)
            elif isinstance(self._document.data["program"][name], list):
                self._complain(("program", name), f"`{name}` is one text, not a list")
            else:
                program[name] = values[0]
        return program

    # -- ${name} ------------------------------------------------------------------------

    def _known(self, cast: Mapping[str, Actor], cases: tuple[Case, ...]) -> dict[str, None]:
        """Every name that `${name}` may have, in the order in which they are suggested."""
        places = {a.name: a.transport for a in cast.values() if a.kind is not ActorKind.TERMINAL}
        places |= {e.name: e.protocol for e in self._role.endpoints.values()}
        values = [*self._shape.values, *(key for case in cases[:1] for key in case.values)]
        addresses = [
            f"{place}.{part}"
            for place, over in places.items()
            for part in _ADDRESS_FIELDS
            if part != "port" or over != "icmp"
        ]
        return dict.fromkeys(values + addresses)

    def _losses(self) -> set[str]:
        """Names that stand for something in `expect` only, since the play must be over."""
        kinds = {ActorKind.UDP, ActorKind.ICMP}
        names = [name for name, actor in self._shape.cast.items() if actor.kind in kinds]
        return {f"{name}.{part}" for name in names for part in ("lost", "loss")}

    def _check_parameters(self, known: Mapping[str, None]) -> None:
        used = set()
        for place, name in self._parameters_of_exchange():
            used.add(name)
            if name not in known and not is_date(name):
                self._document.complain_at(place, _unknown_parameter(name, known, self._role))
        for path, name in self._holes:
            used.add(name)
            if name not in known and not is_date(name):
                self._complain(path, _unknown_parameter(name, known, self._role))
        if self._document.problems:  # a name that is misspelt is told above
            return
        for name in self._shape.values:
            # of what others share, a scenario may leave something alone
            if name not in used and ("values", name) not in self._document.files:
                message = f"`{name}` is used nowhere; write `${{{name}}}` where it is meant"
                self._complain(("values", name), message, key=True)

    def _parameters_of_exchange(self) -> Iterator[tuple[Place, str]]:
        for entry in self._exchange.entries():
            for line, template in templates(entry):
                for name in template.parameters:
                    yield self._find(name, line), name

    def _find(self, name: str, line: int) -> Place:
        """Where `${name}` stands in a line of the exchange."""
        found = re.search(rf"\$\{{\s*{re.escape(name)}\s*\}}", self._document.source[line - 1])
        return Place(line, found.start() + 1 if found else 1)

    @cached_property
    def _holes(self) -> list[tuple[Path, str]]:
        """Every `${name}` outside the exchange that is filled in before the play."""
        return list(self._parameters_of_data())

    def _parameters_of_data(self) -> Iterator[tuple[Path, str]]:
        for path, text in _texts(self._document.data, ()):
            if path[0] not in {"exchange", "cases", "values"} and "${" in text:
                for name in PARAMETER.findall(text):
                    if path[0] != "expect" or name not in self._losses():
                        yield path, name


def _is_name(text: str) -> bool:
    return bool(text) and not _NOT_IN_SLUGS.search(text)


def slug_of(name: str) -> str:
    """The name with what a file of a scenario may not have in it replaced."""
    composed = unicodedata.normalize("NFC", name)
    if not _NOT_IN_SLUGS.search(composed) and not composed.startswith("-"):
        return name
    return _NOT_IN_SLUGS.sub("-", composed).strip("-") or "scenario"


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in the data, keys of inner mappings included."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if path and isinstance(key, str):
                yield (*path, key), key
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))


def _unknown_parameter(name: str, known: Mapping[str, None], role: Role) -> str:
    message = f"`${{{name}}}` stands for nothing"
    if name.startswith("http-date"):
        return (
            f"{message}; write a date as ${{http-date}}, ${{http-date -60s}} or ${{http-date +1d}}"
        )
    if name in role.parameters:
        return f"{message}; a scenario sets the parameter `{name}` under `program:`"
    if not known:
        return f"{message}; values come from `values` and `cases`, addresses from the cast"
    return message + suggest(name, known)

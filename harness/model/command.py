"""The command line of a program, with the places of a play filled in.

`{host}` and `{port}` stand for the role's single or listening endpoint, `{mail.host}` and
`{mail.port}` for an endpoint by name, `{to}` for a parameter, `{python}` for the
interpreter that Wirelab runs on; `{{` and `}}` are braces.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from harness.model.template import substitute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.model.plan import Plan
    from harness.model.program import Role, Value

#: Where an endpoint is said to be that nobody plays in this scenario: a connection there
#: is refused (the discard port, RFC 863, is open nowhere), and no program stops at its
#: own command line for want of an argument.
NOBODY = {"host": "127.0.0.1", "port": "9"}

_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|[{}]|[^{}]+")


class PlaceholderError(ValueError):
    """A command line that cannot be filled in; `column` counts from 1 in that text."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


def placeholders(text: str) -> Iterator[tuple[str, int]]:
    """Every `{name}` of an argument, with its column.

    Raises:
        PlaceholderError: for a brace that is neither doubled nor paired.
    """
    for token in _TOKEN.finditer(text):
        if token["name"] is not None:
            yield token["name"], token.start() + 1
        elif token[0] in {"{", "}"}:
            doubled = token[0] * 2
            raise PlaceholderError(f"a lone `{token[0]}`; write `{doubled}`", token.start() + 1)


def placeholder_names(role: Role) -> list[str]:
    """Every name that a placeholder of this role's command line may have."""
    own = own_endpoint(role)
    parts = {
        e.name: ["host"] if e.protocol == "icmp" else [*NOBODY] for e in role.endpoints.values()
    }
    places = [f"{name}.{part}" for name in role.endpoints for part in parts[name]]
    return [*(parts[own] if own else []), *places, *role.parameters, "python"]


def own_endpoint(role: Role) -> str | None:
    """The endpoint that `{host}` and `{port}` stand for, if that is clear."""
    if role.listens:
        return role.listens.name
    return next(iter(role.endpoints)) if len(role.endpoints) == 1 else None


def command_line(plan: Plan, addresses: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a plan's program, with nothing left open.

    `addresses` holds `<name>.host` and `<name>.port` of every actor that stands somewhere,
    and of the endpoint where the program is to listen; endpoints that actors play follow
    from these.  A list that is a whole argument (`"{to}"`) becomes several arguments;
    within a text its items are joined by commas.

    Raises:
        ValueError: the plan is skipped, and has no program.
    """
    if plan.program is None:
        raise ValueError(f"{plan.id} has no program")
    values = _values(plan, addresses)
    argv = [out for argument in plan.program.run for out in _arguments(argument, values)]
    env = {name: _fill(text, values) for name, text in plan.program.env.items()}
    return argv, env


def fill_in(command: Sequence[str]) -> list[str]:
    """A command line that is no play's: only `{python}` stands for something."""
    return [_fill(argument, {"python": sys.executable}) for argument in command]


def answers(plan: Plan, addresses: Mapping[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    """Patterns of prompts, and what is answered to each: once for each item of a list."""
    if plan.program is None or not plan.program.asks:
        return []
    values = _values(plan, addresses)
    return [(p, tuple(_arguments(text, values))) for p, text in plan.program.asks.items()]


def _values(plan: Plan, addresses: Mapping[str, str]) -> dict[str, Value]:
    places = _places(plan, addresses)
    parameters = substitute(dict(plan.values or {}), places)
    own = own_endpoint(plan.role)
    ours = {part: places[f"{own}.{part}"] for part in NOBODY} if own else {}
    return {**places, **ours, **parameters, "python": sys.executable}


def _places(plan: Plan, addresses: Mapping[str, str]) -> dict[str, str]:
    """Hosts and ports of actors and endpoints by name."""
    nobody = {f"{e}.{part}": text for e in plan.role.endpoints for part, text in NOBODY.items()}
    standing = [actor for actor in plan.scenario.cast.values() if actor.at and actor.plays]
    played: dict[str, str] = {}
    # of several at one endpoint the actor of its name counts, else the first
    for actor in sorted(standing, key=lambda actor: actor.name != actor.plays):
        for part in NOBODY:
            if (address := addresses.get(f"{actor.name}.{part}")) is not None:
                played.setdefault(f"{actor.plays}.{part}", address)
    return {**nobody, **played, **addresses}


def _arguments(argument: str, values: Mapping[str, Value]) -> list[str]:
    whole = re.fullmatch(r"\{([^{}]*)\}", argument)
    if whole and isinstance(several := values.get(whole[1]), tuple):
        return list(several)
    return [_fill(argument, values)]


def _fill(text: str, values: Mapping[str, Value]) -> str:
    return "".join(_filled(token, values) for token in _TOKEN.finditer(text))


def _filled(token: re.Match[str], values: Mapping[str, Value]) -> str:
    if token["name"] is None:
        return {"{{": "{", "}}": "}"}.get(token[0], token[0])
    value = values[token["name"]]
    return value if isinstance(value, str) else ",".join(value)

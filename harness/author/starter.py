"""A scenario to start from: for its role somebody to talk to, with comments that teach."""

from __future__ import annotations

import textwrap
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model.program import Endpoint, Role

#: What is spoken where anything can be.
_SPOKEN = {"any": "tcp"}


def starter(role: Role, name: str, *, file: str, schema: str = "") -> str:
    """The text of a scenario of this role that can be played as it is.

    Args:
        role: One of Wirelab's own, or of a course.
        name: What the scenario is called, without its role.
        file: Where it will lie, to be shown.
        schema: The JSON Schema for editors, as seen from there; empty if there is none.
    """
    endpoint = role.listens or next(iter(role.endpoints.values()), None)
    text = _for_role(role, endpoint).replace("ENDPOINT", endpoint.name if endpoint else "")
    title = name.replace("-", " ").replace("_", " ").strip()
    lines = [f"# yaml-language-server: $schema={schema}"] if schema else []
    lines += [
        *textwrap.wrap(role.about, 96, initial_indent=f"# {role.name}: ", subsequent_indent="# "),
        f"# Play it:  wirelab run {file} -- {_command(role)}",
        f'title: "{title}: say here in one sentence what must hold"',
        f"role: {role.name}",
    ]
    return "\n".join(lines) + f"\n{text}"


def _for_role(role: Role, endpoint: Endpoint | None) -> str:
    """What is kept for the role, or else for what is spoken at its first endpoint."""
    folder = files("harness.author") / "starters"
    own = folder / "roles" / f"{role.name}.yaml"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    if endpoint is None:
        return "expect:\n  exit: 0\n"
    protocol = _SPOKEN.get(endpoint.protocol, endpoint.protocol)
    return (folder / f"{endpoint.direction}-{protocol}.yaml").read_text(encoding="utf-8")


def _command(role: Role) -> str:
    """How a program of this role may be told where everybody is."""
    names = list(role.endpoints)
    if len(names) > 1:
        places = [f"{{{name}.port}}" for name in names]
    else:
        places = ["{port}"] if role.listens else ["{host}", "{port}"]
    return " ".join(["python3 program.py", *(places if names else [])])

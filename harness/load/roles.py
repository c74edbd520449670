"""The roles: Wirelab's own, and those that teachers put beside their scenarios."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.load.document import Document, read_document
from harness.load.schema import RoleShape, RolesShape
from harness.load.shapes import shape_of
from harness.model.program import Endpoint, ParameterOf, Role
from harness.model.scenario import LineEnd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.program import Value

FILE_NAME = "roles.yaml"
_OWN = Path(__file__).with_name(FILE_NAME)
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_RESERVED = {"host", "port", "python", "run", "env", "tls", "program"}


def load_roles(folder: Path | None = None) -> dict[str, Role]:
    """Wirelab's roles by name, and those of `roles.yaml` in a folder of scenarios.

    Raises:
        AuthorError: if that file is wrong, or gives one of Wirelab's roles again.
    """
    own = _own_roles()
    path = folder / FILE_NAME if folder else None
    if path is None or not path.is_file():
        return dict(own)
    return {**own, **read_roles(path, own)}


@cache
def _own_roles() -> dict[str, Role]:
    return read_roles(_OWN, {})


def read_roles(path: Path, taken: Mapping[str, Role]) -> dict[str, Role]:
    document = read_document(path)
    shape = shape_of(document, RolesShape)
    document.raise_problems()
    if shape is None:
        return {}
    roles = {name: _role(document, name, role) for name, role in shape.roles.items()}
    for name in roles.keys() & taken.keys():
        message = f"`{name}` is a role of Wirelab's own; choose another name"
        document.complain(("roles", name), message, key=True)
    document.raise_problems()
    return roles


def _role(document: Document, name: str, shape: RoleShape) -> Role:
    _check_names(document, name, shape)
    return Role(
        name=name,
        about=shape.about,
        endpoints={
            key: Endpoint(key, e.direction, e.protocol, e.about)
            for key, e in shape.endpoints.items()
        },
        parameters={
            key: ParameterOf(key, _default(document, name, key, p.default), p.about)
            for key, p in shape.parameters.items()
        },
        features=dict(shape.features),
        eol=LineEnd(shape.eol),
    )


def _default(document: Document, role: str, name: str, values: list[str]) -> Value:
    """One text, or several where the file writes a list."""
    written = document.data["roles"][role]["parameters"][name]["default"]
    return tuple(values) if isinstance(written, list) else values[0]


def _check_names(document: Document, role: str, shape: RoleShape) -> None:
    _check_name(document, ("roles", role))
    for section in ("endpoints", "parameters", "features"):
        for name in getattr(shape, section):
            _check_name(document, ("roles", role, section, name))
    for name in shape.parameters.keys() & shape.endpoints.keys():
        message = f"`{name}` is an endpoint already; choose another name"
        document.complain(("roles", role, "parameters", name), message, key=True)


def _check_name(document: Document, path: tuple[str, ...]) -> None:
    name = path[-1]
    if not _NAME.fullmatch(name):
        document.complain(path, f"`{name}` is no name; names are a-z, 0-9 and `-`", key=True)
    elif name in _RESERVED and "features" not in path:
        message = f"`{name}` has a meaning of its own; choose another name"
        document.complain(path, message, key=True)

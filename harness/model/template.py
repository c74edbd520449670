"""Text with holes: what an actor says, and the pattern of what it must hear."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from itertools import groupby
from operator import is_
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_T = TypeVar("_T")

_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
PARAMETER = re.compile(r"\$\{([^{}\n]*)\}")


def decode(data: bytes) -> str:
    """Text of bytes from the wire; what is not UTF-8 survives as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes that `decode` was given.

    Half characters that it never gives (a name from a file may hold one) become U+FFFD.
    """
    return _HALVES.sub("\ufffd", text).encode("utf-8", "surrogateescape")


def first_word(text: str) -> str:
    """The verb of a command, the method of a request: in small letters."""
    words = text.split(maxsplit=1)
    return words[0].lower() if words else ""


@dataclass(frozen=True, slots=True)
class Literal:
    """Exactly this text (as `decode` gives it)."""

    text: str


@dataclass(frozen=True, slots=True)
class Anything:
    """`*`: any run of characters, also an empty one."""


@dataclass(frozen=True, slots=True)
class Binding:
    """`{name}` or `{name:regex}`: binds on first use and must be equal afterwards."""

    name: str
    regex: str | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """`${name}`: replaced, as literal text, after the notation has been parsed."""

    name: str


Part = Literal | Anything | Binding | Parameter


@dataclass(frozen=True, slots=True)
class Template:
    """Parts in order; build one by `of`, which keeps equal texts equal."""

    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, *parts: Part) -> Template:
        """Merge neighbouring literals and drop empty ones.

        Literals are merged as bytes: the escaped octets of one UTF-8 character are that character.
        """
        merged: list[Part] = []
        for literal, run in groupby(parts, key=lambda part: isinstance(part, Literal)):
            if not literal:
                merged += run
            elif text := "".join(part.text for part in run if isinstance(part, Literal)):
                merged.append(Literal(text if text.isascii() else decode(encode(text))))
        return cls(tuple(merged))

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts if isinstance(part, Parameter))

    @property
    def bindings(self) -> tuple[Binding, ...]:
        return tuple(part for part in self.parts if isinstance(part, Binding))

    @property
    def first_word(self) -> str:
        """What the text begins with, in small letters; nothing if that is left open."""
        first = self.parts[0] if self.parts else None
        return first_word(first.text) if isinstance(first, Literal) else ""

    @property
    def matches_everything(self) -> bool:
        return bool(self.parts) and all(isinstance(part, Anything) for part in self.parts)


def parameters_of(value: Any) -> Iterable[str]:
    """Every `${name}` anywhere in a value of the model."""
    if isinstance(value, Template):
        yield from value.parameters
    elif isinstance(value, str):
        yield from PARAMETER.findall(value)
    else:
        for child in _children(value):
            yield from parameters_of(child)


def templates_of(value: Any) -> Iterable[Template]:
    """Every template anywhere in a value of the model."""
    if isinstance(value, Template):
        yield value
    elif not isinstance(value, str):
        for child in _children(value):
            yield from templates_of(child)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, tuple | list | frozenset):
        yield from value
    elif is_dataclass(value):
        yield from (getattr(value, field.name) for field in fields(value))


def substitute(value: _T, values: Mapping[str, str]) -> _T:
    """A copy of any value of the model with its `${name}` replaced.

    A name that `values` lacks stays as it is: the addresses of a play are known later
    than the values of its case.
    """
    return _substitute(value, values) if values else value


def _substitute(value: Any, values: Mapping[str, str]) -> Any:
    """What holds no `${name}` comes back as it is: most of a scenario, at every play."""
    if isinstance(value, str):
        if "${" not in value:  # also keeps the members of enumerations what they are
            return value
        return PARAMETER.sub(lambda hole: values.get(hole[1], hole[0]), value)
    if isinstance(value, Template):
        holes = any(isinstance(part, Parameter) for part in value.parts)
        return Template.of(*(_fill(part, values) for part in value.parts)) if holes else value
    if isinstance(value, dict):
        filled = {_substitute(k, values): _substitute(v, values) for k, v in value.items()}
        same = all(map(is_, filled.values(), value.values())) and all(map(is_, filled, value))
        return value if same else filled
    if isinstance(value, tuple):
        items = tuple(_substitute(item, values) for item in value)
        return value if all(map(is_, items, value)) else items
    changed = {}
    for name in _field_names(type(value)):  # type: ignore[arg-type]  # a type is hashable
        old = getattr(value, name)
        if (new := _substitute(old, values)) is not old:
            changed[name] = new
    return replace(value, **changed) if changed else value


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


def bind(value: _T, bound: Mapping[str, str]) -> _T:
    """A copy of any value of the model in which each `{name}` that is bound is its value."""
    return _bind(value, bound) if bound else value


def _bind(value: Any, bound: Mapping[str, str]) -> Any:
    if isinstance(value, Template):
        return Template.of(*(_known(part, bound) for part in value.parts))
    if isinstance(value, tuple):
        return tuple(_bind(item, bound) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    names = (field.name for field in fields(value) if field.init)
    return replace(value, **{name: _bind(getattr(value, name), bound) for name in names})


def _known(part: Part, bound: Mapping[str, str]) -> Part:
    return Literal(bound[part.name]) if isinstance(part, Binding) and part.name in bound else part


def _fill(part: Part, values: Mapping[str, str]) -> Part:
    if isinstance(part, Parameter) and part.name in values:
        return Literal(values[part.name])
    return part

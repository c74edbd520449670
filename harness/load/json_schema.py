"""JSON Schema of the files, for editors: they complete keys, explain them and mark mistakes.

Made of the shapes, so that it refuses what they refuse; what values mean together only
`wirelab check` can tell.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from harness.load.cast import keys_of
from harness.load.schema import (
    ImplementationShape,
    RolesShape,
    ScenarioShape,
    SharedShape,
    SuiteShape,
)
from harness.model.scenario import ActorKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

    from harness.load.schema import Shape

DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: The files that people write, by what they hold.
SHAPES: Mapping[str, type[Shape]] = {
    "scenario": ScenarioShape,
    "shared": SharedShape,
    "suite": SuiteShape,
    "implementation": ImplementationShape,
    "roles": RolesShape,
}


def schema_text(of: str) -> str:
    """The JSON Schema (2020-12) of a kind of file, one of `SHAPES`, as it is published."""
    schema = SHAPES[of].model_json_schema(schema_generator=_Generator)
    if actor := schema.get("$defs", {}).get("ActorShape"):
        schema = _with_overlays(schema, actor)
        schema["$defs"]["ActorShape"] = _by_kind(actor)
    whole = {"$schema": DIALECT, **_without_titles(schema)}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


class _Generator(GenerateJsonSchema):
    """Without defaults: what a missing key means is told in words, with units."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def _without_titles(schema: Any) -> Any:
    """Names of our classes and fields say nothing to anybody who writes a file."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_titles(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


def _with_overlays(schema: dict[str, Any], actor: Mapping[str, Any]) -> dict[str, Any]:
    """With `include`, an actor may say a part only: the rest of it is in another file."""
    cast = dict(schema["properties"]["cast"])
    whole = {**cast}
    part = {**cast, "additionalProperties": {"$ref": "#/$defs/PartOfActor"}}
    del cast["additionalProperties"]
    keys = {"type": "object", "properties": actor["properties"], "additionalProperties": False}
    return {
        **schema,
        "$defs": {**schema["$defs"], "PartOfActor": keys},
        "properties": {**schema["properties"], "cast": cast},
        "if": {"required": ["include"]},
        "then": {"properties": {"cast": part}},
        "else": {"properties": {"cast": whole}},
    }


def _by_kind(actor: Mapping[str, Any]) -> dict[str, Any]:
    """An actor as one of its kinds, each with the keys that are for it."""
    return {
        "description": actor["description"],
        "type": "object",
        "required": ["kind"],
        "oneOf": [_of_kind(kind, actor["properties"]) for kind in ActorKind],
    }


#: Over ICMP an actor stands at a host, which any text without blanks can be.
_HOST: Mapping[ActorKind, dict[str, Any]] = {
    ActorKind.ICMP: {"type": "string", "pattern": r"^[^\s/]*[^\s/0-9][^\s/]*$"},
    ActorKind.UNREACHABLE: {"type": ["string", "integer"], "pattern": r"^[^\s/]+$"},
}


def _of_kind(kind: ActorKind, properties: Mapping[str, Any]) -> dict[str, Any]:
    keys = keys_of(kind)
    of_kind = {key: properties[key] for key in keys}
    of_kind["kind"] = {"const": kind.value, "description": properties["kind"]["description"]}
    if kind in _HOST:
        of_kind["at"] = {"description": of_kind["at"]["description"], **_HOST[kind]}
    shape: dict[str, Any] = {"properties": of_kind, "additionalProperties": False}
    if "to" in keys:
        return {**shape, "oneOf": [{"required": ["at"]}, {"required": ["to"]}]}
    return {**shape, "required": ["at"]} if "at" in keys else shape

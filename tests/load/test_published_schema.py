"""The JSON Schemas beside the scenarios are those of the files as they are read now."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness.load import schema_text

from tests.load.golden import PUBLISHED


@pytest.mark.parametrize("of", PUBLISHED)
def test_the_published_schema_is_fresh(of: str) -> None:
    """`python -m tests.load.golden` writes it anew."""
    assert PUBLISHED[of].read_text(encoding="utf-8") == schema_text(of)


def _keys(schema: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every key that a file may have, with what the schema says of it."""
    if isinstance(schema, list):
        return [
            found for index, item in enumerate(schema) for found in _keys(item, f"{path}[{index}]")
        ]
    if not isinstance(schema, dict):
        return []
    here = [(f"{path}.{key}", value) for key, value in schema.get("properties", {}).items()]
    return here + [
        found for key, value in schema.items() for found in _keys(value, f"{path}/{key}")
    ]


@pytest.mark.parametrize("of", PUBLISHED)
def test_every_key_is_explained(of: str) -> None:
    """An editor shows the description beside the key."""
    keys = _keys(json.loads(schema_text(of)))
    assert len(keys) >= 5
    assert [name for name, key in keys if len(key.get("description", "")) < 10] == []

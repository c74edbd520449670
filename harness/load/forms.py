"""Files that a scenario names, and what stands in those that are forms."""

from __future__ import annotations

import codecs
from typing import Any

import yaml

from harness.model.exchange import split_charset
from harness.model.fixtures import find_fixture, fixture_folders, parse_form


def no_fixture(scenario: str, name: str) -> str:
    """What to say of a file that is not there; nothing if it is."""
    if find_fixture(scenario, name):
        return ""
    places = " or ".join(map(str, fixture_folders(scenario)))
    return f"there is no `{name}` in {places}"


def wrong_form(scenario: str, argument: str, *, files: bool) -> str:
    """What is wrong with `@form FILE as CHARSET`, or `@multipart FILE` (then with `files`)."""
    name, charset = (argument, "utf-8") if files else split_charset(argument)
    if problem := no_fixture(scenario, name):
        return problem
    try:
        codecs.lookup(charset)
        form = parse_form(find_fixture(scenario, name).read_bytes())  # type: ignore[union-attr] # it is there
    except LookupError:
        return f"there is no charset `{charset}`; write one such as GB18030"
    except (yaml.YAMLError, OSError, UnicodeError):
        return f"`{name}` cannot be read as YAML, which a form is"
    if not isinstance(form, dict):
        return f"`{name}` is no form; it holds fields and values: {{to: bo@example.test}}"
    for field, values in form.items():
        for value in values if isinstance(values, list) else [values]:
            if problem := _wrong_value(scenario, value, files=files):
                return f"`{field}` of `{name}`: {problem}"
    return ""


def _wrong_value(scenario: str, value: Any, *, files: bool) -> str:
    if isinstance(value, str):
        return ""
    if not files or not isinstance(value, dict):
        return "a file goes by `@multipart`" if isinstance(value, dict) else "must be text"
    if unknown := sorted(value.keys() - {"file", "type", "name"}):
        return f"unknown key `{unknown[0]}`; there are: file, type, name"
    file = value.get("file")
    return no_fixture(scenario, file) if isinstance(file, str) else "a file has a `file`"

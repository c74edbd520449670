"""Scenario files, written: one to start from, and the exchange that a program has blessed."""

from __future__ import annotations

import asyncio
import difflib
import os
import shlex
import shutil
import tempfile
import textwrap
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.author import (
    NotBlessedError,
    agreed,
    check_blessable,
    exchange_text,
    starter,
    told,
    with_exchange,
)
from harness.errors import AuthorError, MachineError, UsageError
from harness.load import load_roles, load_scenario, slug_of
from harness.load.wording import suggest
from harness.model.record import PROGRAM
from harness.model.scenario import Level
from harness.model.verdict import Outcome
from harness.pipeline.playing import again, play_all, story_of
from harness.pipeline.preparing import DEFAULT_SCENARIOS
from harness.record import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model.plan import Plan
    from harness.model.record import Record
    from harness.model.verdict import Verdict
    from harness.pipeline.preparing import Request


def begin(role_name: str, name: str) -> str:
    """Write a scenario to start from below `scenarios/`; its path.

    Raises:
        UsageError: there is no such role, it is no name, or the file is there already.
        MachineError: it cannot be written.
    """
    scenarios = Path(DEFAULT_SCENARIOS)
    roles = load_roles(scenarios)
    if role_name not in roles:
        raise UsageError(f"there is no role `{role_name}`{suggest(role_name, roles)}")
    name = name.removesuffix(".yaml")
    if (slug := slug_of(name).lstrip("_") or "scenario") != name:
        allowed = "letters, digits, `-` and `_` inside"
        raise UsageError(f"the name of a scenario is {allowed}; `{slug}` would be one")
    file = scenarios / role_name / f"{name}.yaml"
    schema = "../scenario.schema.json" if (scenarios / "scenario.schema.json").is_file() else ""
    text = starter(roles[role_name], name, file=shlex.quote(str(file)), schema=schema)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise UsageError(f"{file} is there already; choose another name") from None
    except OSError as error:
        raise MachineError(f"{file} cannot be written: {error.strerror}") from error
    return str(file)


# -- blessing -------------------------------------------------------------------------


def bless(plan: Plan, request: Request) -> str:
    """Make what a program does the exchange of its scenario; how the file changed, as a diff.

    It is played twice, to see what varies, and once more by what will be written.

    Raises:
        NotBlessedError: it cannot be done; says why, and the file is as it was.
        MachineError: the file cannot be written.
    """
    scenario = plan.scenario
    if plan.skipped is not None:
        raise NotBlessedError(f"{plan.id} is not played: {plan.skipped}")
    if plan.case is not None:
        raise NotBlessedError(f"{scenario.file} has cases, which one transcript cannot speak for")
    if scenario.by_chance:
        raise NotBlessedError(f"{scenario.file} leaves to chance what goes wrong; name it instead")
    check_blessable(scenario)
    plan = replace(plan, pieces=None, expected_failure=None)  # it passes by what it does
    records = [_witnessed(plan, request) for _ in range(2)]
    first, second = (told(plan, record) for record in records)
    path = Path(scenario.file)
    before = path.read_bytes().decode()
    exchange = exchange_text(before, agreed(first, second), file=scenario.file)
    after = with_exchange(before, exchange, file=scenario.file)
    if after == before:
        return ""
    _write_blessed(plan, exchange, after, request)
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(old, new, scenario.file, scenario.file))


def _witnessed(plan: Plan, request: Request) -> Record:
    """The record of a play in which the program did nothing that is wrong in itself."""
    verdict, record = _recorded(plan, request)
    for finding in verdict.findings:
        if finding.level is Level.MUST and finding.actor == PROGRAM:
            raise NotBlessedError(f"{plan.id}: {finding.headline}  Nothing was written.")
    return record


def _recorded(plan: Plan, request: Request) -> tuple[Verdict, Record]:
    with tempfile.TemporaryDirectory(prefix="wirelab-") as folder:
        [verdict] = asyncio.run(play_all([plan], replace(request, out=folder)))
        if verdict.outcome is Outcome.ERROR:
            raise NotBlessedError(f"{plan.id}: {verdict.reason}")
        return verdict, read_run(Path(str(verdict.run_folder)))[1]


def _write_blessed(plan: Plan, exchange: str, text: str, request: Request) -> None:
    """Write the file if the scenario passes so; whole, or not at all."""
    path = Path(plan.scenario.file)
    beside = path.with_name(f"{path.stem}-blessed-{os.getpid()}.yaml")  # where includes are found
    try:
        with _told_of(path):
            beside.write_bytes(text.encode())
            shutil.copymode(path, beside)
        _check_blessed(plan, beside, exchange, request)
        with _told_of(path):
            beside.replace(path.resolve())
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error.strerror}") from error


def _check_blessed(plan: Plan, file: Path, exchange: str, request: Request) -> None:
    """See that the scenario, as it would be written, is read and passes."""
    try:
        exchange_read = load_scenario(file, {plan.role.name: plan.role}).exchange
    except AuthorError as error:
        problem = replace(error.problems[0], file=plan.scenario.file)
        raise NotBlessedError(f"what came cannot be written: {problem}") from error
    scenario = replace(plan.scenario, exchange=exchange_read)
    verdict, _ = _recorded(replace(plan, scenario=scenario, open=True), request)
    if verdict.outcome is not Outcome.PASSED:
        text = story_of(replace(verdict, run_folder=None), again(plan, request))
        raise NotBlessedError(
            f"{plan.id} would not pass, played by its own transcript; nothing was written:\n\n"
            f"{textwrap.indent(exchange, '    ')}\n{text}"
        )

"""Small plays for tests: a scenario and a program in a folder of their own."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent, indent
from typing import TYPE_CHECKING

from harness.judge import judge, satisfied
from harness.model.record import Record, What
from harness.pipeline import Request, prepare
from harness.run import Stage, play

if TYPE_CHECKING:
    from harness.model.plan import Plan
    from harness.model.verdict import Verdict

PROGRAMS = Path(__file__).parents[2] / "fixtures" / "programs"


@dataclass
class Theatre:
    """A folder with scenarios and an author's folder; `marker` is on every command line."""

    folder: Path
    marker: str = field(default_factory=lambda: f"marker-{uuid.uuid4().hex}")

    def __post_init__(self) -> None:
        self.author.mkdir()

    @property
    def author(self) -> Path:
        return self.folder / "author"

    @property
    def request(self) -> Request:
        return Request(
            paths=(str(self.folder / "scenarios"),),
            implementation=str(self.author),
            network="loopback",
            out=None,
        )

    def plan(
        self,
        exchange: str,
        program: str,
        *,
        role: str,
        cast: str,
        more: str = "",
        network: str = "loopback",
    ) -> Plan:
        """The plan of a play with one of fixtures/programs/, or with the text of one.

        `cast` and `more` (further keys) are YAML; where `more` demands nothing, the exit
        status is asked for.
        """
        if program.endswith(".py") and "\n" not in program:
            program = (PROGRAMS / program).read_text(encoding="utf-8")
        (self.author / "program.py").write_text(dedent(program), encoding="utf-8")
        run = f"['{{python}}', program.py, '{{host}}', '{{port}}', {self.marker}]"
        return self.plan_of(exchange, run, role=role, cast=cast, more=more, network=network)

    def plan_of(
        self,
        exchange: str,
        run: str,
        *,
        role: str,
        cast: str,
        more: str = "",
        network: str = "loopback",
    ) -> Plan:
        """The same with a command line."""
        implementation = f"name: The author\nprograms:\n  {role}:\n    run: {run}\n"
        (self.author / "wirelab.yaml").write_text(implementation, encoding="utf-8")
        slug = f"play-{uuid.uuid4().hex[:8]}"
        file = self.folder / "scenarios" / role / f"{slug}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = indent(dedent(exchange).strip(), "  ")
        head = f"title: A small play\nrole: {role}\ncast:\n{indent(dedent(cast).strip(), '  ')}\n"
        body = f"exchange: |\n{lines}\n" if lines else ""
        file.write_text(head + body + dedent(more or "expect: {exit: 0}"), encoding="utf-8")
        (plan,) = prepare(replace(self.request, paths=(str(file),), network=network)).plans
        return plan


@dataclass(frozen=True)
class Played:
    verdict: Verdict
    record: Record

    @property
    def outcome(self) -> str:
        return self.verdict.outcome.value

    @property
    def headline(self) -> str:
        """Of the first finding; the reason where there is none."""
        findings = self.verdict.findings
        return findings[0].headline if findings else self.verdict.reason or ""

    @property
    def headlines(self) -> list[str]:
        return [finding.headline for finding in self.verdict.findings]

    def tells(self, *words: str) -> bool:
        """Whether the first finding says all this; how it says it is tested elsewhere."""
        return all(word in self.headline for word in words)

    def heard(self, actor: str) -> bytes:
        events = self.record.of(What.HEARD)
        return b"".join(event.data for event in events if event.actor == actor)

    def faults(self) -> list[str]:
        return [event.note for event in self.record.of(What.FAULT)]

    def gave_up(self) -> list[str]:
        return [event.note for event in self.record.of(What.GAVE_UP)]


async def played(plan: Plan, seed: int = 0, network: str = "loopback") -> Played:
    stage = Stage(network, satisfied, seed)
    try:
        record = await play(plan, stage)
    finally:
        await stage.close()
    return Played(judge(plan, record), record)


def play_once(plan: Plan, seed: int = 0, network: str = "loopback") -> Played:
    return asyncio.run(played(plan, seed, network))


def processes(marker: str) -> list[str]:
    """The command lines of all processes that have the marker in it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if marker.encode() in command:
            found.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
    return found

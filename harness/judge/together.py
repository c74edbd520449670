"""One finding for one mistake: what is alike is told at once, what follows is told as that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.model.scenario import Level
from harness.model.template import parameters_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.model.scenario import Demand
    from harness.model.verdict import Finding


def told_together(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that say the same of several things become one that names them all."""
    groups: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        alike = (finding.level, finding.alike) if finding.alike else number
        groups.setdefault(alike, []).append(finding)
    return [_one(group) for group in groups.values()]


def _one(group: list[Finding]) -> Finding:
    first, *more = group
    if not more:
        return first
    names = list(dict.fromkeys(finding.name for finding in group))
    ladders = [finding.ladder for finding in group]
    return replace(
        first,
        headline=first.alike.replace("{}", listed(names)),
        expected=", ".join(dict.fromkeys(finding.expected for finding in group)),
        why="; ".join(dict.fromkeys(filter(None, (finding.why for finding in group)))),
        ladder=tuple(dict.fromkeys(rung for ladder in ladders for rung in ladder)),
        more_lines=tuple(finding.line for finding in more),
    )


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *firsts, last = names
    return f"{', '.join(firsts)} and {last}" if firsts else last


def as_consequences(earlier: Sequence[Finding], findings: Sequence[Finding]) -> list[Finding]:
    """Where the exchange broke off, what is missing at the end is no mistake of its own."""
    if not any(finding.level is Level.MUST for finding in earlier):
        return list(findings)
    return [replace(finding, follows=finding.missing) for finding in findings]


def with_names(
    findings: Sequence[Finding], demand: Demand, addresses: Mapping[str, str]
) -> list[Finding]:
    """Numbers that nobody wrote are told whose they are: `40025` is the port of mail."""
    names = [name for name in dict.fromkeys(parameters_of(demand)) if name in addresses]
    parts = ((addresses[name], *name.rpartition(".")) for name in names)
    told = [f"{value} is the {part} of {actor}" for value, actor, _, part in parts]
    return [replace(f, why="; ".join(filter(None, [f.why, *told]))) for f in findings]

"""Scenario and implementation into plans: cases expanded, roles bound, skips explained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.model.needs import (
    CAPTURE,
    FILTERED_PORT,
    ICMP_ERRORS,
    LOST_SEGMENTS,
    NAMES,
    NEEDS,
    PRIVATE_ADDRESSES,
    RAW_ICMP,
)
from harness.model.plan import Plan
from harness.model.scenario import ActorKind, is_on_packets, split_address
from harness.model.template import parameters_of, substitute

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from harness.model.program import Implementation, Program, Role
    from harness.model.scenario import Case, Scenario

__all__ = ["make_plans"]

_NEEDED_BY = {
    ActorKind.FILTERED: FILTERED_PORT,
    ActorKind.UNREACHABLE: ICMP_ERRORS,
    ActorKind.DNS: NAMES,
    ActorKind.ICMP: RAW_ICMP,
}


def make_plans(
    scenario: Scenario,
    role: Role,
    implementation: Implementation,
    offers: Collection[str],
    *,
    rung: str = "loopback",
) -> list[Plan]:
    """One plan for each case and each way of cutting; those that cannot be played say why.

    `offers` is what the network has of `harness.model.needs`; `rung` is its name in
    words to the user.  A plan's scenario keeps its own case only.
    """
    program = implementation.programs.get(role.name)
    skipped = _why_skipped(scenario, role, implementation, offers, rung)
    whole = Plan(
        scenario=_at_home(scenario, program),
        role=role,
        program=program,
        folder=implementation.folder,
        skipped=skipped,
        implementation=implementation.name,
        path=implementation.path,
    )
    cases = [_of_case(whole, case) for case in scenario.cases] or [whole]
    ways = scenario.pieces or (None,)
    plans = [replace(plan, pieces=way) for plan in cases for way in ways]
    return [_complete(_with_expectation(plan, implementation)) for plan in plans]


def _at_home(scenario: Scenario, program: Program | None) -> Scenario:
    """The scenario with its actors where the program looks for them, whatever it is told.

    Of several actors that play one endpoint, the first one stands at the hard-coded address;
    those that stood on the same host as that one move along, and keep their ports.
    """
    cast = dict(scenario.cast)
    for endpoint, address in (program.addresses if program else {}).items():
        players = [actor for actor in cast.values() if actor.plays == endpoint and actor.at]
        for actor in players:
            at = address if actor is players[0] else _moved(actor.at, players[0].at, address)
            cast[actor.name] = replace(actor, at=at)
    return replace(scenario, cast=cast)


def _moved(at: str | None, beside: str | None, address: str) -> str | None:
    (host, port), (host_beside, _) = split_address(at or ""), split_address(beside or "")
    if host != host_beside:
        return at
    return f"{address.rpartition(':')[0]}:{port}"


def _of_case(plan: Plan, case: Case) -> Plan:
    """The same plan with the values of one case filled in, wherever the scenario names them."""
    filled = substitute(replace(plan.scenario, cases=()), case.values)
    return replace(plan, scenario=replace(filled, cases=(case,)), case=case.name)


def _with_expectation(plan: Plan, implementation: Implementation) -> Plan:
    known = implementation.expected_failures
    found = (each for each in known if any(map(each.means, plan.names)))
    return replace(plan, expected_failure=next(found, None)) if known else plan


def _complete(plan: Plan) -> Plan:
    """With the values of the role's parameters, and whether anything is left to be filled in."""
    defaults = {name: parameter.default for name, parameter in plan.role.parameters.items()}
    values = {**defaults, **plan.scenario.program}
    return replace(plan, values=values, open=any(True for _ in parameters_of(plan.scenario)))


def _why_skipped(
    scenario: Scenario,
    role: Role,
    implementation: Implementation,
    offers: Collection[str],
    rung: str,
) -> str | None:
    program = implementation.programs.get(role.name)
    if program is None:
        return f"{implementation.name} has no program for the role {role.name}"
    lacking = set(scenario.uses) & set(implementation.lacks.get(role.name, ()))
    if lacking:
        names = ", ".join(sorted(lacking))
        return f"{implementation.name}'s {role.name} does not offer: {names}"
    missing = [need for need in _needs(scenario, role, program) if need not in offers]
    if missing:
        words = " and no ".join(NEEDS.get(need, need) for need in missing)
        return f"this network ({rung}) has no {words}"
    return None


def _needs(scenario: Scenario, role: Role, program: Program) -> Iterator[str]:
    """What the scenario asks for itself, and what follows from its cast, role and program."""
    implied: list[str] = []
    kinds = {actor.kind for actor in scenario.cast.values()}
    implied += [need for kind, need in _NEEDED_BY.items() if kind in kinds]
    if any(actor.loses_segments for actor in scenario.cast.values()):
        implied.append(LOST_SEGMENTS)
    if any(map(is_on_packets, scenario.demands)):
        implied.append(CAPTURE)
    if role.speaks_icmp:
        implied.append(RAW_ICMP)
    if scenario.names:
        implied.append(NAMES)
    if program.addresses:  # they are true only where the harness owns every address
        implied.append(PRIVATE_ADDRESSES)
    yield from dict.fromkeys([*scenario.needs, *implied])

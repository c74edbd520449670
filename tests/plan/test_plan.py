"""Scenario and implementation into plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.errors import AuthorError
from harness.load import load_roles, load_scenario
from harness.model.program import ExpectedFailure, Implementation, Program
from harness.model.scenario import (
    Actor,
    ActorKind,
    Case,
    FieldDemand,
    Has,
    MailboxDemand,
    MailDemand,
    Scenario,
    TextDemand,
)
from harness.notation import parse_exchange, parse_pattern
from harness.plan import make_plans
from harness.plan.notes import about_nothing

if TYPE_CHECKING:
    from harness.model.exchange import Exchange
    from harness.model.plan import Plan

ROLE = load_roles()["smtp-client"]
PROGRAM = Program("smtp-client", ("mail", "{host}", "{to}"))
GROUP_7 = Implementation("Group 7", "group7", Path("group7"), {"smtp-client": PROGRAM})


def exchange(text: str) -> Exchange:
    parsed, errors = parse_exchange(text)
    assert not errors
    return parsed


def mail(text: str) -> MailDemand:
    return MailDemand((FieldDemand("text", Has(parse_pattern(text))),))


SCENARIO = Scenario(
    id="smtp-client/slug",
    file="slug.yaml",
    title="An address: ${address}",
    role="smtp-client",
    cast={"mail": Actor("mail", ActorKind.SMTP, at="${host}:25", mailboxes=("${address}",))},
    exchange=exchange("mail> 250 ${address} at ${mail.port}\nmail< *${address}*\n  ${address}\n"),
    demands=(
        TextDemand("screen", Has(parse_pattern("*${address}*"))),
        TextDemand("files", Has(parse_pattern("x")), glob="${address}.txt"),
        MailboxDemand("${address}", (mail("${address}"),)),
    ),
    program={"to": ("${address}", "bo@b.test")},
    cases=(
        Case("star", {"address": "*{x}", "host": "a.test"}, "a pattern"),
        Case("plain", {"address": "ann@a.test", "host": "b.test"}),
    ),
)


def plan_of(scenario: Scenario, implementation: Implementation = GROUP_7, *offers: str) -> Plan:
    (plan,) = make_plans(scenario, ROLE, implementation, frozenset(offers), rung="loopback")
    return plan


def test_one_plan_for_each_case_and_way_of_cutting() -> None:
    cut = replace(SCENARIO, pieces=("whole", "2"))
    ids = [plan.id for plan in make_plans(cut, ROLE, GROUP_7, frozenset())]
    assert ids == [
        "smtp-client/slug[star,whole]",
        "smtp-client/slug[star,2]",
        "smtp-client/slug[plain,whole]",
        "smtp-client/slug[plain,2]",
    ]
    (only,) = make_plans(replace(cut, cases=(), pieces=("2",)), ROLE, GROUP_7, frozenset())
    assert only.id == "smtp-client/slug[2]"


@pytest.mark.parametrize(("name", "meant"), [("star", 2), ("2", 2), ("star,2", 1), ("3", 0)])
def test_a_play_is_called_by_its_case_its_pieces_or_both(name: str, meant: int) -> None:
    cut = replace(SCENARIO, pieces=("whole", "2"))
    plans = make_plans(cut, ROLE, GROUP_7, frozenset())
    assert sum(plan.is_called(name) for plan in plans) == meant


def test_one_plan_a_case() -> None:
    """Named after it; a plan's scenario keeps its own case for the reason."""
    plans = make_plans(SCENARIO, ROLE, GROUP_7, frozenset())
    assert [plan.id for plan in plans] == ["smtp-client/slug[star]", "smtp-client/slug[plain]"]
    assert [plan.scenario.cases[0].why for plan in plans] == ["a pattern", ""]
    assert all(plan.program is PROGRAM for plan in plans)
    assert all(plan.folder == Path("group7") for plan in plans)


def test_a_scenario_without_cases_is_one_plan() -> None:
    """Without brackets in its id."""
    plan = plan_of(replace(SCENARIO, cases=()))
    assert (plan.id, plan.case) == ("smtp-client/slug", None)


def test_values_are_filled_in_everywhere_as_literal_text() -> None:
    """A star in a value is a star; addresses stay open until the play."""
    first, _ = make_plans(SCENARIO, ROLE, GROUP_7, frozenset())
    scenario = first.scenario
    assert scenario.title == "An address: *{x}"
    assert scenario.cast["mail"].at == "a.test:25"
    assert scenario.cast["mail"].mailboxes == ("*{x}",)
    assert scenario.cast["mail"].kind is ActorKind.SMTP
    assert scenario.exchange == exchange(
        "mail> 250 *\\{x} at ${mail.port}\nmail< *\\*\\{x}*\n  \\*\\{x}\n"
    )
    screen, files, mailbox = scenario.demands
    assert screen == TextDemand("screen", Has(parse_pattern("*\\*\\{x}*")))
    assert isinstance(files, TextDemand)
    assert files.glob == "*{x}.txt"
    assert mailbox == MailboxDemand("*{x}", (mail("\\*\\{x}"),))


def test_parameters_have_the_defaults_of_the_role() -> None:
    """And what the scenario says in their place."""
    plan = make_plans(SCENARIO, ROLE, GROUP_7, frozenset())[1]
    assert plan.values is not None
    assert plan.values["to"] == ("ann@a.test", "bo@b.test")
    assert plan.values["from"] == "ann@example.test"
    assert set(plan.values) == set(ROLE.parameters)


# -- skips ----------------------------------------------------------------------------

PLAIN = replace(SCENARIO, cases=())


def test_a_role_that_is_not_offered_is_skipped() -> None:
    """It is no failure."""
    plan = plan_of(PLAIN, replace(GROUP_7, programs={}))
    assert plan.skipped == "Group 7 has no program for the role smtp-client"
    assert plan.program is None


def test_a_feature_that_is_lacking_is_a_reason() -> None:
    """Only where the scenario uses it."""
    lacking = replace(GROUP_7, lacks={"smtp-client": ("starttls", "auth")})
    used = replace(PLAIN, uses=("starttls", "size", "auth"))
    assert plan_of(PLAIN, lacking).skipped is None
    assert plan_of(used, GROUP_7).skipped is None
    assert plan_of(used, lacking).skipped == "Group 7's smtp-client does not offer: auth, starttls"


FILTERED = {"gone": Actor("gone", ActorKind.FILTERED, at="a.test:1")}


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (replace(PLAIN, needs=("names",)), "names of its own"),
        (replace(PLAIN, needs=("raw-icmp", "names")), "raw ICMP and no names of its own"),
        (replace(PLAIN, cast=FILTERED), "filtered ports"),
        (replace(PLAIN, cast=FILTERED, needs=("filtered-port",)), "filtered ports"),
    ],
)
def test_what_the_network_lacks_is_a_reason(scenario: Scenario, words: str) -> None:
    """What the scenario asks for, and what follows from its cast."""
    assert plan_of(scenario).skipped == f"this network (loopback) has no {words}"
    offered = plan_of(scenario, GROUP_7, "names", "raw-icmp", "filtered-port")
    assert offered.skipped is None


def test_hard_coded_addresses_need_a_network_of_their_own() -> None:
    """Elsewhere they belong to somebody else."""
    program = replace(PROGRAM, addresses={"server": "smtp.gmail.com:587"})
    implementation = replace(GROUP_7, programs={"smtp-client": program})
    skipped = plan_of(PLAIN, implementation).skipped
    assert skipped == "this network (loopback) has no addresses of its own"
    assert plan_of(PLAIN, implementation, "private-addresses").skipped is None


def test_a_skipped_scenario_still_has_its_cases() -> None:
    """So that a report counts as many, whoever played."""
    plans = make_plans(SCENARIO, ROLE, replace(GROUP_7, programs={}), frozenset())
    assert len(plans) == 2
    assert all(plan.skipped for plan in plans)


def test_load_and_plan_agree_on_a_case_s_place(tmp_path: Path) -> None:
    """A place with a value in it is checked when the file is loaded."""
    path = tmp_path / "slug.yaml"
    path.write_text(
        "title: x\nrole: smtp-client\ncases: [{port: 0}]\n"
        'cast: {mail: {kind: smtp, at: "${port}"}}\nexpect: {exit: 0}\n'
    )
    with pytest.raises(AuthorError, match="in case 0: `0` is no port"):
        load_scenario(path, load_roles())


# -- addresses that are hard-coded in the program ------------------------------------------


def cast_with(addresses: dict[str, str], *cast: Actor) -> dict[str, str | None]:
    """Where the actors of a plan stand."""
    program = replace(PROGRAM, addresses=addresses)
    group = replace(GROUP_7, programs={"smtp-client": program})
    scenario = replace(SCENARIO, cases=(), cast={actor.name: actor for actor in cast})
    plan = plan_of(scenario, group, "private-addresses")
    assert plan.skipped is None
    return {actor.name: actor.at for actor in plan.scenario.cast.values()}


MAIL = Actor("mail", ActorKind.SMTP, at="smtp.example.test:2525", plays="server")


def test_an_actor_stands_where_the_program_looks_for_it() -> None:
    """Whatever the scenario says; who plays another endpoint, or none, stays."""
    other = replace(MAIL, name="other", plays="report")
    nobody = replace(MAIL, name="nobody", plays=None)
    visitor = Actor("visitor", ActorKind.TCP, to="server", plays="server")
    assert cast_with({"server": "smtp.qq.com:25"}, MAIL, other, nobody, visitor) == {
        "mail": "smtp.qq.com:25",
        "other": MAIL.at,
        "nobody": MAIL.at,
        "visitor": None,
    }


@pytest.mark.parametrize(
    ("beside", "moved"),
    [
        ("smtp.example.test:2526", "[2001:db8::1]:2526"),
        ("elsewhere.test:2526", "elsewhere.test:2526"),
        ("2526", "2526"),
    ],
)
def test_the_others_of_its_host_move_along_with_an_actor(beside: str, moved: str) -> None:
    """With their own ports: a scanned host keeps its open and closed ones."""
    second = replace(MAIL, name="second", at=beside)
    assert cast_with({"server": "[2001:db8::1]:25"}, MAIL, second) == {
        "mail": "[2001:db8::1]:25",
        "second": moved,
    }


def test_without_hard_coded_addresses_nobody_moves() -> None:
    """The scenario's place is the program's to be told."""
    assert cast_with({}, MAIL) == {"mail": MAIL.at}


# -- expected failures ------------------------------------------------------------------


def expecting(*patterns: str) -> Implementation:
    failures = tuple(ExpectedFailure(pattern, pattern) for pattern in patterns)
    return replace(GROUP_7, expected_failures=failures)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("smtp-client/slug", ["star,2", "star,whole", "plain,2", "plain,whole"]),
        ("smtp-client/slug[star]", ["star,2", "star,whole"]),
        ("smtp-client/slug[2]", ["star,2", "plain,2"]),
        ("smtp-client/slug[plain,2]", ["plain,2"]),
        ("smtp-client/*[pl*", ["plain,2", "plain,whole"]),
        ("*/slu?", []),
        ("smtp-client/slu", []),
    ],
)
def test_a_failure_is_expected_by_id_case_pieces_or_pattern(pattern: str, meant: list[str]) -> None:
    """Only `*` stands for something else."""
    cut = replace(SCENARIO, pieces=("2", "whole"))
    plans = make_plans(cut, ROLE, expecting(pattern), frozenset())
    assert [plan.label for plan in plans if plan.expected_failure] == meant


def test_the_first_line_that_means_a_play_counts() -> None:
    """It has the reason."""
    expected = expecting("smtp-client/*", "smtp-client/slug")
    plan = plan_of(PLAIN, expected)
    assert plan.expected_failure == expected.expected_failures[0]


def test_expected_failures_that_are_about_nothing() -> None:
    """A role of which nothing is there is elsewhere; a file that was not loaded has any case."""
    implementation = expecting(
        "smtp-client/slug[star]",
        "smtp-client/slug[moon]",
        "smtp-client/other[any]",
        "smtp-client/slgu",
        "*/nothing",
        "web-server/get",
    )
    found = about_nothing(implementation, [SCENARIO], {"smtp-client/slug", "smtp-client/other"})
    assert [expected.pattern for expected, _ in found] == [
        "smtp-client/slug[moon]",
        "smtp-client/slgu",
        "*/nothing",
    ]
    assert found[1][1].endswith("; did you mean `smtp-client/slug`?")


@pytest.mark.parametrize(
    ("role", "needs", "allowed"),
    [
        ("icmp-ping", (), True),
        ("traceroute", (), True),
        ("smtp-client", (), False),
        ("smtp-client", ("raw-icmp",), True),
    ],
)
def test_raw_sockets_are_for_who_pings(role: str, needs: tuple[str, ...], allowed: bool) -> None:
    scenario = Scenario(
        id=f"{role}/slug",
        file="slug.yaml",
        title="A program",
        role=role,
        cast={},
        exchange=exchange(""),
        demands=(),
        needs=needs,
    )
    implementation = replace(GROUP_7, programs={role: Program(role, ("ping",))})
    (plan,) = make_plans(scenario, load_roles()[role], implementation, ())

    assert plan.speaks_icmp is allowed
    assert plan.skipped == ("this network (loopback) has no raw ICMP" if allowed else None)

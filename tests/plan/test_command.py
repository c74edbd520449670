"""The command line of a program, filled in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from harness.load import load_roles
from harness.model.command import (
    PlaceholderError,
    command_line,
    own_endpoint,
    placeholder_names,
    placeholders,
)
from harness.model.exchange import Exchange
from harness.model.plan import Plan
from harness.model.program import Program
from harness.model.scenario import Actor, ActorKind, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.program import Value

ROLES = load_roles()


def filled(
    role: str,
    *run: str,
    addresses: Mapping[str, str] | None = None,
    values: Mapping[str, Value] | None = None,
    cast: tuple[Actor, ...] = (),
) -> list[str]:
    actors = {actor.name: actor for actor in cast}
    plan = Plan(
        scenario=Scenario("x/y", "y.yaml", "", role, actors, Exchange(), ()),
        role=ROLES[role],
        program=Program(role, run),
        values=values,
    )
    return command_line(plan, addresses or {})[0]


def standing(name: str, plays: str) -> Actor:
    return Actor(name, ActorKind.SMTP, at=f"{name}.test:25", plays=plays)


@pytest.mark.parametrize(
    ("role", "endpoint"),
    [
        ("smtp-client", "server"),
        ("web-server", "server"),
        ("webmail-proxy", "proxy"),
        ("port-scanner", "target"),
    ],
)
def test_host_and_port_are_the_single_or_listening_endpoint(role: str, endpoint: str) -> None:
    """So that most command lines need no more."""
    assert own_endpoint(ROLES[role]) == endpoint
    addresses = {f"{endpoint}.host": "1.2.3.4", f"{endpoint}.port": "80"}
    assert filled(role, "{host}", "{port}", addresses=addresses) == ["1.2.3.4", "80"]


def test_endpoints_and_actors_by_name() -> None:
    """An endpoint is where the actor stands that plays it."""
    assert filled(
        "webmail-proxy",
        "{mail.host}:{mail.port}",
        "{report.host}",
        addresses={"relay.host": "1.1.1.1", "relay.port": "25", "report.host": "2.2.2.2"},
        cast=(standing("relay", "mail"), standing("report", "report")),
    ) == ["1.1.1.1:25", "2.2.2.2"]


def test_of_several_actors_that_of_the_endpoint_s_name_counts() -> None:
    """Else the first."""
    addresses = {"a.host": "1", "b.host": "2", "mail.host": "3"}
    two = (standing("a", "mail"), standing("b", "mail"))
    assert filled(
        "webmail-proxy", "{mail.host}", addresses=addresses | {"mail.host": "1"}, cast=two
    ) == ["1"]
    del addresses["mail.host"]
    assert filled("webmail-proxy", "{mail.host}", addresses=addresses, cast=two) == ["1"]
    three = (*two, standing("mail", "mail"))
    addresses["mail.host"] = "3"
    assert filled("webmail-proxy", "{mail.host}", addresses=addresses, cast=three) == ["3"]


def test_who_dials_the_program_is_not_where_it_listens() -> None:
    """A browser plays the proxy's endpoint, but stands elsewhere."""
    browser = Actor("browser", ActorKind.HTTP, to="proxy", plays="proxy")
    addresses = {"browser.port": "50000", "proxy.port": "8800"}
    assert filled("webmail-proxy", "{port}", addresses=addresses, cast=(browser,)) == ["8800"]


def test_an_endpoint_that_nobody_plays_is_a_place_that_refuses() -> None:
    """No program should stop at its own command line."""
    assert filled("webmail-proxy", "{report.host}:{report.port}") == ["127.0.0.1:9"]


def test_parameters_and_lists() -> None:
    """A list that is a whole argument is several, within a text it has commas."""
    values: dict[str, Value] = {"to": ("a@b.test", "c@d.test"), "subject": "a {b} c", "text": ""}
    run = ("{to}", "--to={to}", "{subject}", "{text}", "{{to}}")
    assert filled("smtp-client", *run, values=values) == [
        "a@b.test",
        "c@d.test",
        "--to=a@b.test,c@d.test",
        "a {b} c",
        "",
        "{to}",
    ]
    assert filled("smtp-client", "x", "{to}", values={"to": ()}) == ["x"]


def test_addresses_within_parameters() -> None:
    """`ports: "${open.port}"` is known only now."""
    values = {"ports": "${open.port},${target.port}"}
    actor = Actor("open", ActorKind.TCP, at="a.test:1", plays="target")
    addresses = {"open.port": "8001"}
    argv = filled("port-scanner", "{ports}", values=values, addresses=addresses, cast=(actor,))
    assert argv == ["8001,8001"]


def test_python_is_our_interpreter() -> None:
    """The one that has what the reference programs need."""
    assert filled("smtp-client", "{python}") == [sys.executable]


def test_the_environment_is_filled_in_alike() -> None:
    """Passwords go there."""
    plan = Plan(
        scenario=Scenario("x/y", "y.yaml", "", "smtp-client", {}, Exchange(), ()),
        role=ROLES["smtp-client"],
        program=Program("smtp-client", ("x",), env={"WHO": "{user}@{host}", "TO": "{to}"}),
        values={"user": "ann", "to": ("a", "b")},
    )
    _, env = command_line(plan, {"server.host": "h"})
    assert env == {"WHO": "ann@h", "TO": "a,b"}


def test_a_plan_without_a_program_has_no_command_line() -> None:
    """A mistake of the caller."""
    scenario = Scenario("x/y", "y.yaml", "", "smtp-client", {}, Exchange(), ())
    with pytest.raises(ValueError, match="x/y has no program"):
        command_line(Plan(scenario, ROLES["smtp-client"]), {})


def test_placeholders_are_found_with_their_columns() -> None:
    """Doubled braces are none."""
    assert list(placeholders("a{b}{{c}}{d.e}")) == [("b", 2), ("d.e", 10)]


@pytest.mark.parametrize(("text", "column"), [("a{b", 2), ("a}b", 2), ("{a{b}", 1), ("{{a}", 4)])
def test_lone_braces(text: str, column: int) -> None:
    """Told with the column."""
    with pytest.raises(PlaceholderError) as raised:
        list(placeholders(text))
    assert raised.value.column == column


def test_names_of_placeholders() -> None:
    """What `wirelab roles` tells and mistakes are compared with."""
    assert placeholder_names(ROLES["port-scanner"]) == [
        *("host", "port", "target.host", "target.port", "ports", "transport", "python")
    ]

"""Wirelab's roles, and those of teachers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.errors import AuthorError
from harness.load import load_roles
from harness.model.program import Endpoint, ParameterOf
from harness.model.scenario import LineEnd

if TYPE_CHECKING:
    from pathlib import Path

#: Course scripts rely on these names.
CONTRACT = {
    *("webmail-proxy", "smtp-client", "smtp-server", "pop3-client", "pop3-server", "web-server"),
    *("http-client", "web-proxy", "udp-ping-server", "udp-ping-client", "heartbeat-server"),
    *("heartbeat-client", "heartbeat-monitor", "echo-server", "echo-client", "talk-server"),
    *("talk-client", "calc-server", "calc-client", "icmp-ping", "traceroute", "port-scanner"),
    *("chat-server", "chat-client", "file-server", "file-client", "browser"),
}

QUOTE = """\
roles:
  quote-client:
    about: Asks for a quote of the day (RFC 865).
    eol: crlf
    endpoints:
      server: {direction: dials, protocol: tcp, about: the quote server}
    parameters:
      languages: {default: [en, de], about: in which languages}
      number: {default: 3, about: how many}
    features: {udp: by datagrams}
"""


def test_every_role_of_the_contract_is_there() -> None:
    """Nothing less, nothing more."""
    assert set(load_roles()) == CONTRACT


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_every_role_is_told_about(name: str) -> None:
    """In a sentence; its endpoints, parameters and features too."""
    role = load_roles()[name]
    assert role.about.endswith(".")
    assert all(endpoint.about for endpoint in role.endpoints.values())
    assert all(parameter.about for parameter in role.parameters.values())
    assert all(role.features.values())


@pytest.mark.parametrize("name", ["echo-client", "talk-server", "calc-client", "chat-server"])
def test_the_notes_programs_send_no_line_ends(name: str) -> None:
    """A message is what one send carries."""
    assert load_roles()[name].eol is LineEnd.NONE


def test_servers_listen() -> None:
    """Their first listening endpoint is where peers dial."""
    roles = load_roles()
    assert {name for name, role in roles.items() if role.listens} == {
        *(name for name in CONTRACT if name.endswith("-server")),
        "web-proxy",
        "webmail-proxy",
    }


def test_teachers_add_roles_beside_their_scenarios(tmp_path: Path) -> None:
    """The same format, merged with ours."""
    (tmp_path / "roles.yaml").write_text(QUOTE)
    roles = load_roles(tmp_path)
    assert set(roles) == {*CONTRACT, "quote-client"}
    role = roles["quote-client"]
    assert role.endpoints == {"server": Endpoint("server", "dials", "tcp", "the quote server")}
    assert role.parameters["languages"] == ParameterOf(
        "languages", ("en", "de"), "in which languages"
    )
    assert role.parameters["number"].default == "3"
    assert role.features == {"udp": "by datagrams"}
    assert role.eol is LineEnd.CRLF


def test_a_folder_without_roles_adds_none(tmp_path: Path) -> None:
    """Most have none."""
    assert set(load_roles(tmp_path)) == CONTRACT


def test_our_roles_cannot_be_given_again(tmp_path: Path) -> None:
    """Else `smtp-client` would mean something else in every course."""
    (tmp_path / "roles.yaml").write_text(QUOTE.replace("quote-client", "smtp-client"))
    with pytest.raises(AuthorError, match="2:3: `smtp-client` is a role of Wirelab's own"):
        load_roles(tmp_path)

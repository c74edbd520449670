"""What an SMTP actor can never hear or answer; the texts of these mistakes are golden files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.errors import AuthorError
from harness.load import load_roles, load_scenario

if TYPE_CHECKING:
    from pathlib import Path

ROLES = load_roles()
REPLY = "replies: {cy@example.test: 450 4.2.1 Busy}"


def load(folder: Path, text: str, role: str = "smtp-client") -> None:
    path = folder / "slug.yaml"
    path.write_text(f"title: A mail\nrole: {role}\n{text}")
    load_scenario(path, ROLES)


@pytest.mark.parametrize(
    ("actor", "entry"),
    [
        ("mailboxes: [bo@example.test]", "mail< DATA"),
        ("replies: {bo@example.test: 250 OK}", "mail< DATA"),
        ("limit: 10", "mail<? DATA\n  mail< QUIT"),
        ("limit: 10", "never:\n    mail< DATA"),
        ("limit: 10", "one of:\n    mail< DATA\n    mail< QUIT"),
        ("limit: 10", "mail< MAIL FROM:<data@example.test>*"),
    ],
)
def test_data_that_may_come_or_may_not(tmp_path: Path, actor: str, entry: str) -> None:
    """Only what must come, and cannot, is a mistake."""
    load(tmp_path, f"cast: {{mail: {{kind: smtp, at: 25, {actor}}}}}\nexchange: |\n  {entry}\n")


@pytest.mark.parametrize("pattern", ["DATA", "data", "DATA*"])
def test_data_where_everybody_is_refused(tmp_path: Path, pattern: str) -> None:
    """However it is written."""
    with pytest.raises(AuthorError, match="5:3: `mail` refuses every recipient"):
        load(tmp_path, f"cast: {{mail: {{kind: smtp, at: 25}}}}\nexchange: |\n  mail< {pattern}\n")


def test_a_reply_for_nobody_is_told(tmp_path: Path) -> None:
    """Most often a slip in the address."""
    with pytest.raises(AuthorError, match=r"no right program names `cy@example\.test`"):
        load(tmp_path, f"cast: {{mail: {{kind: smtp, at: 25, {REPLY}}}}}\nexpect: {{exit: 0}}\n")


@pytest.mark.parametrize(
    ("role", "rest"),
    [
        ("smtp-client", "program: {to: CY@example.test}\nexpect: {exit: 0}\n"),
        ("smtp-client", "program: {from: cy@example.test}\nexpect: {exit: 0}\n"),
        ("smtp-client", "exchange: |\n  mail<? RCPT TO:<cy@example.test>\n  mail< QUIT\n"),
        (
            "smtp-client",
            'cases: [{a: cy}]\nprogram: {to: "${a}@example.test"}\nexpect: {exit: 0}\n',
        ),
        ("webmail-proxy", "expect: {exit: 0}\n"),
    ],
)
def test_a_reply_that_may_be_asked_for(tmp_path: Path, role: str, rest: str) -> None:
    """Told to the program, named in the exchange, put together by a case, or out of a form."""
    load(
        tmp_path, f"cast: {{mail: {{kind: smtp, as: {_as(role)}, at: 25, {REPLY}}}}}\n{rest}", role
    )


def _as(role: str) -> str:
    return "mail" if role == "webmail-proxy" else "server"

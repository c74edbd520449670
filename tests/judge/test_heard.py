"""How often an actor was reached: messages are counted as the exchange hears them."""

from __future__ import annotations

import pytest
from harness.judge import judge
from harness.model.scenario import ActorKind, HeardDemand, LineEnd
from harness.model.verdict import Outcome

from tests.conversation import actor_of, cast, plan, record

MAIL = cast(mail=actor_of("mail", ActorKind.SMTP, at="smtp.example.test:25"))
BROWSER = cast(browser=actor_of("browser", ActorKind.HTTP, to="server"))
COMMANDS = "mail! opened\nmail< EHLO me\\r\\nRSET\\r\\nQU\nmail< IT\\r\\n\nmail! eof\n"


@pytest.mark.parametrize(("count", "outcome"), [(3, Outcome.PASSED), (2, Outcome.FAILED)])
def test_commands_are_counted_in_whatever_pieces_they_come(count: int, outcome: Outcome) -> None:
    """Three commands in two segments."""
    played = plan(MAIL, "", HeardDemand("mail", count, "messages"))
    happened = record(COMMANDS, {"mail": LineEnd.NONE})
    assert judge(played, happened).outcome is outcome


def test_a_response_counts_once() -> None:
    """Its head and its content are one message."""
    played = plan(BROWSER, "", HeardDemand("browser", 1, "messages"))
    happened = record(
        "browser! opened\nbrowser> GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\n"
        "browser< HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n\nbrowser< hi\n",
        {"browser": LineEnd.NONE},
    )
    assert judge(played, happened).outcome is Outcome.PASSED

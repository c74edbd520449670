"""One finding for one mistake: what is alike, what follows, and whose a number is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.judge import judge
from harness.model.scenario import (
    ActorKind,
    Demand,
    ExitDemand,
    Has,
    HeardDemand,
    Lacks,
    Level,
    MailboxDemand,
    MailDemand,
    TextDemand,
)
from harness.notation import parse_pattern
from harness.report import failure_text

from tests.conversation import actor_of, cast, plan, record

if TYPE_CHECKING:
    from harness.model.verdict import Finding

MAIL = cast(mail=actor_of("mail", ActorKind.SMTP, at="smtp.example.test:25"))


def shows(text: str, level: Level = Level.MUST) -> TextDemand:
    return TextDemand("screen", Has(parse_pattern(text)), level=level)


def found(exchange: str, script: str, *demands: Demand) -> tuple[Finding, ...]:
    return judge(plan(MAIL, exchange, *demands), record(script)).findings


def test_lines_that_are_missing_are_told_together_but_by_weight() -> None:
    one, other = found(
        "", "screen: b\\n\n", shows("*a*"), shows("*b*"), shows("*c*"), shows("*d*", Level.SHOULD)
    )
    assert one.headline == "The screen nowhere shows `a` and `c`."
    assert other.headline == "The screen nowhere shows `d`."
    assert (one.expected, one.observed) == ("*a*, *c*", "no such line")


def test_what_is_forbidden_is_told_for_each() -> None:
    lacks = [TextDemand("screen", Lacks(parse_pattern(text))) for text in "ab"]
    assert len(found("", "screen: a b\\n\n", *lacks)) == 2


def test_what_is_missing_follows_where_the_exchange_broke_off() -> None:
    mailbox = MailboxDemand("bo@x", (MailDemand(),))
    heard = HeardDemand("mail", 2, "connections")
    demands = (mailbox, heard, shows("*sent*"), ExitDemand((0,)))
    script = "mail! opened\nmail< EHLO x\nmail! eof\nprogram! exit 1\n"
    missed, *others = found("mail< QUIT\n", script, *demands)
    assert [finding.follows for finding in (missed, *others)] == [False, True, True, True, True]
    assert not any(finding.follows for finding in found("", script, *demands))


def test_what_is_wrong_in_itself_follows_from_nothing() -> None:
    script = "mail! opened\nmail! eof\nscreen: s3cret\\n\nprogram! exit 0\n"
    demands = (TextDemand("screen", Lacks(parse_pattern("s3cret"))), ExitDemand(("nonzero",)))
    findings = found("mail< QUIT\n", script, *demands)
    assert len(findings) == 3
    assert not any(finding.follows for finding in findings)


def test_the_last_words_of_a_program_that_failed_are_always_shown() -> None:
    played = plan(MAIL, "mail< QUIT\n", ExitDemand((0,)))
    text = failure_text(judge(played, record("screen: no route\\n\nprogram! exit 1\n")))
    assert "screen: no route" in text


def test_a_port_of_the_play_is_told_whose_it_is() -> None:
    [finding] = found("", "mail! stands 127.0.0.1 40025\n", shows("*${mail.port}*"))
    assert (finding.headline, finding.why) == (
        "The screen nowhere shows `40025`.",
        "40025 is the port of mail",
    )

"""Verdicts: what is found, in what order, and whom it blames."""

from __future__ import annotations

from dataclasses import replace

import pytest
from harness.judge import judge, satisfied
from harness.model.capture import Capture
from harness.model.plan import Plan
from harness.model.record import Event, Record, What
from harness.model.scenario import (
    ActorKind,
    Count,
    ExitDemand,
    Has,
    HeardDemand,
    InOrder,
    Lacks,
    Level,
    MailboxDemand,
    MailDemand,
    TextDemand,
)
from harness.model.verdict import Outcome
from harness.notation import parse_pattern

from tests.conversation import SERVER_ROLE, actor_of, cast, plan, record
from tests.judge.plays import PLAYS, TRACEBACK

MAIL = cast(mail=ActorKind.SMTP)


def screen(check: object, level: Level = Level.MUST) -> TextDemand:
    return TextDemand("screen", check, level=level, line=9)  # type: ignore[arg-type]


def headlines(played: Plan, happened: Record) -> list[str]:
    return [finding.headline for finding in judge(played, happened).findings]


class TestOutcome:
    def test_nothing_wrong_is_passed(self) -> None:
        verdict = judge(
            plan(MAIL, "mail< QUIT\n", ExitDemand((0,))), record("mail< QUIT\nprogram! exit 0\n")
        )
        assert (verdict.outcome, verdict.findings) == (Outcome.PASSED, ())
        assert verdict.duration_s == 0.2

    @pytest.mark.parametrize(
        ("level", "outcome"),
        [(Level.MUST, Outcome.FAILED), (Level.SHOULD, Outcome.PASSED), (Level.MAY, Outcome.PASSED)],
    )
    def test_only_a_missed_must_fails(self, level: Level, outcome: Outcome) -> None:
        verdict = judge(plan(MAIL, "", ExitDemand((0,), level=level)), record("program! exit 1\n"))
        assert verdict.outcome is outcome
        assert [finding.level for finding in verdict.findings] == [level]

    def test_what_was_not_played_is_skipped_with_its_reason(self) -> None:
        skipped = Plan(plan(MAIL).scenario, SERVER_ROLE, skipped="lacks starttls")
        verdict = judge(skipped, record("program! exit 1\n"))
        assert (verdict.outcome, verdict.reason) == (Outcome.SKIPPED, "lacks starttls")

    def test_what_broke_on_our_side_is_never_charged_to_the_program(self) -> None:
        ours = Event(0.1, What.BROKEN, "mail", note="KeyError: 'x'", facts={"ours": 1})
        happened = Record((ours, *record("program! exit 1\n").events))
        verdict = judge(plan(MAIL, "mail< QUIT\n", ExitDemand((0,))), happened)
        assert (verdict.outcome, verdict.findings) == (Outcome.ERROR, ())
        assert verdict.reason == "KeyError: 'x'"

    def test_places_are_told_as_named_and_as_they_were(self) -> None:
        actors = cast(
            mail=actor_of("mail", ActorKind.SMTP, at="mail.test:25"), user=ActorKind.TERMINAL
        )
        verdict = judge(plan(actors), record("mail! stands 127.0.0.1 4025\n"))
        assert verdict.places == (("mail", "mail.test:25, here 127.0.0.1:4025"),)


class TestNamesOfTheExchange:
    """What `{name}` was bound to in the exchange, it must be at the end as well."""

    def test_a_name_is_compared_at_the_end(self) -> None:
        played = plan(MAIL, "mail< EHLO {who}\n", screen(Has(parse_pattern("*hello {who}*"))))
        assert headlines(played, record("mail< EHLO me\nscreen: hello me!\\n\n")) == []
        assert headlines(played, record("mail< EHLO me\nscreen: hello you\\n\n")) == [
            "The screen nowhere shows `hello me`."
        ]

    def test_a_play_does_not_wait_for_what_only_the_end_can_tell(self) -> None:
        played = plan(MAIL, "mail< EHLO {who}\n", screen(Has(parse_pattern("*hello {who}*"))))
        assert satisfied(played, record("mail< EHLO me\nscreen: hello you\\n\n"))


class TestOneFindingForOneMistake:
    def test_lines_behind_a_missed_one_are_no_findings(self) -> None:
        exchange = "mail< EHLO *\nmail< MAIL *\nmail< RCPT *\nmail< DATA\nmail< QUIT\n"
        [finding] = judge(plan(MAIL, exchange), record("mail< EHLO x\n")).findings
        assert (finding.line, finding.expected) == (9, "MAIL *")

    def test_a_crash_comes_before_what_follows_from_it(self) -> None:
        findings = judge(
            plan(MAIL, "mail< QUIT\n", ExitDemand((0,)), MailboxDemand("a@b", (MailDemand(),))),
            record(f"mail! opened\n{TRACEBACK}program! exit 1\nmail! eof\n"),
        ).findings
        assert [finding.cause for finding in findings] == [True, False, False, False]
        assert findings[0].headline.startswith("The program crashed: ConnectionRefusedError")

    def test_a_missed_line_comes_before_demands(self) -> None:
        mailbox = MailboxDemand("a@b", (MailDemand(),))
        findings = judge(plan(MAIL, "mail< DATA\n", mailbox), record("mail< QUIT\n")).findings
        assert [finding.actor for finding in findings] == ["mail", "a@b"]

    def test_a_server_that_never_listened_is_judged_by_nothing_else(self) -> None:
        played = plan(MAIL, "mail< QUIT\n", ExitDemand((0,)), role=SERVER_ROLE)
        assert len(headlines(played, record("program! gave-up never listened on a:1\n"))) == 1

    def test_a_file_that_is_not_there_is_told_once(self) -> None:
        demands = [TextDemand("files", Has(parse_pattern(p)), glob="Log-*") for p in ("*a*", "*b*")]
        assert headlines(plan(MAIL, "", *demands), record("")) == [
            "The program left no file Log-*."
        ]

    def test_a_program_that_we_stopped_has_no_exit_status_to_judge(self) -> None:
        script = "program! stopped it did not end by itself\nprogram! signal 15\n"
        [headline] = headlines(plan(MAIL, "", ExitDemand((0,))), record(script))
        assert headline.startswith("The program never ended")

    def test_a_program_that_the_scenario_killed_did_not_crash(self) -> None:
        script = "program! started\nprogram! told kill\nprogram! signal 9\n@0 program! acted\n"
        assert headlines(plan(MAIL, "program! kill\n"), record(script)) == []

    def test_only_the_last_life_has_an_exit_status_to_judge(self) -> None:
        lives = "program! started\nprogram! exit 1\nprogram! started\nprogram! exit {}\n"
        cases: list[tuple[int | str, int, bool]] = [
            (0, 0, True),
            (0, 1, False),
            ("nonzero", 1, True),
        ]
        for demanded, status, right in cases:
            happened = record(lives.format(status))
            assert (headlines(plan(MAIL, "", ExitDemand((demanded,))), happened) == []) is right

    def test_a_server_that_the_scenario_told_to_end_must_see_to_its_end(self) -> None:
        played = plan(MAIL, "program! stop\n", ExitDemand((0,)), role=SERVER_ROLE)
        script = "program! started\nprogram! listening h 1\nprogram! told stop\n"
        assert headlines(played, record(script + "program! exit 0\n@0 program! acted\n")) == []
        [headline] = headlines(played, record(script + "program! signal 15\n@0 program! acted\n"))
        assert headline == (
            "The program was ended by signal 15, SIGTERM, where exit status 0 was expected."
        )

    def test_a_server_that_only_sigkill_ended_is_told_so(self) -> None:
        script = "program! listening h 1\nprogram! told stop\nprogram! signal 9\n"
        script += "@0 program! acted\n"
        [finding] = judge(plan(MAIL, "program! stop\n", role=SERVER_ROLE), record(script)).findings
        assert "did not end when the scenario told it to (SIGTERM)" in finding.headline
        assert finding.level is Level.SHOULD

    def test_each_life_has_its_own_crash(self) -> None:
        script = (
            f"program! started\n{TRACEBACK}program! exit 1\n"
            "program! started\nprogram! told kill\nprogram! signal 9\n"
            "program! started\nprogram! signal 11\n"
        )
        crash, signal = headlines(plan(MAIL), record(script))
        assert "ConnectionRefusedError" in crash
        assert signal == "The program was ended by signal 11, SIGSEGV."

    def test_a_server_may_end_where_the_exchange_says_that_it_must(self) -> None:
        script = "program! listening h 1\nprogram! exit 1\n"
        for exchange, right in (("program! expect exit nonzero\n", True), ("", False)):
            played = plan(MAIL, exchange, role=SERVER_ROLE)
            assert (headlines(played, record(script)) == []) is right

    def test_what_a_life_left_of_a_line_is_no_beginning_of_the_next_one(self) -> None:
        happened = record("program! started\nscreen: > \nprogram! started\nscreen: Welcome\n")
        demand = TextDemand("screen", Has(parse_pattern("Welcome")))
        assert headlines(plan(MAIL, "", demand), happened) == []

    def test_the_last_traceback_is_the_one_that_counts(self) -> None:
        first = "errors: Traceback (most recent call last):\\nKeyError: 1\\n\\nDuring ...\\n\\n\n"
        [headline] = headlines(plan(MAIL), record(f"{first}{TRACEBACK}program! exit 1\n"))
        assert "ConnectionRefusedError" in headline

    def test_a_traceback_of_a_program_that_goes_on_is_a_remark(self) -> None:
        verdict = judge(plan(MAIL), record(f"{TRACEBACK}program! exit 0\n"))
        assert verdict.outcome is Outcome.PASSED
        assert verdict.findings[0].level is Level.SHOULD


class TestTexts:
    @pytest.mark.parametrize(
        ("check", "text", "met"),
        [
            (Has(parse_pattern("b*")), "a\\nbc\\n", True),
            (Has(parse_pattern("b")), "a\\nbc\\n", False),
            (Has(parse_pattern("bc")), "bc\\r\\n", True),
            (Has(parse_pattern("名*")), "\\xe5\\x90\\x8d!", True),
            (Lacks(parse_pattern("s3cret")), "no s3cret here", False),
            (Lacks(parse_pattern("s3cret")), "s3\\ncret", True),
            (Lacks(parse_pattern("*")), "", True),
            (Lacks(parse_pattern("*")), "\\n", False),
            (Count(parse_pattern("*"), 2), "one\\n\\n", True),
            (Count(parse_pattern("a*"), 2), "a\\nb\\nab\\n", True),
            (Count(parse_pattern("a*"), 1), "a\\nb\\nab\\n", False),
            (Count(parse_pattern("c"), 0), "a\\n", True),
            (InOrder((parse_pattern("a"), parse_pattern("b"))), "a\\nx\\nb\\n", True),
            (InOrder((parse_pattern("a"), parse_pattern("b"))), "b\\na\\n", False),
            (InOrder((parse_pattern("a"), parse_pattern("a"))), "a\\n", False),
        ],
    )
    def test_lines_of_the_screen(self, check: object, text: str, met: object) -> None:
        assert (headlines(plan({}, "", screen(check)), record(f"screen: {text}\n")) == []) is met

    def test_one_of_several_files_is_enough(self) -> None:
        demand = TextDemand("files", Has(parse_pattern("b")), glob="*.txt")
        assert headlines(plan({}, "", demand), record("file 1.txt: a\nfile 2.txt: b\n")) == []

    def test_no_file_may_have_what_is_forbidden(self) -> None:
        demand = TextDemand("files", Lacks(parse_pattern("b")), glob="*.txt")
        [headline] = headlines(plan({}, "", demand), record("file 1.txt: a\nfile 2.txt: b\n"))
        assert headline == "2.txt must not show `b`."

    def test_what_is_printed_in_pieces_is_one_text(self) -> None:
        assert (
            headlines(
                plan({}, "", screen(Has(parse_pattern("ab")))), record("screen: a\nscreen: b\n")
            )
            == []
        )

    def test_errors_are_no_screen(self) -> None:
        demand = TextDemand("errors", Has(parse_pattern("a")))
        assert len(headlines(plan({}, "", demand), record("screen: a\n"))) == 1
        assert headlines(plan({}, "", demand), record("errors: a\n")) == []


class TestSatisfied:
    """What a play still waits for."""

    def test_waits_for_what_can_still_come(self) -> None:
        played = plan(
            MAIL, "", screen(Has(parse_pattern("done"))), HeardDemand("mail", 1, "connections")
        )
        assert not satisfied(played, record("screen: done\n"))
        assert satisfied(played, record("screen: done\nmail! opened\n"))

    def test_waits_for_nothing_that_can_only_go_wrong(self) -> None:
        demands = (
            screen(Lacks(parse_pattern("x"))),
            ExitDemand((0,)),
            TextDemand("files", Has(parse_pattern("x")), glob="*"),
        )
        assert satisfied(plan(MAIL, "", *demands), record("screen: x\n"))


def test_addresses_of_the_play_are_filled_in() -> None:
    demand = screen(Has(parse_pattern("*${mail.port}*")))
    assert headlines(plan(MAIL, "", demand), record("mail! stands a 25\nscreen: at 25\n")) == []
    assert len(headlines(plan(MAIL, "", demand), record("mail! stands a 26\nscreen: at 25\n"))) == 1


@pytest.mark.parametrize("kind", PLAYS)
def test_judging_again_gives_the_same(kind: str) -> None:
    played, happened = PLAYS[kind].plan_and_record()
    assert judge(played, happened) == judge(played, happened)


def test_a_capture_that_is_not_whole_is_a_remark() -> None:
    played, happened = plan(MAIL, "mail< QUIT\n"), record("mail< QUIT\nprogram! exit 0\n")
    whole = judge(played, replace(happened, capture=Capture()))
    cut = judge(played, replace(happened, capture=Capture(lost=7)))

    assert (whole.outcome, whole.findings) == (Outcome.PASSED, ())
    assert cut.outcome is Outcome.PASSED
    assert [(finding.level, finding.headline) for finding in cut.findings] == [
        (Level.MAY, "The capture is not whole: the kernel had no room for 7 frames.")
    ]

"""Texts about verdicts: one line, a summary, the layout of a failure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from harness.model.faults import Choice, Faults
from harness.model.scenario import Actor, ActorKind, Level
from harness.model.verdict import Finding, Mark, Outcome, Rung, Verdict
from harness.report import failure_text, one_line, summary
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.conversation import plan

PLAN = plan({})


def finding(headline: str = "Wrong.", **fields: object) -> Finding:
    given = {
        "level": Level.MUST,
        "actor": "mail",
        "file": "scenarios/a.yaml",
        "line": 14,
        "expected": "QUIT",
        "observed": "DATA",
        **fields,
    }
    return Finding(headline=headline, **given)  # type: ignore[arg-type]


def failed(*findings: Finding, **fields: object) -> Verdict:
    return Verdict(PLAN, Outcome.FAILED, findings, **fields)  # type: ignore[arg-type]


class TestOneLine:
    def test_says_what_and_how_long(self) -> None:
        verdict = Verdict(PLAN, Outcome.PASSED, duration_s=0.21)
        assert one_line(verdict) == "PASSED    smtp-client/example  0.2 s"

    def test_says_why_it_was_not_played(self) -> None:
        verdict = Verdict(PLAN, Outcome.SKIPPED, reason="Group 7 lacks starttls")
        assert one_line(verdict) == "SKIPPED   smtp-client/example  (Group 7 lacks starttls)"

    @pytest.mark.parametrize(("number", "told"), [(1, "1 remark"), (2, "2 remarks")])
    def test_counts_remarks_on_what_passed(self, number: int, told: str) -> None:
        verdict = Verdict(PLAN, Outcome.PASSED, (finding(level=Level.SHOULD),) * number)
        assert one_line(verdict).endswith(f"  0.0 s  ({told})")

    def test_a_failure_has_more_to_say_than_remarks(self) -> None:
        assert one_line(failed(finding(), finding(level=Level.MAY))).endswith("0.0 s")


class TestFailure:
    def test_every_finding_has_its_place_once(self) -> None:
        ladder = (
            Rung(Mark.HAPPENED, 0.012, "mail> 550 no"),
            Rung(Mark.EXPECTED, None, "mail< QUIT", "expected"),
            Rung(Mark.INSTEAD, 0.013, "mail< DATA", "came instead"),
        )
        verdict = failed(
            finding(ladder=ladder, why="RFC 5321 3.3"),
            finding("More.", line=15),
            places=(("mail", "a:25"),),
            run_folder="run/x",
        )
        text = failure_text(verdict, implementation="Group 7", again="wirelab run x")
        assert text == (
            "FAILED smtp-client/example   Group 7\n"
            "\n"
            "  Wrong.\n"
            "\n"
            "  mail (a:25)                                               scenarios/a.yaml:14\n"
            "      0.012  mail> 550 no\n"
            "             mail< QUIT                                     expected\n"
            "   ✗  0.013  mail< DATA                                     came instead\n"
            "  why   RFC 5321 3.3\n"
            "\n"
            "  More.\n"
            "\n"
            "  mail (a:25)                                               scenarios/a.yaml:15\n"
            "\n"
            "  see   run/x/: transcript.txt  record.jsonl\n"
            "  again wirelab run x\n"
        )

    def test_behind_a_cause_the_others_are_told_in_a_line_each(self) -> None:
        text = failure_text(failed(finding("Crash.", cause=True), finding("Missing.", line=3)))
        assert text.endswith("\n\n  then  Missing.  (scenarios/a.yaml:3)\n")

    def test_remarks_come_last(self) -> None:
        remark = finding("Untidy.", level=Level.SHOULD, expected="")
        assert failure_text(failed(remark, finding())).endswith("\n\n  also  Untidy.\n")

    def test_an_error_tells_its_reason(self) -> None:
        text = failure_text(Verdict(PLAN, Outcome.ERROR, reason="no network"))
        assert text == "ERROR smtp-client/example\n\n  no network\n"

    def test_wide_characters_stand_in_line(self) -> None:
        ladder = tuple(Rung(Mark.HAPPENED, None, text, "|") for text in ("计算机", "abc", "é"))
        lines = failure_text(failed(finding(ladder=ladder))).splitlines()
        assert {cell_len(line) for line in lines if line.endswith("|")} == {61}

    @given(st.text(st.characters() | st.characters(categories=["Cs", "Cc", "Cf"])))
    def test_no_text_of_a_program_can_do_harm(self, text: str) -> None:
        rung = Rung(Mark.INSTEAD, None, text, text)
        verdict = failed(finding(text, actor=text, why=text, ladder=(rung,)), reason=text)
        story = failure_text(verdict, implementation=text)
        assert story.encode("utf-8")
        assert all(line.isprintable() for line in story.split("\n"))


class TestSummary:
    def test_counts_in_the_order_of_outcomes(self) -> None:
        verdicts = [failed(), Verdict(PLAN, Outcome.PASSED), Verdict(PLAN, Outcome.PASSED)]
        told = summary(verdicts, seconds=3.21, network="loopback")
        assert told == "2 passed, 1 failed in 3.2 s (network: loopback)"

    def test_the_seed_where_chance_had_a_part_in_it(self) -> None:
        pong = Actor("pong", ActorKind.UDP, at="7", faults=Faults(lose=Choice(rate=0.3)))
        by_chance = replace(PLAN, scenario=replace(PLAN.scenario, cast={"pong": pong}))
        told = [
            summary([Verdict(plan, Outcome.PASSED)], seconds=1, network="loopback", seed=7)
            for plan in (PLAN, by_chance)
        ]
        assert told == [
            "1 passed in 1.0 s (network: loopback)",
            "1 passed in 1.0 s (network: loopback, seed: 7)",
        ]

    def test_nothing(self) -> None:
        assert summary([], seconds=0, network="private").startswith("nothing was played in 0.0 s")

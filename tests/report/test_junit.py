"""JUnit's XML: what Jenkins and GitLab read, whatever a program printed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from harness.model.scenario import Level
from harness.model.verdict import Finding, Outcome, Verdict
from harness.report import failure_text, junit
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation import plan
from tests.report.test_results import FACTS, FINDING

if TYPE_CHECKING:
    from harness.model.plan import Plan

PLAN: Plan = plan({})

#: What the schemas of Jenkins (junit-10.xsd) and Ant (JUnit.xsd) both allow: attributes, of which
#: those with a star must be there, and children, in this order.
ALLOWED = {
    "testsuites": ("name tests failures errors skipped time", "testsuite"),
    "testsuite": (
        "name* tests* failures* errors* skipped time* timestamp* hostname*",
        "properties testcase",
    ),
    "properties": ("", "property"),
    "property": ("name* value*", ""),
    "testcase": ("name* classname* file time*", "skipped error failure system-out"),
    "skipped": ("message", ""),
    "failure": ("message type*", ""),
    "error": ("message type*", ""),
    "system-out": ("", ""),
}


def told(verdict: Verdict) -> str:
    return failure_text(verdict, again="wirelab run it")


def parsed(*verdicts: Verdict) -> ET.Element:
    root = ET.fromstring(junit(verdicts, FACTS, story=told).encode("utf-8"))
    check(root)
    return root


def check(element: ET.Element) -> None:
    """See that an element and all below it are such as the schemas allow."""
    attributes, children = (text.split() for text in ALLOWED[element.tag])
    assert set(element.attrib) <= {name.rstrip("*") for name in attributes}
    assert {name.rstrip("*") for name in attributes if name.endswith("*")} <= set(element.attrib)
    places = [children.index(child.tag) for child in element]
    assert places == sorted(places)
    for child in element:
        check(child)


def test_each_role_is_a_suite_and_each_play_a_case() -> None:
    other = replace(PLAN, scenario=replace(PLAN.scenario, id="web-server/a", role="web-server"))
    of_case = replace(PLAN, case="no domain")
    root = parsed(
        Verdict(PLAN, Outcome.PASSED, duration_s=0.25, run_folder="run/smtp-client/example"),
        Verdict(other, Outcome.PASSED),
        Verdict(of_case, Outcome.FAILED, (FINDING,), duration_s=0.5),
    )
    assert [suite.get("name") for suite in root] == ["smtp-client", "web-server"]
    mail, web = root
    assert [(c.get("classname"), c.get("name")) for c in mail.iter("testcase")] == [
        ("smtp-client", "example"),
        ("smtp-client", "example[no domain]"),
    ]
    assert [case.get("name") for case in web.iter("testcase")] == ["a"]
    assert (mail.get("tests"), mail.get("failures"), mail.get("time")) == ("2", "1", "0.750")
    assert mail.get("timestamp") == "2026-11-21T08:00:00"
    assert mail.findtext("testcase/system-out") == "run/smtp-client/example/transcript.txt"
    known = {p.get("name"): p.get("value") for p in mail.iter("property")}
    assert (known["network"], known["seed"], known["implementation"]) == (
        "private",
        "7",
        "reference",
    )


def test_what_went_wrong_is_told_as_on_the_screen() -> None:
    verdict = Verdict(PLAN, Outcome.FAILED, (FINDING,))
    failure = parsed(verdict).find(".//failure")
    assert failure is not None
    assert failure.get("message") == "The program sent `DATA`."
    assert failure.text == told(verdict)
    assert "again wirelab run it" in told(verdict)


@pytest.mark.parametrize(
    ("outcome", "element", "total"),
    [
        (Outcome.ERROR, "error", "errors"),
        (Outcome.SKIPPED, "skipped", "skipped"),
        (Outcome.UNCHECKED, "skipped", "skipped"),
    ],
)
def test_what_was_not_judged_has_its_reason(outcome: Outcome, element: str, total: str) -> None:
    root = parsed(Verdict(PLAN, outcome, reason="why it is so"))
    found = root.find(f".//{element}")
    assert found is not None
    assert found.get("message") == "why it is so"
    for counted in (root, root[0]):
        totals = {name: counted.get(name) for name in ("failures", "errors", "skipped")}
        assert totals == {"failures": "0", "errors": "0", "skipped": "0", total: "1"}


def test_what_passed_with_remarks_has_passed() -> None:
    remark = Finding(Level.MAY, "program", "f", 1, "h", "", "")
    [case] = parsed(Verdict(PLAN, Outcome.PASSED, (remark,))).iter("testcase")
    assert list(case) == []


def test_nothing_played_is_a_document_too() -> None:
    assert parsed().attrib["tests"] == "0"


def test_what_xml_cannot_hold_is_escaped() -> None:
    verdict = Verdict(PLAN, Outcome.ERROR, reason='\x00\x1b[31m\udc80\uffff \u4f60<&>"')
    error = parsed(verdict).find(".//error")
    assert error is not None
    assert error.get("message") == r"\x00\x1b[31m\x80\xef\xbf\xbf 你<&>" + '"'


@given(st.text(st.characters() | st.characters(categories=["Cs", "Cc"])))
def test_any_text_is_well_formed(text: str) -> None:
    named = replace(PLAN, case=text, scenario=replace(PLAN.scenario, file=text))
    finding = Finding(Level.MUST, text, text, 1, text, text, text, text)
    verdict = Verdict(named, Outcome.FAILED, (finding,), reason=text, run_folder=text)
    facts = replace(FACTS, implementation=text)
    check(ET.fromstring(junit([verdict], facts, story=lambda _: text).encode("utf-8")))

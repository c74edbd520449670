"""JUnit's XML (`--junit`), as Jenkins and GitLab read it.

There is no standard, but the schemas in use (Jenkins' junit-10.xsd, Ant's) agree on this much: a
suite for each role, a case for each play, and in a case at most one of failure, error, skipped.
"""

from __future__ import annotations

import platform
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from harness import __version__
from harness.model.verdict import Outcome, Verdict
from harness.notation import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.report.results import RunFacts

#: What XML 1.0 does not allow (section 2.2), not even as a character reference.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ELEMENTS = {
    Outcome.FAILED: "failure",
    Outcome.ERROR: "error",
    Outcome.EXPECTED: "skipped",
    Outcome.SKIPPED: "skipped",
    Outcome.UNCHECKED: "skipped",
}
_TOTALS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def junit(verdicts: Sequence[Verdict], facts: RunFacts, *, story: Callable[[Verdict], str]) -> str:
    """The verdicts as one XML document; `story` tells what went wrong in a play."""
    root = ET.Element("testsuites", {"name": "wirelab", **_totals(verdicts)})
    root.set("time", _seconds(facts.duration_s))
    by_role: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_role.setdefault(verdict.plan.scenario.role, []).append(verdict)
    root.extend(_suite(role, plays, facts, story) for role, plays in by_role.items())
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(
    role: str, verdicts: Sequence[Verdict], facts: RunFacts, story: Callable[[Verdict], str]
) -> ET.Element:
    suite = ET.Element("testsuite", {"name": _valid(role), **_totals(verdicts)})
    suite.set("time", _seconds(sum(verdict.duration_s for verdict in verdicts)))
    suite.set("timestamp", facts.started.strftime("%Y-%m-%dT%H:%M:%S"))
    suite.set("hostname", _valid(platform.node() or "localhost"))
    suite.append(_properties(facts))
    suite.extend(_case(verdict, story) for verdict in verdicts)
    return suite


def _properties(facts: RunFacts) -> ET.Element:
    known: Mapping[str, str] = {
        "wirelab": __version__,
        "implementation": facts.implementation,
        "network": facts.network,
        "seed": str(facts.seed),
    }
    properties = ET.Element("properties")
    for name, value in known.items():
        ET.SubElement(properties, "property", {"name": name, "value": _valid(value)})
    return properties


def _case(verdict: Verdict, story: Callable[[Verdict], str]) -> ET.Element:
    scenario = verdict.plan.scenario
    case = ET.Element("testcase", {"classname": _valid(scenario.role)})
    case.set("name", _valid(verdict.plan.id.removeprefix(f"{scenario.role}/")))
    case.set("file", _valid(scenario.file))
    case.set("time", _seconds(verdict.duration_s))
    if element := _ELEMENTS.get(verdict.outcome):
        told = ET.SubElement(case, element, {"message": _valid(_message(verdict))})
        if element != "skipped":
            told.set("type", verdict.outcome.value)
            told.text = _valid(story(verdict))
    if verdict.run_folder:
        ET.SubElement(case, "system-out").text = _valid(f"{verdict.run_folder}/transcript.txt")
    return case


def _message(verdict: Verdict) -> str:
    """In one line what there is to say."""
    first = next((finding.headline for finding in verdict.findings), "")
    if verdict.outcome is Outcome.EXPECTED:
        return f"expected failure: {verdict.reason}"
    return verdict.reason or first


def _totals(verdicts: Sequence[Verdict]) -> dict[str, str]:
    elements = [_ELEMENTS.get(verdict.outcome) for verdict in verdicts]
    counts = {name: str(elements.count(element)) for name, element in _TOTALS.items()}
    return {"tests": str(len(verdicts)), **counts}


def _seconds(duration: float) -> str:
    return f"{duration:.3f}"


def _valid(text: str) -> str:
    """Text with what XML cannot hold escaped, as the notation writes it."""
    return _NO_CHARACTER.sub(lambda found: escape(found[0], heard=False), text)

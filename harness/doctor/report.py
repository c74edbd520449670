"""What was found, as lines to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor.examination import Finding, Part, Verdict, verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_TITLES = {
    Part.PLAY: "Every play",
    Part.PRIVATE: "The private network, where names, addresses and ports of a program are true",
    Part.LOOPBACK: "The loopback network, for programs that are told host and port",
}
_CONCLUSIONS = {
    Verdict.PRIVATE: "The private network can be had: `wirelab run` plays on it.",
    Verdict.LOOPBACK: (
        "Only the loopback network can be had: `wirelab run` plays there, and skips what needs "
        "more."
    ),
    Verdict.NOTHING: "Nothing can be played on this machine before that is mended.",
}
_INDENT = " " * 10


def tell(findings: Iterable[Finding], say: Callable[[str], object]) -> Verdict:
    """Say each finding as soon as it is there, and in the end what can be played here."""
    part, told = None, []
    for finding in findings:
        if finding.part is not part:
            say(_TITLES[finding.part])
        part = finding.part
        told.append(finding)
        for line in _lines(finding):
            say(line)
    verdict = verdict_of(told)
    say("")
    say(_CONCLUSIONS[verdict])
    return verdict


def _lines(finding: Finding) -> Iterator[str]:
    """What was tried; below it why it fails and the commands that mend it."""
    yield f"  {finding.state:7} {finding.words}"
    if finding.reason:
        yield f"{_INDENT}why:     {finding.reason}"
    for number, line in enumerate(finding.remedy):
        yield f"{_INDENT}{'' if number else 'mend:':8} {line}".rstrip()

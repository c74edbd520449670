"""A verdict in words that the program's author understands."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len

from harness.model.pieces import WHOLE, in_words
from harness.model.scenario import Level
from harness.model.verdict import Finding, Mark, Outcome, Rung, Verdict
from harness.notation import escape
from harness.report.points import points

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.model.plan import Plan

_WIDTH = 60  # of the left column; places and remarks stand in the right one
_LABEL = 6


def one_line(verdict: Verdict) -> str:
    """`PASSED smtp-client/unknown-recipient  0.2 s`, with the reason where there is one."""
    head = f"{verdict.outcome.upper():9} {verdict.plan.id}"
    if verdict.reason:
        return harmless(f"{head}  ({verdict.reason})")
    told = sum(finding.level is not Level.MUST for finding in verdict.findings)
    remark = f"  ({told} remark{'s' if told > 1 else ''})" if told and _passed(verdict) else ""
    return f"{head}  {verdict.duration_s:.1f} s{remark}"


def _passed(verdict: Verdict) -> bool:
    return verdict.outcome is Outcome.PASSED


def failure_text(verdict: Verdict, *, implementation: str = "", again: str = "") -> str:
    """The whole story of a verdict that is not `passed`: every finding, with its evidence.

    `again` is the command that plays it again.
    """
    lines = [f"{verdict.outcome.upper()} {verdict.plan.id}   {implementation}".rstrip(), ""]
    if verdict.reason:
        lines += [f"  {verdict.reason}", ""]
    main = _main(verdict)
    told = main[:1] if main and main[0].cause else [f for f in main if not f.follows]
    for _, group in groupby(told, key=lambda finding: (finding.actor, finding.ladder)):
        lines += [*_block(list(group), dict(verdict.places)), ""]
    lines += [_line("then", finding) for finding in main if finding not in told]
    lines += [_line("also", finding) for finding in _also(verdict)]
    if verdict.outcome is Outcome.FAILED and (way := in_words(verdict.plan.pieces or WHOLE)):
        lines.append(f"  {'cut':{_LABEL}}{way}; TCP carries octets, not messages (RFC 9293 2.2)")
    if verdict.run_folder:
        capture = "  capture.pcapng" if verdict.captured else ""
        files = f"transcript.txt  record.jsonl{capture}"
        lines.append(f"  {'see':{_LABEL}}{verdict.run_folder}/: {files}")
    if again:
        lines.append(f"  {'again':{_LABEL}}{again}")
    return "\n".join(map(harmless, lines)).rstrip() + "\n"


def harmless(line: str) -> str:
    """A line that does nothing but stand there: no control characters, nothing that turns it."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else escape(char, heard=False) for char in line)


def _line(label: str, finding: Finding) -> str:
    place = f"  ({finding.file}:{finding.line})" if finding.expected else ""
    return f"  {label:{_LABEL}}{finding.headline}{place}"


def _main(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.level is Level.MUST]


def _also(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.level is not Level.MUST]


def _block(findings: Sequence[Finding], places: Mapping[str, str]) -> Iterator[str]:
    """Findings that rest on the same evidence, and the evidence once."""
    first = findings[0]
    yield from (f"  {finding.headline}" for finding in findings)
    yield ""
    place = f" ({places[first.actor]})" if first.actor in places else ""
    places_of = (line for finding in findings for line in (finding.line, *finding.more_lines))
    lines = ", ".join(dict.fromkeys(map(str, places_of)))
    where = f"{first.file}:{lines}"
    yield _columns(f"  {first.actor}{place}", where, _WIDTH)
    yield from (_rung(rung) for rung in first.ladder)
    for why in dict.fromkeys(finding.why for finding in findings if finding.why):
        yield f"  {'why':{_LABEL}}{why}"


def _rung(rung: Rung) -> str:
    mark = "✗" if rung.mark is Mark.INSTEAD else " "
    time = f"{rung.at_s:.3f}" if rung.at_s is not None else ""
    return _columns(f"   {mark} {time:>6}  {rung.text}", rung.remark, _WIDTH)


def _columns(left: str, right: str, width: int) -> str:
    """Two columns; wide characters take two cells, so that Chinese stands in line too."""
    if not right:
        return left.rstrip()
    return f"{left}{' ' * max(width - cell_len(left), 2)}{right}"


def summary(
    verdicts: Sequence[Verdict], *, seconds: float, network: str, seed: int | None = None
) -> str:
    """`5 passed, 1 failed in 3.2 s (network: loopback)`; the seed where chance had a part in it."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    told = _counts(counts) or "nothing was played"
    by_chance = seed is not None and any(v.plan.scenario.by_chance for v in verdicts)
    facts = f"network: {network}" + (f", seed: {seed}" if by_chance else "")
    return f"{told} in {seconds:.1f} s ({facts})"


def points_text(verdicts: Iterable[Verdict], plans: Sequence[Plan], suite: str) -> str:
    """`points: 7 of 10 (Lab 2: mail)`: the line below the summary of a suite, by its title."""
    return harmless(f"points: {points(verdicts, plans)} ({suite})")


def fallback_text(why: str) -> str:
    """The line below the summary where a lower rung had to do; `why` is a clause."""
    return harmless(f"{why}; see `wirelab doctor`")


def _counts(counts: Mapping[Outcome, int]) -> str:
    words = {Outcome.EXPECTED: "failed as expected"}
    shown: Iterable[tuple[Outcome, str]] = ((o, words.get(o, o.value)) for o in Outcome)
    return ", ".join(f"{counts[o]} {name}" for o, name in shown if counts.get(o))

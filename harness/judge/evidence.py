"""What a finding shows beside its sentence: the last words of the program and of an actor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.judge.wording import shown_line, shown_text
from harness.model.record import What
from harness.model.template import decode
from harness.model.verdict import Mark, Rung

if TYPE_CHECKING:
    from harness.framing import Framing
    from harness.model.record import Event, Record

_LAST_LINES = 6
_LAST_MESSAGES = 6
_BUILD_LINES = 12
#: The scratch copy of the program's folder: its author knows it by another name.
_SCRATCH = re.compile(r"(?:/[^/\s\"']+)*/wirelab-[^/\s\"']+/(?:play-[^/\s\"']+/)?(?:copy/)?")


def last_words(record: Record) -> tuple[Rung, ...]:
    """The last lines that the program printed, its errors after its screen."""
    rungs = []
    for what in (What.SCREEN, What.ERRORS):
        lines = printed(record, what).rstrip("\n").split("\n")
        rungs += [
            Rung(Mark.HAPPENED, None, f"{what.value}: {shown_line(line.expandtabs(4))}")
            for line in lines[-_LAST_LINES:]
            if line
        ]
    return (*rungs, *_done_otherwise(record))


def build_words(record: Record) -> tuple[Rung, ...]:
    """The first lines that a build printed: its first mistake is the one to mend."""
    lines = [line for line in printed(record, What.UNBUILT).split("\n") if line.strip()]
    told = [shown_line(line.expandtabs(4)) for line in lines[:_BUILD_LINES]]
    if len(lines) > len(told):
        told.append(f"... and {len(lines) - len(told)} more lines")
    return tuple(Rung(Mark.HAPPENED, None, f"build: {line}") for line in told)


def _done_otherwise(record: Record) -> list[Rung]:
    """What actors did in place of what they should, on purpose."""
    return [
        Rung(Mark.HAPPENED, event.at, f"{event.actor}: ({event.note}, on purpose)")
        for event in record.of(What.FAULT)
        if event.facts["fault"] == "instead"
    ]


def printed(record: Record, *whats: What) -> str:
    """What the program printed, with the paths of its scratch copy made short."""
    return _SCRATCH.sub("", decode(record.text(*whats)).replace("\r\n", "\n"))


def last_messages(record: Record, *actors: str, framing: Framing | None = None) -> tuple[Rung, ...]:
    """The last lines that actors heard and said; `framing` tells what is no text in words."""
    rungs = [
        Rung(Mark.HAPPENED, event.at, line)
        for event in record.of(What.HEARD, What.SAID, What.FAULT, What.BROKEN)
        if event.actor in actors
        for line in _lines(event, framing)
    ]
    return tuple(rungs[-_LAST_MESSAGES:])


def _lines(event: Event, framing: Framing | None) -> list[str]:
    """The last lines of a chunk in the notation, or what fault there was, on purpose."""
    if event.what is What.FAULT:
        return [f"({event.note}, on purpose)"]
    if event.what is What.BROKEN:
        return [f"({event.note})"]
    said = event.what is What.SAID
    arrow = ">" if said else "<"
    if framing:
        return [f"{event.actor}{arrow} {m.texts[0]}" for m in framing.feed(event.data, said=said)]
    lines = decode(event.data).replace("\r\n", "\n").removesuffix("\n").split("\n")
    return [f"{event.actor}{arrow} {shown_text(line)}" for line in lines[-_LAST_MESSAGES:]]

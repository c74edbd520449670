"""A recorded play, judged by its scenario as it reads now: if the record can tell.

What is demanded may change at will.  What was done may not: another actor, another line that is
said, or a line that became due only now, would have made another play of it.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from harness.follow import Follower, Line
from harness.judge.judge import judge, satisfied
from harness.model.record import PLAY_IS_OVER, Event, Record, What
from harness.model.scenario import is_on_packets
from harness.model.template import substitute
from harness.model.verdict import Outcome, Verdict
from harness.notation import format_entry, parse_exchange
from harness.record import stage_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.model.exchange import Exchange
    from harness.model.plan import Plan
    from harness.model.scenario import Actor
    from harness.record import Origin


def rejudge(plan: Plan, record: Record, origin: Origin) -> Verdict:
    """The verdict on a record by a plan that may have changed since it was played.

    It is an error, which says why, where the record cannot tell how the play would go now.
    """
    try:
        verdict = judge(plan, _fitted(plan, record, origin))
    except _OtherPlayError as error:
        return Verdict(plan, Outcome.ERROR, reason=f"it must be played again: {error}")
    return replace(verdict, duration_s=origin.duration_s)


class _OtherPlayError(Exception):
    """What would be played now is not what was recorded; says why."""


def _fitted(plan: Plan, record: Record, origin: Origin) -> Record:
    """The record with its events referring to the entries of the plan's exchange."""
    _check_stage(plan, record, origin)
    if record.capture is None and any(map(is_on_packets, plan.scenario.demands)):
        raise _OtherPlayError("it has left no capture, and `packets` asks for one now")
    before, now = _exchange_before(origin), plan.scenario.exchange
    cast = plan.scenario.cast
    cast_before = {
        name: replace(actor, strict=name in origin.strict) for name, actor in cast.items()
    }
    old = _lines(before, cast_before, record)
    new = _lines(now, cast, record)
    place = dict(zip(_same_script(plan, old, new), (line.index for line in new), strict=True))
    fitted = replace(record, events=tuple(_placed(event, place) for event in record.events))
    waited = {place[line.index] for line in _Watched(before, cast_before, record).due}
    _check_course(plan, fitted, waited)
    return fitted


def _exchange_before(origin: Origin) -> Exchange:
    exchange, _ = parse_exchange(origin.exchange)
    return exchange


def _lines(exchange: Exchange, cast: Mapping[str, Actor], record: Record) -> list[Line]:
    """The lines that somebody must perform."""
    return Follower(substitute(exchange, record.addresses), cast).script


def _placed(event: Event, place: Mapping[int, int]) -> Event:
    return event if event.entry is None else replace(event, entry=place[event.entry])


# -- what was done --------------------------------------------------------------------


def _check_stage(plan: Plan, record: Record, origin: Origin) -> None:
    now = stage_of(plan)
    changed = [name for name in {**origin.stage, **now} if origin.stage.get(name) != now.get(name)]
    if changed:
        raise _OtherPlayError(f"{' and '.join(changed)} changed since")
    for name, before, seconds in zip(
        ("timeout", "patience"), origin.limits, _limits(plan), strict=True
    ):
        if seconds < before or (seconds != before and record.of(What.GAVE_UP)):
            raise _OtherPlayError(f"`{name}` was {before:g} s then, and is {seconds:g} s now")


def _limits(plan: Plan) -> tuple[float, float]:
    return plan.scenario.limits.play, plan.scenario.limits.quiet


def _same_script(plan: Plan, old: list[Line], new: list[Line]) -> Iterator[int]:
    """The indices of the old lines, which say the same as the new ones, one by one."""
    before, now = list(map(_said, old)), list(map(_said, new))
    if before != now:
        changes = SequenceMatcher(None, before, now, autojunk=False).get_opcodes()
        kind, i, _, j, _ = next(change for change in changes if change[0] != "equal")
        if kind == "delete":
            raise _OtherPlayError(f"`{_first(before[i])}` is not in its exchange any more")
        where = f"{plan.scenario.file}:{new[j].entry.line}: `{_first(now[j])}`"
        was = f"was `{_first(before[i])}` then" if kind == "replace" else "is new"
        raise _OtherPlayError(f"{where} {was}")
    return (line.index for line in old)


def _said(line: Line) -> str:
    """What somebody does, and nothing of why."""
    return format_entry(replace(line.entry, reason=""))


def _first(entry: str) -> str:
    return entry.partition("\n")[0]


# -- when it was done -----------------------------------------------------------------


class _Watched(Follower):
    """A follower that has seen a whole play, and was asked before the end what was due."""

    def __init__(self, exchange: Exchange, cast: Mapping[str, Actor], record: Record) -> None:
        super().__init__(substitute(exchange, record.addresses), cast)
        self.too_early: Line | None = None
        for event in record.events:
            if event.what is What.GAVE_UP:
                break
            if event.entry is not None and self.too_early is None:
                line = self.lines[event.entry]
                self.too_early = line if line.due_at is None else None
            self.receive(event)


def _check_course(plan: Plan, record: Record, waited: set[int]) -> None:
    """See that everything was done when it was due, and that nothing was due that was not done.

    `waited` are the lines that had been due when it was played and could not be performed.
    """
    scenario = plan.scenario
    watched = _Watched(scenario.exchange, scenario.cast, record)
    if line := watched.too_early:
        where = f"{scenario.file}:{line.entry.line}: `{_first(_said(line))}`"
        raise _OtherPlayError(f"{where} came before what it has to wait for now")
    for line in watched.due:
        if line.index not in waited:
            where = f"{scenario.file}:{line.entry.line}: `{_first(_said(line))}`"
            raise _OtherPlayError(f"{where} would have been due, and was never reached")
    _check_end(plan, record)


def _check_end(plan: Plan, record: Record) -> None:
    """See that the play, which ended when nothing was left to wait for, has no more to wait for."""
    ends = (
        index
        for index, event in enumerate(record.events)
        if event.what is What.STOPPED and event.note == PLAY_IS_OVER
    )
    end = next(ends, None)
    if end is None or record.of(What.GAVE_UP):
        return
    until = Record(record.events[:end])
    scenario = plan.scenario
    if not (_Watched(scenario.exchange, scenario.cast, until).complete and satisfied(plan, until)):
        raise _OtherPlayError("it ended when all had come that was asked for then; now more is")

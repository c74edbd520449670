"""What went over the wire as packets, each with the names of those who stand at its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.judge.lines import Line, fault_in
from harness.judge.together import listed
from harness.model.record import PROGRAM, Record, What
from harness.model.scenario import RESOLVER, Level, Scenario, TextDemand
from harness.model.verdict import Finding
from harness.packets import End, Packet, packets, unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.model.plan import Plan
    from harness.packets import Protocol

VISITOR, ROUTER, NOBODY = "visitor", "router", "nobody at"
_SHOWN_PLACES = 3


def unmet_packets(demand: TextDemand, scenario: Scenario, record: Record) -> Iterator[Finding]:
    """What is wrong with a demand on the packets of a play."""
    if fault := fault_in(demand.check, packet_lines(scenario, record), "the capture"):
        yield Finding(
            level=demand.level,
            actor="capture",
            file=scenario.file,
            line=demand.line,
            headline=fault.headline,
            expected=fault.expected,
            observed=fault.observed,
            ladder=fault.ladder,
        )


def packet_lines(scenario: Scenario, record: Record) -> list[Line]:
    """A line for each packet, shown with its number and time, spelt in every length."""
    if record.capture is None:
        return []
    all_of_them = list(packets(record.capture))
    ends = _Ends(scenario, record, all_of_them)
    lines = []
    for packet in all_of_them:
        spellings = packet.spellings(*ends.names(packet))
        lines.append(
            Line(f"packet {packet.number} at {packet.at:.3f} s: {spellings[-1]}", spellings)
        )
    return lines


class _Ends:
    """Who stands where: the program, actors, and nobody."""

    def __init__(self, scenario: Scenario, record: Record, all_of_them: Sequence[Packet]) -> None:
        named = record.capture.names if record.capture else {}
        self._called = {
            address: name
            for name, address in reversed([*named.items()])
            if name != "localhost"  # which is a name for every program's own host
        }
        self._places: dict[End, str] = {}
        self._hosts: dict[str, str] = {}
        for event in record.of(What.STANDS):
            host, port = str(event.facts["host"]), int(event.facts["port"])
            actor = event.actor if event.actor in {*scenario.cast, RESOLVER} else PROGRAM
            end = End(named.get(host.lower(), host), port)
            self._places.setdefault(end, actor)
            if actor != PROGRAM:
                self._hosts.setdefault(end.host, actor)
        diallers = [name for name, actor in scenario.cast.items() if actor.to]
        self._visitor = diallers[0] if len(diallers) == 1 else VISITOR
        # whoever is answered on the program's own host, and is no actor, is the program itself
        self._own = {
            packet.source
            for packet in all_of_them
            if not (packet.outward or packet.inward or "RST" in packet.told)
        }

    def stands(self, end: End) -> str:
        """Who has a place there; empty if nobody has."""
        return self._places.get(end, "") or ("" if end.port else self._hosts.get(end.host, ""))

    def names(self, packet: Packet) -> tuple[str, str]:
        """The names of sender and receiver."""
        source, target = packet.source, packet.target
        if packet.outward:
            return PROGRAM, self._other(target, PROGRAM if self._is_met(source) else "")
        if packet.inward:
            if packet.about and packet.about[2].host != source.host:
                return ROUTER, PROGRAM
            return self._other(source, PROGRAM if self._is_met(target) else ""), PROGRAM
        return self._near(source), self._near(target)

    def _is_met(self, end: End) -> bool:
        """Whether the program is dialled there."""
        return self.stands(end) == PROGRAM

    def _other(self, end: End, met: str) -> str:
        return self.stands(end) or (self._visitor if met else self.nobody(end))

    def _near(self, end: End) -> str:
        return self.stands(end) or (PROGRAM if end in self._own else self.nobody(end))

    def nobody(self, end: End) -> str:
        """Who stands where nobody does."""
        return f"{NOBODY} {self.place(end)}"

    def place(self, end: End) -> str:
        """An end by the name that its host has in the play."""
        return str(end._replace(host=self._called.get(end.host, end.host)))


def places_of_nobody(plan: Plan, record: Record) -> list[Finding]:
    """Where the program knocked and nobody is: often why it came no further."""
    if record.capture is None:
        return []
    scenario, all_of_them = plan.scenario, list(packets(record.capture))
    ends = _Ends(scenario, record, all_of_them)
    on_purpose = {  # where names lead, and the scenario has nobody stand
        address
        for types in scenario.records.values()
        for kind in ("A", "AAAA")
        for address in types.get(kind, ())
    }
    tried: dict[Protocol, list[End]] = {}
    for protocol, end in unanswered(all_of_them):
        if not ends.stands(end) and end.host not in on_purpose:
            tried.setdefault(protocol, []).append(end)
    return [
        Finding(
            level=Level.MAY,
            actor=PROGRAM,
            file=scenario.file,
            line=scenario.head_line,
            headline=f"The program tried {_listed(places, ends)} over {protocol.upper()}; "
            f"no actor is there{_remedy(plan, protocol, ends.place(places[0]))}.",
            expected="",
            observed=", ".join(map(str, places)),
        )
        for protocol, places in tried.items()
    ]


def _listed(places: Sequence[End], ends: _Ends) -> str:
    shown = [ends.place(end) for end in places[:_SHOWN_PLACES]]
    more = len(places) - len(shown)
    if more:
        shown.append(f"{more} more places" if more > 1 else "one more place")
    return listed(shown)


def _remedy(plan: Plan, protocol: Protocol, place: str) -> str:
    """What makes a hard-coded address true, where it has not been told yet."""
    known = plan.program.addresses if plan.program else {}
    for endpoint in plan.role.endpoints.values():
        udp = endpoint.protocol == "udp"
        fits = endpoint.protocol == "any" or udp is (protocol == "udp")
        if endpoint.direction == "dials" and fits and endpoint.name not in known:
            line = f"{endpoint.name}: {place}"
            return f"; if that stands in its source, say `{line}` in wirelab.yaml"
    return ""

"""What an actor does that is no text, and how long things take."""

from __future__ import annotations

import re

from harness.model.exchange import Act, Clock
from harness.notation.templates import NotationError, short

_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>ms|s|min)\Z")
_STATUS = re.compile(r"[0-9]{1,3}\Z")
_NONZERO = "nonzero"

_CLOCK = re.compile(r"(?:at least (?P<least>\S+) after)?(?P<comma>, )?(?:within (?P<most>\S+))?:\Z")

#: Acts by name: whether a duration must, may or cannot follow.
ACTS = {
    "accept": "no",
    "connect": "no",
    "close": "no",
    "half-close": "no",
    "reset": "no",
    "starttls": "no",
    "stall": "no",
    "wait": "must",
    "settle": "no",
    "expect eof": "no",
    "expect reset": "no",
    "expect close": "no",
    "expect silence": "may",
}
PROGRAM_ACTS = {"kill": "no", "restart": "no", "stop": "no", "expect exit": "status"}
PROGRAM = "program"


def parse_duration(text: str) -> float:
    """Seconds of `300ms`, `1.5s` or `2min`.

    Raises:
        NotationError: if it is no duration.
    """
    found = _DURATION.match(text.strip())
    if not found:
        raise NotationError(f"`{short(text)}` is no duration; write 300ms, 2s or 1min")
    if found["unit"] == "min":
        return float(found["number"]) * 60
    # an exponent is exact where arithmetic would not be: 57ms is 0.057 s
    return float(found["number"] + {"ms": "e-3", "s": ""}[found["unit"]])


def parse_clock(text: str) -> tuple[float | None, float | None] | None:
    """`at_least` and `within` of the heading of a clock; None if it is no such heading.

    Raises:
        NotationError: it is one, but what it asks for is no duration, or cannot be.
    """
    found = _CLOCK.match(text)
    if not found or not (found["least"] or found["most"]):
        return None
    if bool(found["comma"]) is not bool(found["least"] and found["most"]):
        return None
    least, most = (parse_duration(found[n]) if found[n] else None for n in ("least", "most"))
    if most == 0:
        raise NotationError(f"nothing comes within `{found['most']}`")
    if least is not None and most is not None and least >= most:
        raise NotationError(
            f"nothing comes at least {found['least']} after and within {found['most']}"
        )
    return least, most


def format_clock(clock: Clock) -> str:
    """The heading of a clock."""
    least = None if clock.at_least is None else f"at least {format_duration(clock.at_least)} after"
    most = None if clock.within is None else f"within {format_duration(clock.within)}"
    return ", ".join(part for part in (least, most) if part) + ":"


def parse_act(text: str, *, of_program: bool) -> Act:
    """What follows `!`.

    Raises:
        NotationError: for an unknown act (with the nearest one) or a wrong argument.
    """
    acts = PROGRAM_ACTS if of_program else ACTS
    words = re.findall(r"[^ \t]+", text)
    name = " ".join(words[:2]) if words[:1] == ["expect"] else " ".join(words[:1])
    argument = " ".join(words[len(name.split()) :])
    if name not in acts:
        raise NotationError(_unknown_act(text, acts, of_program=of_program))
    return _act(name, argument, acts[name])


def _act(name: str, argument: str, takes: str) -> Act:
    if takes == "status":
        if argument == _NONZERO:
            return Act(name)
        if not _STATUS.match(argument):
            raise NotationError(
                f"`{name}` takes a number up to 999, or `{_NONZERO}`; write `{name} 0`"
            )
        return Act(name, status=int(argument))
    if argument and takes == "no":
        raise NotationError(f"`{name}` stands alone, without `{short(argument)}`")
    if not argument and takes == "must":
        raise NotationError(f"`{name}` takes a duration; write `{name} 200ms`")
    return Act(name, seconds=parse_duration(argument) if argument else None)


#: What newcomers write for an act, and what they mean.
_IN_OTHER_WORDS = {
    "disconnect": "close",
    "listen": "accept",
    "sleep": "wait",
    "sigterm": "stop",
    "terminate": "stop",
    "sigkill": "kill",
    "start": "restart",
}
_SAID = {"send", "say", "write", "print", "type", "reply", "answer"}
_HEARD = {"receive", "recv", "read", "hear", "get"}


def _unknown_act(text: str, acts: dict[str, str], *, of_program: bool) -> str:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    first, _, rest = text[:60].lower().partition(" ")
    meant = _IN_OTHER_WORDS.get(first)
    if meant in acts:
        return f"unknown act `{short(text)}`; did you mean `{meant}`?"
    near = difflib.get_close_matches(text[:60], acts, n=1)
    ends = [act.removeprefix("expect ") for act in acts if act.startswith("expect ")]
    if first == "expect" and not difflib.get_close_matches(rest.partition(" ")[0], ends):
        message = f"unknown act `{short(text)}`; what can be expected: {', '.join(ends)}"
        return message if of_program else f"{message}; text that must be heard stands behind `<`"
    if rest and not near and not of_program and first in _SAID | _HEARD:
        what, arrow = ("says", ">") if first in _SAID else ("must hear", "<")
        return f"unknown act `{short(text)}`; what an actor {what} stands behind `{arrow}`"
    hint = f"; did you mean `{near[0]}`?" if near else f"; there are: {', '.join(acts)}"
    return f"unknown act `{short(text)}`{hint}" if text else f"an act is missing{hint}"


def format_act(act: Act) -> str:
    """The act as it is written behind `!`."""
    if act.name == "expect exit":
        return f"{act.name} {_NONZERO if act.status is None else act.status}"
    return act.name if act.seconds is None else f"{act.name} {format_duration(act.seconds)}"


def format_duration(seconds: float) -> str:
    """`300ms` or `2.5s`, whichever says it shortly and exactly to the microsecond."""
    micros = round(seconds * 1_000_000)
    if micros >= 1_000_000 and micros % 10_000 == 0:
        return f"{_decimal(micros, 1_000_000)}s"
    return f"{_decimal(micros, 1_000)}ms"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0").rstrip(".")

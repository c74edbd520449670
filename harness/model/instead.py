"""What actors that act by themselves do in place of what they would do: `instead`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.model.scenario import ActorKind

if TYPE_CHECKING:
    from collections.abc import Mapping

ACTS = ("close", "half-close", "reset", "stall")
#: Stands for a step in turn: one case of the scenario for each of `EACH`.
EACH_STEP = "each step"
#: The value of such a case: `${step}`.
STEP = "step"

#: The steps of a session, and of a request, at which something else can happen.
STEPS: Mapping[ActorKind, tuple[str, ...]] = {
    ActorKind.SMTP: (
        *("greeting", "hello", "EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"),
        *("body@N", "end-of-data", "RSET", "NOOP", "VRFY", "QUIT"),
    ),
    ActorKind.HTTP: ("connect", "request@N", "request", "response@N"),
}
#: Those through which everybody goes.
EACH: Mapping[ActorKind, tuple[str, ...]] = {
    ActorKind.SMTP: ("greeting", "hello", "MAIL", "RCPT", "DATA", "end-of-data"),
    ActorKind.HTTP: ("connect", "request@1", "request", "response@1"),
}

_WITHIN = re.compile(r"([a-z]+)@([1-9][0-9]{0,8})")
_REPLY_LINE = re.compile(r"(?P<code>[2-5][0-9][0-9])(?P<more>[ -]|\Z).*")
_STATUS = re.compile(r"[2-5][0-9][0-9](?: .*)?")


def within(steps: Mapping[str, str], what: str) -> tuple[int, str] | None:
    """Of steps such as `body@512`: after how many octets what happens; None if there is none."""
    for step, words in steps.items():
        if (found := _WITHIN.fullmatch(step)) and found[1] == what:
            return int(found[2]), words
    return None


def is_step(kind: ActorKind, step: str) -> bool:
    """Whether actors of this kind go through a step."""
    found = _WITHIN.fullmatch(step)
    return (f"{found[1]}@N" if found else step) in STEPS[kind] and "@N" not in step


def is_reply(text: str) -> bool:
    """Whether this is a reply of SMTP, of one line or several (RFC 5321 4.2.1)."""
    lines = [_REPLY_LINE.fullmatch(line) for line in text.rstrip("\n").split("\n")]
    marks = [line["more"] if line else "" for line in lines]
    codes = {line["code"] if line else "" for line in lines}
    return all(lines) and len(codes) == 1 and set(marks[:-1]) <= {"-"} and marks[-1] != "-"


def is_status(text: str) -> bool:
    """Whether this is a final status of HTTP, with or without a reason (RFC 9110 15)."""
    return bool(_STATUS.fullmatch(text))

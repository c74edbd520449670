"""Dates that a scenario names relative to its play: `${http-date -60s}`."""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import Any

from harness.model.template import parameters_of

_DATE = re.compile(r"http-date(?: (?P<sign>[-+])(?P<count>[0-9]{1,9})(?P<unit>s|min|h|d))?")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def is_date(name: str) -> bool:
    """Whether `${name}` stands for a date, and not for a value or an address."""
    return bool(_DATE.fullmatch(name))


def dates_in(value: Any, now: float) -> dict[str, str]:
    """What the dates stand for that are named anywhere in a value of the model.

    Args:
        value: A scenario, say.
        now: When the play began, in seconds since 1970.

    Returns:
        By name, as IMF-fixdate (RFC 9110 5.6.7).
    """
    names = {name for name in parameters_of(value) if is_date(name)}
    return {name: _date(name, now) for name in sorted(names)}


def _date(name: str, now: float) -> str:
    found = _DATE.fullmatch(name)
    if found and found["sign"]:
        span = int(found["count"]) * _SECONDS[found["unit"]]
        now += span if found["sign"] == "+" else -span
    return formatdate(int(now), usegmt=True)

"""Octets that were to be the same: how they differ."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from harness.judge.wording import counted, shown_bytes

if TYPE_CHECKING:
    from harness.model.scenario import Content

_SHOWN = 16  # octets behind the first that differs


def is_content(wanted: Content, data: bytes) -> bool:
    """Whether these are the octets that were wanted."""
    return hashlib.sha256(data).hexdigest() == wanted.sha256


def difference(wanted: Content, data: bytes) -> tuple[str, str, str]:
    """How octets differ from those wanted: a clause, what was expected, what came."""
    if wanted.data is None:
        digest = hashlib.sha256(data).hexdigest()
        return "has other octets than expected", f"sha256 {wanted.sha256}", f"sha256 {digest}"
    same = _first_difference(wanted.data, data)
    if same == min(len(wanted.data), len(data)):
        sizes = counted(len(data), "octets"), counted(len(wanted.data), "octets")
        how = f"has {sizes[0]} where {wanted.like} has {sizes[1]}"
    else:
        how = f"differs from {wanted.like} from octet {same + 1} on"
    return how, _shown(wanted.data, same), _shown(data, same)


def _first_difference(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _shown(data: bytes, start: int) -> str:
    part = data[start : start + _SHOWN]
    return f"octet {start + 1}: {shown_bytes(part)}" if part else f"(the end, {start} octets)"

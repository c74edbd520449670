"""The attachments of a mail, and how they differ from what was demanded."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from harness.judge.content import difference, is_content
from harness.judge.wording import counted, shown_pattern, shown_text
from harness.match import match_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import Message

    from harness.model.scenario import AttachmentDemand

_TRIED = 5  # attachments of which every order is tried


def is_attachment(part: Message) -> bool:
    """Whether a mail program shows the part as a file (RFC 2183 2.2, 2.3)."""
    if part.is_multipart():
        return False
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def attachment_differences(
    wanted: Sequence[AttachmentDemand], message: Message
) -> Iterator[tuple[str, str, str]]:
    """For each attachment that differs: a sentence, what was expected, what came."""
    parts = [part for part in message.walk() if is_attachment(part)]
    if len(parts) != len(wanted):
        number = counted(len(parts), "attachments") if parts else "no attachment"
        expected = str(len(wanted)) if wanted else "none"
        named = ", ".join(_name(part) or "(no name)" for part in parts) or "(nothing)"
        headline = f"The mail has {number}, where {expected} should be."
        yield headline, counted(len(wanted), "attachments"), named
        return
    orders = permutations(parts) if len(parts) <= _TRIED else iter([tuple(parts)])
    found = [list(_differences(wanted, order)) for order in orders]
    yield from min(found, key=len, default=[])


def _differences(
    wanted: Sequence[AttachmentDemand], parts: Sequence[Message]
) -> Iterator[tuple[str, str, str]]:
    for demand, part in zip(wanted, parts, strict=True):
        yield from _part_differences(demand, part)


def _part_differences(demand: AttachmentDemand, part: Message) -> Iterator[tuple[str, str, str]]:
    name, kind = _name(part), part.get_content_type()
    for what, pattern, value in (("name", demand.name, name), ("type", demand.type, kind)):
        if pattern is not None and not match_whole(pattern, value):
            yield (
                f"The attachment {name} has another {what} than expected.",
                shown_pattern(pattern),
                value,
            )
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    if demand.content is not None and not is_content(demand.content, data):
        how, expected, observed = difference(demand.content, data)
        yield f"The attachment {name} {how}.", expected, observed


def _name(part: Message) -> str:
    return shown_text(part.get_filename() or "")

"""An exchange, written; reading it gives the same exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.exchange import BodyLine, Clock, Directive, Entry, Exchange, Item, Skip
from harness.notation.acts import format_act, format_clock
from harness.notation.templates import format_template

if TYPE_CHECKING:
    from collections.abc import Iterator

INDENT = "  "


def format_exchange(exchange: Exchange) -> str:
    """The exchange in the notation; reading it gives the same exchange."""
    return "".join(f"{line}\n" for item in exchange.items for line in _item_lines(item))


def _item_lines(item: Item) -> Iterator[str]:
    if isinstance(item, Skip):
        yield "..."
    elif isinstance(item, Entry):
        yield from format_entry(item).split("\n")
    else:
        yield format_clock(item) if isinstance(item, Clock) else item.kind.value
        inner = item.items if isinstance(item, Clock) else item.entries
        yield from (INDENT + line for part in inner for line in _item_lines(part))


def format_entry(entry: Entry) -> str:
    """The entry and its body lines, joined by line feeds, without a final one."""
    number = f".{entry.connection}" if entry.connection else ""
    text = format_act(entry.act) if entry.act else format_template(entry.text, heard=entry.heard)
    head = f"{entry.actor}{number}{entry.arrow}" + (f" {text}" if text else "")
    reason = f"  # {entry.reason}" if entry.reason else ""
    body = [_format_body_line(line, heard=entry.heard) for line in entry.body]
    return "\n".join([head + reason, *(f"{INDENT}{INDENT}{line}" if line else "" for line in body)])


def _format_body_line(line: BodyLine, *, heard: bool) -> str:
    if isinstance(line, Directive):
        argument = format_template(line.argument, heard=False)
        return f"@{line.name} {argument}".rstrip(" ")
    text = format_template(line, heard=heard)
    if text.startswith((" ", "@", "#")):  # else read as indentation, directive or comment
        return f"\\x{ord(text[0]):02x}{text[1:]}"
    return text

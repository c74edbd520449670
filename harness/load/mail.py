"""What an SMTP actor can never do: take a mail for nobody, answer an address that nobody names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.document import Place
from harness.load.wording import suggest
from harness.model.exchange import Arrow, Directive, Entry, Group, GroupKind
from harness.model.scenario import ActorKind
from harness.model.template import Anything, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.load.document import Document, Path
    from harness.model.exchange import Exchange
    from harness.model.program import Role
    from harness.model.scenario import Actor
    from harness.model.template import Template


def check_mail(
    document: Document, exchange: Exchange, cast: Mapping[str, Actor], role: Role
) -> None:
    """Note what the SMTP actors of the cast can never hear or answer."""
    servers = {a.name: a for a in cast.values() if a.kind is ActorKind.SMTP}
    for entry in _demanded(exchange):
        server = servers.get(entry.actor)
        if server and _is_data(entry.text) and not _accepts(server):
            source = document.source[entry.line - 1]
            place = Place(entry.line, len(source) - len(source.lstrip()) + 1)
            message = (
                f"`{server.name}` refuses every recipient, so there is nothing to send; "
                f"write the recipients into its `mailboxes`"
            )
            document.complain_at(place, message)
    for server in servers.values():
        _check_case(document, server)
        if not document.problems and _addresses_are_known(document, exchange, role):
            _check_replies(document, server, role)


def _demanded(exchange: Exchange) -> Iterator[Entry]:
    for item in exchange.plain_items():
        if isinstance(item, Group) and item.kind is GroupKind.ANY_ORDER:
            yield from item.entries
        elif isinstance(item, Entry) and item.arrow is Arrow.HEARS:
            yield item


def _is_data(text: Template) -> bool:
    match text.parts:
        case (Literal(word),) | (Literal(word), Anything()):
            return word.strip().upper() == "DATA"
    return False


def _accepts(server: Actor) -> bool:
    """Whether there may be a recipient that it does not refuse."""
    replies = server.replies.values()
    return bool(server.mailboxes) or any(reply.startswith(("2", "$")) for reply in replies)


# -- replies --------------------------------------------------------------------------


def _check_case(document: Document, server: Actor) -> None:
    first: dict[str, str] = {}
    for address in server.replies:
        known = first.setdefault(address.lower(), address)
        if known != address:
            message = f"`{known}` is the same address: capital letters do not count"
            document.complain(("cast", server.name, "replies", address), message, key=True)


def _addresses_are_known(document: Document, exchange: Exchange, role: Role) -> bool:
    """Whether the scenario and the role's parameters name every address of a right program.

    That is so if it is told whom to send to, and if no value or file could hide an address.
    """
    hidden = any(isinstance(line, Directive) for entry in exchange.entries() for line in entry.body)
    return (
        "to" in role.parameters
        and "from" in role.parameters
        and not (hidden or "${" in "\n".join(document.source))
    )


def _check_replies(document: Document, server: Actor, role: Role) -> None:
    told = _told(document, role)
    for address in server.replies:
        path = ("cast", server.name, "replies", address)
        elsewhere = _without(document, path) + "\n".join(told)
        if path in document.keys and address.lower() not in elsewhere.lower():
            message = f"no right program names `{address}`{suggest(address, told)}"
            document.complain(path, message, key=True)


def _told(document: Document, role: Role) -> list[str]:
    """The addresses that a program is told to use."""
    program = document.data.get("program") or {}
    values = [program.get(name, role.parameters[name].default) for name in ("to", "from")]
    lists = (value if isinstance(value, list | tuple) else [value] for value in values)
    return [str(address) for addresses in lists for address in addresses]


def _without(document: Document, path: Path) -> str:
    """The text of the file but for one key."""
    place, key = document.key_place(path), str(path[-1])
    lines = [*document.source]
    line, start = lines[place.line - 1], place.column - 1
    lines[place.line - 1] = line[:start] + line[start:].replace(key, "", 1)
    return "\n".join(lines)

"""The names of a scenario: what is known of each, by type of record."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from harness.load.wording import suggest
from harness.model.names import small
from harness.model.scenario import split_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.load.document import Document, Path
    from harness.model.scenario import Actor, Records

#: A name as RFC 1123 2.1 has it, with the underscore that services use (RFC 8552).
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_LONGEST_NAME = 253
_LONGEST_TEXT = 255  # octets of a character-string (RFC 1035 3.3)


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and len(text.rstrip(".")) <= _LONGEST_NAME


def _is_address(text: str, version: int | None = None) -> bool:
    try:
        return version in (None, ipaddress.ip_address(text).version)
    except ValueError:
        return False


def _is_host(text: str) -> bool:
    return _is_name(text) and not _is_address(text)


def _is_exchange(text: str) -> bool:
    """A preference and a host, or the null MX (RFC 1035 3.3.9, RFC 7505 3)."""
    preference, _, host = text.partition(" ")
    number = preference.isascii() and preference.isdigit() and int(preference) < 2**16
    return number and (_is_host(host) or text == "0 .")


def _is_short(text: str) -> bool:
    return len(text.encode()) <= _LONGEST_TEXT


#: What the data of each type must be, and an example of it.
_TYPES: dict[str, tuple[Callable[[str], bool], str]] = {
    "A": (lambda text: _is_address(text, 4), "an IPv4 address such as 198.51.100.7"),
    "AAAA": (lambda text: _is_address(text, 6), "an IPv6 address such as 2001:db8::7"),
    "MX": (_is_exchange, "a preference and a host, such as `10 mx.163.com`"),
    "CNAME": (_is_host, "a host name"),
    "NS": (_is_host, "a host name"),
    "PTR": (_is_host, "a host name"),
    "TXT": (_is_short, f"text of {_LONGEST_TEXT} octets at most"),
}


#: As it may be written: an address, several, or data by type.
Written = str | list[str] | dict[str, list[str]]


def read_records(document: Document, shapes: Mapping[str, Written], path: Path) -> Records:
    """What is known of each name, in small letters; mistakes are noted in the document."""
    reader = _Reader(document, path)
    return {small(name): reader.records_of(name, shape) for name, shape in shapes.items()}


class _Reader:
    def __init__(self, document: Document, path: Path) -> None:
        self._document = document
        self._path = path
        self._seen: dict[str, str] = {}

    def _complain(self, message: str, *steps: str | int, key: bool = False) -> None:
        self._document.complain((*self._path, *steps), message, key=key)

    def records_of(self, name: str, shape: Written) -> dict[str, tuple[str, ...]]:
        """The data of one name by type, whichever way it is written."""
        self._check_name(name)
        if isinstance(shape, dict):
            types = {kind: self._data(name, kind, data) for kind, data in shape.items()}
        else:
            types = self._addresses(name, shape if isinstance(shape, list) else [shape])
        self._check_company(name, types)
        return types

    def _check_name(self, name: str) -> None:
        first = self._seen.setdefault(small(name), name)
        if first != name:
            self._complain(f"`{first}` is the same name, and stands above", name, key=True)
        if not ("${" in name or _is_name(name) or _is_address(name)):
            message = (
                f"`{name}` is no name of a host; names are a-z, 0-9 and `-`, with dots between"
            )
            self._complain(message, name, key=True)

    def _addresses(self, name: str, data: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """What has no type are addresses, of either version."""
        found: dict[str, tuple[str, ...]] = {}
        for index, text in enumerate(data):
            if not ("${" in text or _is_address(text)):
                message = f"`{text}` is no address; write other records as {{MX: 10 mx.163.com}}"
                self._complain(message, name, index)
            kind = "AAAA" if ":" in text else "A"
            found[kind] = (*found.get(kind, ()), text)
        return found

    def _data(self, name: str, kind: str, data: Sequence[str]) -> tuple[str, ...]:
        if kind not in _TYPES:
            hint = (
                f"; did you mean `{kind.upper()}`?"
                if kind.upper() in _TYPES
                else suggest(kind, _TYPES)
            )
            self._complain(f"there are no `{kind}` records here{hint}", name, kind, key=True)
            return tuple(data)
        right, example = _TYPES[kind]
        for index, text in enumerate(data):
            if not ("${" in text or right(text)):
                message = f"`{text}` is no {kind} record; it must be {example}"
                self._complain(message, name, kind, index)
        return tuple(data)

    def _check_company(self, name: str, types: Mapping[str, object]) -> None:
        if _is_address(name) and types.keys() - {"PTR"}:
            self._complain(f"`{name}` is an address, which can have PTR only", name, key=True)
        elif "CNAME" in types and len(types) > 1:
            message = f"`{name}` is another name of something (CNAME), so it can have nothing else"
            self._complain(message, name, "CNAME", key=True)  # RFC 1034 3.6.2


def check_aliases(document: Document, records: Records, cast: Mapping[str, Actor]) -> None:
    """Nobody can stand at a name that only leads on to another."""
    for actor in cast.values():
        host, _ = split_address(actor.at or "")
        if alias := records.get(small(host), {}).get("CNAME"):
            message = f"`{host}` is another name of `{alias[0]}`; stand there"
            document.complain(("cast", actor.name, "at"), message)

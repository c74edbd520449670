"""What the records of names mean for whoever wants an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.scenario import Records

#: The types that hold addresses, in the order in which an actor takes its own from them.
_ADDRESSES = ("A", "AAAA")


def small(name: str) -> str:
    """A name of a host as all its spellings become one: small letters, no dot at the end."""
    return name.rstrip(".").lower()


def first_addresses(records: Records) -> dict[str, str]:
    """The address at which an actor stands that stands at a name, for each that has any.

    It is the first one, and an IPv4 address if there is one: a program that is told several
    must go on to the next where nobody answers (RFC 5321 5.1).
    """
    found: dict[str, str] = {}
    for name, types in records.items():
        for kind in _ADDRESSES:
            for address in types.get(kind, ())[:1]:
                found.setdefault(name, address)
    return found


def is_one_address(types: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a line of /etc/hosts says all that these records say."""
    return [kind in _ADDRESSES and len(data) for kind, data in types.items()] == [1]

"""Mail addresses: are they any (W6), and which ones does a person mean by a `to` line."""

from __future__ import annotations

import re
from dataclasses import dataclass


class AddressError(ValueError):
    """An address that is none.

    Attributes:
        address: the text that was given.
        reason: a clause that says what is wrong with it.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address!r}: {reason}")
        self.address = address
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address with the name shown for it, "" if there is none (RFC 5322 3.4)."""

    address: str
    name: str = ""


def check_address(text: str) -> str:
    """Check a bare address (RFC 5321 4.1.2, RFC 6531) and give the form to be sent.

    The domain is in lower case, and an A-label where it was Chinese; a local part
    outside ASCII stays, and needs SMTPUTF8.

    Raises:
        AddressError: with the reason named.
    """
    reason = _plain_reason(text)
    if reason:
        raise AddressError(text, reason)
    return _checked_by_library(text)


def _plain_reason(text: str) -> str:
    # The faults that people really make, in words that name the missing half.
    local, at, domain = text.rpartition("@")
    if not text:
        return "the address is empty"
    if re.search(r"[\x00-\x1f\x7f]", text):
        return "a control character is not allowed"
    if not at:
        return "no local part before an @" if "." in text else "no domain: there is no @"
    if not domain:
        return "empty domain: nothing follows the @"
    return "" if local else "empty local part: nothing precedes the @"


def _checked_by_library(text: str) -> str:
    # Its tables take long to load, and are needed only once there is something to check.
    from email_validator import (  # noqa: PLC0415 - see above
        EmailNotValidError,
        validate_email,
    )

    try:
        valid = validate_email(
            text,
            check_deliverability=False,
            test_environment=True,
            allow_smtputf8=True,
            allow_quoted_local=True,
            allow_domain_literal=True,
            strict=True,
        )
    except EmailNotValidError as error:
        raise AddressError(text, _clause(str(error))) from error
    return valid.ascii_email or f"{valid.local_part}@{valid.ascii_domain}"


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


# One entry ends at a separator that stands neither in a quoted string nor in <...>.
# The full-width ones are what a Chinese keyboard gives.
# A quoted string that is never closed goes to the end: so every character is read once.
_ENTRY = re.compile(r'(?:"(?:[^"\\]|\\.?)*+(?:"|\Z)|<[^<>;,]*>|[^;,；，"])+', re.DOTALL)


def parse_mailboxes(text: str) -> list[Mailbox]:
    """Read `"Ann"<ann@qq.com>;c@d, e@f;` as a webmail's `to` field has it (W3).

    Duplicates are removed (the first name wins; domains are compared without case),
    empty entries ignored. Nothing is checked: an entry that is no address comes back
    as it is, for `check_address` to refuse.
    """
    found: dict[str, Mailbox] = {}
    for entry in _ENTRY.findall(text):
        mailbox = _mailbox(entry)
        local, at, domain = mailbox.address.rpartition("@")
        if mailbox.address:
            found.setdefault(f"{local}{at}{domain.lower()}", mailbox)
    return list(found.values())


def _mailbox(entry: str) -> Mailbox:
    entry = entry.strip(" \t")
    if not entry.endswith(">") or "<" not in entry:
        return Mailbox(entry)
    name, _, address = entry.removesuffix(">").rpartition("<")
    name = name.strip()
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return Mailbox(address.strip(" \t"), name)

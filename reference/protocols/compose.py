"""The webmail's compose request (W2, W3): which one it is, and the mail that is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qsl

from protocols.addresses import Mailbox, parse_mailboxes

FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Webmail:
    """Where a webmail sends what its users compose, and how it names the fields."""

    host: str = "mail.qq.com"
    path: str = "/cgi-bin/compose_send"
    sender: str = "sendmailname"
    recipients: str = "to"
    subject: str = "subject"
    content: str = "content__html"

    def is_compose(self, method: str, host: str, port: int, target: str, kind: str) -> bool:
        """Whether a request is the one that sends a mail; `kind` is its Content-Type."""
        path = target.partition("?")[0]
        return (
            method == "POST"
            and (host.lower().rstrip("."), port, path) == (self.host, 80, self.path)
            and kind.partition(";")[0].strip().lower() == FORM_TYPE
        )


@dataclass(frozen=True, slots=True)
class Form:
    """What a user asked the webmail to send; nothing in it has been checked."""

    sender: str
    recipients: tuple[Mailbox, ...]
    subject: str
    text: str
    html: str | None

    @property
    def length(self) -> int:
        """The length of the readable text in octets of UTF-8."""
        return len(self.text.encode("utf-8", "replace"))


def read_form(body: bytes, content_type: str, webmail: Webmail) -> Form:
    """Decode a compose request's body (application/x-www-form-urlencoded, WHATWG URL 5.1).

    Never raises: unknown fields are ignored, missing ones empty, of repeated ones the
    first that is not empty counts (recipients add up), and octets that are no text in
    the charset of `content_type` (default UTF-8) become U+FFFD.
    """
    fields = _fields(body, _charset(content_type))

    def first(name: str) -> str:
        return next((value for value in fields.get(name, ()) if value.strip()), "")

    content = first(webmail.content)
    marked_up = is_html(content)
    return Form(
        sender=_bare_address(first(webmail.sender)),
        recipients=tuple(parse_mailboxes(";".join(fields.get(webmail.recipients, ())))),
        subject=first(webmail.subject),
        text=readable(content) if marked_up else content,
        html=content if marked_up else None,
    )


def _bare_address(text: str) -> str:
    # `"Ann"<ann@qq.com>` stands here in some webmails; two addresses are none.
    mailboxes = parse_mailboxes(text)
    return mailboxes[0].address if len(mailboxes) == 1 else text.strip(" ")


def _charset(content_type: str) -> str:
    found = re.search(r';\s*charset\s*=\s*"?([\w.:-]+)', content_type, re.IGNORECASE)
    name = found[1].lower() if found else "utf-8"
    # What browsers call GBK or GB2312 is decoded as its superset (WHATWG Encoding 4.2).
    return "gb18030" if name in {"gbk", "gb2312", "gb18030", "x-gbk"} else "utf-8"


def _fields(body: bytes, charset: str) -> dict[str, list[str]]:
    # Octets that were not escaped are in the form's charset as well.
    text = body.decode(charset, "replace")
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, encoding=charset, errors="replace"):
        found.setdefault(name, []).append(value)
    return found


def is_html(content: str) -> bool:
    """Whether there is any markup: a tag, or a character reference."""
    return bool(re.search(r"</?[a-zA-Z][^<>]*>|<!--|&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);", content))


# Every part is found without looking further than the next `<` (a comment that is never
# closed goes to the end): the standard library's parser needs minutes for a hostile form.
_PARTS = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?P<end>/?)(?P<tag>[a-zA-Z][a-zA-Z0-9]*)[^<>]*>|(?P<text>[^<]+|<)",
    re.DOTALL,
)


def readable(content: str) -> str:
    """Turn the webmail's HTML into the text that its author saw."""
    reader = _TextReader()
    for part in _PARTS.finditer(content):
        if part["tag"]:
            reader.take_tag(part["tag"].lower(), closes=bool(part["end"]))
        elif part["text"]:
            reader.take_text(unescape(part["text"]))
    return reader.text()


_BLOCKS = frozenset({"div", "p", "li", "ul", "ol", "tr", "table", "blockquote", "pre", "hr"})
_BLOCKS |= {f"h{level}" for level in range(1, 7)}
_UNSEEN = frozenset({"script", "style", "head", "title"})


class _TextReader:
    """Collects text. A block begins and ends a line, so `<div><br></div>` is one empty line."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = [[]]
        self._unseen = 0

    def take_tag(self, tag: str, *, closes: bool) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen + (-1 if closes else 1))
        elif tag == "br" or (tag in _BLOCKS and self._lines[-1]):
            self._lines.append([])

    def take_text(self, data: str) -> None:
        # HTML collapses white space, but not the no-break space that &nbsp; stands for.
        text = re.sub(r"[ \t\r\n\f]+", " ", data)
        line = self._lines[-1]
        text = text if line else text.lstrip(" ")
        if text and not self._unseen:
            line.append(text)

    def text(self) -> str:
        lines = ["".join(line).replace("\xa0", " ").rstrip() for line in self._lines]
        while lines and not lines[-1]:
            lines.pop()
        return "\n".join(lines)

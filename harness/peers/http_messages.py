"""The octets of HTTP messages, as entries of an exchange write them (RFC 9112)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

from harness.model.exchange import Directive, split_charset
from harness.model.fixtures import find_fixture, parse_form
from harness.model.scenario import DEFAULT_HOST
from harness.model.template import Template
from harness.peers.peer import NotPlayedError, spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.model.exchange import BodyLine, Entry

_FORM = b"application/x-www-form-urlencoded"
_END = b"\r\n"
_WITH_CONTENT = (b"POST", b"PUT", b"PATCH")
_WITHOUT_CONTENT = (b"1", b"204", b"304")  # statuses, or how they begin (RFC 9112 6.3)
_DIRECTIVES = "@form FILE, @multipart FILE, @file FILE, @bytes N, @chunked N"


def request(entry: Entry, bound: Mapping[str, str], scenario: str) -> bytes:
    """The octets of a request: as the entry writes it, completed where it says nothing.

    Added are the version, Host (RFC 9112 3.2) and, where the method asks for content, its
    length and, for a form, its type.  A field that the entry writes itself is left as it is.
    Files are looked for near the scenario file.

    Raises:
        PeerError: a value is named that nothing has bound so far.
        NotPlayedError: for a file that is not there or a directive that does not exist.
    """
    line = spoken(entry.text, bound)
    if not line.rsplit(b" ", 1)[-1].startswith(b"HTTP/"):
        line += b" HTTP/1.1"
    message = _message(entry.body, bound, scenario)
    if not message.says(b"host"):
        message.lines.insert(0, b"Host: " + _host(line))
    return message.octets(line, has_content=line.startswith(_WITH_CONTENT))


def response(entry: Entry, bound: Mapping[str, str], scenario: str) -> bytes:
    """The octets of a response, likewise: version, Date (RFC 9110 6.6.1) and length are added.

    Raises:
        PeerError: as `request`.
        NotPlayedError: as `request`.
    """
    line = spoken(entry.text, bound)
    if not line.startswith(b"HTTP/"):
        line = b"HTTP/1.1 " + line
    status = line.partition(b" ")[2]
    message = _message(entry.body, bound, scenario)
    if not message.says(b"date"):
        message.lines.insert(0, b"Date: " + formatdate(usegmt=True).encode())
    return message.octets(line, has_content=not status.startswith(_WITHOUT_CONTENT))


@dataclass
class _Message:
    """The parts of a message: field lines and content; `chunk` is the size of chunks, if any."""

    lines: list[bytes] = field(default_factory=list)
    content: bytes = b""
    type: bytes = b""
    chunk: int = 0

    def says(self, *names: bytes) -> bool:
        return any(line.partition(b":")[0].strip().lower() in names for line in self.lines)

    def octets(self, first: bytes, *, has_content: bool) -> bytes:
        """The message, with the fields about its content that it does not have itself."""
        lines, content = list(self.lines), self.content
        if self.type and not self.says(b"content-type"):
            lines.append(b"Content-Type: " + self.type)
        if self.chunk:
            content = b"".join(_chunks(content, self.chunk))
            if not self.says(b"transfer-encoding"):
                lines.append(b"Transfer-Encoding: chunked")
        elif (content or has_content) and not self.says(b"content-length", b"transfer-encoding"):
            lines.append(b"Content-Length: %d" % len(content))
        return _END.join([first, *lines, b"", content])


def _chunks(content: bytes, size: int) -> Iterator[bytes]:
    """The content in chunks, and the last one, which has none of it (RFC 9112 7.1)."""
    for at in range(0, len(content), size):
        chunk = content[at : at + size]
        yield b"%x\r\n%s\r\n" % (len(chunk), chunk)
    yield b"0\r\n\r\n"


def _host(line: bytes) -> bytes:
    """The authority of the target (RFC 9112 3.2); without one, the name of any server."""
    method, target, *_ = [*line.split(b" "), b""]
    authority = target if method == b"CONNECT" else urlsplit(target).netloc
    return authority.rpartition(b"@")[2] or DEFAULT_HOST.encode()


def _message(body: Iterable[BodyLine], bound: Mapping[str, str], scenario: str) -> _Message:
    message = _Message()
    content: list[bytes] = []
    in_content = False
    for line in body:
        if isinstance(line, Directive):
            argument = spoken(line.argument, bound).decode()
            if line.name == "chunked" and argument.isdecimal() and int(argument):
                message.chunk = int(argument)
                continue
            content.append(_directive(message, line.name, argument, scenario))
        elif not in_content and line == Template():
            in_content = True
        else:
            (content if in_content else message.lines).append(spoken(line, bound))
    message.content = _END.join(content)
    return message


def _directive(message: _Message, name: str, argument: str, scenario: str) -> bytes:
    if name == "form":
        file, charset = split_charset(argument)
        message.type = message.type or _FORM
        return urlencoded(file_of(scenario, file), charset)
    if name == "multipart":
        boundary, content = multipart(file_of(scenario, argument), scenario)
        message.type = b"multipart/form-data; boundary=" + boundary
        return content
    if name == "file":
        return file_of(scenario, argument)
    if name == "bytes" and argument.isdecimal():
        return b"x" * int(argument)
    raise NotPlayedError(f"`@{name} {argument}` is none of {_DIRECTIVES}")


def file_of(scenario: str, name: str) -> bytes:
    """The content of a file near the scenario.

    Raises:
        NotPlayedError: there is none.
    """
    path = find_fixture(scenario, name)
    if path is None:
        raise NotPlayedError(f"there is no file {name}")
    return path.read_bytes()


# -- forms -----------------------------------------------------------------------------


def urlencoded(form: bytes, charset: str = "utf-8") -> bytes:
    """A form file (YAML, field: value) as a browser would send it (WHATWG URL 5.2).

    What the charset does not have is sent as a character reference, `&#20320;`.
    """
    pairs = (
        f"{_quoted(name, charset)}={_quoted(value, charset)}"
        for name, values in _fields(form)
        for value in map(str, values)
    )
    return "&".join(pairs).encode()


def _quoted(text: str, charset: str) -> str:
    return quote_plus(text.encode(charset, "xmlcharrefreplace"))


def multipart(form: bytes, scenario: str) -> tuple[bytes, bytes]:
    """A form with files as a browser would send it (RFC 7578): its boundary, and its content.

    A value `{file: NAME, type: TYPE, name: NAME}` is a file near the scenario; its type is
    application/octet-stream and its name that of the file, if they are not said.

    Raises:
        NotPlayedError: a file is not there, or a value is neither text nor a file.
    """
    parts = [_part(name, value, scenario) for name, values in _fields(form) for value in values]
    boundary = b"wirelab-%08x" % zlib.crc32(b"".join(parts))
    while any(boundary in part for part in parts):
        boundary += b"-"
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    return boundary, b"%s--%s--\r\n" % (body, boundary)


def _part(name: str, value: Any, scenario: str) -> bytes:
    head = f'Content-Disposition: form-data; name="{_in_quotes(name)}"'
    if not isinstance(value, dict):
        return f"{head}\r\n\r\n{value}".encode()
    if not isinstance(value.get("file"), str) or value.keys() - {"file", "type", "name"}:
        raise NotPlayedError(f"`{name}` is no file; write {{file: cat.png, type: image/png}}")
    file_name = value.get("name", value["file"].rpartition("/")[2])
    head += f'; filename="{_in_quotes(file_name)}"'
    head += f"\r\nContent-Type: {value.get('type', 'application/octet-stream')}"
    return head.encode() + b"\r\n\r\n" + file_of(scenario, value["file"])


def _in_quotes(text: str) -> str:
    """As browsers escape names (WHATWG HTML 4.10.21.8)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _fields(form: bytes) -> Iterator[tuple[str, list[Any]]]:
    """Fields in the order of the file, each with its values; a list is a field several times."""
    fields = parse_form(form)
    if not isinstance(fields, dict):
        raise NotPlayedError("a form is a mapping of fields and values: {to: bo@example.test}")
    for name, value in fields.items():
        yield name, value if isinstance(value, list) else [value]

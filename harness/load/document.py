"""A YAML file as plain data, with the line and column of everything in it.

PyYAML's parser (in C where it is built) gives nodes with marks; their types are resolved
here as YAML 1.2's core schema says (https://yaml.org/spec/1.2.2/#103-core-schema), since
PyYAML alone would read `22:22` as 1342 and `no` as false.  Nothing else of Wirelab knows
that the files are YAML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import yaml

from harness.errors import AuthorError, Problem
from harness.load.yaml_errors import explain, text_with_braces
from harness.notation import visible

try:
    from yaml import CSafeLoader as _Parser
except ImportError:  # PyYAML was built without libyaml: slower, and its words differ
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

if TYPE_CHECKING:
    from pathlib import Path as FilePath

Path = tuple[str | int, ...]

#: Far above every honest scenario; below it a file cannot use up memory or stack.
MAX_BYTES = 4_000_000
MAX_NODES = 100_000
MAX_DEPTH = 64

_PLAIN = "plain"  # the tag of a scalar without quotes and without a tag of its own
_TEXT_TAG = "tag:yaml.org,2002:str"
_CORE_TAGS = {_PLAIN, _TEXT_TAG, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_INVISIBLE = re.compile(
    "[^\t\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class Place(NamedTuple):
    """Line and column, both from 1."""

    line: int
    column: int


class Whole(int):
    """A whole number that remembers how it was written: `0080` stays a port's text."""

    text: str


class Real(float):
    """A number that remembers how it was written: `5.10` is a version's text."""

    text: str


@dataclass(slots=True)
class Document:
    """One file: its data, and where each value and each key of it stands.

    A path is a tuple of keys and indexes: `("cast", "mail", "at")`.
    """

    file: str
    source: list[str]
    data: Any = None
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    styles: dict[Path, str] = field(default_factory=dict)  # of scalars: "", ', ", | or >
    files: dict[Path, str] = field(default_factory=dict)  # of what stands in another file
    problems: list[Problem] = field(default_factory=list)

    def value_place(self, path: Path) -> Place:
        """Where the value stands, or the nearest thing around it that is in the file."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Place(1, 1))

    def key_place(self, path: Path) -> Place:
        """Where the key stands; an item of a list has none, its value counts."""
        return self.keys.get(path) or self.value_place(path)

    def complain(self, path: Path, message: str, *, key: bool = False) -> None:
        """Note a problem at a value, or at its key; it names the file in which that stands."""
        place = self.key_place(path) if key else self.value_place(path)
        while path and path not in self.values:
            path = path[:-1]
        if file := self.files.get(path):
            by = (self.file,)
            self.problems.append(Problem(file, *place, visible(message), by))
        else:
            self.complain_at(place, message)

    def complain_at(self, place: Place, message: str) -> None:
        """Note a problem at a place of this very file."""
        self.problems.append(Problem(self.file, place.line, place.column, visible(message)))

    def raise_problems(self) -> None:
        """Raise what was noted so far, if anything."""
        if self.problems:
            raise AuthorError(dict.fromkeys(self.problems))  # two checks may say the same


def read_document(path: FilePath) -> Document:
    """The file as data; problems of single values are noted in it, not raised.

    Raises:
        AuthorError: if the file cannot be read, or is no YAML.
    """
    text = _read_text(path)
    document = Document(str(path), text.split("\n"))
    node = _compose(document, text)
    if node is None:
        _refuse(document, Place(1, 1), "the file is empty")
    _Reader(document).read(node)
    return document


def _refuse(document: Document, place: Place, message: str) -> NoReturn:
    document.complain_at(place, message)
    raise AuthorError(document.problems)


# -- bytes -> text --------------------------------------------------------------------


def _read_text(path: FilePath) -> str:
    def refuse(message: str, before: str = "") -> NoReturn:
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise AuthorError([Problem(str(path), line, column, message)])

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        refuse("there is no such file")
    except OSError as error:
        refuse(f"the file cannot be read: {error.strerror}")
    if len(data) > MAX_BYTES:
        refuse(f"the file is larger than {MAX_BYTES:,} bytes; no scenario is")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        refuse("the file is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        refuse(f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8", before)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if odd := _INVISIBLE.search(text):
        message = (
            f"an invisible character (U+{ord(odd[0]):04X}) stands here; delete it, "
            rf"or write \xNN of its bytes in the exchange"
        )
        refuse(message, text[: odd.start()])
    return text


# -- text -> nodes --------------------------------------------------------------------


class _TooDeepError(Exception):
    def __init__(self, mark: yaml.Mark) -> None:
        self.mark = mark


class _Composer(_Parser):
    """PyYAML's composer with its types switched off, and a floor under its recursion.

    It calls `descend_resolver` at every node, so this is where depth can be counted: the
    C composer recurses without a check and would take the whole process along.
    """

    _depth = 0

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        del value
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TEXT_TAG
        return "tag:yaml.org,2002:map" if kind is yaml.MappingNode else "tag:yaml.org,2002:seq"

    def descend_resolver(self, current_node: Any, _index: Any) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _TooDeepError(current_node.start_mark)

    def ascend_resolver(self) -> None:
        self._depth -= 1


def _compose(document: Document, text: str) -> yaml.Node | None:
    composer = _Composer(text)
    try:
        return composer.get_single_node()
    except _TooDeepError as error:
        place = Place(error.mark.line + 1, error.mark.column + 1)
        _refuse(document, place, f"more than {MAX_DEPTH} levels of nesting; no scenario needs them")
    except yaml.MarkedYAMLError as error:
        line, column, message = explain(error, document.source)
        _refuse(document, Place(line, column), message)
    except yaml.YAMLError as error:
        _refuse(document, Place(1, 1), f"YAML cannot read this: {error}")
    finally:
        composer.dispose()


# -- nodes -> data --------------------------------------------------------------------


def resolve_plain(text: str) -> Any:
    """The value of a scalar without quotes, by the core schema of YAML 1.2."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "-+.0123456789" or len(text) > 300:  # longer ones are text, not numbers
        return text
    if _WHOLE.fullmatch(text):
        whole = Whole(int(text, 0 if text[:2] in {"0o", "0x"} else 10))
        whole.text = text
        return whole
    if _REAL.fullmatch(text) or _INFINITE.fullmatch(text):
        real = Real(text if _REAL.fullmatch(text) else text.replace(".", "", 1))
        real.text = text
        return real
    return text


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._open: set[int] = set()  # collections that are being read: an alias into one recurses

    def read(self, node: yaml.Node) -> None:
        self._document.data = self._value(node, ())

    def _value(self, node: yaml.Node, path: Path) -> Any:
        mark = node.start_mark
        self._document.values[path] = Place(mark.line + 1, mark.column + 1)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            _refuse(self._document, _place(node), f"more than {MAX_NODES:,} values, with aliases")
        if node.tag not in _CORE_TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._document.complain(path, f"the tag `{tag}` has no meaning here; delete it")
        if isinstance(node, yaml.ScalarNode):
            self._document.styles[path] = node.style or ""
            return node.value if node.tag == _TEXT_TAG else resolve_plain(node.value)
        return self._collection(node, path)

    def _collection(self, node: yaml.Node, path: Path) -> Any:
        if id(node) in self._open:
            _refuse(self._document, _place(node), "this anchor contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, path: Path) -> dict[Any, Any]:
        pairs = [(k, v) for k, v in node.value if not _is_merge(k)]
        merged: dict[Any, Any] = {}
        for _, value_node in (pair for pair in node.value if _is_merge(pair[0])):
            merged |= self._merge(value_node, path)
        own: dict[Any, Any] = {}
        for key_node, value_node in pairs:
            key = self._key(key_node)
            if key in own:
                first = self._document.keys[(*path, key)].line
                message = f"`{key}` is written twice; it stands in line {first} already"
                self._document.complain_at(_place(key_node), message)
            else:
                self._document.keys[(*path, key)] = _place(key_node)
                own[key] = self._value(value_node, (*path, key))
        return {**merged, **own}

    def _key(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            place = _place(node)
            message = "a key cannot be a list or mapping; put text with `{` or `[` in quotes"
            if braced := text_with_braces(self._document.source[place.line - 1]):
                place, message = Place(place.line, braced[0]), braced[1]
            _refuse(self._document, place, message)
        key = resolve_plain(node.value) if node.tag == _PLAIN else node.value
        return node.value if key is None or isinstance(key, bool | Real) else key

    def _merge(self, node: yaml.Node, path: Path) -> dict[Any, Any]:
        """What `<<:` brings along: a mapping, or a list of them of which the first wins."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[Any, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, yaml.MappingNode):
                self._document.complain_at(
                    _place(node), "`<<` takes an alias of a mapping: `<<: *base`"
                )
                return {}
            merged |= self._collection(source, path)
        return merged


def _is_merge(key: yaml.Node) -> bool:
    return bool(key.tag == _PLAIN and key.value == "<<")


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)

"""Data into shapes; what pydantic says of it in English is said again in our words."""

from __future__ import annotations

import re
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from harness.load.cast import keys_of
from harness.load.schema import Shape
from harness.load.wording import shown, suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

    from harness.load.document import Document, Path

_S = TypeVar("_S", bound=Shape)

#: Kinds of actors that the language has, and this version does not play.
NOT_YET_KINDS = {"pop3", "icmp"}

#: Keys that people write for want of the right one, and what is right.
_INSTEAD_OF = {
    "level": "write what only should or may hold under `should:` or `may:` in `expect`",
    "duplicate": "write `repeat: [3]`",
    "foreign": "only what an actor answers can come from another address",
    "how": "a full backlog is `kind: filtered`: the kernel drops the SYN",
    "size": "an smtp actor announces its `limit`",
    "is": "write `number: {near: WORDS, is: N}`",
}


#: Keys of a scenario that is none.
_OF_OTHER_FILES = {
    "scenarios": "if this is to be a suite, write `suite: TITLE` at the top",
    "programs": "if this says how programs are started, name the file wirelab.yaml",
}


def shape_of(document: Document, kind: type[_S]) -> _S | None:
    """The document's data as a shape; None if it does not fit, and the document says why."""
    if not isinstance(document.data, dict):
        document.complain(
            (), f"the file must be a mapping of `key: value`, not {shown(document.data)}"
        )
        return None
    try:
        return kind.model_validate(document.data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        for detail in errors:
            _tell(document, kind, detail, errors)
        return None


def _tell(
    document: Document, kind: type[Shape], detail: ErrorDetails, errors: list[ErrorDetails]
) -> None:
    path = _written(document, _path(detail["loc"]))
    what = detail["type"]
    if what in {"extra_forbidden", "invalid_key"}:
        known = _keys_of_actor(document, path) or _keys(kind, detail["loc"][:-1])
        message = _unknown(path[-1], known, detail["input"])
        document.complain(path, message, key=True)
    elif what == "missing":
        if not _misspelt(str(path[-1]), detail["loc"][:-1], errors):
            document.complain(path[:-1], f"`{path[-1]}` is missing{_example(path)}", key=True)
    elif detail["loc"][-1:] == ("[key]",):
        document.complain(
            path, f"the key of {_subject(document, path[:-1])} {_predicate(detail, path)}", key=True
        )
    else:
        document.complain(
            path, f"{_subject(document, path)} {_predicate(detail, path)}{_advice(detail, path)}"
        )


def _advice(detail: ErrorDetails, path: Path) -> str:
    """What people mean who write `lose: all`, `*` or `1-10`."""
    answers = "lose" in path and not {"hear", "segments"} & set(path)
    all_of_them = answers and isinstance(detail["input"], str)
    return "; to lose every answer, write `answer: nothing`" if all_of_them else ""


def _written(document: Document, path: Path) -> Path:
    """The place, where one text may stand for a list of one: such an item is not in the file."""
    while path and isinstance(path[-1], int) and path not in document.values:
        path = path[:-1]
    return path


def _path(location: tuple[int | str, ...]) -> Path:
    """The place in the data: pydantic's, without the tags of unions."""
    return tuple(
        step
        for step in location
        if not (isinstance(step, str) and (step.startswith("<") or step == "[key]"))
    )


def _subject(document: Document, path: Path) -> str:
    if isinstance(path[-1], int) and path not in document.keys:
        return f"item {path[-1] + 1} of `{path[-2]}`"
    return f"`{path[-1]}`"


# -- keys -----------------------------------------------------------------------------


def _unknown(key: Any, known: list[str], value: Any) -> str:
    if known == ["number"]:
        return f"unknown key `{key}`; {_EXAMPLES['number']}; put text with `{{` in quotes"
    if key in _INSTEAD_OF:
        return f"unknown key `{key}`; {_INSTEAD_OF[key]}"
    if key in _OF_OTHER_FILES and "exchange" in known:
        return f"unknown key `{key}`; {_OF_OTHER_FILES[key]}"
    message = f"unknown key `{key}`{suggest(str(key), known)}"
    if value is None and "did you mean" not in message:
        message += "; put text with `{` in quotes"
    return message


def _misspelt(key: str, parent: tuple[int | str, ...], errors: list[ErrorDetails]) -> bool:
    """Whether an unknown key beside it is this one misspelt: then one message is enough."""
    beside = (
        str(error["loc"][-1])
        for error in errors
        if error["type"] == "extra_forbidden" and error["loc"][:-1] == parent
    )
    return any(key == "number" or "did you mean" in suggest(word, [key]) for word in beside)


_EXAMPLES = {
    "title": "write in one sentence what must hold",
    "kind": "write what the actor is: smtp, http, udp, tcp, dns, icmp, terminal, closed, "
    "filtered or unreachable",
    "number": "an item is a text, or {number: {near: WORDS, is: N}}",
    "scenarios": "list some, such as [smtp-client/*]",
    "run": "write the command line: run: [python3, client.py]",
    "name": "write whose programs these are",
}


def _example(path: Path) -> str:
    return f"; {_EXAMPLES[key]}" if (key := str(path[-1])) in _EXAMPLES else ""


def _keys_of_actor(document: Document, path: Path) -> list[str]:
    """The keys that an actor of this kind has; none if it is no actor, or of an unknown kind."""
    if len(path) != 3 or path[0] != "cast":
        return []
    return keys_of(document.data["cast"][path[1]].get("kind"))


def _keys(kind: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys of the shape at a place of pydantic's."""
    for step in location:
        kind = _step(kind, step)
    kind = _bare(kind)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return []
    return [field.alias or name for name, field in kind.model_fields.items()]


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _step(kind: Any, step: int | str) -> Any:
    """The type of what stands at one step below a value of this type."""
    kind = _bare(kind)
    if get_origin(kind) in {Union, UnionType}:
        return next((m for m in get_args(kind) if Tag(str(step)) in _tags(m)), None)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if step == (field.alias or name):
                return field.annotation
        return None
    return get_args(kind)[-1] if get_args(kind) else None  # an item of a list, a value of a dict


def _tags(kind: Any) -> Iterator[Tag]:
    return (m for m in getattr(kind, "__metadata__", ()) if isinstance(m, Tag))


# -- values ---------------------------------------------------------------------------


def _predicate(detail: ErrorDetails, path: Path) -> str:
    """How the sentence about a value goes on: `must be ...`."""
    context: Mapping[str, Any] = detail.get("ctx", {})
    value = detail["input"]
    match detail["type"]:
        case "wirelab":
            return str(context["message"])
        case "literal_error":
            return _one_of(re.findall(r"'([^']*)'", str(context["expected"])), value)
        case "greater_than_equal":
            return f"must be at least {context['ge']}, not {shown(value)}"
        case "less_than_equal":
            return f"must be at most {context['le']}, not {shown(value)}"
        case "union_tag_invalid":
            return f"must be text or a mapping, not {shown(value)}"
    what = detail["type"].rpartition("_")[0]
    wanted = _WANTED.get(what, detail["msg"])
    if what in {"dict", "list"}:
        wanted = _SUCH_AS.get(str(path[-1]), wanted)
    if value is None:
        return f"is empty; write {wanted}, or leave it out"
    return f"must be {wanted}, not {shown(value)}"


_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "`true` or `false`",
    "list": "a list such as [a, b]",
    "dict": "a mapping of `key: value`",
    "model": "a mapping of `key: value`",
    "string": "text",
}


#: What the value of a key looks like, where an example says more than a type.
_SUCH_AS = {
    "cast": "a mapping such as {mail: {kind: smtp, at: 25}}",
    "replies": "a mapping of addresses and replies such as {bo@example.test: 550 5.1.1 Unknown}",
    "users": "a mapping of names and passwords such as {ann@example.test: s3cret}",
    "pages": "a mapping of paths and pages such as {/index.html: Hello}",
    "mailboxes": "a list of addresses such as [bo@example.test]",
    "values": "a mapping of names and texts such as {recipient: bo@example.test}",
    "scenarios": "a list such as [smtp-client/delivery, http-client/*]",
    "cases": "a list of mappings such as [{address: ann}, {address: bo}]",
    "files": 'a mapping of files such as {"Log-*.txt": "*sent*"}',
    "expected failures": (
        "a mapping of scenarios and reasons such as "
        "{smtp-client/unknown-recipient: sends no reports yet}"
    ),
    "heard": "a mapping such as {mail: 1 connection}",
    "wire": "a mapping such as {mail: {has: QUIT}}",
    "time": "a mapping such as {until exit: at most 5s}",
    "mailbox": "a mapping of addresses and mails such as {bo@example.test: [{subject: TEST}]}",
}


def _one_of(known: list[str], value: Any) -> str:
    if value in NOT_YET_KINDS and "smtp" in known:
        return f"cannot be {shown(value)}: such actors are not played by this version yet"
    message = f"must be one of {', '.join(known)}, not {shown(value)}"
    near = suggest(value, known) if isinstance(value, str) else ""
    return message + (near if "did you mean" in near else "")

"""`instead` of an actor: at which steps it does something else, and what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.wording import suggest
from harness.model.instead import (
    ACTS,
    EACH,
    EACH_STEP,
    STEP,
    STEPS,
    is_reply,
    is_status,
    is_step,
    within,
)
from harness.model.scenario import ActorKind, Case, Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.load.document import Document
    from harness.load.schema import ActorShape

_EXAMPLE = {ActorKind.SMTP: "421 4.3.2 closing", ActorKind.HTTP: "503 Service Unavailable"}
_KINDS = tuple(STEPS)


def read_instead(
    shape: ActorShape, kind: ActorKind, complain: Callable[..., None]
) -> dict[str, str]:
    """The steps and what happens there; mistakes go to `complain`, with the key first."""
    if kind not in _KINDS:
        return {}
    for step, words in shape.instead.items():
        if problem := _wrong_step(kind, step):
            complain(problem, "instead", step, key=True)
        elif problem := _wrong_words(kind, step, words):
            complain(problem, "instead", step)
        elif words == "half-close" and Tls(shape.tls) is not Tls.NONE:
            complain("`half-close` cannot be played over TLS", "instead", step)
    if EACH_STEP in shape.instead and len(shape.instead) > 1:
        complain(f"beside `{EACH_STEP}` no other step can stand", "instead", EACH_STEP, key=True)
    return {_hole(step): words.rstrip("\n") for step, words in shape.instead.items()}


def _hole(step: str) -> str:
    return f"${{{STEP}}}" if step == EACH_STEP else step


def _wrong_step(kind: ActorKind, step: str) -> str:
    if step == EACH_STEP or "${" in step or is_step(kind, step):
        return ""
    if is_step(kind, step.upper()):
        return f"`{step}` is no step; commands are written in capitals: {step.upper()}"
    if step.endswith("@N"):
        return f"`{step}` needs a number of octets: {step[:-1]}512"
    hint = suggest(step, (*STEPS[kind], EACH_STEP))
    return f"`{step}` is no step of an {kind} actor{hint}"


def _wrong_words(kind: ActorKind, step: str, words: str) -> str:
    """What is wrong with what is to happen there; what has holes is seen by the play only."""
    if words in ACTS or "${" in words:
        return ""
    acts = ", ".join(ACTS)
    if not (is_reply if kind is ActorKind.SMTP else is_status)(words):
        if kind is ActorKind.SMTP and is_reply(words.partition("\n")[0].replace("-", " ", 1)):
            return (
                "lines of a reply have one code, and all but the last `-` behind it: 250-a, 250 b"
            )
        shown = words if len(words) <= 40 else words[:37] + "..."
        what = f"a reply such as `{_EXAMPLE[kind]}`"
        return f"`{shown}` is neither {what} nor one of {acts}"
    if within({step: words}, "body") and not words.startswith("421"):
        return f"within a mail there is no reply but 421; else it is one of {acts}"
    if kind is ActorKind.HTTP and step != "request" and "${" not in step:
        return f"a status answers a `request`; at `{step}` it is one of {acts}"
    return ""


def cases_of_steps(document: Document, shapes: Mapping[str, ActorShape]) -> tuple[Case, ...]:
    """One case for each step, where an actor has `each step`; otherwise none."""
    names = [name for name, shape in shapes.items() if EACH_STEP in shape.instead]
    for name in names:
        path = ("cast", name, "instead", EACH_STEP)
        if "cases" in document.data:
            message = f"`{EACH_STEP}` makes the cases; `cases` cannot stand beside it"
            document.complain(path, message, key=True)
        elif name != names[0]:
            message = f"`{names[0]}` has `{EACH_STEP}` already, and one actor can have it"
            document.complain(path, message, key=True)
    steps = EACH.get(ActorKind(shapes[names[0]].kind), ()) if names else ()
    return tuple(Case(step, {STEP: step}) for step in steps)

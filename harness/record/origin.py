"""What a record is a record of (`run.json`): enough to judge it again without playing.

It says who was played, and how; and what decided the course of the play: its exchange in the
notation, and of everything else of the stage a fingerprint, for only whether it has changed since
will ever be asked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.errors import UsageError
from harness.model.scenario import Actor
from harness.notation import format_exchange
from harness.record.pcapng import BadCaptureError, read_capture
from harness.record.store import read_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.model.capture import Capture
    from harness.model.plan import Plan
    from harness.model.record import Record

FILE_NAME = "run.json"
RECORD, CAPTURE = "record.jsonl", "capture.pcapng"
_ENCODER = json.JSONEncoder(ensure_ascii=False)
#: What of an actor decides nothing of how a play goes.
_NO_MATTER = {"name", "line", "strict"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record comes from.

    `scenario` is the file as it was given, `label` what stood in brackets behind the id;
    `implementation` and `path` are who was played, `run` and `addresses` how (`Program`).
    `limits` are seconds, of the play and of quiet.  `strict` names the actors that heard nothing
    but what the exchange lists.  `stage` has a fingerprint for each thing that made the play what
    it was, by a name that a person understands.  `expected_failure` has the fields of the plan's;
    `suite` is the file of the one that picked it.
    """

    scenario: str
    label: str
    implementation: str
    path: str
    run: tuple[str, ...]
    addresses: Mapping[str, str]
    network: str
    seed: int
    again: str
    duration_s: float
    limits: tuple[float, float]
    strict: tuple[str, ...]
    exchange: str
    stage: Mapping[str, str]
    expected_failure: Mapping[str, Any] | None = None
    suite: str | None = None
    wirelab: str = __version__


def origin_of(
    plan: Plan, *, network: str, seed: int, again: str = "", duration_s: float = 0.0
) -> Origin:
    """The origin of what will be, or was, recorded of a plan."""
    scenario, program = plan.scenario, plan.program
    return Origin(
        scenario=scenario.file,
        label=plan.label,
        implementation=plan.implementation,
        path=plan.path,
        run=program.run if program else (),
        addresses=dict(program.addresses) if program else {},
        network=network,
        seed=seed,
        again=again,
        duration_s=duration_s,
        limits=(scenario.limits.play, scenario.limits.quiet),
        strict=tuple(name for name, actor in scenario.cast.items() if actor.strict),
        exchange=format_exchange(scenario.exchange),
        stage=stage_of(plan),
        expected_failure=asdict(plan.expected_failure) if plan.expected_failure else None,
        suite=plan.suite,
    )


def stage_of(plan: Plan) -> dict[str, str]:
    """A fingerprint of each thing beside the exchange that decides how a play goes."""
    names = plan.scenario.names
    stage = {"`names`": _fingerprint(names)} if names else {}
    for name, actor in plan.scenario.cast.items():
        for field, default in _DECIDING.items():
            value = getattr(actor, field)
            if value != default and _plain(value):
                key = _KEYS.get(field, field)
                stage[f"`{key}` of `{name}`"] = _fingerprint(value)
    for name, value in (plan.values or {}).items():
        stage[f"the parameter `{name}`"] = _fingerprint(value)
    return stage


#: The fields of an actor that decide how a play goes, with their defaults.
_DECIDING = {
    field.name: field.default if field.default_factory is MISSING else field.default_factory()
    for field in fields(Actor)
    if field.name not in _NO_MATTER
}
#: How a field of an actor is called in a file, where it is not called the same.
_KEYS = {
    "plays": "as",
    "over": "transport",
    "faults": "what goes wrong",
    "faults_heard": "hear",
    "lost_segments": "segments",
}


def _fingerprint(value: Any) -> str:
    text = json.dumps(_plain(value), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _plain(value: Any) -> Any:
    """Data that is the same in every version of Wirelab: what is not set does not show."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        named = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {name: data for name, data in named.items() if data not in (None, {}, [], 0, "")}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if hasattr(value, "items"):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value


# -- on disk --------------------------------------------------------------------------


def write_origin(origin: Origin, folder: Path) -> None:
    """Write it into the folder of a run."""
    data = {field.name: getattr(origin, field.name) for field in fields(origin)}
    text = f"{_ENCODER.encode(data)}\n"  # an indent would be done without the C encoder
    (folder / FILE_NAME).write_bytes(text.encode("utf-8", "surrogatepass"))


def read_origin(folder: Path) -> Origin:
    """What `write_origin` wrote.

    Raises:
        UsageError: this is no folder of a run, or one of a version that kept other things.
    """
    path = folder / FILE_NAME
    try:
        data = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
        return Origin(**{key: _frozen(value) for key, value in data.items()})
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError):
        raise UsageError(
            f"{path} is not what this version of Wirelab ({__version__}) writes; play it again"
        ) from None


def read_run(folder: Path) -> tuple[Origin, Record]:
    """A recorded run: where it comes from, and what happened.

    Raises:
        UsageError: this is no folder of a run, or it is damaged.
    """
    origin = read_origin(folder)
    try:
        return origin, replace(read_record(folder / RECORD), capture=_capture_of(folder))
    except OSError as error:
        raise UsageError(f"{folder / RECORD} cannot be read: {error.strerror}") from None
    except BadCaptureError:
        raise UsageError(f"{folder / CAPTURE} is damaged; play it again") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{folder / RECORD} is damaged; play it again") from None


def _capture_of(folder: Path) -> Capture | None:
    try:
        return read_capture((folder / CAPTURE).read_bytes())
    except FileNotFoundError:
        return None  # not on that network


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def find_runs(paths: Iterable[str]) -> list[Path]:
    """The folders of recorded runs that these are, or have below them, each once.

    Raises:
        UsageError: there is none in one of them.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        place = Path(path)
        folders = sorted(file.parent for file in place.rglob(FILE_NAME)) if place.is_dir() else []
        if not folders:
            what = "there is no recorded run in" if place.is_dir() else "there is no folder"
            raise UsageError(f"{what} {path}; `wirelab run` records into run/")
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())

"""Records on disk: JSON lines, one event each, bytes kept exactly.

Text is kept as text so that a person can read the file; bytes that are not UTF-8 are
kept as Base64 (key `base64` in place of `data`).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from harness.model.record import Event, Record, What

if TYPE_CHECKING:
    from pathlib import Path

MICROSECOND = 6
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def write_record(record: Record, path: Path) -> None:
    """Write the record to a file that `read_record` reads back to the same events."""
    lines = "".join(f"{_ENCODER.encode(_to_json(event))}\n" for event in record.events)
    path.write_bytes(lines.encode("utf-8", "surrogatepass"))


def read_record(path: Path) -> Record:
    """The record of a file that `write_record` wrote; times to the microsecond."""
    with path.open(encoding="utf-8", errors="surrogatepass") as file:
        return Record(tuple(_from_json(json.loads(line)) for line in file))


def _to_json(event: Event) -> dict[str, Any]:
    line: dict[str, Any] = {
        "at": round(event.at, MICROSECOND),
        "what": event.what.value,
        "actor": event.actor,
    }
    if event.connection:
        line["connection"] = event.connection
    if event.data:
        line |= _data_to_json(event.data)
    if event.note:
        line["note"] = event.note
    if event.entry is not None:
        line["entry"] = event.entry
    if event.facts:
        line["facts"] = dict(event.facts)
    return line


def _data_to_json(data: bytes) -> dict[str, str]:
    try:
        return {"data": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _from_json(line: dict[str, Any]) -> Event:
    data = base64.b64decode(line["base64"]) if "base64" in line else line.get("data", "").encode()
    return Event(
        at=line["at"],
        what=What(line["what"]),
        actor=line["actor"],
        connection=line.get("connection", 0),
        data=data,
        note=line.get("note", ""),
        entry=line.get("entry"),
        facts=line.get("facts", {}),
    )

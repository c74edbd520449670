"""The files of fixtures/bad_scenarios/, and what is said of each.

Every `<name>.yaml` has a `<name>.txt` with all that loading it complains about, but for
those that others include: `_<name>.yaml`.  After a message has been changed on purpose,
`python -m tests.load.golden` writes them anew, and the published JSON Schemas too: read the
difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import AuthorError
from harness.load import load_implementation, load_roles, load_scenario, schema_text
from harness.load.roles import read_roles
from harness.pipeline import check

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "fixtures" / "bad_scenarios"
#: Where the JSON Schema of each kind of file is published.
PUBLISHED = {
    of: ROOT / "scenarios" / f"{of}.schema.json"
    for of in ("scenario", "shared", "suite", "implementation", "roles")
}


def names() -> list[str]:
    """The files by name, without their ending."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.yaml"))


def complaints(name: str) -> str:
    """All that loading a file says, a problem a line; run in FOLDER, so that paths are short."""
    path = Path(f"{name}.yaml")
    try:
        if name.startswith("implementation-"):
            load_implementation(path, load_roles())
        elif name.startswith("suite-"):
            return "".join(f"{problem}\n" for problem in check([str(path)])[1])
        elif name.startswith("roles-"):
            read_roles(path, load_roles())
        else:
            load_scenario(path, load_roles())
    except AuthorError as error:
        return "".join(f"{problem}\n" for problem in error.problems)
    return ""


def main() -> None:
    os.chdir(FOLDER)
    for name in names():
        Path(f"{name}.txt").write_text(complaints(name), encoding="utf-8")
    for of, path in PUBLISHED.items():
        path.write_text(schema_text(of), encoding="utf-8")


if __name__ == "__main__":
    main()

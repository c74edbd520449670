"""The benchmark still measures what there is; its figures are nobody's demand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_costs_of_plays_are_told_and_kept(tmp_path: Path) -> None:
    figures = tmp_path / "plays.json"
    told = subprocess.run(
        [sys.executable, "benchmarks/plays.py", "--json", str(figures), "1", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "ratio" in told.stdout
    kept = json.loads(figures.read_text(encoding="utf-8"))
    assert [row["count"] for row in kept["plays"]] == [1, 2]
    assert kept["shares_ms"].keys() == {"judge", "launch", "network", "peers", "record", "report"}

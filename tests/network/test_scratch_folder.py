"""What plays leave on disk goes with the harness, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = """
import sys, time
from pathlib import Path
from harness.network import scratch_folder
folder = Path(scratch_folder())
(folder / "deep" / "er").mkdir(parents=True)
(folder / "deep" / "er" / "file").write_text("x")
(folder / "deep").chmod(0o500)
print(folder, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None], ids=str)
def test_nothing_is_left_on_disk(end: int | None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as harness:
        assert harness.stdout is not None
        assert harness.stdin is not None
        folder = Path(harness.stdout.readline().strip())
        assert (folder / "deep" / "er" / "file").exists()
        helper = int(Path(f"/proc/{harness.pid}/task/{harness.pid}/children").read_text())
        helper_ends = os.pidfd_open(helper)
        if end is None:
            harness.stdin.close()
        else:
            harness.send_signal(end)
        harness.wait(timeout=20)
    _wait_until_gone(helper_ends)
    assert not folder.exists()


def _wait_until_gone(process: int) -> None:
    import select

    with os.fdopen(process):
        poll = select.poll()
        poll.register(process, select.POLLIN)
        assert poll.poll(20_000)

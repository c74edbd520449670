"""What a play costs beside the bare launch of the same program.

    python benchmarks/plays.py [--network auto|private|loopback] [--json FILE] [COUNT...]

For each COUNT the same small client is launched so often bare (a process and an echo server in
the same event loop, nothing else), and then played so often.  Wall time and CPU are told per
play; CPU of the harness is that of its own process, CPU of the kernel and the helpers that of
everything else that is not the program.  Shares are wall times of one play after another, by
room.  Machines are noisy: compare columns of one run, never two runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import pipeline
from harness.model.verdict import Outcome
from harness.pipeline import playing
from harness.report import folder as run_folder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from harness.model.plan import Plan

#: The package exports a function of the same name.
play_module = importlib.import_module("harness.run.play")
COUNTS = (1, 10, 100, 400, 1000)
WORKERS = os.cpu_count() or 1

CLIENT = """\
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as peer:
    peer.sendall(b"hello\\n")
    print(peer.recv(100).decode())
"""
SCENARIO = """\
title: The client says hello and shows the answer
role: echo-client
cast:
  server: {kind: tcp, at: 12000, eol: lf}
exchange: |
  server< hello
  server> HELLO
  server! expect eof
expect:
  exit: 0
  screen: HELLO
"""


@dataclass(frozen=True)
class Figures:
    """Milliseconds per play (wall and CPU), and the largest resident set in MiB."""

    count: int
    bare_wall: float
    bare_cpu: float
    wall: float
    harness_cpu: float
    other_cpu: float
    memory: float

    @property
    def ratio(self) -> float:
        """Wall time of a play to that of a bare launch."""
        return self.wall / self.bare_wall


def main() -> None:
    """Measure, print a table, and keep the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("counts", nargs="*", type=int, default=COUNTS, metavar="COUNT")
    parser.add_argument("--network", default="auto", choices=["auto", "private", "loopback"])
    parser.add_argument("--json", type=Path, help="keep the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan, request = lay_out(Path(folder), arguments.network)
        figures = [measure(plan, request, count) for count in arguments.counts]
        shares = shares_of_rooms(plan, request)
    tell(figures, shares)
    if arguments.json:
        data = {"plays": [asdict(row) for row in figures], "shares_ms": shares}
        arguments.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def lay_out(folder: Path, network: str) -> tuple[Plan, pipeline.Request]:
    """A scenario, a program, and the plan of one play."""
    scenario = folder / "scenarios" / "echo-client" / "hello.yaml"
    scenario.parent.mkdir(parents=True)
    scenario.write_text(SCENARIO, encoding="utf-8")
    (folder / "program").mkdir()
    (folder / "program" / "client.py").write_text(CLIENT, encoding="utf-8")
    (folder / "program" / "wirelab.yaml").write_text(
        "name: bench\nprograms:\n"
        '  echo-client: {run: ["{python}", client.py, "{host}", "{port}"]}\n',
        encoding="utf-8",
    )
    request = pipeline.Request(
        paths=(str(scenario),),
        implementation=str(folder / "program"),
        network=network,
        out=str(folder / "run"),
        jobs=WORKERS,
    )
    (plan,) = pipeline.prepare(request).plans
    return plan, request


def measure(plan: Plan, request: pipeline.Request, count: int) -> Figures:
    """So many bare launches, then so many plays, as many at once as there are cores."""
    assert plan.folder is not None  # noqa: S101 - made by lay_out
    with clock() as bare:
        asyncio.run(launch_bare(plan.folder / "client.py", count))
    with clock() as played:
        verdicts = asyncio.run(pipeline.play_all([plan] * count, request))
    if any(verdict.outcome is not Outcome.PASSED for verdict in verdicts):
        sys.exit(f"a play did not pass: {verdicts[0].findings or verdicts[0].reason}")
    program_cpu = bare["children"]
    return Figures(
        count=count,
        bare_wall=bare["wall"] / count,
        bare_cpu=program_cpu / count,
        wall=played["wall"] / count,
        harness_cpu=played["self"] / count,
        other_cpu=(system_cpu_between(played) - played["self"] - program_cpu) / count,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


@contextlib.contextmanager
def clock() -> Iterator[dict[str, float]]:
    """Milliseconds: wall, own CPU, CPU of children that were waited for, CPU of the machine."""
    figures: dict[str, float] = {}
    before = _times()
    yield figures
    figures |= {name: (after - before[name]) * 1000 for name, after in _times().items()}


def _times() -> dict[str, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall": time.perf_counter(),
        "self": own.ru_utime + own.ru_stime,
        "children": children.ru_utime + children.ru_stime,
        "machine": _machine_cpu(),
    }


def _machine_cpu() -> float:
    """Seconds of CPU that the machine has spent on anything at all: helpers are nobody's child."""
    first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, first[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def system_cpu_between(figures: dict[str, float]) -> float:
    """CPU of the whole machine; true only while nothing else runs."""
    return figures["machine"]


async def launch_bare(client: Path, count: int) -> None:
    """The floor: the same program, launched and talked to, and nothing else."""
    workers = asyncio.Semaphore(WORKERS)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await reader.read()
        writer.close()

    async def one(port: int) -> None:
        async with workers:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(client), "127.0.0.1", str(port), stdout=asyncio.subprocess.PIPE
            )
            out, _ = await process.communicate()
            assert b"HELLO" in out  # noqa: S101 - else the floor is none

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await asyncio.gather(*(one(port) for _ in range(count)))


# -- shares ---------------------------------------------------------------------------


def shares_of_rooms(plan: Plan, request: pipeline.Request, count: int = 30) -> dict[str, float]:
    """Mean wall milliseconds that one play after another spends in each room."""
    spent: dict[str, float] = defaultdict(float)
    with contextlib.ExitStack() as stack:
        for module, name, room in (
            (play_module, "open_network", "network"),
            (play_module, "start", "launch"),
            (play_module, "make_peer", "peers"),
            (playing, "followed", "judge"),
            (playing, "judge", "judge"),
            (run_folder, "write_record", "record"),
            (run_folder, "_write_capture", "record"),
            (run_folder, "write_origin", "record"),
            (run_folder, "transcript", "report"),
            (run_folder, "failure_text", "report"),
        ):
            stack.enter_context(timed(module, name, room, spent))
        for _ in range(count):
            asyncio.run(pipeline.play_all([plan], request))
    return {room: round(seconds * 1000 / count, 3) for room, seconds in sorted(spent.items())}


@contextlib.contextmanager
def timed(module: Any, name: str, room: str, spent: dict[str, float]) -> Iterator[None]:
    """Add up the time that a function of a module takes while this is open."""
    original: Callable[..., Any] = getattr(module, name)

    async def wait(awaitable: Awaitable[Any], started: float) -> Any:
        try:
            return await awaitable
        finally:
            spent[room] += time.perf_counter() - started

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        result = original(*args, **kwargs)
        if asyncio.iscoroutine(result):
            return wait(result, started)
        spent[room] += time.perf_counter() - started
        return result

    setattr(module, name, wrapper)
    try:
        yield
    finally:
        setattr(module, name, original)


def tell(figures: list[Figures], shares: dict[str, float]) -> None:
    """Print the table."""
    print(f"{'plays':>6} {'bare':>18} {'played':>30} {'ratio':>7} {'memory':>9}")
    print(f"{'':6} {'wall':>9}{'CPU':>9} {'wall':>10}{'harness':>10}{'others':>10}")
    for row in figures:
        print(
            f"{row.count:6} {row.bare_wall:9.1f}{row.bare_cpu:9.1f} "
            f"{row.wall:10.1f}{row.harness_cpu:10.1f}{row.other_cpu:10.1f} "
            f"{row.ratio:7.2f} {row.memory:6.0f} MB"
        )
    print("milliseconds a play, one after another:", end=" ")
    print(", ".join(f"{room} {value:.2f}" for room, value in shares.items()))


if __name__ == "__main__":
    main()

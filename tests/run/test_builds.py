"""Programs that are built: once a run, in a copy, before the first play."""

from __future__ import annotations

import asyncio
import shutil
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.model.record import What
from harness.model.verdict import Outcome
from harness.pipeline import play_all
from harness.run import builds

from tests.run.theatre import play_once, processes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from harness.model.plan import Plan

    from tests.run.theatre import Theatre

CAST = "mail: {kind: closed, at: 25}"
#: What is built is different each time: the number of the process that built it.
BUILD = "[sh, -c, 'echo $$ > built.txt']"
RUN = "[sh, -c, 'cat built.txt']"


def plan_of(theatre: Theatre, build: str, run: str = RUN, more: str = "") -> Plan:
    (theatre.author / "program.py").touch()  # which every author has
    text = f"{run}\n    build: {build}"
    return theatre.plan_of("", text, role="smtp-client", cast=CAST, more=more)


def test_every_play_starts_from_what_was_built_once(theatre: Theatre) -> None:
    plan = plan_of(theatre, BUILD)
    verdicts = asyncio.run(
        play_all([plan] * 4, replace(theatre.request, out=str(theatre.folder / "run")))
    )
    assert {verdict.outcome for verdict in verdicts} == {Outcome.PASSED}

    plays = [plan_of(theatre, "[sh, -c, 'exit 0']", "[sh, -c, 'test ! -e built.txt']"), plan]
    assert [play_once(each).outcome for each in plays] == ["passed", "passed"]


def test_however_many_ask_it_is_built_once(theatre: Theatre) -> None:
    async def main() -> set[bytes]:
        made, plan = builds.Builds(), plan_of(theatre, BUILD)
        try:
            built = await asyncio.gather(*(made.of(plan) for _ in range(5)))
            return {(each.folder / "built.txt").read_bytes() for each in built if each}
        finally:
            await made.close()

    assert len(asyncio.run(main())) == 1


def test_afterwards_nothing_is_left_of_it(theatre: Theatre) -> None:
    async def main() -> bool:
        made = builds.Builds()
        built = await made.of(plan_of(theatre, BUILD))
        assert built
        assert built.folder.exists()
        await made.close()
        return built.folder.exists()

    assert not asyncio.run(main())


def test_a_program_that_cannot_be_built_has_failed_and_its_mistakes_are_told(
    theatre: Theatre,
) -> None:
    build = "[sh, -c, 'echo line 3: no semicolon; echo and more >&2; exit 2']"
    play = play_once(plan_of(theatre, build))

    assert play.outcome == "failed"
    assert play.tells("could not be built", "ended with exit status 2")
    (finding,) = play.verdict.findings
    assert {rung.text for rung in finding.ladder} == {
        "build: line 3: no semicolon",
        "build: and more",
    }
    assert not play.record.of(What.STARTED)


def test_a_build_that_kills_itself_has_failed_too(theatre: Theatre) -> None:
    assert play_once(plan_of(theatre, "[sh, -c, 'kill -9 $$']")).tells("by signal 9")


def test_a_long_output_is_cut_behind_its_first_mistakes(theatre: Theatre) -> None:
    play = play_once(plan_of(theatre, "[sh, -c, 'seq 100; exit 1']"))
    rungs = [rung.text for rung in play.verdict.findings[0].ladder]
    assert rungs[0] == "build: 1"
    assert rungs[-1] == "build: ... and 88 more lines"


def test_a_command_that_is_not_there_is_not_charged_to_the_program(theatre: Theatre) -> None:
    (verdict,) = asyncio.run(play_all([plan_of(theatre, "[no-such-compiler]")], theatre.request))
    assert verdict.outcome is Outcome.ERROR
    assert verdict.reason
    assert "no-such-compiler" in verdict.reason


def test_a_build_has_a_limit_and_leaves_nothing_behind(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "_SECONDS", 0.2)
    play = play_once(plan_of(theatre, f"[sh, -c, 'sleep 1000 & sleep 1000', {theatre.marker}]"))
    assert play.outcome == "failed"
    assert play.tells("did not end within 0.2 s")
    assert processes(theatre.marker) == []


def test_a_build_that_is_broken_off_leaves_nothing_behind(theatre: Theatre) -> None:
    build = f"[sh, -c, 'echo begun; sleep 1000', {theatre.marker}]"

    async def main() -> None:
        made = builds.Builds()
        asked = asyncio.create_task(made.of(plan_of(theatre, build)))
        async with asyncio.timeout(10):
            while not processes(theatre.marker):  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.01)
        asked.cancel()
        await made.close()

    asyncio.run(main())
    assert processes(theatre.marker) == []


def test_a_copy_that_is_broken_off_leaves_nothing_behind(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, copied = threading.Event(), threading.Event(), []
    copy = shutil.copytree

    def held_up(folder: Path, place: Path, **how: Any) -> Path:
        copied.append(place)
        begun.set()
        assert go_on.wait(10)
        return copy(folder, place, **how)

    async def main() -> None:
        made = builds.Builds()
        asked = asyncio.create_task(made.of(plan_of(theatre, "[sh, -c, 'exit 0']")))
        # the copy for the build itself is made by other means
        monkeypatch.setattr(shutil, "copytree", held_up)
        assert await asyncio.to_thread(begun.wait, 10)
        asked.cancel()
        closing = asyncio.create_task(made.close())
        ended, _ = await asyncio.wait([closing], timeout=0.3)
        go_on.set()
        assert not ended
        await closing

    asyncio.run(main())
    assert [place.exists() for place in copied] == [False]

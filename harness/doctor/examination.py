"""The steps in their order, and what came of each.

Nothing is concluded from versions or names of systems: each step does what a play does.
What rests on a step that failed is not tried.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.doctor import remedies, trials
from harness.doctor.words import RECIPE
from harness.errors import WirelabError
from harness.network.private import refused_step
from harness.network.room import recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Part(StrEnum):
    """What a step is for."""

    PLAY = "every play"
    PRIVATE = "the private network"
    LOOPBACK = "the loopback network"


class State(StrEnum):
    """What came of a step."""

    WORKS = "works"
    FAILS = "FAILS"
    UNTRIED = "untried"  # it rests on one that failed


class Verdict(StrEnum):
    """What can be played here."""

    PRIVATE = "private"
    LOOPBACK = "loopback"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one step: in words, why it fails, and the commands that mend it.

    A network without what is not `vital` can be played on all the same.
    """

    part: Part
    words: str
    state: State
    reason: str = ""
    remedy: tuple[str, ...] = ()
    vital: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `trial` raises an OSError or a WirelabError if it does not work."""

    part: Part
    words: str
    trial: Callable[[], None]
    remedy: Callable[[OSError], tuple[str, ...]]
    vital: bool = True


#: What all plays need, on whatever network.
STEPS = (
    Step(Part.PLAY, "Python 3.11 or newer runs Wirelab", trials.python, remedies.python),
    Step(Part.PLAY, "the temporary folder takes 64 MB", trials.temporary_folder, remedies.space),
    Step(Part.PLAY, "256 files can be open at once", trials.open_files, remedies.open_files),
    Step(Part.PLAY, "64 more processes can run", trials.processes, remedies.processes),
    Step(Part.PLAY, "a program gets a terminal", trials.terminal, remedies.terminal),
    Step(
        Part.LOOPBACK,
        "a program is started there, reaches a peer, and ends",
        trials.loopback_play,
        remedies.loopback,
    ),
    Step(
        Part.LOOPBACK,
        "the kernel tells who listens where",
        trials.socket_table,
        remedies.socket_table,
    ),
    Step(
        Part.LOOPBACK,
        "a filtered port answers nothing",
        trials.filtered_port,
        remedies.filtered_port,
        vital=False,
    ),
)

#: What a private network must do once it has been set up.
PRIVATE_PLAY = Step(
    Part.PRIVATE,
    "a program there finds a server by a name of the play's own",
    trials.private_play,
    remedies.private_play,
)


def examine(
    steps: Sequence[Step] = STEPS,
    refused: Callable[[], tuple[str, int] | None] = refused_step,
    play: Step = PRIVATE_PLAY,
) -> Iterator[Finding]:
    """Try each step, and tell what came of it as soon as it is known.

    Args:
        steps: Those that stand for themselves.
        refused: Sets a private network up; the step that is refused and its errno, None if
            none is.
        play: What is tried in a private network that could be set up.

    Raises:
        HarnessError: Wirelab itself failed.
    """
    yield from (_try(step) for step in steps if step.part is Part.PLAY)
    yield from _try_recipe(refused, play)
    yield from (_try(step) for step in steps if step.part is Part.LOOPBACK)


def _try(step: Step) -> Finding:
    try:
        step.trial()
    except (OSError, WirelabError) as error:
        cause = error if isinstance(error, OSError) else OSError(errno.EIO, str(error))
        reason = cause.strerror or str(cause)
        remedy = step.remedy(cause)
        return Finding(step.part, step.words, State.FAILS, reason, remedy, vital=step.vital)
    return Finding(step.part, step.words, State.WORKS)


def _try_recipe(refused: Callable[[], tuple[str, int] | None], play: Step) -> Iterator[Finding]:
    """The recipe is run once; what comes before the refused step has worked."""
    try:
        refusal = refused()
    except (OSError, WirelabError) as error:
        yield Finding(Part.PRIVATE, "the private network is set up", State.FAILS, str(error))
        return
    failed, code = refusal or ("", 0)
    state = State.WORKS
    for step in recipe():
        words = RECIPE.get(step, step)
        if step == failed:
            reason = os.strerror(code)
            remedy = remedies.of_recipe(step, code)
            yield Finding(Part.PRIVATE, words, State.FAILS, reason, remedy)
            state = State.UNTRIED
        else:
            yield Finding(Part.PRIVATE, words, state)
    if state is State.WORKS:
        yield _try(play)
    else:
        yield Finding(Part.PRIVATE, play.words, State.UNTRIED)


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """What can be played on a machine where this was found."""
    bad = {found.part for found in findings if found.vital and found.state is not State.WORKS}
    if Part.PLAY in bad or bad >= {Part.PRIVATE, Part.LOOPBACK}:
        return Verdict.NOTHING
    return Verdict.LOOPBACK if Part.PRIVATE in bad else Verdict.PRIVATE

"""Answers what a program asks its user, in the place of the person at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.match import match_whole
from harness.model.record import SEEN, Event, What
from harness.model.template import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.model.template import Template

END_OF_INPUT = b"\x04"  # Control-D, at the beginning of a line (termios VEOF)


class Prompts:
    """Reads the screen and types an answer wherever a prompt stands.

    A prompt is the beginning of a line behind which the program waits, or a whole line that
    it has not printed before.  Who is asked more often than there are answers types an empty
    line, and then ends the input.

    Args:
        answers: Patterns, each with what is typed, one for each time; the first that meets counts.
        answer: Told of the prompt, and of the octets to type.
    """

    def __init__(
        self,
        answers: Iterable[tuple[Template, tuple[str, ...]]],
        answer: Callable[[str, bytes], None],
    ) -> None:
        self._answers = list(answers)
        self._answer = answer
        self._forget()

    def _forget(self) -> None:
        self._given = [0] * len(self._answers)
        self._lines: dict[What, bytes] = dict.fromkeys(SEEN, b"")

    def see(self, event: Event) -> None:
        """Take note of an event of the play."""
        if event.what is What.STARTED:  # another life of the program
            self._forget()
        elif event.what in SEEN:
            for prompt, index in self._asked(event):
                self._answer(prompt, self._next(index))

    def _asked(self, event: Event) -> Iterator[tuple[str, int]]:
        *whole, rest = (self._lines[event.what] + event.data).split(b"\n")
        self._lines[event.what] = rest
        for line in whole:
            found = self._meets(line)
            if found is not None and not self._given[found]:
                yield decode(line), found
        found = self._meets(rest)
        if found is not None:
            self._lines[event.what] = b""  # what comes is printed behind the answer
            yield decode(rest), found

    def _meets(self, line: bytes) -> int | None:
        text = decode(line).rstrip()
        if not text:
            return None
        patterns = enumerate(pattern for pattern, _ in self._answers)
        return next((index for index, pattern in patterns if match_whole(pattern, text, {})), None)

    def _next(self, index: int) -> bytes:
        answers, given = self._answers[index][1], self._given[index]
        self._given[index] += 1
        if given < len(answers):
            return answers[given].encode() + b"\n"
        return b"\n" if given == len(answers) else END_OF_INPUT

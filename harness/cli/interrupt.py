"""Ctrl-C, once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def on_interrupt(handler: Any) -> Any:
    """Set what Ctrl-C does, unless the shell wants it ignored; what it did before."""
    before = signal.getsignal(signal.SIGINT)
    return before if before is signal.SIG_IGN else signal.signal(signal.SIGINT, handler)


class Interrupt:
    """Ctrl-C ends the plays once: pressed again, it must not break off their clean-up."""

    def __init__(self) -> None:
        self.came = False
        self._ended = False
        self._stop: Callable[[], object] = lambda: None

    def __enter__(self) -> Interrupt:  # noqa: PYI034 - private
        self._before = on_interrupt(self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        on_interrupt(signal.SIG_IGN if self.came else self._before)

    def call(self, stop: Callable[[], object]) -> None:
        """What ends the plays; called at once if they are to end already."""
        self._stop = stop
        if self._ended:
            stop()

    def end(self) -> None:
        """End the plays, without anybody having pressed a key."""
        if not self._ended:
            self._ended = True
            self._stop()

    def _hear(self, *_: object) -> None:
        self.came = True
        self.end()

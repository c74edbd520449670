"""What a command tells: verdicts as they come, and files of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import UsageError, WirelabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from harness.model.plan import Plan
    from harness.model.verdict import Verdict
    from harness.report import RunFacts, Target


def _console(*, on_error: bool) -> Console:
    from rich.console import Console  # noqa: PLC0415

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to us what becomes of the plays; rich would end the process."""
            raise  # noqa: PLE0704 - rich calls this where it caught the error

    return Plain(stderr=on_error, highlight=False, markup=False, soft_wrap=True, emoji=False)


class Display:
    """Tells verdicts as they come: live on a terminal, plain lines in a pipe.

    Args:
        plans: What it will be told the verdicts of, in order.
        files: Where else results go: standard output may be taken.
        story: All that there is to tell of a verdict.
        quiet: Tell failures only.
        verbose: Tell remarks on what passed, too.
        on_trouble: Called once, when nothing more can be told.

    Attributes:
        trouble: Why the output cannot be written; empty if it can.
        is_cut_off: Whether its reader went away before all was played.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        files: Files,
        story: Callable[[Verdict], str],
        *,
        quiet: bool = False,
        verbose: bool = False,
        on_trouble: Callable[[], None] = lambda: None,
    ) -> None:
        self.trouble = ""
        self._console = _console(on_error=files.on_standard_output)
        self._plans = plans
        self._story = story
        self._quiet = quiet
        self._verbose = verbose
        self._on_trouble = on_trouble
        self._mute = False
        self._verdicts: dict[str, Verdict] = {}
        self._told = 0
        self._playing: dict[str, None] = {}
        self._status: Any = None

    @property
    def is_cut_off(self) -> bool:
        return self._mute and not self.trouble and self._told < len(self._plans)

    def __enter__(self) -> Display:  # noqa: PYI034 - private
        if self._console.is_terminal:
            self._status = self._console.status("", spinner="line")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def started(self, plan: Plan) -> None:
        self._playing[plan.id] = None
        self._update()

    def finished(self, verdict: Verdict) -> None:
        self._playing.pop(verdict.plan.id, None)
        self._verdicts[verdict.plan.id] = verdict
        self._told += 1
        self._tell(verdict)
        self._update()

    def in_order(self) -> list[Verdict]:
        return [self._verdicts[p.id] for p in self._plans if p.id in self._verdicts]

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line; where that fails, no more is printed and the plays are ended."""
        if self._mute:
            return
        try:
            self._console.print(text, style=style)
        except OSError as error:
            self._mute = True
            if not isinstance(error, BrokenPipeError):
                self.trouble = f"the output cannot be written: {error.strerror}"
            self._on_trouble()

    def _update(self) -> None:
        if self._status:
            done, total = len(self._verdicts), len(self._plans)
            names = ", ".join(list(self._playing)[:3])
            more = ", ..." if len(self._playing) > 3 else ""
            self._status.update(f"{done} of {total} played; now {names}{more}")

    def _tell(self, verdict: Verdict) -> None:
        from harness import report  # noqa: PLC0415
        from harness.model.verdict import Outcome  # noqa: PLC0415

        bad = verdict.outcome in (Outcome.FAILED, Outcome.ERROR)
        if bad or (self._verbose and verdict.findings):
            self._print_story(self._story(verdict), verdict)
        elif not self._quiet:
            self.say(report.one_line(verdict), _STYLES[verdict.outcome])

    def _print_story(self, story: str, verdict: Verdict) -> None:
        first, *rest = story.splitlines()
        self.say("")
        self.say(first, _STYLES[verdict.outcome])
        for line in rest:
            self.say(line, "red" if line.lstrip().startswith("✗") else None)
        self.say("")


_STYLES = {
    "passed": "green",
    "failed": "bold red",
    "expected": "yellow",
    "skipped": "yellow",
    "unchecked": "yellow",
    "error": "bold magenta",
}


class Files:
    """The files of a run as a whole: `--json` and `--junit`.

    Raises:
        MachineError: one of them cannot be written, which is known before anything is played.
        UsageError: both are to go to standard output.
    """

    def __init__(self, json_file: str | None, junit: str | None) -> None:
        from harness import report  # noqa: PLC0415

        self._json = report.Target(json_file) if json_file else None
        self._junit = report.Target(junit) if junit else None
        on_output = [t for t in (self._json, self._junit) if t and t.on_standard_output]
        if len(on_output) > 1:
            raise UsageError("standard output takes one of --json and --junit; give a file to one")
        self.on_standard_output = bool(on_output)

    def write(
        self, verdicts: Sequence[Verdict], facts: RunFacts, story: Callable[[Verdict], str]
    ) -> list[str]:
        """Write both; why that failed, where it did."""
        from harness import report  # noqa: PLC0415

        troubles: list[str] = []
        if self._json:
            troubles += _written(self._json, report.results_text(verdicts, facts))
        if self._junit:
            troubles += _written(self._junit, report.junit(verdicts, facts, story=story))
        return troubles


def _written(target: Target, text: str) -> list[str]:
    """Write a file of results; why that failed, if it did."""
    try:
        target.write(text)
    except BrokenPipeError:  # the reader of standard output has seen enough
        return []
    except OSError as error:
        return [f"the output cannot be written: {error.strerror}"]
    except WirelabError as error:
        return [str(error)]
    return []

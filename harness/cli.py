"""The command line.  What a command does not need is not imported: `--help` is instant."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from harness import __version__
from harness.errors import AuthorError, UsageError, WirelabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from harness.model.plan import Plan
    from harness.model.verdict import Verdict
    from harness.pipeline import Programme, Request
    from harness.report import RunFacts, Target

FAILED = 1
WRONG_INPUT = 2
BROKEN = 3
INTERRUPTED = 130

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its status (docs/command-line.md)."""
    before = _on_interrupt(_interrupt_once)
    _harden_streams()
    status = 0
    try:
        status = _command(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe (`| head`) has seen enough
        pass
    except OSError as error:
        if status != BROKEN:  # else it was told already, where it was noticed first
            _complain(_explain(error))
        status = _worst(status, BROKEN)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - nobody but us can read a traceback of ours
        _complain(f"wirelab: Wirelab itself failed: {_where(error)}{error!r}")
        status = BROKEN
    for stream in (sys.stdout, sys.stderr):
        _let_go_of(stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN if argv is None else before)  # all is said
    sys.exit(status)


def _on_interrupt(handler: Any) -> Any:
    """Set what Ctrl-C does, unless the shell wants it ignored; what it did before."""
    before = signal.getsignal(signal.SIGINT)
    return before if before is signal.SIG_IGN else signal.signal(signal.SIGINT, handler)


def _interrupt_once(*_: object) -> NoReturn:
    """A second Ctrl-C must not break off what the first one has set going."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _command(words: list[str]) -> int:
    cut = words.index("--") if "--" in words else len(words)
    try:
        status: int | None = wirelab.main(
            words[:cut],
            prog_name="wirelab",
            standalone_mode=False,
            obj={"command": tuple(words[cut + 1 :]), "cut": cut < len(words)},
        )
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        if isinstance(error, click.NoSuchOption) and any("{" in word for word in words[:cut]):
            _complain("A command line stands behind `--`.")
        return WRONG_INPUT
    except (AuthorError, UsageError) as error:
        _complain(str(error))
        return WRONG_INPUT
    except WirelabError as error:
        _complain(f"wirelab: {error}")
        return BROKEN
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except SystemExit:  # click's way to leave where the pipe that it writes to is closed
        return 0
    return status or 0


def _worst(*statuses: int) -> int:
    """What a run ends with where several hold."""
    order = (INTERRUPTED, WRONG_INPUT, BROKEN, FAILED, 0)
    return min(statuses, key=order.index)


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody is left to be told
        click.echo(text, err=True)


def _explain(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"wirelab: {os.fsdecode(error.filename)}: {reason}"
    return f"wirelab: the output cannot be written: {reason}"


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}: " if frames else ""


def _harden_streams() -> None:
    """No character may end the output, whatever the locale can show of it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed (`>&-`), and its number must not go to a socket
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - open to the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _let_go_of(stream: TextIO) -> None:
    """What cannot be written any more must not be tried again when the interpreter ends."""
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="wirelab")
def wirelab() -> None:
    """Play network scenarios against a real program and say what went wrong."""


_PATHS = click.argument("paths", nargs=-1, metavar="[PATH]...")


def _asked(paths: tuple[str, ...]) -> tuple[str, ...]:
    from harness.pipeline import DEFAULT_SCENARIOS  # noqa: PLC0415 - `--help` need not load it

    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError("the current folder does not exist any more; go to another one") from None
    return paths or (DEFAULT_SCENARIOS,)


@wirelab.command()
@_PATHS
@click.option(
    "-i",
    "--implementation",
    default="reference",
    show_default=True,
    metavar="FILE|DIR",
    help="The programs to play against: a wirelab.yaml, or the folder that has it.",
)
@click.option("--role", help="Only scenarios of this role.")
@click.option("-k", "keyword", default="", metavar="EXPR", help="Only matching ids, as in pytest.")
@click.option("--tag", "tags", multiple=True, help="Only scenarios with this tag.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Plays at once.  [default: 4 a core]")
@click.option(
    "--network",
    type=click.Choice(["auto", "private", "loopback"]),
    default="auto",
    show_default=True,
    help="Where the plays happen.",
)
@click.option("--seed", type=int, help="Repeat a run that used chance.")
@click.option("--json", "json_file", metavar="FILE", help="Write results here; - is the output.")
@click.option("--junit", metavar="FILE", help="Write JUnit's XML here, for Jenkins or GitLab.")
@click.option(
    "--out", default="run", show_default=True, metavar="DIR", help="Where run folders are kept."
)
@click.option("-x", "stop", is_flag=True, help="Stop at the first failure.")
@click.option("-q", "--quiet", is_flag=True, help="Tell failures and the summary only.")
@click.option("-v", "--verbose", is_flag=True, help="Tell remarks on scenarios that passed, too.")
@click.pass_obj
def run(obj: dict[str, Any], /, paths: tuple[str, ...], **options: Any) -> int:
    """Play scenarios (default: scenarios/) against an implementation.

    With `-- COMMAND...` they are played against that command line, in which {host}, {port}
    and the role's parameters may stand; no implementation file is needed then.  A PATH is a
    file, a folder, or FILE[case].
    """
    from harness import pipeline  # noqa: PLC0415 - `--help` need not load it

    if obj["cut"] and not obj["command"]:
        raise click.UsageError("a command line must follow `--`")
    request = pipeline.Request(
        paths=_asked(paths),
        implementation=options["implementation"],
        command=obj["command"],
        role=options["role"],
        keyword=options["keyword"],
        tags=options["tags"],
        jobs=options["jobs"] or 0,
        network=options["network"],
        out=options["out"],
        stop_at_first_failure=options["stop"],
        **({} if options["seed"] is None else {"seed": options["seed"]}),
    )
    programme = pipeline.prepare(request)
    if not programme.plans:
        click.echo("wirelab: no scenario was chosen, so nothing was played", err=True)
        return WRONG_INPUT
    return _play(programme, request, options)


def _play(programme: Programme, request: Request, options: dict[str, Any]) -> int:
    from harness import pipeline, report  # noqa: PLC0415

    report.check_folder(options["out"])
    files = _Files(options["json_file"], options["junit"])
    for note in programme.notes:
        _complain(note)
    with _Interrupt() as interrupt:
        display = _Display(programme, request, options, files, interrupt.end)
        started = time.monotonic()
        with display:
            _perform(programme, request, display, interrupt)
        seconds, verdicts = time.monotonic() - started, display.in_order()
        unwritten = files.write(
            verdicts,
            pipeline.facts(programme, request, seconds),
            lambda verdict: pipeline.story(verdict, programme, request),
        )
        display.say(
            report.summary(verdicts, seconds=seconds, network=programme.rung, seed=request.seed)
        )
        if programme.fallback:
            display.say(report.fallback_text(programme.fallback))
        if interrupt.came:
            display.say("interrupted; the results so far are those above")
        for trouble in filter(None, (*unwritten, display.trouble)):
            _complain(f"wirelab: {trouble}")
    return _worst(
        _status(verdicts),
        BROKEN if unwritten or display.trouble else 0,
        INTERRUPTED if interrupt.came or display.is_cut_off else 0,
    )


def _perform(
    programme: Programme, request: Request, display: _Display, interrupt: _Interrupt
) -> None:
    """Play to the end, or until it is interrupted."""
    import asyncio  # noqa: PLC0415

    from harness import pipeline  # noqa: PLC0415

    async def perform() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        interrupt.call(lambda: loop.call_soon_threadsafe(task.cancel))
        try:
            await pipeline.play_all(
                programme.plans, request, on_start=display.started, on_verdict=display.finished
            )
        finally:
            interrupt.call(lambda: None)

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(perform())


class _Files:
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


def _status(verdicts: Sequence[Verdict]) -> int:
    from harness.model.verdict import Outcome  # noqa: PLC0415

    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.ERROR in outcomes:
        return BROKEN
    return FAILED if Outcome.FAILED in outcomes else 0


class _Interrupt:
    """Ctrl-C ends the plays once: pressed again, it must not break off their clean-up."""

    def __init__(self) -> None:
        self.came = False
        self._ended = False
        self._stop: Callable[[], object] = lambda: None

    def __enter__(self) -> _Interrupt:  # noqa: PYI034 - private
        self._before = _on_interrupt(self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        _on_interrupt(signal.SIG_IGN if self.came else self._before)

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


def _console(*, on_error: bool) -> Console:
    from rich.console import Console  # noqa: PLC0415

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to us what becomes of the plays; rich would end the process."""
            raise  # noqa: PLE0704 - rich calls this where it caught the error

    return Plain(stderr=on_error, highlight=False, markup=False, soft_wrap=True, emoji=False)


class _Display:
    """Tells verdicts as they come: live on a terminal, plain lines in a pipe.

    Attributes:
        trouble: Why the output cannot be written; empty if it can.
        is_cut_off: Whether its reader went away before all was played.
    """

    def __init__(
        self,
        programme: Programme,
        request: Request,
        options: dict[str, Any],
        files: _Files,
        on_trouble: Callable[[], None],
    ) -> None:
        self.trouble = ""
        self._console = _console(on_error=files.on_standard_output)
        self._programme = programme
        self._request = request
        self._quiet = options["quiet"]
        self._verbose = options["verbose"]
        self._on_trouble = on_trouble
        self._mute = False
        self._verdicts: dict[str, Verdict] = {}
        self._playing: dict[str, None] = {}
        self._status: Any = None

    @property
    def is_cut_off(self) -> bool:
        return self._mute and not self.trouble and len(self._verdicts) < len(self._programme.plans)

    def __enter__(self) -> _Display:  # noqa: PYI034 - private
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
        self._tell(verdict)
        self._update()

    def in_order(self) -> list[Verdict]:
        return [self._verdicts[p.id] for p in self._programme.plans if p.id in self._verdicts]

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
            done, total = len(self._verdicts), len(self._programme.plans)
            names = ", ".join(list(self._playing)[:3])
            more = ", ..." if len(self._playing) > 3 else ""
            self._status.update(f"{done} of {total} played; now {names}{more}")

    def _tell(self, verdict: Verdict) -> None:
        from harness import pipeline, report  # noqa: PLC0415
        from harness.model.verdict import Outcome  # noqa: PLC0415

        bad = verdict.outcome in (Outcome.FAILED, Outcome.ERROR)
        if bad or (self._verbose and verdict.findings):
            self._print_story(pipeline.story(verdict, self._programme, self._request), verdict)
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


@wirelab.command()
@_PATHS
def check(paths: tuple[str, ...]) -> int:
    """Read scenario and implementation files without playing them.

    Every problem is told as file:line:column: message.
    """
    from harness import pipeline  # noqa: PLC0415

    number, problems = pipeline.check(_asked(paths))
    for problem in problems:
        click.echo(str(problem))
    files = f"{number} file{'' if number == 1 else 's'}"
    if problems:
        click.echo(f"{len(problems)} problem{'' if len(problems) == 1 else 's'} in {files}")
        return WRONG_INPUT
    click.echo(f"{files}: no problem")
    return 0


@wirelab.command("list")
@_PATHS
@click.option("--role", help="Only scenarios of this role.")
@click.option("--tag", "tags", multiple=True, help="Only scenarios with this tag.")
def list_scenarios(paths: tuple[str, ...], role: str | None, tags: tuple[str, ...]) -> int:
    """List the scenarios: id, cases and title."""
    from harness import pipeline  # noqa: PLC0415

    chosen, problems = pipeline.listing(_asked(paths), role=role, tags=tags)
    for problem in problems:
        click.echo(str(problem), err=True)
    width = max((len(scenario.id) for scenario in chosen), default=0)
    for scenario in chosen:
        names = ([case.name for case in scenario.cases], scenario.pieces)
        told = "".join(f"  [{', '.join(some)}]" for some in names if some)
        click.echo(f"{scenario.id:{width}}  {scenario.title}{told}")
    return 0 if chosen and not problems else WRONG_INPUT


@wirelab.command(epilog="Example:  wirelab schema > scenarios/scenario.schema.json")
@click.option(
    "--implementation", "of", flag_value="implementation", help="Of wirelab.yaml instead."
)
@click.option("--roles", "of", flag_value="roles", help="Of roles.yaml instead.")
@click.option("--shared", "of", flag_value="shared", help="Of files that scenarios include.")
def schema(of: str | None) -> int:
    """Print the JSON Schema of scenario files, for editors that complete and explain keys."""
    from harness.load import schema_text  # noqa: PLC0415

    click.echo(schema_text(of or "scenario"), nl=False)
    return 0


@wirelab.command()
def doctor() -> int:
    """Try what this machine offers, step by step, and tell how to mend what does not work."""
    from harness import doctor as examining  # noqa: PLC0415

    verdict = examining.tell(examining.examine(), click.echo)
    return BROKEN if verdict is examining.Verdict.NOTHING else 0


@wirelab.command()
@click.argument("names", nargs=-1, metavar="[ROLE]...")
def roles(names: tuple[str, ...]) -> int:
    """List the roles, with their endpoints, parameters and features."""
    from harness.load import load_roles  # noqa: PLC0415

    known = load_roles()
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"there is no role {', '.join(unknown)}")
    for name in names or known:
        _tell_role(known[name], click.echo)
    return 0


def _tell_role(role: Any, say: Callable[[str], None]) -> None:
    say(f"{role.name}: {role.about}")
    for endpoint in role.endpoints.values():
        say(f"    {endpoint.direction:8} {endpoint.name} ({endpoint.protocol})")
    for parameter in role.parameters.values():
        default = parameter.default
        shown = default if isinstance(default, str) else ", ".join(default)
        say(f"    parameter {parameter.name} = {shown!r}: {parameter.about}")
    for name, about in role.features.items():
        say(f"    feature {name}: {about}")

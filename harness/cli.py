"""The command line.  What a command does not need is not imported: `--help` is instant."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

import click

from harness import __version__
from harness.errors import AuthorError, UsageError, WirelabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.model.plan import Plan
    from harness.model.verdict import Verdict
    from harness.pipeline import Programme, Request

FAILED = 1
WRONG_INPUT = 2
BROKEN = 3
INTERRUPTED = 130

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its status (docs/command-line.md)."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    try:
        status = wirelab.main(
            words[:cut],
            prog_name="wirelab",
            standalone_mode=False,
            obj={"command": tuple(words[cut + 1 :]), "cut": cut < len(words)},
        )
    except click.UsageError as error:
        error.show()
        status = WRONG_INPUT
    except (AuthorError, UsageError) as error:
        click.echo(str(error), err=True)
        status = WRONG_INPUT
    except WirelabError as error:
        click.echo(f"wirelab: {error}", err=True)
        status = BROKEN
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe (`| head`) has seen enough
        sys.stderr.close()
        status = 0
    sys.exit(status or 0)


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="wirelab")
def wirelab() -> None:
    """Play network scenarios against a real program and say what went wrong."""


_PATHS = click.argument("paths", nargs=-1, metavar="[PATH]...")


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
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write results here.")
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
    and the role's parameters may stand; no implementation file is needed then.
    """
    from harness import pipeline  # noqa: PLC0415 - `--help` need not load it

    if obj["cut"] and not obj["command"]:
        raise click.UsageError("a command line must follow `--`")
    request = pipeline.Request(
        paths=paths or (pipeline.DEFAULT_SCENARIOS,),
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
    import asyncio  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from harness import pipeline, report  # noqa: PLC0415

    display = _Display(programme, request, quiet=options["quiet"], verbose=options["verbose"])
    started = time.monotonic()
    interrupted = False
    with display:
        try:
            asyncio.run(
                pipeline.play_all(
                    programme.plans,
                    request,
                    on_start=display.started,
                    on_verdict=display.finished,
                )
            )
        except KeyboardInterrupt:
            interrupted = True
    seconds = time.monotonic() - started
    verdicts = display.in_order()
    if options["json_file"]:
        data = pipeline.results_of(verdicts, programme, request, seconds)
        pipeline.write_results(data, Path(options["json_file"]))
    told = report.summary(verdicts, seconds=seconds, network=programme.rung, seed=request.seed)
    display.say(told)
    if interrupted:
        display.say("interrupted; the results so far are those above")
        return INTERRUPTED
    return _status(verdicts)


def _status(verdicts: Sequence[Verdict]) -> int:
    from harness.model.verdict import Outcome  # noqa: PLC0415

    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.ERROR in outcomes:
        return BROKEN
    return FAILED if Outcome.FAILED in outcomes else 0


class _Display:
    """Tells verdicts as they come: live on a terminal, plain lines in a pipe."""

    def __init__(
        self, programme: Programme, request: Request, *, quiet: bool, verbose: bool
    ) -> None:
        from rich.console import Console  # noqa: PLC0415

        self._console = Console(highlight=False, markup=False, soft_wrap=True, emoji=False)
        self._programme = programme
        self._request = request
        self._quiet = quiet
        self._verbose = verbose
        self._verdicts: dict[str, Verdict] = {}
        self._playing: dict[str, None] = {}
        self._status: Any = None

    def __enter__(self) -> _Display:  # noqa: PYI034 - private
        if self._console.is_terminal:
            self._status = self._console.status("")
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
        self._console.print(text, style=style)

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
            story = report.failure_text(
                verdict,
                implementation=self._programme.implementation.name,
                again=pipeline.again(verdict.plan, self._request),
            )
            self._print_story(story, verdict)
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

    number, problems = pipeline.check(paths or (pipeline.DEFAULT_SCENARIOS,))
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

    scenarios, _ = pipeline.load(paths or (pipeline.DEFAULT_SCENARIOS,))
    chosen = [
        scenario
        for scenario in scenarios
        if (role is None or scenario.role == role) and (not tags or set(tags) & set(scenario.tags))
    ]
    width = max((len(scenario.id) for scenario in chosen), default=0)
    for scenario in chosen:
        cases = f"  [{', '.join(case.name for case in scenario.cases)}]" if scenario.cases else ""
        click.echo(f"{scenario.id:{width}}  {scenario.title}{cases}")
    return 0 if chosen else WRONG_INPUT


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

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
from harness.cli.interrupt import Interrupt, on_interrupt
from harness.errors import AuthorError, UsageError, WirelabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.cli.telling import Display
    from harness.model.scenario import Scenario
    from harness.model.verdict import Verdict
    from harness.pipeline import Programme, Request
    from harness.report import RunFacts

FAILED = 1
WRONG_INPUT = 2
BROKEN = 3
INTERRUPTED = 130

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its status (docs/command-line.md)."""
    before = on_interrupt(_interrupt_once)
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


DEFAULT_OUT = "run"

_FILES = [
    click.option(
        "--json", "json_file", metavar="FILE", help="Write results here; - is the output."
    ),
    click.option("--junit", metavar="FILE", help="Write JUnit's XML here, for Jenkins or GitLab."),
    click.option("-q", "--quiet", is_flag=True, help="Tell failures and the summary only."),
    click.option(
        "-v", "--verbose", is_flag=True, help="Tell remarks on scenarios that passed, too."
    ),
]


def _with_files(command: Any) -> Any:
    """The options of every command that tells verdicts."""
    for option in reversed(_FILES):
        command = option(command)
    return command


_PATHS = click.argument("paths", nargs=-1, metavar="[PATH]...")


def _asked(paths: tuple[str, ...]) -> tuple[str, ...]:
    from harness.pipeline import DEFAULT_SCENARIOS  # noqa: PLC0415 - `--help` need not load it

    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError("the current folder does not exist any more; go to another one") from None
    return paths or (DEFAULT_SCENARIOS,)


@wirelab.command(
    epilog="Example:  wirelab run scenarios/smtp-client -- python3 Mail.py {host} {port} {to}"
)
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
@click.option(
    "--out",
    default=DEFAULT_OUT,
    show_default=True,
    metavar="DIR",
    help="Where run folders are kept.",
)
@click.option("-x", "stop", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--bless", is_flag=True, help="Write what the program does into the scenario, as its exchange."
)
@_with_files
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
    if options["bless"] and (options["json_file"] or options["junit"]):
        raise click.UsageError("`--bless` writes scenarios and no results")
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
    if options["bless"]:
        return _bless(programme, request)
    return _play(programme, request, options)


def _bless(programme: Programme, request: Request) -> int:
    """Bless each scenario once, whatever its cases and pieces; 1 if one of them cannot be."""
    from harness import pipeline  # noqa: PLC0415
    from harness.author import NotBlessedError  # noqa: PLC0415

    status = 0
    for file, plan in {plan.scenario.file: plan for plan in programme.plans}.items():
        try:
            diff = pipeline.bless(plan, request)
        except NotBlessedError as error:
            _complain(str(error))
            status = FAILED
            continue
        click.echo(diff, nl=False)
        click.echo(f"blessed {file}" if diff else f"{file} says so already")
    return status


def _play(programme: Programme, request: Request, options: dict[str, Any]) -> int:
    from harness import pipeline, report  # noqa: PLC0415
    from harness.cli.telling import Display, Files  # noqa: PLC0415

    def story(verdict: Verdict) -> str:
        return pipeline.story(verdict, request)

    report.check_folder(options["out"])
    files = Files(options["json_file"], options["junit"])
    for note in programme.notes:
        _complain(note)
    with Interrupt() as interrupt:
        display = Display(
            programme.plans,
            files,
            story,
            quiet=options["quiet"],
            verbose=options["verbose"],
            on_trouble=interrupt.end,
        )
        started = time.monotonic()
        with display:
            _perform(programme, request, display, interrupt)
        seconds, verdicts = time.monotonic() - started, display.in_order()
        facts = pipeline.facts(programme, request, seconds)
        unwritten = files.write(verdicts, facts, story)
        display.say(_summary(verdicts, facts))
        if programme.suite:
            display.say(report.points_text(verdicts, programme.plans, programme.suite))
        if programme.fallback:
            display.say(report.fallback_text(programme.fallback))
        if interrupt.came:
            so_far = "the results so far are those above" if verdicts else "there are no results"
            display.say(f"interrupted; {so_far}")
        return _concluded(display, verdicts, unwritten, interrupted=interrupt.came)


def _summary(verdicts: Sequence[Verdict], facts: RunFacts) -> str:
    from harness import report  # noqa: PLC0415

    return report.summary(
        verdicts, seconds=facts.duration_s, network=facts.network, seed=facts.seed
    )


def _concluded(
    display: Display,
    verdicts: Sequence[Verdict],
    unwritten: Sequence[str],
    *,
    interrupted: bool = False,
) -> int:
    """What a command ends with that has told its verdicts."""
    troubles = [trouble for trouble in (*unwritten, display.trouble) if trouble]
    for trouble in troubles:
        _complain(f"wirelab: {trouble}")
    return _worst(
        _status(verdicts),
        BROKEN if troubles else 0,
        INTERRUPTED if interrupted or display.is_cut_off else 0,
    )


def _perform(
    programme: Programme, request: Request, display: Display, interrupt: Interrupt
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


def _status(verdicts: Sequence[Verdict]) -> int:
    from harness.model.verdict import Outcome  # noqa: PLC0415

    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.ERROR in outcomes:
        return BROKEN
    return FAILED if Outcome.FAILED in outcomes else 0


@wirelab.command(epilog="Example:  wirelab judge run/smtp-client")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@_with_files
def judge(runs: tuple[str, ...], **options: Any) -> int:
    """Judge recorded runs (default: run/) again, by the scenarios as they read now.

    Nothing is played, and nothing in the folders of the runs is changed.  Where a scenario was
    edited so that another play would have come of it, the run says that it must be played again.
    """
    from harness import pipeline, report  # noqa: PLC0415
    from harness.cli.telling import Display, Files  # noqa: PLC0415

    started = time.monotonic()
    files = Files(options["json_file"], options["junit"])
    judged = pipeline.judge_runs(runs or (DEFAULT_OUT,))
    display = Display(
        [verdict.plan for verdict in judged.verdicts],
        files,
        judged.story,
        quiet=options["quiet"],
        verbose=options["verbose"],
    )
    for verdict in judged.verdicts:
        display.finished(verdict)
    facts = judged.facts(time.monotonic() - started)
    unwritten = files.write(judged.verdicts, facts, judged.story)
    display.say(_summary(judged.verdicts, facts))
    if judged.suite:
        display.say(report.points_text(judged.verdicts, facts.plans, judged.suite))
    return _concluded(display, judged.verdicts, unwritten)


@wirelab.command(epilog="Example:  wirelab new smtp-client refused-sender")
@click.argument("role")
@click.argument("slug")
def new(role: str, slug: str) -> int:
    """Write a scenario to start from: scenarios/ROLE/SLUG.yaml.

    It can be played at once, and its comments tell how to go on.  `wirelab roles` lists the roles.
    """
    from harness import pipeline  # noqa: PLC0415

    file = pipeline.begin(role, slug)
    click.echo(f"wrote {file}; its comments tell how it is played")
    return 0


@wirelab.command(epilog="Example:  wirelab check scenarios wirelab.yaml")
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


@wirelab.command("list", epilog="Example:  wirelab list --role smtp-client")
@_PATHS
@click.option("--role", help="Only scenarios of this role.")
@click.option("--tag", "tags", multiple=True, help="Only scenarios with this tag.")
def list_scenarios(paths: tuple[str, ...], role: str | None, tags: tuple[str, ...]) -> int:
    """List the scenarios: id, title, cases and what else is told of them."""
    from harness import pipeline  # noqa: PLC0415

    chosen, problems = pipeline.listing(_asked(paths), role=role, tags=tags)
    for problem in problems:
        click.echo(str(problem), err=True)
    width = max((len(scenario.id) for scenario in chosen), default=0)
    weighed = any(scenario.points != 1 for scenario in chosen)
    for scenario in chosen:
        names = ([case.name for case in scenario.cases], scenario.pieces)
        told = "".join(f"  [{', '.join(some)}]" for some in names if some)
        click.echo(
            f"{scenario.id:{width}}  {scenario.title}{told}{_further(scenario, weighed=weighed)}"
        )
    return 0 if chosen and not problems else WRONG_INPUT


def _further(scenario: Scenario, *, weighed: bool) -> str:
    """Tags, points and what it comes after, where there is something to tell."""
    known = {
        "tags": ", ".join(scenario.tags),
        "points": f"{scenario.points:g}" if weighed else "",
        "after": ", ".join(scenario.after),
    }
    told = "; ".join(f"{word}: {what}" for word, what in known.items() if what)
    return f"  ({told})" if told else ""


@wirelab.command(epilog="Example:  wirelab schema > scenarios/scenario.schema.json")
@click.option(
    "--implementation", "of", flag_value="implementation", help="Of wirelab.yaml instead."
)
@click.option("--roles", "of", flag_value="roles", help="Of roles.yaml instead.")
@click.option("--shared", "of", flag_value="shared", help="Of files that scenarios include.")
@click.option("--suite", "of", flag_value="suite", help="Of suites.")
def schema(of: str | None) -> int:
    """Print the JSON Schema of scenario files, for editors that complete and explain keys."""
    from harness.load import schema_text  # noqa: PLC0415

    click.echo(schema_text(of or "scenario"), nl=False)
    return 0


@wirelab.command(epilog="Example:  wirelab doctor")
def doctor() -> int:
    """Try what this machine offers, step by step, and tell how to mend what does not work."""
    from harness import doctor as examining  # noqa: PLC0415

    verdict = examining.tell(examining.examine(), click.echo)
    return BROKEN if verdict is examining.Verdict.NOTHING else 0


@wirelab.command(epilog="Example:  wirelab roles smtp-client web-server")
@click.argument("names", nargs=-1, metavar="[ROLE]...")
def roles(names: tuple[str, ...]) -> int:
    """List the roles, with their endpoints, parameters and features.

    Those of scenarios/roles.yaml are among them.
    """
    from harness.load import load_roles  # noqa: PLC0415

    known = load_roles(Path("scenarios"))
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

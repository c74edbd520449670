"""The command line: what it prints, what it writes, and its exit codes (docs/command-line.md)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from harness import __version__
from harness.cli import main
from harness.cli import wirelab as commands
from harness.model.needs import CAPTURE
from harness.network import rung_of

from tests.course import SCENARIO, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable

    Wirelab = Callable[..., tuple[int, str, str]]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def wirelab(capsys: pytest.CaptureFixture[str]) -> Wirelab:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def started(
    *words: str, stdout: Any = subprocess.PIPE, stderr: Any = subprocess.PIPE, env: Any = None
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: what matters is how that ends."""
    command = [sys.executable, "-m", "harness", *words]
    return subprocess.run(command, stdout=stdout, stderr=stderr, text=True, env=env, check=False)


class TestRun:
    def test_a_right_program_passes(self, course: Path, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run")
        assert status == 0
        first, last = out.splitlines()
        assert first.startswith("PASSED    echo-client/upper  ")
        assert last.startswith("1 passed in ")
        assert last.endswith(f" s (network: {rung_of('auto').rung})")

    def test_a_wrong_program_fails_with_its_story(self, course: Path, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-i", "students")
        assert status == 1
        assert "FAILED echo-client/upper   Group 7" in out
        assert "✗" in out
        assert "the line is sent as it was typed" in out
        assert "again wirelab run scenarios/echo-client/upper.yaml -i students" in out
        assert "1 failed in " in out

    def test_quiet_tells_failures_and_the_summary_only(
        self, course: Path, wirelab: Wirelab
    ) -> None:
        _, out, _ = wirelab("run", "-q")
        assert len(out.splitlines()) == 1

    def test_against_a_command_line(self, course: Path, wirelab: Wirelab) -> None:
        words = (sys.executable, "reference/client.py", "{host}", "{port}")
        assert wirelab("run", "scenarios/echo-client/upper.yaml", "--", *words)[0] == 0
        assert wirelab("run", "scenarios", "--", *words, "--wrong")[0] == 1

    def test_a_command_line_needs_words(self, course: Path, wirelab: Wirelab) -> None:
        status, _, err = wirelab("run", "--")
        assert status == 2
        assert "a command line must follow" in err

    def test_results_are_written(self, course: Path, wirelab: Wirelab) -> None:
        status, _, _ = wirelab("run", "-i", "students", "--json", "out/results.json", "--seed", "7")
        data = json.loads((course / "out" / "results.json").read_text(encoding="utf-8"))
        assert status == 1
        assert data["wirelab"] == __version__
        assert data["seed"] == 7
        assert data["implementation"] == {"name": "Group 7", "path": "students"}
        assert data["summary"] == {
            "passed": 0,
            "failed": 1,
            "expected": 0,
            "skipped": 0,
            "unchecked": 0,
            "error": 0,
        }
        finding = data["scenarios"][0]["findings"][0]
        assert (finding["actor"], finding["line"]) == ("server", 10)
        assert (finding["expected"], finding["observed"]) == ("hello", "goodbye")

    def test_junit_is_written(self, course: Path, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-i", "students", "--junit", "out/junit.xml")
        [case] = ET.parse("out/junit.xml").getroot().iter("testcase")
        assert (status, case.get("classname"), case.get("name")) == (1, "echo-client", "upper")
        story = str(case.findtext("failure")).strip()
        assert story.startswith("FAILED echo-client/upper   Group 7\n")
        assert story in out
        assert Path(str(case.findtext("system-out"))).is_file()

    def test_only_one_file_goes_to_standard_output(self, course: Path, wirelab: Wirelab) -> None:
        _, out, _ = wirelab("run", "--junit", "-")
        assert ET.fromstring(out).get("tests") == "1"
        status, out, err = wirelab("run", "--junit", "-", "--json", "-")
        assert (status, out) == (2, "")
        assert err.startswith("standard output takes one of --json and --junit")

    def test_a_run_folder_is_kept(self, course: Path, wirelab: Wirelab) -> None:
        wirelab("run", "--out", "kept")
        folder = course / "kept" / "echo-client" / "upper"
        assert {file.name for file in folder.iterdir()} == {
            "record.jsonl",
            "run.json",
            "transcript.txt",
            "verdict.txt",
            *(["capture.pcapng"] if CAPTURE in rung_of("auto").offers else []),
        }
        assert "server< hello" in (folder / "transcript.txt").read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        "words",
        [["-k", "nothing"], ["--role", "smtp-client"], ["--tag", "nothing"]],
        ids=["keyword", "role", "tag"],
    )
    def test_nothing_to_play_is_an_error(
        self, words: list[str], course: Path, wirelab: Wirelab
    ) -> None:
        status, _, err = wirelab("run", *words)
        assert status == 2
        assert "nothing was played" in err

    @pytest.mark.parametrize(
        "words",
        [["-k", "upper and not lower"], ["--role", "echo-client"], ["--tag", "first"]],
        ids=["keyword", "role", "tag"],
    )
    def test_scenarios_can_be_chosen(
        self, words: list[str], course: Path, wirelab: Wirelab
    ) -> None:
        assert wirelab("run", *words)[0] == 0

    def test_a_network_that_cannot_be_had_is_the_machines_fault(
        self, course: Path, wirelab: Wirelab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "harness.network._trouble", lambda: "the private network cannot be had: why"
        )
        status, _, err = wirelab("run", "--network", "private")
        assert status == 3
        assert "private network" in err

    @pytest.mark.parametrize("times", [1, 2])
    def test_an_interrupt_is_told_and_keeps_the_results(self, times: int, course: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as herald:
            herald.settimeout(30)
            (course / "reference" / "client.py").write_text(
                "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                f"import socket\nheard = socket.create_connection({herald.getsockname()})\n"
                "while True: input()\n",
                encoding="utf-8",
            )
            command = [sys.executable, "-m", "harness", "run", "--json", "results.json"]
            command += ["--junit", "junit.xml"]
            command += ["--network", "loopback"]  # where the program can reach us
            pipe = subprocess.PIPE
            with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
                program, _ = herald.accept()  # it runs
                for _ in range(times):
                    process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
            with program:
                assert program.recv(1) == b""  # and now it does not any more
        assert (process.returncode, err) == (130, "")
        assert "interrupted; there are no results" in out
        assert json.loads(Path("results.json").read_text(encoding="utf-8"))["scenarios"] == []
        assert ET.parse("junit.xml").getroot().get("tests") == "0"


class TestWrongInput:
    def test_every_problem_of_every_file_is_told(self, course: Path, wirelab: Wirelab) -> None:
        path = course / "scenarios" / "echo-client" / "upper.yaml"
        text = path.read_text(encoding="utf-8").replace("title:", "titel:").replace("tcp", "tpc")
        path.write_text(text, encoding="utf-8")
        for command in ("check", "run", "list"):
            status, out, err = wirelab(command)
            assert status == 2
            told = out + err
            assert "scenarios/echo-client/upper.yaml:1:1: " in told
            assert "did you mean `title`?" in told
            assert "did you mean `tcp`?" in told
            assert "Traceback" not in told

    def test_check_says_that_all_is_well(self, course: Path, wirelab: Wirelab) -> None:
        assert wirelab("check", "scenarios", "reference") == (0, "2 files: no problem\n", "")

    @pytest.mark.parametrize("words", [["run", "nowhere"], ["run", "-i", "nowhere"]])
    def test_a_path_that_does_not_exist(
        self, words: list[str], course: Path, wirelab: Wirelab
    ) -> None:
        status, _, err = wirelab(*words)
        assert status == 2
        assert err.startswith("nowhere:1:1: there is no such ")

    def test_an_unknown_command(self, wirelab: Wirelab) -> None:
        status, _, err = wirelab("runn")
        assert status == 2
        assert "No such command 'runn'" in err


class TestListing:
    def test_a_wrong_file_does_not_hide_the_others(self, course: Path, wirelab: Wirelab) -> None:
        (course / "scenarios" / "echo-client" / "bad.yaml").write_text("titel: x\n", "utf-8")
        status, out, err = wirelab("list")
        assert status == 2
        assert out.startswith("echo-client/upper  ")
        assert "scenarios/echo-client/bad.yaml:1:1: " in err

    def test_list_tells_id_and_title(self, course: Path, wirelab: Wirelab) -> None:
        title = "The client sends what its user types and shows the answer"
        assert wirelab("list") == (0, f"echo-client/upper  {title}  (tags: first)\n", "")

    def test_roles_tell_endpoints_and_parameters(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("roles", "smtp-client")
        assert status == 0
        assert out.startswith("smtp-client: ")
        assert "    dials    server (smtp)\n" in out

    def test_all_roles(self, wirelab: Wirelab) -> None:
        _, out, _ = wirelab("roles")
        names = {line.partition(":")[0] for line in out.splitlines() if not line.startswith(" ")}
        assert {"webmail-proxy", "smtp-client", "udp-ping-client", "port-scanner"} <= names

    def test_an_unknown_role(self, wirelab: Wirelab) -> None:
        assert wirelab("roles", "nobody")[0] == 2


class TestResultsFile:
    def test_standard_output_is_for_the_results_alone(self, course: Path, wirelab: Wirelab) -> None:
        for name in ("-", "/dev/stdout"):
            status, out, err = wirelab("run", "--json", name)
            assert status == 0
            assert json.loads(out)["summary"]["passed"] == 1
            assert err.startswith("PASSED    echo-client/upper  ")
            assert "1 passed in " in err

    def test_a_pipe_is_written_and_stays_one(self, course: Path, wirelab: Wirelab) -> None:
        os.mkfifo("results")
        reader = os.open("results", os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(reader, encoding="utf-8") as pipe:
            assert wirelab("run", "--json", "results")[0] == 0
            assert json.load(pipe)["summary"]["passed"] == 1
        assert Path("results").is_fifo()

    def test_what_a_link_leads_to_is_written(self, course: Path, wirelab: Wirelab) -> None:
        Path("real").write_text("what was there before " * 1000, encoding="utf-8")
        Path("results").symlink_to("real")
        wirelab("run", "--json", "results")
        assert Path("results").is_symlink()
        assert json.loads(Path("real").read_text(encoding="utf-8"))["summary"]["passed"] == 1

    def test_the_verdict_is_told_though_the_disk_is_full(
        self, course: Path, wirelab: Wirelab
    ) -> None:
        Path("results").symlink_to("/dev/full")
        status, out, err = wirelab("run", "--json", "results")
        assert status == 3
        assert "1 passed in " in out
        assert err == "wirelab: results: the results cannot be written (No space left on device)\n"

    @pytest.mark.parametrize("name", ["scenarios", "reference/client.py/results.json"])
    def test_what_cannot_be_written_is_told_before_anything_is_played(
        self, name: str, course: Path, wirelab: Wirelab
    ) -> None:
        status, out, err = wirelab("run", "--json", name)
        assert (status, out) == (3, "")
        assert err.startswith(f"wirelab: {name}: the results cannot be written (")
        assert len(err.splitlines()) == 1

    def test_nothing_is_left_beside_it(self, course: Path, wirelab: Wirelab) -> None:
        wirelab("run", "--json", "out/results.json")
        assert list(Path("out").iterdir()) == [Path("out/results.json")]


class TestRunFolder:
    def test_what_cannot_be_written_is_told_before_anything_is_played(
        self, course: Path, wirelab: Wirelab
    ) -> None:
        status, out, err = wirelab("run", "--out", "reference/client.py")
        assert (status, out) == (3, "")
        told = "wirelab: reference/client.py: cannot be written (File exists); give --out DIR\n"
        assert err == told

    def test_a_full_disk_does_not_lose_the_verdict(self, course: Path, wirelab: Wirelab) -> None:
        folder = course / "run" / "echo-client" / "upper"
        folder.mkdir(parents=True)
        (folder / "record.jsonl").symlink_to("/dev/full")
        for implementation, expected in (("reference", 0), ("students", 1)):
            status, out, _ = wirelab("run", "-i", implementation)
            assert status == expected
            where = "run/echo-client/upper cannot be written: No space left on device"
            assert where in out
            assert "  see   " not in out


class TestOutput:
    """Whatever the output is and whoever reads it: one line at most, and never a traceback."""

    def test_a_reader_that_has_seen_enough_is_no_error(self, course: Path) -> None:
        for command in (["roles"], ["run", "--help"], ["run"]):
            reading, writing = os.pipe()
            os.close(reading)
            done = started(*command, stdout=writing)
            os.close(writing)
            assert (done.returncode, done.stderr) == (0, ""), command

    def test_it_ends_the_plays_that_are_under_way(self, course: Path) -> None:
        slow = SCENARIO.replace("server< hello", "server! wait 25s\n  server< hello")
        (course / "scenarios" / "echo-client" / "slow.yaml").write_text(slow, encoding="utf-8")
        reading, writing = os.pipe()
        os.close(reading)
        done = started("run", "--json", "results.json", stdout=writing)
        os.close(writing)
        assert (done.returncode, done.stderr) == (130, "")
        results = json.loads(Path("results.json").read_text(encoding="utf-8"))
        assert [each["id"] for each in results["scenarios"]] == ["echo-client/upper"]

    def test_a_full_disk_ends_them_too(self, course: Path) -> None:
        slow = SCENARIO.replace("server< hello", "server! wait 25s\n  server< hello")
        (course / "scenarios" / "echo-client" / "slow.yaml").write_text(slow, encoding="utf-8")
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            done = started("run", stdout=full)
        told = "wirelab: the output cannot be written: No space left on device\n"
        assert (done.returncode, done.stderr) == (3, told)

    def test_a_failure_stays_one(self, course: Path) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        done = started("run", "-i", "students", stdout=writing)
        os.close(writing)
        assert (done.returncode, done.stderr) == (1, "")

    def test_a_full_disk_is_told_in_one_line(self, course: Path) -> None:
        for command in (["roles"], ["run", "--help"], ["run"]):
            with Path("/dev/full").open("w", encoding="utf-8") as full:
                done = started(*command, stdout=full)
            told = "wirelab: the output cannot be written: No space left on device\n"
            assert (done.returncode, done.stderr) == (3, told), command

    def test_nobody_can_be_told(self, course: Path) -> None:
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            assert started("run", "nowhere", stdout=full, stderr=full).returncode == 2
            assert started("list", stdout=full, stderr=full).returncode == 3

    @pytest.mark.parametrize(
        "locale",
        [
            {"PYTHONIOENCODING": "ascii"},
            # an empty one counts as none; whoever runs the tests may have set it
            {
                "LC_ALL": "POSIX",
                "PYTHONUTF8": "0",
                "PYTHONCOERCECLOCALE": "0",
                "PYTHONIOENCODING": "",
            },
        ],
        ids=["output", "locale"],
    )
    def test_no_character_is_too_much_for_it(self, locale: dict[str, str], course: Path) -> None:
        path = course / "scenarios" / "echo-client" / "upper.yaml"
        text = SCENARIO.replace("cast:", "cases: [{word: 你好}]\ncast:")
        path.write_text(text.replace("user> hello", "user> ${word}"), encoding="utf-8")
        done = started("run", "-i", "students", env={**os.environ, **locale})
        assert (done.returncode, done.stderr) == (1, "")
        assert "\n   \\u2717 " in done.stdout
        assert "again wirelab run 'scenarios/echo-client/upper.yaml[\\u4f60\\u597d]'" in done.stdout

    def test_a_program_is_told_every_character(self, course: Path) -> None:
        path = course / "scenarios" / "echo-client" / "upper.yaml"
        path.write_text(SCENARIO.replace("cast:", "program: {mode: 你好}\ncast:"), "utf-8")
        locale = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        words = ["run", "scenarios", "--", "{python}", "reference/client.py", "{host}", "{port}"]
        done = started(*words, "{mode}", env={**os.environ, **locale})
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_closed_output_is_none(self, course: Path) -> None:
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m harness run >&-"], capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")

    def test_a_fault_of_ours_is_one_line(
        self, course: Path, wirelab: Wirelab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("harness.pipeline.check", lambda _: 1 // 0)
        status, _, err = wirelab("check")
        assert status == 3
        assert err.startswith("wirelab: Wirelab itself failed: test_cli.py:")
        assert len(err.splitlines()) == 1


class TestWhatIsMeant:
    """What is played is what was asked for, and a slip is told with its remedy."""

    @pytest.fixture
    def cases(self, course: Path) -> Path:
        path = course / "scenarios" / "echo-client" / "upper.yaml"
        text = SCENARIO.replace("cast:", "cases: [{word: hello}, {word: a@b c}]\ncast:")
        text = text.replace("user> hello", "user> ${word}").replace("server< hello", "server< *")
        path.write_text(text, encoding="utf-8")
        return path

    def test_one_case(self, cases: Path, wirelab: Wirelab) -> None:
        one = "scenarios/echo-client/upper.yaml[a@b c]"
        status, out, _ = wirelab("run", one)
        assert status == 0
        assert [line.split("  ")[0] for line in out.splitlines()[:-1]] == ["PASSED"]
        assert "echo-client/upper[a@b c]" in out
        assert "2 passed" in wirelab("run", one, "scenarios")[1]

    def test_an_unknown_case(self, cases: Path, wirelab: Wirelab) -> None:
        status, _, err = wirelab("run", "scenarios/echo-client/upper.yaml[helo]")
        assert status == 2
        assert err == "scenarios/echo-client/upper.yaml has no case `helo`; did you mean `hello`?\n"

    def test_a_real_file_of_that_name_wins(self, cases: Path, wirelab: Wirelab) -> None:
        cases.rename(cases.with_name("upper.yaml[hello]"))
        assert "2 passed" in wirelab("run", "scenarios/echo-client/upper.yaml[hello]")[1]

    def test_again_plays_exactly_this(self, cases: Path, wirelab: Wirelab) -> None:
        cases.write_text(cases.read_text(encoding="utf-8").replace("HELLO*", "BYE*"), "utf-8")
        more = ["-i", "students", "--network", "loopback"]
        _, out, _ = wirelab("run", "scenarios/echo-client/upper.yaml[a@b c]", *more)
        (again,) = (line for line in out.splitlines() if line.startswith("  again "))
        words = shlex.split(again)[2:]
        assert words == ["run", "scenarios/echo-client/upper.yaml[a@b c]", *more]
        assert "1 failed" in wirelab(*words)[1]

    def test_the_same_scenario_is_played_once(self, course: Path, wirelab: Wirelab) -> None:
        file = "scenarios/echo-client/upper.yaml"
        assert "1 passed" in wirelab("run", file, str(course / file), file, "scenarios")[1]

    def test_a_forgotten_separator(self, course: Path, wirelab: Wirelab) -> None:
        words = ["scenarios", "python3", "reference/client.py", "{host}", "{port}"]
        status, _, err = wirelab("run", *words)
        assert status == 2
        assert err == (
            "there is no file or folder `python3`; a command line stands behind `--`: "
            "wirelab run scenarios -- python3 reference/client.py '{host}' '{port}'\n"
        )

    def test_a_forgotten_separator_before_options(self, course: Path, wirelab: Wirelab) -> None:
        status, _, err = wirelab("run", "scenarios", "python3", "-u", "client.py", "{host}")
        assert status == 2
        assert err.endswith("\nA command line stands behind `--`.\n")

    def test_nobody_said_whose_programs(self, course: Path, wirelab: Wirelab) -> None:
        (course / "reference").rename(course / "elsewhere")
        status, _, err = wirelab("run")
        assert status == 2
        told = "say whose programs are to be played: -i FILE|DIR, or `-- COMMAND...`\n"
        assert err == told

    def test_a_program_that_is_told_no_address(self, course: Path, wirelab: Wirelab) -> None:
        words = ("run", "--network", "loopback", "scenarios", "--", "true")
        note = (
            "note: the command line of the echo-client holds neither {host} nor {port}: "
            "the program cannot know where its peers are\n"
        )
        assert wirelab(*words)[2] == note
        assert wirelab(*words, "{server.port}")[2] == ""

    def test_an_expression_that_is_none(self, course: Path, wirelab: Wirelab) -> None:
        status, _, err = wirelab("run", "-k", "(")
        assert status == 2
        assert err.startswith("-k '(': expected ")
        assert len(err.splitlines()) == 1
        assert wirelab("run", "-k", "[x]")[0] == 2

    @pytest.mark.parametrize("command", ["run", "list", "check"])
    def test_the_current_folder_is_gone(
        self, command: str, course: Path, wirelab: Wirelab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (course / "gone").mkdir()
        monkeypatch.chdir(course / "gone")
        (course / "gone").rmdir()
        told = "the current folder does not exist any more; go to another one\n"
        assert wirelab(command) == (2, "", told)


@pytest.mark.parametrize("command", sorted(commands.commands))
def test_every_command_is_shown_by_an_example(command: str, wirelab: Wirelab) -> None:
    """Its options are such as it has."""
    status, out, _ = wirelab(command, "--help")
    example = out.partition("Example:  ")[2]
    words = shlex.split(example)
    assert (status, words[:2]) == (0, ["wirelab", command])
    assert [
        word for word in words if word.startswith("--") and word not in out[: -len(example)]
    ] == []


def test_the_roles_of_a_course_are_listed(course: Path, wirelab: Wirelab) -> None:
    (course / "scenarios" / "roles.yaml").write_text(
        "roles: {clock: {about: Tells the time., endpoints: {}}}\n", encoding="utf-8"
    )
    assert wirelab("roles", "clock") == (0, "clock: Tells the time.\n", "")
    assert "clock: Tells the time.\n" in wirelab("roles")[1]


def test_help_imports_nothing_heavy() -> None:
    """`--help` is instant: what a command does not need is not imported."""
    script = (
        "import sys, harness.cli\n"
        "try: harness.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'asyncio', 'pydantic', 'yaml', 'aiosmtpd', 'trustme', 'pytest', 'rich', 'h11'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Play network scenarios" in done.stdout

"""The command line: what it prints, what it writes, and its exit codes (docs/command-line.md)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import __version__
from harness.cli import main
from harness.network import rung_of

from tests.course import lay_out

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
            "skipped": 0,
            "unchecked": 0,
            "error": 0,
        }
        finding = data["scenarios"][0]["findings"][0]
        assert (finding["actor"], finding["line"]) == ("server", 10)
        assert (finding["expected"], finding["observed"]) == ("hello", "goodbye")

    def test_a_run_folder_is_kept(self, course: Path, wirelab: Wirelab) -> None:
        wirelab("run", "--out", "kept")
        folder = course / "kept" / "echo-client" / "upper"
        assert {file.name for file in folder.iterdir()} == {
            "record.jsonl",
            "transcript.txt",
            "verdict.txt",
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

    def test_an_interrupt_is_told_and_keeps_the_results(self, course: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as herald:
            herald.settimeout(30)
            (course / "reference" / "client.py").write_text(
                f"import socket\nheard = socket.create_connection({herald.getsockname()})\n"
                "while True: input()\n",
                encoding="utf-8",
            )
            command = [sys.executable, "-m", "harness", "run", "--json", "results.json"]
            command += ["--network", "loopback"]  # where the program can reach us
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                program, _ = herald.accept()  # it runs
                process.send_signal(signal.SIGINT)
                out, _ = process.communicate(timeout=30)
            with program:
                assert program.recv(1) == b""  # and now it does not any more
        assert process.returncode == 130
        assert "interrupted" in out
        assert json.loads(Path("results.json").read_text(encoding="utf-8"))["scenarios"] == []


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
    def test_list_tells_id_and_title(self, course: Path, wirelab: Wirelab) -> None:
        assert wirelab("list") == (
            0,
            "echo-client/upper  The client sends what its user types and shows the answer\n",
            "",
        )

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

"""The pytest plugin, as a course uses it: in a project of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from tests.course import SCENARIO, lay_out

pytest_plugins = ["pytester"]


@pytest.fixture
def course(pytester: pytest.Pytester) -> pytest.Pytester:
    lay_out(pytester.path)
    pytester.makeini("[pytest]\naddopts = --strict-markers\n")
    return pytester


def test_each_scenario_is_an_item(course: pytest.Pytester) -> None:
    result = course.runpytest_subprocess("scenarios", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["scenarios/echo-client/upper.yaml::echo-client/upper"])


def test_a_right_program_passes(course: pytest.Pytester) -> None:
    course.runpytest_subprocess("scenarios").assert_outcomes(passed=1)


def test_a_wrong_program_fails_with_its_story_and_nothing_else(course: pytest.Pytester) -> None:
    result = course.runpytest_subprocess("scenarios", "--implementation", "students")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "FAILED echo-client/upper   Group 7",
            "*✗*goodbye*",
            "*why*the line is sent as it was typed",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_tags_are_markers(course: pytest.Pytester) -> None:
    course.runpytest_subprocess("scenarios", "-m", "first").assert_outcomes(passed=1)
    course.runpytest_subprocess("scenarios", "-m", "not first").assert_outcomes(deselected=1)


def test_cases_have_ids(course: pytest.Pytester) -> None:
    path = course.path / "scenarios" / "echo-client" / "upper.yaml"
    text = path.read_text(encoding="utf-8").replace(
        "cast:", "cases: [{word: hello}, {word: 你好}]\ncast:"
    )
    path.write_text(text.replace("user> hello", "user> ${word}"), encoding="utf-8")
    result = course.runpytest_subprocess("scenarios", "--collect-only", "-q")
    result.stdout.fnmatch_lines(
        ["*::echo-client/upper[[]hello[]]", "*::echo-client/upper[[]你好[]]"]
    )


def test_a_wrong_file_is_told_and_is_no_traceback(course: pytest.Pytester) -> None:
    path = course.path / "scenarios" / "echo-client" / "wrong.yaml"
    path.write_text("titel: x\n", encoding="utf-8")
    result = course.runpytest_subprocess("scenarios")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*wrong.yaml:1:1: *did you mean `title`*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_other_yaml_is_not_collected(course: pytest.Pytester) -> None:
    (course.path / "other").mkdir()
    (course.path / "other" / "some.yaml").write_text("a: b\n", encoding="utf-8")
    (course.path / "scenarios" / "roles.yaml").write_text("roles: {}\n", encoding="utf-8")
    course.runpytest_subprocess().assert_outcomes(passed=1)


def test_scenarios_may_lie_elsewhere(course: pytest.Pytester) -> None:
    (course.path / "scenarios").rename(course.path / "labs")
    course.makeini("[pytest]\nwirelab_scenarios = labs\n")
    course.runpytest_subprocess("labs").assert_outcomes(passed=1)


def test_a_skip_has_its_reason(course: pytest.Pytester) -> None:
    (course.path / "reference" / "wirelab.yaml").write_text(
        "name: Ours\nprograms: {udp-ping-client: {run: [x]}}\n", encoding="utf-8"
    )
    result = course.runpytest_subprocess("scenarios", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*Ours has no program for the role echo-client*"])


def test_summaries_begin_with_what_is_wrong(course: pytest.Pytester) -> None:
    arguments = ("scenarios", "--implementation=students", "--junitxml=out.xml", "-rf")
    result = course.runpytest_subprocess(*arguments)
    first = "The program sent `goodbye` to server where `hello` was expected."
    result.stdout.fnmatch_lines(["FAILED scenarios/*::echo-client/upper - The program*"])
    failure = ET.parse(course.path / "out.xml").find(".//failure")
    assert failure is not None
    assert failure.get("message") == first


def test_a_report_that_cannot_show_every_character_keeps_its_lines(
    course: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = course.runpytest_subprocess("scenarios", "--implementation", "students")
    result.stdout.fnmatch_lines(["FAILED echo-client/upper   Group 7", "*\\u2717*goodbye*"])


def test_run_folders_are_kept_where_they_are_wanted(course: pytest.Pytester) -> None:
    course.runpytest_subprocess("scenarios", "--wirelab-out", "kept").assert_outcomes(passed=1)
    assert (course.path / "kept" / "echo-client" / "upper" / "record.jsonl").is_file()
    assert not (course.path / "run").exists()


def test_a_run_folder_that_cannot_be_written_is_no_failed_test(course: pytest.Pytester) -> None:
    result = course.runpytest_subprocess("scenarios", "--wirelab-out", "reference/client.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = "ERROR: reference/client.py: cannot be written (File exists); give --wirelab-out DIR"
    result.stderr.fnmatch_lines([told])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_nobody_said_whose_programs(course: pytest.Pytester) -> None:
    (course.path / "reference").rename(course.path / "elsewhere")
    more = course.path / "scenarios" / "echo-client" / "more.yaml"
    more.write_text(SCENARIO, encoding="utf-8")
    result = course.runpytest_subprocess("scenarios")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = "ERROR: say whose programs are to be played: --implementation FILE|DIR"
    assert result.stderr.lines.count(told) == 1
    result.assert_outcomes()


def test_a_wrong_implementation_is_told_once(course: pytest.Pytester) -> None:
    (course.path / "reference" / "wirelab.yaml").write_text("name: x\n", encoding="utf-8")
    result = course.runpytest_subprocess("scenarios")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: reference/wirelab.yaml:1:1: *"])


def test_an_interrupt_says_what_was_played(course: pytest.Pytester) -> None:
    with socket.create_server(("127.0.0.1", 0)) as herald:
        herald.settimeout(30)
        (course.path / "reference" / "client.py").write_text(
            f"import socket\nheard = socket.create_connection({herald.getsockname()})\n"
            "while True: input()\n",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "pytest", "scenarios", "--network", "loopback"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            program, _ = herald.accept()  # it runs
            for _ in range(2):
                process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        with program:
            assert program.recv(1) == b""  # and now it does not any more
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "Exit: interrupted while echo-client/upper was played" in out
    assert "threading.py" not in out


def test_junit_has_the_story(course: pytest.Pytester) -> None:
    course.runpytest_subprocess("scenarios", "--implementation=students", "--junitxml=out.xml")
    failure = ET.parse(course.path / "out.xml").find(".//failure")
    assert failure is not None
    assert "goodbye" in (failure.text or "")


def test_loading_it_twice_fails(course: pytest.Pytester) -> None:
    result = course.runpytest_subprocess("-p", "harness.pytest_plugin")
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*Plugin already registered under a different name*"])

"""The pytest plugin, as a course uses it: in a project of its own."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.course import lay_out

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


def test_junit_has_the_story(course: pytest.Pytester) -> None:
    course.runpytest_subprocess("scenarios", "--implementation=students", "--junitxml=out.xml")
    failure = ET.parse(course.path / "out.xml").find(".//failure")
    assert failure is not None
    assert "goodbye" in (failure.text or "")


def test_loading_it_twice_fails(course: pytest.Pytester) -> None:
    result = course.runpytest_subprocess("-p", "harness.pytest_plugin")
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*Plugin already registered under a different name*"])

"""What stands above single scenarios, as a course uses it: played, and told on the screen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from harness.cli import main

from tests.course import SCENARIO, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Wirelab = Callable[..., tuple[int, str, str]]

pytest_plugins = ["pytester"]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A right program as `reference/`, one that always says `goodbye` as `students/`."""
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


def write(course: Path, name: str, text: str) -> None:
    """Write a file of the course."""
    path = course / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class TestValues:
    @pytest.fixture(autouse=True)
    def _scenario(self, course: Path) -> None:
        text = SCENARIO.replace("cast:", 'values: {word: hello, place: "here.test:12000"}\ncast:')
        text = text.replace("at: 12000", 'at: "${place}"').replace("hello\n", "${word}\n", 1)
        write(course, "scenarios/echo-client/upper.yaml", text.replace("< hello", "< ${word}"))

    def test_they_stand_where_they_are_named(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run")
        assert status == 0, out

    def test_a_program_that_is_wrong_is_blamed_with_the_value(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-i", "students")
        assert status == 1
        assert "server< hello" in out


class TestInclude:
    @pytest.fixture(autouse=True)
    def _scenario(self, course: Path) -> None:
        cast = "cast:\n  server: {kind: tcp, at: 12000, eol: lf}\n  user: {kind: terminal}\n"
        assert cast in SCENARIO
        text = SCENARIO.replace(cast, "include: _echo.yaml\ncast: {server: {eol: lf}}\n")
        write(course, "scenarios/echo-client/upper.yaml", text)
        write(course, "scenarios/_echo.yaml", cast.replace(", eol: lf", ", eol: crlf"))

    def test_a_shared_cast_is_played(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run")
        assert status == 0, out
        assert len(out.splitlines()) == 2  # the shared file is no scenario

    def test_a_wrong_program_is_caught_by_it(self, wirelab: Wirelab) -> None:
        assert wirelab("run", "-i", "students")[0] == 1

    def test_a_mistake_in_it_is_told_once(self, course: Path, wirelab: Wirelab) -> None:
        write(
            course,
            "scenarios/_echo.yaml",
            "cast:\n  server: {kind: tcp, at: 120000}\n  user: {kind: terminal}\n",
        )
        for name in ("more", "most"):
            text = (course / "scenarios/echo-client/upper.yaml").read_text(encoding="utf-8")
            write(course, f"scenarios/echo-client/{name}.yaml", text)
        status, out, _ = wirelab("check")
        assert status == 2
        assert out == (
            "scenarios/_echo.yaml:2:27: `120000` is no port; ports are 1 to 65535 "
            "(included by scenarios/echo-client/more.yaml and 2 others)\n"
            "1 problem in 3 files\n"
        )

    def test_it_cannot_be_played_itself(self, wirelab: Wirelab) -> None:
        status, _, err = wirelab("run", "scenarios/_echo.yaml")
        assert status == 2
        assert err == (
            "scenarios/_echo.yaml:1:1: the name begins with `_`, so this file is no scenario; "
            "scenarios include it\n"
        )


class TestExpectedFailures:
    @pytest.fixture(autouse=True)
    def _expected(self, course: Path) -> None:
        for folder in ("reference", "students"):
            with (course / folder / "wirelab.yaml").open("a", encoding="utf-8") as file:
                file.write("expected failures:\n  echo-client/upper: says goodbye\n")

    def test_what_fails_as_expected_fails_nothing(self, course: Path, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-i", "students", "--json", "results.json")
        assert status == 0
        first, last = out.splitlines()
        assert first == "EXPECTED  echo-client/upper  (says goodbye)"
        assert last.startswith("1 failed as expected in ")
        data = json.loads((course / "results.json").read_text(encoding="utf-8"))
        [scenario] = data["scenarios"]
        assert (scenario["verdict"], scenario["expected_failure"]) == ("expected", "says goodbye")
        assert scenario["findings"] != []
        assert (data["summary"]["failed"], data["summary"]["expected"]) == (0, 1)

    def test_what_passes_all_the_same_fails(self, course: Path, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "--json", "results.json")
        assert status == 1
        assert (
            "  it passes now, and was expected to fail (says goodbye); "
            "take the line out of reference/wirelab.yaml:6\n"
        ) in out
        data = json.loads((course / "results.json").read_text(encoding="utf-8"))
        assert data["scenarios"][0]["verdict"] == "failed"
        assert data["scenarios"][0]["reason"].startswith("it passes now")

    def test_a_pattern_that_means_no_scenario_is_noted(
        self, course: Path, wirelab: Wirelab
    ) -> None:
        file = course / "students" / "wirelab.yaml"
        text = file.read_text(encoding="utf-8") + "  echo-client/lower: shouts\n"
        file.write_text(text + "  smtp-client/delivery: elsewhere\n", encoding="utf-8")
        what = (
            "a failure of `echo-client/lower` is expected, which is no scenario; "
            "did you mean `echo-client/upper`?"
        )
        status, _, err = wirelab("run", "-i", "students")
        assert (status, err) == (0, f"note: students/wirelab.yaml:7: {what}\n")
        status, out, _ = wirelab("check", "scenarios", "students")
        assert status == 2
        assert out == f"students/wirelab.yaml:7:3: {what}\n1 problem in 2 files\n"

    def test_pytest_has_words_of_its_own(
        self, course: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lay_out(pytester.path)
        for folder in ("reference", "students"):
            text = (course / folder / "wirelab.yaml").read_text(encoding="utf-8")
            write(pytester.path, f"{folder}/wirelab.yaml", text)
        monkeypatch.chdir(pytester.path)
        result = pytester.runpytest_subprocess("scenarios", "--implementation=students", "-rx")
        result.assert_outcomes(xfailed=1)
        result.stdout.fnmatch_lines(["XFAIL *echo-client/upper - says goodbye"])
        result = pytester.runpytest_subprocess("scenarios")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["*it passes now*take the line out of reference/wirelab.yaml:6"]
        )


class TestAfter:
    @pytest.fixture(autouse=True)
    def _scenarios(self, course: Path) -> None:
        write(course, "scenarios/echo-client/again.yaml", "after: upper\n" + SCENARIO)
        write(course, "scenarios/echo-client/twice.yaml", "after: [again]\n" + SCENARIO)

    def test_what_rests_on_a_failure_is_not_played(self, course: Path, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-i", "students", "--json", "results.json")
        assert status == 1
        assert (
            "UNCHECKED echo-client/again  (it comes after echo-client/upper, which failed)\n" in out
        )
        assert "which was not played either)\n" in out
        assert "1 failed, 2 unchecked in " in out
        data = json.loads((course / "results.json").read_text(encoding="utf-8"))
        told = [(each["id"], each["verdict"], each["run"]) for each in data["scenarios"]]
        assert told == [
            ("echo-client/again", "unchecked", None),
            ("echo-client/twice", "unchecked", None),
            ("echo-client/upper", "failed", "run/echo-client/upper"),
        ]

    def test_in_a_run_that_holds_everything_is_played(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-j", "1")  # waiting takes nobody's turn
        assert status == 0
        assert "3 passed in " in out
        names = [line.split()[1] for line in out.splitlines()[:3]]
        assert names == ["echo-client/upper", "echo-client/again", "echo-client/twice"]

    def test_what_was_not_chosen_is_no_matter(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-i", "students", "scenarios/echo-client/twice.yaml")
        assert status == 1
        assert "1 failed in " in out

    def test_an_expected_failure_is_one(self, course: Path, wirelab: Wirelab) -> None:
        with (course / "students" / "wirelab.yaml").open("a", encoding="utf-8") as file:
            file.write("expected failures: {echo-client/upper: says goodbye}\n")
        status, out, _ = wirelab("run", "-i", "students")
        assert status == 0
        assert "1 failed as expected, 2 unchecked in " in out
        assert "(it comes after echo-client/upper, which failed, as expected)" in out

    def test_one_that_did_not_come_is_none(self, course: Path, wirelab: Wirelab) -> None:
        with (course / "reference" / "wirelab.yaml").open("a", encoding="utf-8") as file:
            file.write("expected failures: {echo-client/upper: says goodbye}\n")
        _, out, _ = wirelab("run")
        assert "2 passed, 1 failed in " in out

    def test_the_first_failure_ends_it_all(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-i", "students", "-x")
        assert status == 1
        assert "1 failed in " in out

    def test_a_circle_is_a_mistake(self, course: Path, wirelab: Wirelab) -> None:
        write(course, "scenarios/echo-client/upper.yaml", SCENARIO + "after: twice\n")
        problem = (
            "scenarios/echo-client/again.yaml:1:1: nobody could begin: echo-client/again after "
            "echo-client/upper after echo-client/twice after echo-client/again\n"
        )
        assert wirelab("run") == (2, "", problem)
        assert wirelab("check") == (2, f"{problem}1 problem in 3 files\n", "")

    def test_under_pytest_it_is_skipped_with_its_reason(
        self, course: Path, pytester: pytest.Pytester
    ) -> None:
        result = pytester.runpytest_subprocess(
            course, "--rootdir", course, "--implementation", course / "students", "-rs"
        )
        result.assert_outcomes(failed=1, skipped=2)
        result.stdout.fnmatch_lines(["*it comes after echo-client/upper, which failed"])
        write(course, "scenarios/echo-client/upper.yaml", SCENARIO + "after: twice\n")
        result = pytester.runpytest_subprocess(course, "--rootdir", course)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: *again.yaml:1:1: nobody could begin: *"])


class TestSuite:
    @pytest.fixture(autouse=True)
    def _suite(self, course: Path) -> None:
        write(course, "scenarios/echo-client/again.yaml", SCENARIO)
        write(course, "scenarios/echo-client/broken.yaml", "titel: nobody asks for it\n")
        cases = 'cases: [{word: hello}, {word: "hello "}]\ncast:'
        text = SCENARIO.replace("cast:", cases).replace("user> hello", "user> ${word}")
        write(course, "scenarios/echo-client/words.yaml", text)
        write(
            course,
            "suites/lab1.yaml",
            "suite: The first lab\nscenarios:\n"
            "  - {scenario: echo-client/words, points: 4}\n"
            "  - {scenario: echo-client/again, points: 2.5, patience: 3s, timeout: 20s}\n"
            "  - echo-client/upper\n",
        )

    def test_points_are_told_at_the_end(self, course: Path, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "suites/lab1.yaml", "--json", "results.json")
        assert status == 1  # the word with a blank is not what the scenario hears
        assert out.splitlines()[-1] == "points: 3.5 of 7.5 (The first lab)"
        data = json.loads((course / "results.json").read_text(encoding="utf-8"))
        assert data["suite"] == "The first lab"
        assert data["points"] == {"earned": 3.5, "of": 7.5, "unjudged": 0}
        played = [(each["id"], each["case"], each["points"]) for each in data["scenarios"]]
        assert played == [
            ("echo-client/words", "hello", 4),
            ("echo-client/words", "hello ", 4),
            ("echo-client/again", None, 2.5),
            ("echo-client/upper", None, 1),
        ]

    def test_a_play_of_it_is_played_again_as_it_was(self, wirelab: Wirelab) -> None:
        _, out, _ = wirelab("run", "suites/lab1.yaml", "-i", "students")
        again = "  again wirelab run 'suites/lab1.yaml[echo-client/again]' -i students"
        assert again in out.splitlines()
        status, out, _ = wirelab("run", "suites/lab1.yaml[echo-client/again]")
        assert (status, out.splitlines()[-1]) == (0, "points: 2.5 of 2.5 (The first lab)")
        status, out, _ = wirelab("run", "suites/lab1.yaml[echo-client/words[hello]]")
        assert (status, out.splitlines()[-1]) == (0, "points: 4 of 4 (The first lab)")
        status, _, err = wirelab("run", "suites/lab1.yaml[echo-client/other]")
        assert (status, err) == (2, "suites/lab1.yaml has no echo-client/other\n")

    def test_its_limits_are_those_of_the_plays(self, course: Path) -> None:
        from harness.pipeline import Request, prepare

        plans = prepare(Request(paths=("suites/lab1.yaml",), network="loopback")).plans
        limits = [(plan.scenario.limits.play, plan.scenario.limits.quiet) for plan in plans]
        assert limits == [(30, 2), (30, 2), (20, 3), (30, 2)]

    def test_it_is_listed_and_checked(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("list", "suites/lab1.yaml")
        assert status == 0
        assert [line.split("(")[-1] for line in out.splitlines()] == [
            "tags: first; points: 4)",
            "tags: first; points: 2.5)",
            "tags: first; points: 1)",
        ]
        assert wirelab("check", "suites/lab1.yaml") == (0, "1 file: no problem\n", "")

    def test_it_is_no_scenario(self, course: Path, wirelab: Wirelab) -> None:
        (course / "scenarios/echo-client/broken.yaml").unlink()
        text = (course / "suites" / "lab1.yaml").read_text(encoding="utf-8")
        write(course, "scenarios/suites/lab1.yaml", text)
        assert wirelab("check")[:2] == (0, "4 files: no problem\n")
        assert len(wirelab("list")[1].splitlines()) == 3
        assert wirelab("check", "scenarios/suites/lab1.yaml")[0] == 0

    def test_a_folder_of_them_is_checked_and_not_played(self, wirelab: Wirelab) -> None:
        assert wirelab("check", "suites") == (0, "1 file: no problem\n", "")
        told = "there are only suites here; play one: wirelab run suites/lab1.yaml\n"
        assert wirelab("run", "suites") == (2, "", told)

    def test_it_is_played_by_itself(self, wirelab: Wirelab) -> None:
        told = "a suite is played by itself: wirelab run suites/lab1.yaml\n"
        assert wirelab("run", "suites/lab1.yaml", "scenarios") == (2, "", told)
        one = "suites/lab1.yaml[echo-client/again]"
        assert wirelab("run", one, "scenarios/echo-client/upper.yaml") == (2, "", told)

    def test_pytest_plays_it(self, course: Path, pytester: pytest.Pytester) -> None:
        result = pytester.runpytest_subprocess(course / "suites/lab1.yaml", "--rootdir", course)
        result.assert_outcomes(passed=3, failed=1)
        result.stdout.fnmatch_lines(["points: 3.5 of 7.5 (The first lab)"])
        result = pytester.runpytest_subprocess(course / "suites", "--rootdir", course)
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED  # only where it is asked for

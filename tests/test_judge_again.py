"""Recorded runs are judged again by scenarios that were edited: `wirelab judge`.

That nothing changes where nothing was edited, tests/test_faults.py shows for every scenario.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from harness.cli import main
from harness.model.needs import CAPTURE
from harness.network import rung_of

from tests.course import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable

    Wirelab = Callable[..., tuple[int, str, str]]

captured = pytest.mark.skipif(
    CAPTURE not in rung_of("auto").offers, reason="there is no private network here"
)
SCENARIO = Path("scenarios/echo-client/upper.yaml")
AGAIN = "it must be played again: "

SERVER = """\
import socket, sys
server = socket.create_server(("", int(sys.argv[1])))
while True:
    peer, _ = server.accept()
    peer.sendall(peer.recv(100).upper())
"""


@pytest.fixture
def wirelab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Wirelab:
    lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def played(wirelab: Wirelab) -> Wirelab:
    """The right client has been played."""
    assert wirelab("run")[0] == 0
    return wirelab


def edit(*pairs: tuple[str, str]) -> None:
    text = SCENARIO.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    SCENARIO.write_text(text, encoding="utf-8")


def reason(wirelab: Wirelab) -> str:
    """Why a run cannot be judged again."""
    status, out, _ = wirelab("judge", "--json", "results.json")
    [scenario] = json.loads(Path("results.json").read_text(encoding="utf-8"))["scenarios"]
    assert (status, scenario["verdict"]) == (3, "error")
    assert scenario["reason"].startswith(AGAIN)
    assert scenario["reason"] in out
    assert "again wirelab run scenarios/echo-client/upper.yaml" in out
    return str(scenario["reason"].removeprefix(AGAIN))


class TestWhatIsTold:
    def test_the_same_as_by_run(self, wirelab: Wirelab) -> None:
        status, out, _ = wirelab("run", "-i", "students", "--json", "one", "--junit", "one.xml")
        again = wirelab("judge", "--json", "two", "--junit", "two.xml")
        assert (again[0], again[1].splitlines()[:-1]) == (status, out.splitlines()[:-1])
        one, two = (json.loads(Path(name).read_text(encoding="utf-8")) for name in ("one", "two"))
        for results in (one, two):
            del results["started"], results["duration_s"]
        assert one == two
        cases = [
            next(ET.parse(f"{name}.xml").getroot().iter("testcase")) for name in ("one", "two")
        ]
        assert ET.tostring(cases[0]) == ET.tostring(cases[1])

    def test_an_expected_failure_is_expected_again(self, wirelab: Wirelab) -> None:
        with Path("students/wirelab.yaml").open("a", encoding="utf-8") as file:
            file.write("expected failures:\n  echo-client/upper: it says goodbye\n")
        status, out, _ = wirelab("run", "-i", "students")
        assert (status, wirelab("judge")[1].splitlines()[0]) == (0, out.splitlines()[0])

    def test_a_suite_weighs_as_it_reads_now(self, wirelab: Wirelab) -> None:
        suite = Path("lab.yaml")
        item = "  - {scenario: echo-client/upper, points: 3, patience: 1s}\n"
        suite.write_text(f"suite: Lab 1\nscenarios:\n{item}", encoding="utf-8")
        _, out, _ = wirelab("run", "lab.yaml")
        status, again, _ = wirelab("judge", "--json", "results")
        assert (status, again.splitlines()[-1]) == (0, out.splitlines()[-1])
        suite.write_text(suite.read_text("utf-8").replace("3", "5"), encoding="utf-8")
        assert wirelab("judge")[1].splitlines()[-1] == out.splitlines()[-1].replace("3", "5")
        suite.write_text("suite: Lab 1\nscenarios: [echo-client/*]\n", encoding="utf-8")
        assert wirelab("judge")[0] == 0  # with more patience
        SCENARIO.with_name("other.yaml").write_bytes(SCENARIO.read_bytes())
        suite.write_text("suite: Lab 1\nscenarios: [echo-client/other]\n", encoding="utf-8")
        told = f"lab.yaml does not pick {SCENARIO} any more; play it again\n"
        assert wirelab("judge") == (2, "", told)
        suite.unlink()
        told = "there is no lab.yaml here; judge where the scenarios were played\n"
        assert wirelab("judge") == (2, "", told)

    def test_one_run_or_all_below_a_folder(self, played: Wirelab) -> None:
        played("run", "-i", "students", "--out", "others")
        assert played("judge", "run")[1].splitlines()[-1].startswith("1 passed in ")
        assert played("judge", "others/echo-client/upper")[0] == 1
        for folders in (("run", "others", "run/echo-client"), ("others", "run")):
            status, out, _ = played("judge", *folders, "-q")
            assert (status, out.splitlines()[-1][:21]) == (1, "1 passed, 1 failed in")

    def test_nothing_in_the_run_is_changed(self, played: Wirelab) -> None:
        edit(("exit: 0", "exit: 3"))
        before = {path: path.read_bytes() for path in Path("run").rglob("*.*")}
        played("judge")
        assert {path: path.read_bytes() for path in Path("run").rglob("*.*")} == before

    def test_the_programs_need_not_be_there(self, played: Wirelab) -> None:
        Path("reference/wirelab.yaml").unlink()
        assert played("judge")[0] == 0

    def test_asyncio_is_not_needed(self, played: Wirelab) -> None:
        """Nothing is played: no loop, no peers' libraries."""
        script = (
            "import sys, harness.cli\n"
            "try: harness.cli.main(['judge'])\n"
            "except SystemExit as ended: status = ended.code\n"
            "sys.exit(' '.join({'aiosmtpd', 'trustme', 'pytest'} & set(sys.modules)) or status)"
        )
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


class TestDemandsMayChange:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("exit: 0", "exit: 3"),
            ("expect:\n", "expect:\n  screen: no such line\n"),
            ("server< hello", "server< bye"),
            ("  user< *HELLO*", "  user< *HELLO*\n  user< never printed"),
            ("user< *HELLO*", "user< *hello*"),
        ],
    )
    def test_a_demand_that_does_not_hold_fails(self, old: str, new: str, played: Wirelab) -> None:
        edit((old, new))
        status, out, _ = played("judge")
        assert (status, out.splitlines()[0] or out.splitlines()[1]) == (
            1,
            "FAILED echo-client/upper   Ours",
        )

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("exchange: |\n", "exchange: |\n  # a comment\n\n"),
            ("title: The", "title: Another\ntags: [second]\npoints: 3\n# The"),
            ("  server< hello", "  server<? nothing\n  server< hello"),
            ("  server< hello", "  server< he*"),
            ("  # the line", "  # because"),
            ("exchange: |\n", "exchange: |\n  never:\n    server< goodbye\n"),
            ("expect:\n", "expect:\n  heard: {server: 1 connection}\n"),
            ("  exit: 0\n", "  screen: HELLO\n"),
            ("patience: 2s", "patience: 9s"),
            ("user< *HELLO*", "user< *HELLO*\n  server! expect eof"),
        ],
    )
    def test_a_demand_that_holds_passes(self, old: str, new: str, played: Wirelab) -> None:
        text = SCENARIO.read_text(encoding="utf-8").replace("tags: [first]\n", "")
        SCENARIO.write_text(text, encoding="utf-8")
        edit((old, new))
        assert played("judge")[0] == 0

    def test_an_unfair_demand_is_mended(self, wirelab: Wirelab) -> None:
        edit(("exit: 0", "exit: 3"))
        assert wirelab("run")[0] == 1
        edit(("exit: 3", "exit: 0"))
        assert wirelab("judge")[0] == 0


class TestWhatWasDoneMayNot:
    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            (
                "server> HELLO",
                "server> HOLLA",
                "scenarios/echo-client/upper.yaml:11: `server> HOLLA` was `server> HELLO` then",
            ),
            (
                "  server> HELLO\n",
                "",
                "`server> HELLO` is not in its exchange any more",
            ),
            (
                "  user> hello\n",
                "  user> hello\n  user> world\n",
                "scenarios/echo-client/upper.yaml:10: `user> world` is new",
            ),
            ("at: 12000", "at: 12001", "`at` of `server` changed since"),
            ("eol: lf", "eol: crlf", "`eol` of `server` changed since"),
            ("terminal}", "terminal}\n  mute: {kind: udp, at: 9}", "`kind` of `mute` and `at` of"),
            ("tags:", "program: {mode: reverse}\ntags:", "the parameter `mode` changed since"),
            ("patience: 2s", "patience: 1s", "`patience` was 2 s then, and is 1 s now"),
            (
                "  server> HELLO\n  user< *HELLO*",
                "  user< *HELLO*\n  server> HELLO",
                "scenarios/echo-client/upper.yaml:12: `server> HELLO` came before what it has to",
            ),
        ],
    )
    def test_another_play_would_have_come_of_it(
        self, old: str, new: str, told: str, played: Wirelab
    ) -> None:
        edit((old, new))
        assert reason(played).startswith(told)

    def test_what_would_have_been_due_was_never_reached(self, wirelab: Wirelab) -> None:
        """The play stopped at a line that now matches; nobody knows what would have followed."""
        assert wirelab("run", "-i", "students")[0] == 1
        edit(("server< hello", "server< goodbye"))
        told = "scenarios/echo-client/upper.yaml:11: `server> HELLO` would have been due"
        assert reason(wirelab).startswith(told)

    def test_a_longer_patience_where_patience_ran_out(self, wirelab: Wirelab) -> None:
        Path("reference/client.py").write_text("while True: input()\n", encoding="utf-8")
        edit(("patience: 2s", "patience: 500ms"))
        assert wirelab("run")[0] == 1
        assert wirelab("judge")[0] == 1
        edit(("patience: 500ms", "patience: 3s"))
        assert reason(wirelab) == "`patience` was 0.5 s then, and is 3 s now"

    def test_more_is_asked_of_a_server_than_was_waited_for(self, wirelab: Wirelab) -> None:
        """Its play ended when all had come; what is asked for now might have come later."""
        place = Path("scenarios/echo-server/upper.yaml")
        place.parent.mkdir()
        text = (
            "title: It answers\ncast:\n  ann: {kind: tcp, to: server, eol: lf}\n"
            "exchange: |\n  ann> hello\n  ann< HELLO\n"
        )
        place.write_text(text, encoding="utf-8")
        Path("server.py").write_text(SERVER, encoding="utf-8")
        command = ("--", sys.executable, str(Path("server.py").resolve()), "{port}")
        assert wirelab("run", str(place), *command)[0] == 0
        assert wirelab("judge")[0] == 0
        place.write_text(text + "expect: {files: {'*.txt': hello}}\n", encoding="utf-8")
        assert wirelab("judge")[0] == 1  # that is judged at the end in any case
        place.write_text(text + "expect: {screen: listening}\n", encoding="utf-8")
        status, out, _ = wirelab("judge")
        assert status == 3
        assert f"{AGAIN}it ended when all had come that was asked for then; now more is" in out


class TestWrongInput:
    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ([], "there is no folder run; `wirelab run` records into run/\n"),
            (["scenarios"], "there is no recorded run in scenarios; `wirelab run` records into"),
        ],
    )
    def test_no_run(self, words: list[str], told: str, wirelab: Wirelab) -> None:
        status, out, err = wirelab("judge", *words)
        assert (status, out) == (2, "")
        assert err.startswith(told)

    def test_the_scenario_is_gone(self, played: Wirelab) -> None:
        SCENARIO.unlink()
        status, _, err = played("judge")
        told = f"there is no {SCENARIO} here; judge where the scenarios were played\n"
        assert (status, err) == (2, told)

    def test_the_case_is_gone(self, wirelab: Wirelab) -> None:
        edit(
            ("cast:", "cases: [{word: hello}, {word: hallo}]\ncast:"),
            ("user> hello", "user> ${word}"),
        )
        edit(("server< hello", "server< ${word}"))
        assert wirelab("run")[0] == 0
        assert wirelab("judge")[0] == 0
        edit((", {word: hallo}", ""))
        status, _, err = wirelab("judge")
        assert (status, err) == (2, f"{SCENARIO} has no [hallo] any more; play it again\n")

    def test_every_problem_of_an_edited_scenario_is_told(self, played: Wirelab) -> None:
        edit(("title:", "titel:"))
        status, _, err = played("judge")
        assert status == 2
        assert err.startswith(f"{SCENARIO}:1:1: ")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"scenario": 1}', "\x00"])
    def test_a_run_of_another_version(self, text: str, played: Wirelab) -> None:
        Path("run/echo-client/upper/run.json").write_text(text, encoding="utf-8")
        status, _, err = played("judge")
        assert status == 2
        assert err.startswith("run/echo-client/upper/run.json is not what this version of Wirelab")

    @pytest.mark.parametrize("text", ["{", "{}", "[]"])
    def test_a_damaged_record(self, text: str, played: Wirelab) -> None:
        Path("run/echo-client/upper/record.jsonl").write_text(text, encoding="utf-8")
        told = "run/echo-client/upper/record.jsonl is damaged; play it again\n"
        assert played("judge") == (2, "", told)

    def test_the_record_is_gone(self, played: Wirelab) -> None:
        Path("run/echo-client/upper/record.jsonl").unlink()
        told = "run/echo-client/upper/record.jsonl cannot be read: No such file or directory\n"
        assert played("judge") == (2, "", told)


@captured
class TestCaptures:
    @pytest.mark.parametrize(
        ("packets", "status"),
        [
            ("in order: ['program > server: tcp SYN', 'program > server: tcp FIN ACK']", 0),
            ("lacks: 'tcp FIN'", 1),
        ],
    )
    def test_packets_are_asked_for_afterwards(
        self, packets: str, status: int, played: Wirelab
    ) -> None:
        edit(("expect:\n", f"expect:\n  packets: {{{packets}}}\n"))
        assert played("judge")[0] == status

    def test_a_run_without_a_capture_cannot_tell_of_packets(self, wirelab: Wirelab) -> None:
        wirelab("run", "--network", "loopback")
        edit(("expect:\n", "expect:\n  packets: {lacks: program > nobody}\n"))
        assert reason(wirelab) == "it has left no capture, and `packets` asks for one now"

    def test_a_damaged_capture(self, played: Wirelab) -> None:
        path = Path("run/echo-client/upper/capture.pcapng")
        path.write_bytes(path.read_bytes()[:-1])
        told = f"{path} is damaged; play it again\n"
        assert played("judge") == (2, "", told)

    def test_a_play_on_loopback_takes_an_earlier_capture_away(self, played: Wirelab) -> None:
        path = Path("run/echo-client/upper/capture.pcapng")
        assert path.is_file()
        played("run", "--network", "loopback")
        assert not path.exists()

"""`wirelab run --bless`: what a program does becomes the exchange of its scenario."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.author import with_exchange
from harness.cli import main
from harness.errors import UsageError

from tests.course import lay_out
from tests.documents import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    Wirelab = Callable[..., tuple[int, str, str]]

SCENARIO = Path("scenarios/echo-client/upper.yaml")
CLIENT = Path("reference/client.py")


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


def text() -> str:
    return SCENARIO.read_text(encoding="utf-8")


def edit(*pairs: tuple[str, str]) -> None:
    changed = text()
    for old, new in pairs:
        assert old in changed
        changed = changed.replace(old, new)
    SCENARIO.write_text(changed, encoding="utf-8")


def exchange() -> str:
    """The lines of the block, without their indentation."""
    block = text().partition("exchange: |\n")[2].partition("\nexpect:")[0]
    return "\n".join(line.removeprefix("  ") for line in block.splitlines())


class TestWhatIsWritten:
    def test_what_was_heard_as_it_came_and_all_else_as_it_was(self, wirelab: Wirelab) -> None:
        edit(
            ("server< hello", "server< {first:.+}"),
            ("  user> hello", "  # The user types.\n  user> hello  # as it is"),
            ("  user< *HELLO*", "  user< *"),
        )
        around = text().split("exchange:")[0], text().split("expect:")[1]
        status, out, err = wirelab("run", "--bless")
        assert (status, err) == (0, "")
        assert exchange() == (
            "# The user types.\n"
            "user> hello  # as it is\n"
            "server< hello  # the line is sent as it was typed\n"
            "server> HELLO\n"
            "user< HELLO"
        )
        assert (text().split("exchange:")[0], text().split("expect:")[1]) == around
        assert "+  user< HELLO\n" in out
        assert out.endswith(f"blessed {SCENARIO}\n")

    def test_it_passes_and_another_program_fails(self, wirelab: Wirelab) -> None:
        edit(("server< hello", "server< {first:.+}"))
        assert wirelab("run", "-i", "students")[0] == 0
        assert wirelab("run", "--bless")[0] == 0
        assert wirelab("run")[0] == 0
        assert wirelab("run", "-i", "students")[0] == 1

    def test_blessing_twice_changes_nothing(self, wirelab: Wirelab) -> None:
        wirelab("run", "--bless")
        before = text()
        assert wirelab("run", "--bless") == (0, f"{SCENARIO} says so already\n", "")
        assert text() == before

    @pytest.mark.parametrize("network", ["auto", "loopback"])
    @pytest.mark.parametrize(
        "role", ["webmail-proxy", "smtp-client", "udp-ping-client", "port-scanner", "http-client"]
    )
    def test_scenarios_to_start_from(self, role: str, network: str, wirelab: Wirelab) -> None:
        how = ("-i", str(ROOT / "reference"), "--network", network)
        wirelab("new", role, "first")
        path = Path(f"scenarios/{role}/first.yaml")
        before = path.read_text(encoding="utf-8")
        status, out, err = wirelab("run", str(path), *how, "--bless")
        assert (status, err) == (0, ""), out
        after = path.read_text(encoding="utf-8")
        assert after.partition("\nexpect:")[2] == before.partition("\nexpect:")[2]
        assert after.partition("\nexchange:")[0] == before.partition("\nexchange:")[0]
        assert wirelab("run", str(path), *how)[0] == 0
        assert wirelab("run", str(path), "--", "true")[0] == 1

    def test_what_varies_is_a_pattern(self, wirelab: Wirelab) -> None:
        CLIENT.write_text(
            "import random, socket, sys, time, uuid\n"
            "peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
            "line, key = sys.stdin.readline().strip(), uuid.uuid4().hex\n"
            "number = random.randrange(100000, 999999)\n"
            "now = time.strftime('%Y-%m-%d %H:%M:%S')\n"
            "peer.sendall(f'{line} {key} no. {number} at {now} {{x}} *\\n'.encode())\n"
            "print(peer.recv(100).decode(), key, peer.getsockname(), sys.argv[2])\n",
            encoding="utf-8",
        )
        edit(("server< hello", "server< *"))
        status, out, err = wirelab("run", "--network", "loopback", "--bless")
        assert (status, err) == (0, ""), out
        heard = next(line for line in exchange().splitlines() if line.startswith("server<"))
        shape = r"server< hello {hex-1:[0-9A-Fa-f]+} no. {number-1:[0-9]+} at "
        days = r"{day-1:[0-9]{4}-[0-9]{2}-[0-9]{2}} {time-1:[0-9]{1,2}:[0-9:]+[0-9.,]*}"
        assert heard.startswith(f"{shape}{days} \\{{x}} \\*")
        assert "{hex-1} ('{own-host-1:" in exchange()  # the same key, on the screen
        assert "${server.port}" in exchange()
        for network in ("loopback", "auto"):
            assert wirelab("run", "--network", network)[0] == 0

    def test_a_server_and_a_stream_that_comes_in_pieces(self, wirelab: Wirelab) -> None:
        path = Path("scenarios/echo-server/pieces.yaml")
        path.parent.mkdir()
        path.write_text(
            "title: It answers\ncast:\n  ann: {kind: tcp, to: server}\n"
            "exchange: |\n  ann! connect\n  ann> hello\n  ann< *so on\n  ann! expect eof\n",
            encoding="utf-8",
        )
        Path("server.py").write_text(
            "import socket, sys, time\n"
            "server = socket.create_server(('', int(sys.argv[1])))\n"
            "while True:\n"
            "    peer, _ = server.accept()\n"
            "    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n"
            "    for piece in (peer.recv(9).upper(), b' and', b' so on'):\n"
            "        peer.sendall(piece)\n"
            "        time.sleep(0.02)\n"
            "    peer.close()\n",
            encoding="utf-8",
        )
        command = ("--", sys.executable, str(Path("server.py").resolve()), "{port}")
        status, out, err = wirelab("run", str(path), "--bless", *command)
        assert (status, err) == (0, ""), out
        block = path.read_text(encoding="utf-8").partition("exchange: |\n")[2]
        assert block == (
            "  ann! connect\n  ann> hello\n  ann< HELLO and so on\n  ann! expect eof\n"
        )

    def test_who_bound_what_is_said_stays(self, wirelab: Wirelab) -> None:
        edit(
            ("server< hello", "server< {first:.+}"),
            ("server> HELLO", "server> {first}"),
            ("*HELLO*", "*"),
        )
        assert wirelab("run", "--bless")[0] == 0
        assert exchange().splitlines()[1].startswith("server< {first:.+}  # the line")
        assert exchange().splitlines()[2:] == ["server> {first}", "user< hello"]

    def test_who_bound_what_is_demanded_stays(self, wirelab: Wirelab) -> None:
        edit(("server< hello", "server< {first:[a-z]+}"), ("  exit: 0", "  screen: '-{first}-'"))
        edit(("server> HELLO", "server> -hello-"), ("*HELLO*", "*"))
        status, out, err = wirelab("run", "--bless")
        assert (status, err) == (0, ""), out
        assert exchange().splitlines()[1].startswith("server< {first:[a-z]+}  # the line")

    def test_values_that_are_said_stay(self, wirelab: Wirelab) -> None:
        edit(("cast:", "values: {word: hello}\ncast:"), ("user> hello", "user> ${word}"))
        edit(("server< hello", "server< *"), ("*HELLO*", "*"))
        status, out, err = wirelab("run", "--bless")
        assert (status, err) == (0, ""), out
        assert exchange().splitlines()[0] == "user> ${word}"
        assert wirelab("run", "--bless")[1] == f"{SCENARIO} says so already\n"

    def test_a_failure_that_was_expected(self, wirelab: Wirelab) -> None:
        with Path("students/wirelab.yaml").open("a", encoding="utf-8") as file:
            file.write("expected failures:\n  echo-client/upper: says goodbye\n")
        edit(("server< hello", "server< *"), ("server> HELLO", "server> GOODBYE"), ("*HELLO*", "*"))
        status, out, err = wirelab("run", "-i", "students", "--bless")
        assert (status, err) == (0, ""), out
        assert exchange().splitlines()[1].startswith("server< goodbye")


class TestNothingIsWritten:
    @pytest.fixture(autouse=True)
    def _file(self, wirelab: Wirelab) -> None:
        edit(("server< hello", "server< *"))

    def refused(self, wirelab: Wirelab, *words: str) -> str:
        before = SCENARIO.read_bytes()
        status, out, err = wirelab("run", "--bless", *words)
        assert (status, out) == (1, "")
        assert SCENARIO.read_bytes() == before
        assert list(SCENARIO.parent.iterdir()) == [SCENARIO]
        return err

    def test_the_program_crashes(self, wirelab: Wirelab) -> None:
        with CLIENT.open("a", encoding="utf-8") as file:
            file.write("1 / 0\n")
        err = self.refused(wirelab)
        assert err.startswith("echo-client/upper: The program crashed: ")
        assert err.endswith("  Nothing was written.\n")

    def test_the_program_never_ends(self, wirelab: Wirelab) -> None:
        with CLIENT.open("a", encoding="utf-8") as file:
            file.write("while True: input()\n")
        edit(("patience: 2s", "patience: 500ms"))
        assert self.refused(wirelab).startswith("echo-client/upper: The program never ended")

    def test_the_play_does_not_come_to_its_end(self, wirelab: Wirelab) -> None:
        edit(("server< *", "server< something else"))
        assert self.refused(wirelab).startswith(
            f"{SCENARIO}:10: the play did not get beyond `server< something else`; "
        )

    def test_two_plays_differ(self, wirelab: Wirelab) -> None:
        with CLIENT.open("a", encoding="utf-8") as file:
            file.write(f"plays = open({str(Path('plays').resolve())!r}, 'a+')\n")
            file.write("plays.write('x')\nprint('once more\\n' * plays.tell())\n")
        told = "two plays differed: `user< once more` came in one of them only\n"
        assert self.refused(wirelab, "--network", "loopback") == told

    def test_what_is_expected_does_not_hold(self, wirelab: Wirelab) -> None:
        edit(("exit: 0", "screen: never printed"))
        err = self.refused(wirelab)
        assert "would not pass, played by its own transcript; nothing was written:" in err
        assert "    user< HELLO\n" in err
        assert "FAILED echo-client/upper   Ours" in err

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            (
                "  server< *",
                "  any order:\n    server< *",
                f"{SCENARIO}:10: a transcript cannot say `any order:`; ",
            ),
            ("  user< ", "  ...\n  user< ", f"{SCENARIO}:12: a transcript cannot say `...`; "),
            ("  user< ", "  user<? ", f"{SCENARIO}:12: a transcript cannot say `<?`; "),
            (
                "cast:",
                "cases: [{word: a}]\ncast:",
                f"{SCENARIO} has cases, which one transcript cannot speak for",
            ),
        ],
    )
    def test_what_a_transcript_cannot_say(
        self, old: str, new: str, told: str, wirelab: Wirelab
    ) -> None:
        edit((old, new))
        if "cases" in new:
            edit(("user> hello", "user> ${word}"))
        assert self.refused(wirelab).startswith(told)

    def test_chance(self, wirelab: Wirelab) -> None:
        edit(("  user: {", "  pong: {kind: udp, at: 9, answer: echo, lose: 30%}\n  user: {"))
        assert "leaves to chance what goes wrong" in self.refused(wirelab)

    def test_a_file_that_cannot_be_written(
        self, wirelab: Wirelab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        before = SCENARIO.read_bytes()
        monkeypatch.setattr(Path, "replace", refuse)
        status, out, err = wirelab("run", "--bless")
        assert (status, out) == (3, "")
        assert err == f"wirelab: {SCENARIO} cannot be written: Permission denied\n"
        assert SCENARIO.read_bytes() == before
        assert list(SCENARIO.parent.iterdir()) == [SCENARIO]

    def test_a_scenario_that_is_not_played(self, wirelab: Wirelab) -> None:
        edit(("tags: [first]", "needs: [names]"))
        err = self.refused(wirelab, "--network", "loopback")
        assert err.startswith("echo-client/upper is not played: this network (loopback) has no ")

    def test_results_are_not_asked_for_at_the_same_time(self, wirelab: Wirelab) -> None:
        status, out, err = wirelab("run", "--bless", "--json", "results.json")
        assert (status, out) == (2, "")
        assert "`--bless` writes scenarios and no results" in err


class TestTheFile:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("a: 1\nexchange: |\n  x> 1\n", "a: 1\nexchange: |\n  y< 2\n\n  z< 3\n"),
            (
                "exchange: |\n    x> 1\n\n# c\nb: 2",
                "exchange: |\n    y< 2\n\n    z< 3\n\n# c\nb: 2",
            ),
            ("exchange: |-  # why\n x> 1", "exchange: |-  # why\n y< 2\n\n z< 3"),
            (
                "a: 1\r\nexchange: |\r\n  x> 1\r\n",
                "a: 1\r\nexchange: |\r\n  y< 2\r\n\r\n  z< 3\r\n",
            ),
            ("a: 1\nexpect: {}\n", "a: 1\nexchange: |\n  y< 2\n\n  z< 3\nexpect: {}\n"),
            ("a: 1\n", "a: 1\nexchange: |\n  y< 2\n\n  z< 3\n"),
            ("a: 1", "a: 1\nexchange: |\n  y< 2\n\n  z< 3"),
            ("exchange: |\nexpect: {}\n", "exchange: |\n  y< 2\n\n  z< 3\nexpect: {}\n"),
        ],
    )
    def test_only_the_block_changes(self, before: str, after: str) -> None:
        assert with_exchange(before, "y< 2\n\nz< 3\n", file="f") == after

    @pytest.mark.parametrize("line", ["exchange: 'x> 1'", "exchange: >", 'exchange: "x> 1"'])
    def test_only_a_block_can_be_replaced(self, line: str) -> None:
        with pytest.raises(UsageError, match=r"f:2: write the exchange as a block"):
            with_exchange(f"a: 1\n{line}\n", "y< 2\n", file="f")

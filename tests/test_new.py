"""`wirelab new`: a scenario to start from, for every role."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.cli import main
from harness.load import load_roles, load_scenario

from tests.documents import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    Wirelab = Callable[..., tuple[int, str, str]]

ROLES = load_roles()
#: Roles for which there is a program that is right: how it is started.
RIGHT = {
    **dict.fromkeys(
        ("webmail-proxy", "smtp-client", "udp-ping-client", "port-scanner", "http-client"),
        ("-i", str(ROOT / "reference")),
    ),
    "echo-client": ("--", "{python}", "client.py", "{host}", "{port}"),
    "echo-server": (
        "--",
        "{python}",
        str(ROOT / "fixtures/programs/echo_server.py"),
        "{host}",
        "{port}",
    ),
}

NAMES = "the name of a scenario is letters, digits, `-` and `_` inside"
CLIENT = """\
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as server:
    for line in sys.stdin:
        server.sendall(line.strip().encode())
        if line == "bye\\n":
            break
        print(server.recv(1024).decode())
"""


@pytest.fixture
def wirelab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Wirelab:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.mark.parametrize("role", ROLES)
def test_it_is_right_and_says_how_it_is_played(role: str, wirelab: Wirelab) -> None:
    path = Path(f"scenarios/{role}/my-first.yaml")
    told = f"wrote {path}; its comments tell how it is played\n"
    assert wirelab("new", role, "my-first") == (0, told, "")
    scenario = load_scenario(path, ROLES)
    text = path.read_text(encoding="utf-8")
    assert scenario.cast
    assert scenario.title.startswith("my first: ")
    assert f"# Play it:  wirelab run {path} -- " in text
    assert text.count("#") >= 4
    assert "ENDPOINT" not in text


@pytest.mark.parametrize("role", RIGHT)
def test_a_right_program_passes(role: str, wirelab: Wirelab) -> None:
    wirelab("new", role, "first")
    Path("client.py").write_text(CLIENT, encoding="utf-8")
    words = [word.replace("{python}", sys.executable) for word in RIGHT[role]]
    status, out, err = wirelab("run", *words)
    assert (status, err) == (0, ""), out
    assert "1 passed" in out


@pytest.mark.parametrize("role", ROLES)
def test_a_program_that_does_nothing_fails(role: str, wirelab: Wirelab) -> None:
    """All that it does is end, and that without a complaint."""
    wirelab("new", role, "first")
    status, out, _ = wirelab("run", "--", "true")
    skipped = "1 skipped" in out  # where the network has not what the role needs
    assert (status, "1 failed" in out) == ((0, False) if skipped else (1, True)), out


@pytest.mark.parametrize("role", [name for name, role in ROLES.items() if role.listens])
def test_a_server_that_answers_nobody_fails(role: str, wirelab: Wirelab) -> None:
    """It listens, and hangs up."""
    wirelab("new", role, "first")
    Path("mute.py").write_text(
        "import socket, sys\n"
        "server = socket.create_server(('', int(sys.argv[1])))\n"
        "while True: server.accept()[0].close()\n",
        encoding="utf-8",
    )
    endpoint = next(iter(ROLES[role].endpoints)) if len(ROLES[role].endpoints) > 1 else ""
    port = f"{{{endpoint}.port}}" if endpoint else "{port}"
    assert wirelab("run", "--", sys.executable, str(Path("mute.py").resolve()), port)[0] == 1


def test_a_role_of_the_course(wirelab: Wirelab) -> None:
    Path("scenarios").mkdir()
    Path("scenarios/roles.yaml").write_text(
        "roles:\n"
        "  quote-client:\n    about: Asks for a quote.\n    eol: crlf\n"
        "    endpoints: {library: {direction: dials, protocol: tcp}}\n"
        "  clock:\n    about: Tells the time.\n    endpoints: {}\n"
        "  quote-server:\n    about: Gives quotes.\n"
        "    endpoints: {desk: {direction: listens, protocol: udp}}\n",
        encoding="utf-8",
    )
    for role in ("quote-client", "quote-server", "clock"):
        assert wirelab("new", role, "first")[0] == 0
    assert wirelab("check") == (0, "3 files: no problem\n", "")
    assert "library! accept" in Path("scenarios/quote-client/first.yaml").read_text("utf-8")
    assert wirelab("run", "--role", "clock", "--", "true")[0] == 0
    assert wirelab("run", "--role", "clock", "--", "false")[0] == 1


def test_an_editor_finds_the_schema_that_is_there(wirelab: Wirelab) -> None:
    Path("scenarios").mkdir()
    Path("scenarios/scenario.schema.json").write_text("{}", encoding="utf-8")
    wirelab("new", "echo-client", "first")
    text = Path("scenarios/echo-client/first.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../scenario.schema.json\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["smtp-cleint", "a"], "there is no role `smtp-cleint`; did you mean `smtp-client`?\n"),
        (
            ["smtp-client", "two words"],
            f"{NAMES}; `two-words` would be one\n",
        ),
        (
            ["smtp-client", "../x"],
            f"{NAMES}; `x` would be one\n",
        ),
        (
            ["smtp-client", "_mail"],
            f"{NAMES}; `mail` would be one\n",
        ),
        (
            ["smtp-client", ""],
            f"{NAMES}; `scenario` would be one\n",
        ),
    ],
)
def test_what_cannot_be(words: list[str], told: str, wirelab: Wirelab) -> None:
    assert wirelab("new", *words) == (2, "", told)
    assert list(Path().iterdir()) == []


def test_nothing_is_overwritten(wirelab: Wirelab) -> None:
    assert wirelab("new", "echo-client", "中文.yaml")[0] == 0
    path = Path("scenarios/echo-client/中文.yaml")
    path.write_text("mine", encoding="utf-8")
    told = f"{path} is there already; choose another name\n"
    assert wirelab("new", "echo-client", "中文") == (2, "", told)
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_none(wirelab: Wirelab) -> None:
    Path("scenarios").write_text("", encoding="utf-8")
    status, out, err = wirelab("new", "echo-client", "first")
    assert (status, out) == (3, "")
    assert err.startswith("wirelab: scenarios/echo-client/first.yaml cannot be written: ")

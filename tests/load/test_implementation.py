"""Implementation files and command lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.errors import AuthorError
from harness.load import command_implementation, load_implementation, load_roles
from harness.load.document import read_document
from harness.load.wording import as_list, as_text
from harness.model.program import Implementation, Program

if TYPE_CHECKING:
    from pathlib import Path

ROLES = load_roles()

GROUP_7 = """\
name: Group 7
programs:
  smtp-client:
    run: [java, Mail, "{to}", 25, "{{x}}"]
    env: {SERVER: "{server.host}:{port}"}
    server: smtp.gmail.com:587
  webmail-proxy: {run: ["{python}", p.py], proxy: "127.0.0.1:8800", mail: "[::1]:25"}
  port-scanner: {run: [scan, "{host}", "{ports}"], server: "192.168.10.211:1"}
lacks: {smtp-client: [starttls, auth]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "wirelab.yaml"
    path.write_text(GROUP_7)
    return path


def test_a_program_is_no_implementation_file(tmp_path: Path) -> None:
    """`-i server.py` is a slip that no YAML parser can explain."""
    program = tmp_path / "server.py"
    program.write_text("print()\n")
    with pytest.raises(AuthorError, match=r"this is no .*; give one, its folder, or the program"):
        load_implementation(program, load_roles())


def test_an_implementation_file(file: Path) -> None:
    """Command lines keep their placeholders; hard-coded endpoints have their names."""
    assert load_implementation(file, ROLES) == Implementation(
        name="Group 7",
        path=str(file),
        folder=file.parent,
        programs={
            "smtp-client": Program(
                "smtp-client",
                ("java", "Mail", "{to}", "25", "{{x}}"),
                {"SERVER": "{server.host}:{port}"},
                {"server": "smtp.gmail.com:587"},
            ),
            "webmail-proxy": Program(
                "webmail-proxy",
                ("{python}", "p.py"),
                addresses={"proxy": "127.0.0.1:8800", "mail": "[::1]:25"},
            ),
            "port-scanner": Program(
                "port-scanner",
                ("scan", "{host}", "{ports}"),
                addresses={"target": "192.168.10.211:1"},
            ),
        },
        lacks={"smtp-client": ("starttls", "auth")},
    )


def test_a_folder_stands_for_its_file(file: Path) -> None:
    """The path is shown again as it was given."""
    implementation = load_implementation(file.parent, ROLES)
    assert (implementation.path, implementation.folder) == (str(file.parent), file.parent)
    assert implementation.programs["smtp-client"].line == 3


def test_an_implementation_that_is_not_there(tmp_path: Path) -> None:
    """A folder without the file, and nothing at all."""
    with pytest.raises(AuthorError, match=r"there is no wirelab\.yaml in this folder"):
        load_implementation(tmp_path, ROLES)
    with pytest.raises(AuthorError, match="there is no such implementation file or folder"):
        load_implementation(tmp_path / "nowhere", ROLES)


def test_a_command_line_is_an_implementation(tmp_path: Path) -> None:
    """Its name is the command as a shell would take it; it starts where the user is."""
    role = ROLES["udp-ping-client"]
    argv = ["python3", "my ping.py", "{host}", "{port}"]
    implementation = command_implementation(role, argv, folder=tmp_path)
    assert implementation.name == "python3 'my ping.py' '{host}' '{port}'"
    assert implementation.folder == tmp_path
    assert implementation.programs == {role.name: Program(role.name, tuple(argv))}


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        ([], "command line:1:1: there is no command after `--`"),
        (["a", "{hots}"], "command line:1:2: `{hots}` stands for nothing; did you mean `host`?"),
        (["a", "b", "{"], "command line:1:3: in `{`: a lone `{`; write `{{`"),
    ],
)
def test_wrong_command_lines(argv: list[str], problem: str) -> None:
    """The column is the number of the argument."""
    with pytest.raises(AuthorError) as raised:
        command_implementation(ROLES["udp-ping-client"], argv)
    assert str(raised.value) == problem


@pytest.mark.parametrize(
    ("command", "items"),
    [
        ("python3 x.py {host} {port}", ["python3", "x.py", "{host}", "{port}"]),
        ("java -jar m.jar --to '{to}' 25", ["java", "-jar", "m.jar", "--to", "{to}", "25"]),
        (
            "a 'b c' \"d: e\" null ~ - # * 程序.py",
            [
                "a",
                "b c",
                "d: e",
                "null",
                "~",
                "-",
                "#",
                "*",
                "程序.py",
            ],
        ),
        ("echo it's {host}", ["echo", "it's", "{host}"]),
    ],
)
def test_the_list_that_a_message_suggests_can_be_pasted(
    tmp_path: Path, command: str, items: list[str]
) -> None:
    """It means the same command line."""
    path = tmp_path / "wirelab.yaml"
    path.write_text(f"name: x\nprograms:\n  x: {{run: {as_list(command)}}}\n", encoding="utf-8")
    run = read_document(path).data["programs"]["x"]["run"]
    assert list(map(as_text, run)) == items

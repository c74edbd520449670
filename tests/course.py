"""A small course for tests of the faces: an echo client, right and wrong, and its scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = """\
title: The client sends what its user types and shows the answer
role: echo-client
tags: [first]
patience: 2s
cast:
  server: {kind: tcp, at: 12000, eol: lf}
  user: {kind: terminal}
exchange: |
  user> hello
  server< hello  # the line is sent as it was typed
  server> HELLO
  user< *HELLO*
expect:
  exit: 0
"""

CLIENT = """\
import socket, sys
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
line = sys.stdin.readline()
peer.sendall((line if "--wrong" not in sys.argv else "goodbye\\n").encode())
print(peer.recv(100).decode())
"""

IMPLEMENTATION = """\
name: {name}
programs:
  echo-client:
    run: ["{{python}}", client.py, "{{host}}", "{{port}}"{more}]
"""


def lay_out(folder: Path) -> None:
    """Scenarios, a right implementation as `reference/`, a wrong one as `students/`."""
    scenario = folder / "scenarios" / "echo-client" / "upper.yaml"
    scenario.parent.mkdir(parents=True)
    scenario.write_text(SCENARIO, encoding="utf-8")
    for name, title, more in (("reference", "Ours", ""), ("students", "Group 7", ", --wrong")):
        (folder / name).mkdir()
        (folder / name / "client.py").write_text(CLIENT, encoding="utf-8")
        text = IMPLEMENTATION.format(name=title, more=more)
        (folder / name / "wirelab.yaml").write_text(text, encoding="utf-8")

"""The log: one line per event, and none that somebody else wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.log import Log, create_unique, masked_head_line, visible

if TYPE_CHECKING:
    from pathlib import Path


def test_each_line_is_there_at_once_with_its_time(tmp_path: Path) -> None:
    """W10, WM14: flushed, nothing lost when the program is killed."""
    log = Log.open(tmp_path)
    log.write("SMTP S: 250 好\r\nS: 250 forged")
    [line] = log.path.read_text("utf-8").splitlines()
    log.close()
    assert log.path.name.startswith("Log-")
    assert line[24:] == r"SMTP S: 250 好\x0d\x0aS: 250 forged"
    assert line[4] == "-"
    assert line[19] == "."


def test_two_logs_of_one_second_do_not_meet(tmp_path: Path) -> None:
    """WM12: nobody's file is written over."""
    names = []
    for _ in range(3):
        path, file = create_unique(tmp_path, "Log-x", ".txt")
        file.close()
        names.append(path.name)
    assert names == ["Log-x.txt", "Log-x-2.txt", "Log-x-3.txt"]


def test_a_log_that_fails_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ER12: and the work goes on."""
    log = Log.open(tmp_path)
    log.close()
    log.write("a")
    log.write("b")
    assert capsys.readouterr().err.count("cannot be written") == 1


@given(st.text())
def test_visible_is_one_line(text: str) -> None:
    """Whatever a peer sends."""
    assert len(visible(text).splitlines()) <= 1
    assert "\x1b" not in visible(text)
    visible(text).encode()


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("Authorization: Basic abc", "Authorization: ********"),
        ("proxy-authorization : Basic abc", "proxy-authorization: ********"),
        ("Cookie: a=b; c=d", "Cookie: ********"),
        (
            "GET http://a:b@c/?sid=x&y=z HTTP/1.1",
            "GET http://********@c/?sid=********&y=z HTTP/1.1",
        ),
        ("Accept: */*", "Accept: */*"),
        ("X-Cookie: a", "X-Cookie: a"),
    ],
)
def test_credentials_in_heads_are_masked(line: str, masked: str) -> None:
    """W10."""
    assert masked_head_line(line) == masked

"""Dates that count from the play, and values bound in the body of an HTTP message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.run.theatre import play_once

if TYPE_CHECKING:
    from tests.run.theatre import Theatre

#: Tells the date back that it was asked with, or one of its own.
SERVER = """
    import re, socket, sys
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
    browser, _ = listener.accept()
    while request := browser.recv(65536):
        date = re.search(rb"If-Modified-Since: (.*?)\\r\\n", request)[1]
        date = %s
        browser.sendall(b"HTTP/1.1 304 Same\\r\\nLast-Modified: " + date + b"\\r\\n\\r\\n")
"""
EXCHANGE = """
    browser> GET /a
      If-Modified-Since: ${http-date -60s}
    browser< 304
      Last-Modified: {date}
    browser> GET /b
      If-Modified-Since: {date}
    browser< 304
      Last-Modified: ${http-date -60s}
"""


@pytest.mark.parametrize(
    ("told", "outcome"), [("date", "passed"), ('b"Thu, 01 Jan 1970 00:00:00 GMT"', "failed")]
)
def test_a_date_is_the_same_throughout_a_play(theatre: Theatre, told: str, outcome: str) -> None:
    cast = "browser: {kind: http, to: server}"
    more = 'expect: {errors: {lacks: "*"}}'
    plan = theatre.plan(EXCHANGE, SERVER % told, role="web-server", cast=cast, more=more)
    assert play_once(plan).outcome == outcome

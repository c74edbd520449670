"""Fixtures that all tests share.

The pytest plugin is not loaded here: its entry point does that, and loading it twice fails.
"""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let programs that tests start be interrupted, though the tests run in the background.

    A shell has its background jobs ignore SIGINT, and what they start inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

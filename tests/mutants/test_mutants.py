"""The faulty programs: each tells its faults and takes no other.

That a scenario finds each fault is shown where scenarios are played.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

MUTANTS = Path(__file__).parents[2] / "fixtures" / "mutants"

FAULTS = {
    "webmail_proxy.py": {
        "first-recipient-only",
        "form-not-decoded",
        "no-limit",
        "report-in-clear",
        "stops-at-refusal",
        "no-report",
        "data-after-all-refused",
        "password-in-log",
        "one-recv",
    },
    "smtp_client.py": {
        "no-address-check",
        "data-after-refusal",
        "first-line-only",
        "one-recv",
        "no-dot-stuffing",
        "exit-zero",
        "bare-lf",
        "greeting-not-read",
        "first-address-only",
        "impatient",
        "ignores-421",
        "hangs-on-close",
        "no-starttls",
        "no-verify",
        "no-ehlo-after-tls",
    },
    "http_client.py": {
        "no-host",
        "lf-only",
        "one-recv",
        "waits-for-end",
        "chunks-shown",
        "truncated-is-whole",
    },
    "udp_ping_client.py": {
        "late-reply-counted",
        "no-timeout",
        "no-timeout-wait",
        "timeout-too-long",
        "loss-is-received",
        "crash-when-all-lost",
        "rtt-in-seconds",
        "fifty-pings",
        "any-source",
        "duplicate-counted",
        "corrupt-counted",
        "short-counted",
        "crash-when-refused",
        "crash-when-unreachable",
    },
    "port_scanner.py": {
        "closed-is-filtered",
        "filtered-is-closed",
        "range-end-off-by-one",
        "no-timeout",
        "only-open",
        "unreachable-is-closed",
        "udp-silence-is-open",
    },
    "echo_server.py": {
        "one-at-a-time",
        "one-recv",
        "bye-ignored",
        "no-reuseaddr",
        "dies-on-reset",
        "last-line-lost",
        "text-only",
        "line-end-reversed",
        "answers-first-client",
        "bye-not-answered",
        "empty-datagram-ends",
        "udp-on-next-port",
    },
    "echo_client.py": {
        "bye-not-sent",
        "one-recv",
        "no-timeout",
        "end-not-noticed",
        "answer-not-shown",
        "crash-when-refused",
        "bye-not-awaited",
    },
    "talk_server.py": {
        "no-address",
        "no-time",
        "quit-ignored",
        "one-at-a-time",
        "one-recv",
        "ascii-only",
        "no-port",
    },
    "talk_client.py": {
        "quit-not-sent",
        "one-recv",
        "no-timeout",
        "end-not-noticed",
        "answer-not-shown",
        "ascii-only",
    },
    "calc_server.py": {
        "left-to-right",
        "brackets-ignored",
        "whole-numbers-only",
        "dies-on-error",
        "eval",
        "one-at-a-time",
        "one-recv",
        "datagram-error-ends",
    },
    "calc_client.py": {
        "works-it-out",
        "numbers-only",
        "one-recv",
        "no-timeout",
        "end-not-noticed",
        "answer-not-shown",
    },
    "udp_ping_server.py": {
        "never-loses",
        "loses-all",
        "answers-first-client",
        "text-only",
    },
}

each_program = pytest.mark.parametrize("program", FAULTS)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, MUTANTS / program, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_every_program_is_in_the_table() -> None:
    assert {path.name for path in MUTANTS.glob("*.py")} == set(FAULTS)


@each_program
def test_the_faults_are_listed_each_with_a_description(program: str) -> None:
    result = run(program, "--list-faults")

    listed = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert set(listed) == FAULTS[program]
    assert all(listed.values())
    assert result.returncode == 0


@each_program
def test_help(program: str) -> None:
    result = run(program, "--help")

    assert "--fault NAME" in result.stdout
    assert result.returncode == 0


@each_program
def test_an_unknown_fault_is_refused_by_name(program: str) -> None:
    result = run(program, "--fault", "no-such-fault")

    assert "'no-such-fault'" in result.stderr
    assert all(f"'{fault}'" in result.stderr for fault in FAULTS[program])
    assert result.returncode == 2


@each_program
def test_every_fault_is_switched_in_the_code_once_it_is_listed(program: str) -> None:
    source = (MUTANTS / program).read_text(encoding="utf-8")

    for fault in FAULTS[program]:
        assert re.search(rf'fault [!=]= "{fault}"', source), fault


@each_program
def test_the_readme_has_every_fault(program: str) -> None:
    readme = (MUTANTS / "README.md").read_text(encoding="utf-8")

    told = set(re.findall(rf"^\| `{re.escape(program)}` \| `(.+?)` \|", readme, re.MULTILINE))
    assert told == FAULTS[program]


@each_program
def test_the_work_is_done_over_sockets(program: str) -> None:
    source = (MUTANTS / program).read_text(encoding="utf-8")

    assert not re.search(r"^\s*(import|from) (smtplib|http\b)", source, re.MULTILINE)

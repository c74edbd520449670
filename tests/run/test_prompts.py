"""Programs that ask their user, and are answered."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from harness.model.record import Event, What
from harness.notation import parse_pattern
from harness.report import transcript
from harness.run.prompts import Prompts

from tests.run.theatre import play_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.plan import Plan

    from tests.run.theatre import Theatre


def typed(asks: Mapping[str, tuple[str, ...]], *printed: bytes | Event) -> list[tuple[str, bytes]]:
    """What is answered to what is printed, each with its prompt."""
    told: list[tuple[str, bytes]] = []
    answers = [(parse_pattern(pattern), texts) for pattern, texts in asks.items()]
    prompts = Prompts(answers, lambda prompt, keys: told.append((prompt, keys)))
    for data in printed:
        event = Event(0.0, What.SCREEN, "program", data=data) if isinstance(data, bytes) else data
        prompts.see(event)
    return told


TO = {"*ecipient*": ("bo@b.test", "cy@c.test")}
STARTED = Event(0.0, What.STARTED, "program")


def test_a_prompt_is_answered_where_it_stands() -> None:
    assert typed(TO, b"Hello\nRecipient: ") == [("Recipient: ", b"bo@b.test\n")]


def test_however_it_is_printed_it_is_answered_once() -> None:
    assert typed(TO, b"Re", b"cipient", b": ", b"\n") == [("Recipient", b"bo@b.test\n")]


def test_a_line_is_a_prompt_too_the_first_time() -> None:
    """Whoever asks by println prints the same words again when it tells what it was given."""
    assert typed(TO, b"The recipient?\n", b"The recipient is bo\n") == [
        ("The recipient?", b"bo@b.test\n")
    ]


def test_each_time_the_next_one_then_an_empty_line_then_the_end() -> None:
    assert [keys for _, keys in typed(TO, *[b"Recipient: "] * 4)] == [
        b"bo@b.test\n",
        b"cy@c.test\n",
        b"\n",
        b"\x04",
    ]


def test_the_first_pattern_that_meets_counts_and_others_stay_silent() -> None:
    asks = {"Subject:": ("TEST",), "*ubject*": ("no",)}
    assert typed(asks, b"Subject: ", b"a subject? ", b"Text: ") == [
        ("Subject: ", b"TEST\n"),
        ("a subject? ", b"no\n"),
    ]


def test_another_life_of_the_program_is_answered_from_the_beginning() -> None:
    assert len({keys for _, keys in typed(TO, b"Recipient: ", STARTED, b"Recipient: ")}) == 1


ASKING = """
    import getpass, sys
    to = input("Recipient: ")
    secret = getpass.getpass("Password: ")
    print("to", to)
    print("secret", secret)
"""
ASKS = "asks: {'*ecipient*': '{to}', 'Password*': s3cret}"
MORE = """
    program: {to: bo@example.test}
    expect: {exit: 0, screen: {in order: ["Recipient: ", to bo@example.test, secret s3cret]}}
"""


def asked(theatre: Theatre, run: str, asks: str, more: str = MORE) -> Plan:
    cast = "mail: {kind: closed, at: 25}\nuser: {kind: terminal}"
    exchange = "user< Recipient:\nuser< to *"
    return theatre.plan_of(exchange, f"{run}\n    {asks}", role="smtp-client", cast=cast, more=more)


def test_input_and_getpass_are_answered_and_it_is_told(theatre: Theatre) -> None:
    (theatre.author / "program.py").write_text(
        "\n".join(line[4:] for line in ASKING.splitlines()), encoding="utf-8"
    )
    plan = asked(theatre, "['{python}', program.py]", ASKS)
    play = play_once(plan)

    assert play.outcome == "passed", play.headlines
    assert "# program: `Recipient: ` is answered `bo@example.test`" in transcript(plan, play.record)


def test_a_prompt_that_nobody_answers_is_waited_for_in_vain(theatre: Theatre) -> None:
    (theatre.author / "program.py").write_text(
        "\n".join(line[4:] for line in ASKING.splitlines()), encoding="utf-8"
    )
    plan = asked(
        theatre, "['{python}', program.py]", "asks: {'*ender*': x}", f"    patience: 300ms{MORE}"
    )
    assert play_once(plan).outcome == "failed"


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no cc")
def test_a_program_in_c_is_answered_too(theatre: Theatre) -> None:
    (theatre.author / "program.py").write_text(
        """
        #include <stdio.h>
        #include <string.h>
        int main(void) {
            char to[80], secret[80];
            printf("Recipient: ");
            scanf("%79s", to);
            printf("Password: ");
            scanf("%79s", secret);
            printf("to %s\\nsecret %s\\n", to, secret);
            return 0;
        }
        """,
        encoding="utf-8",
    )
    plan = asked(theatre, "[sh, -c, 'cc -x c -o ask program.py && exec ./ask']", ASKS)
    play = play_once(plan)
    assert play.outcome == "passed", play.headlines

"""What can be read from a record without knowing the scenario."""

from __future__ import annotations

from harness.model.record import Event, Record, What


def fault(actor: str, name: str, way: str) -> Event:
    return Event(0.1, What.FAULT, actor, 1, facts={"fault": name, "way": way, "ordinal": 1})


def test_losses_of_both_ways_count_of_what_was_sent_to_the_actor() -> None:
    heard = [Event(0.1, What.HEARD, "pong", 1, b"ping")] * 2
    stands = [
        Event(0.0, What.STANDS, name, facts={"host": "h", "port": 7}) for name in ("pong", "b")
    ]
    faults = [
        fault("pong", "lose", "heard"),
        fault("pong", "lose", "answer"),
        fault("pong", "repeat", "answer"),
    ]

    assert Record((*stands, *heard, *faults)).losses == {
        "pong.lost": "2",
        "pong.loss": "66.7",
        "b.lost": "0",
        "b.loss": "0.0",
    }

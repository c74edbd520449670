"""Which fault hits which datagram, and what comes out of it: no sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.model.faults import Choice, Faults
from harness.peers.way import Parcel, Way
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = [name for name, _ in Faults().choices()]

ordinals = st.dictionaries(st.integers(1, 12), st.none(), max_size=4)
choices = st.builds(Choice, ordinals, st.sampled_from([0.0, 0.3, 1.0]))
delays = st.builds(Choice, st.dictionaries(st.integers(1, 12), st.just(0.2), max_size=4))
faults = st.builds(
    Faults,
    **{name: delays if name == "delay" else choices for name in NAMES},
)
datagrams = st.lists(st.binary(max_size=20), max_size=12)


def sent(faults: Faults, *texts: str, luck: str = "") -> tuple[list[str], list[str]]:
    """What comes out of a way, copy by copy, and what is told of it."""
    way: Way[None] = Way(faults, luck)
    passages = [way.take(text.encode(), None) for text in texts]
    out = [
        p.data.decode() for passage in passages for p in passage.parcels for _ in range(p.copies)
    ]
    told = [f"{m.ordinal} {m.words}" for passage in passages for m in passage.mishaps]
    return out, told


def at(*ordinals: int, value: float | None = None) -> Choice:
    return Choice(dict.fromkeys(ordinals, value))


@pytest.mark.parametrize(
    ("faults", "out", "told"),
    [
        (Faults(), "one two three", []),
        (Faults(lose=at(1, 3)), "two", ["1 is lost", "3 is lost"]),
        (Faults(repeat=at(2)), "one two two three", ["2 is repeated"]),
        (Faults(repeat=at(1, value=2)), "one one one two three", ["1 is repeated 2 times"]),
        (Faults(reorder=at(1)), "two one three", ["1 goes after the next one"]),
        (Faults(truncate=at(3)), "one two th", ["3 is cut to 2 of 5 octets"]),
        (Faults(truncate=at(3, value=4)), "one two thre", ["3 is cut to 4 of 5 octets"]),
        (Faults(truncate=at(3, value=9)), "one two three", []),
        (
            Faults(corrupt=at(1)),
            "ond two three",
            ["1 is corrupted: octet 3 is 0x64 instead of 0x65"],
        ),
        (
            Faults(corrupt=at(1, value=1)),
            "nne two three",
            ["1 is corrupted: octet 1 is 0x6e instead of 0x6f"],
        ),
        (Faults(delay=at(2, value=1.5)), "one two three", ["2 is delayed by 1.5s"]),
        (Faults(foreign=at(2)), "one two three", ["2 comes from another port"]),
    ],
)
def test_each_fault_alone(faults: Faults, out: str, told: list[str]) -> None:
    assert sent(faults, "one", "two", "three") == (out.split(), told)


@pytest.mark.parametrize(
    ("faults", "out"),
    [
        # one that is lost meets no other fault
        (Faults(lose=at(1), repeat=at(1), reorder=at(1)), "two three four"),
        # what is left is corrupted, and then copied
        (Faults(truncate=at(1, value=2), corrupt=at(1), repeat=at(1)), "oo oo two three four"),
        # the copies go along
        (Faults(reorder=at(1), repeat=at(1)), "two one one three four"),
        # a pair is swapped: the second one's own turn is forgotten
        (Faults(reorder=at(1, 2)), "two one three four"),
        (Faults(reorder=Choice(rate=1.0)), "two one four three"),
        # in place of one that is lost
        (Faults(reorder=at(1), lose=at(2)), "one three four"),
        # behind the last one comes none
        (Faults(reorder=at(4)), "one two three"),
    ],
)
def test_faults_that_meet_have_an_order(faults: Faults, out: str) -> None:
    assert sent(faults, "one", "two", "three", "four")[0] == out.split()


def test_the_parcel_says_when_and_from_where() -> None:
    way: Way[str] = Way(Faults(delay=at(1, value=0.5), foreign=at(1)), "")

    assert way.take(b"one", "ann").parcels == (Parcel(b"one", "ann", delay=0.5, foreign=True),)
    assert way.take(b"two", "bo").parcels == (Parcel(b"two", "bo"),)


def test_numbers_go_into_the_record_as_numbers() -> None:
    way: Way[None] = Way(
        Faults(
            truncate=at(1, value=3), corrupt=at(1), repeat=at(1, value=2), delay=at(1, value=0.25)
        ),
        "",
    )

    facts = {m.fault: m.facts for m in way.take(b"twelve", None).mishaps}

    assert facts == {
        "truncate": {"octets": 3},
        "corrupt": {"octet": 3},
        "repeat": {"copies": 2},
        "delay": {"ms": 250},
    }


def test_what_is_empty_cannot_be_corrupted() -> None:
    assert sent(Faults(corrupt=at(1), truncate=at(1)), "") == ([""], [])


def test_a_value_may_go_by_chance_and_another_by_ordinal() -> None:
    out, _ = sent(Faults(repeat=Choice({2: 3.0}, rate=1.0, value=1.0)), "a", "b", "c")

    assert "".join(out) == "aabbbbcc"


# -- chance ---------------------------------------------------------------------------


def hit(luck: str, faults: Faults, number: int = 200) -> Sequence[str]:
    return sent(faults, *map(str, range(number)), luck=luck)[1]


def test_the_same_luck_hits_the_same_datagrams() -> None:
    faults = Faults(lose=Choice(rate=0.3), repeat=Choice(rate=0.3))

    assert hit("7/udp-ping-client/loss/pong", faults) == hit("7/udp-ping-client/loss/pong", faults)
    assert hit("7/udp-ping-client/loss/pong", faults) != hit("8/udp-ping-client/loss/pong", faults)


def test_a_rate_is_kept_on_the_whole() -> None:
    assert len(hit("7", Faults(lose=Choice(rate=0.3)), 2_000)) == pytest.approx(600, abs=60)


def test_chance_goes_on_alike_whatever_else_goes_wrong() -> None:
    """A fault more in the scenario moves none of the others."""
    alone = hit("7", Faults(repeat=Choice(rate=0.3)))
    beside = hit(
        "7", Faults(repeat=Choice(rate=0.3), corrupt=Choice(rate=0.5), delay=at(3, value=1))
    )

    assert [words for words in beside if "repeated" in words] == list(alone)


@given(faults, datagrams)
def test_what_is_not_hit_passes_as_it_is(faults: Faults, datagrams: list[bytes]) -> None:
    way: Way[int] = Way(faults, "7")
    for ordinal, data in enumerate(datagrams, 1):
        passage = way.take(data, ordinal)
        own = [parcel for parcel in passage.parcels if parcel.ticket == ordinal]
        if not passage.mishaps:
            assert own == [Parcel(data, ordinal)]


@given(faults, datagrams)
def test_each_one_comes_out_once_or_is_lost_or_waits_at_the_end(
    faults: Faults, datagrams: list[bytes]
) -> None:
    way: Way[int] = Way(faults, "7")
    passages = [way.take(data, ordinal) for ordinal, data in enumerate(datagrams, 1)]
    out = [parcel.ticket for passage in passages for parcel in passage.parcels]
    lost = [m.ordinal for passage in passages for m in passage.mishaps if m.fault == "lose"]
    held = set(range(1, len(datagrams) + 1)) - set(out) - set(lost)

    assert len(out) == len(set(out))
    assert not set(out) & set(lost)
    assert held <= {len(datagrams)}
    assert all(abs(place - ordinal) <= 1 for place, ordinal in enumerate_kept(out, lost))


def enumerate_kept(out: list[int], lost: list[int]) -> list[tuple[int, int]]:
    """Each one's place among those that came out, and its place among those that could."""
    kept = [ordinal for ordinal in sorted({*out, *lost}) if ordinal not in lost]
    return [(place, kept.index(ordinal)) for place, ordinal in enumerate(out)]


@given(faults, datagrams)
def test_faults_are_told_in_the_order_of_their_effect(
    faults: Faults, datagrams: list[bytes]
) -> None:
    way: Way[None] = Way(faults, "7")
    for data in datagrams:
        told = [NAMES.index(mishap.fault) for mishap in way.take(data, None).mishaps]
        assert told == sorted(told)

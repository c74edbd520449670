"""Captures on disk: what is written is read back, and Wireshark reads it too."""

from __future__ import annotations

import pytest
from harness.model.capture import LOOPBACK, WIRE, Capture, Frame
from harness.record import BadCaptureError, read_capture, write_capture
from hypothesis import given
from hypothesis import strategies as st

NOON = 1_795_259_830_000_000_000

frames = st.builds(
    Frame,
    time_ns=st.integers(0, 2**63),
    link=st.sampled_from([WIRE, LOOPBACK]),
    sent=st.booleans(),
    data=st.binary(max_size=70),
)
captures = st.builds(
    Capture,
    frames=st.lists(frames, max_size=4).map(tuple),
    curtain_ns=st.integers(0, 2**62),
    lost=st.integers(0, 9),
    beyond=st.integers(0, 9),
    secrets=st.binary(max_size=9),
    names=st.dictionaries(
        st.sampled_from(["a", "smtp.qq.com"]), st.sampled_from(["198.18.1.2", "2001:db8::1"])
    ),
)


def written(capture: Capture) -> bytes:
    return b"".join(write_capture(capture))


@given(captures)
def test_a_capture_is_read_back_as_it_was(capture: Capture) -> None:
    whole = Capture(
        capture.frames,
        capture.curtain_ns if capture.curtain_ns >= 10**9 else 0,
        capture.lost,
        capture.beyond,
        capture.secrets,
        capture.names,
    )

    assert read_capture(written(whole)) == whole


def test_every_block_tells_its_size_twice_and_begins_at_a_multiple_of_four() -> None:
    frame = Frame(NOON, WIRE, sent=True, data=b"odd")
    for block in write_capture(Capture((frame,), NOON, secrets=b"x", names={"me": "::1"})):
        assert block[4:8] == block[-4:]
        assert len(block) % 4 == 0


@pytest.mark.parametrize("size", [0, 3, 40, -1, -40])
def test_what_is_cut_off_is_told(size: int) -> None:
    whole = written(Capture((Frame(NOON, WIRE, sent=True, data=b"frame"),), NOON))

    with pytest.raises(BadCaptureError):
        read_capture(whole[:size])


def test_times_count_from_the_curtain() -> None:
    early = Frame(NOON - 5, WIRE, sent=True, data=b"")
    late = Frame(NOON + 1_500_000_000, WIRE, sent=True, data=b"")
    capture = Capture((early, late), NOON)

    assert [capture.seconds(frame) for frame in capture.frames] == [0.0, 1.5]
    assert Capture((late,)).seconds(late) == 0.0


def test_what_is_missing_is_told_in_words() -> None:
    assert Capture().gap == ""
    assert Capture(lost=2, beyond=3).gap == (
        "the kernel had no room for 2 frames and 3 frames came behind the first 16 MiB"
    )

"""Numbers told in texts, as real programs tell them."""

from __future__ import annotations

import pytest
from harness.judge.numbers import Told, told_numbers

LOST = "lost|loss|丢失|丢包|verloren|Verlust"
BYTES = "bytes?|octets?|字节|长度"


def told(near: str, text: str) -> list[str]:
    return [number.text for number in told_numbers(near, text.split("\n"))]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("10 packets transmitted, 6 received, 40% packet loss, time 9012ms", ["40"]),
        ("    Packets: Sent = 10, Received = 6, Lost = 4 (40% loss),", ["4", "40"]),
        ("    Pakete: Gesendet = 10, Empfangen = 6, Verloren = 4", ["4"]),
        ("    (40% Verlust),", ["40"]),
        ("    数据包: 已发送 = 10，已接收 = 6，丢失 = 4 (40% 丢失)，", ["4", "40"]),
        ("共发送10个数据包，丢失了4个，丢失率40.0%", ["4", "40.0"]),
        ("10 个包中丢失 4 个", ["4"]),
        ("丢失4个", ["4"]),
        ("丢包率：40%", ["40"]),
        ("4/10 packets lost", ["4"]),
        ("lost 4/10", ["4"]),
        ("4 of 10 lost", ["4"]),
        ("4 von 10 Paketen verloren (40,0 %)", ["4"]),
        ("Verloren: 4 (40,0 %)", ["4"]),
        ("Packet loss rate: 40.0%", ["40.0"]),
        ("loss rate (%): 40", ["40"]),
        ("Received: 6 Lost: 4", ["4"]),
        ("sent 10 lost 4 received 6", ["4"]),
        ("10 sent 4 lost 6 received", ["4"]),
        ("10 sent | 4 lost | rtt 1.5", ["4"]),
        ("Sent 10. Lost 4.", ["4"]),
        ("12:30:05 lost 4", ["4"]),
        ("2026-11-21 10:00 lost: 4", ["4"]),
        ("127.0.0.1:12000 lost: 4", ["4"]),
        ("4 packets were lost (40 %)", ["4"]),
        ("100% packet loss", ["100"]),
        ("min/avg/max = 1.2/3.4/5.6 ms, loss 40%", ["40"]),
        ("all lost", []),
        ("ping4 lost", []),
        ("", []),
    ],
)
def test_the_number_that_belongs_to_the_word(text: str, numbers: list[str]) -> None:
    assert told(LOST, text) == numbers


def test_min_avg_max_is_no_number() -> None:
    assert told("rtt", "rtt min/avg/max/mdev = 1.2/3.4/5.6/0.1 ms") == []


def test_the_last_line_that_speaks_of_it_counts() -> None:
    assert told(LOST, "packet 2 lost\npacket 5 lost\n10 sent, 4 lost\nbye 7") == ["4"]


def test_a_line_that_names_it_without_a_number_is_passed_over() -> None:
    assert told(LOST, "4 lost\nnothing else was lost") == ["4"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("40", [40.0]),
        ("40.0", [40.0]),
        ("40,0", [40.0]),
        ("+4", [4.0]),
        ("-4", [-4.0]),
        ("1,234", [1234.0, 1.234]),
        ("1.234", [1234.0, 1.234]),
        ("1,234,567", [1234567.0]),
        ("1.234,5", [1234.5]),
        ("1,234.5", [1234.5]),
    ],
)
def test_points_and_commas_divide_decimals_or_thousands(text: str, values: list[float]) -> None:
    number = Told(text, 0, len(text))
    assert [value for value in values if not number.is_one_of([value])] == []
    assert not number.is_one_of([0.0, 41.0, 123.0, 234.0, 12345.0])


@pytest.mark.parametrize(
    "text",
    [
        "10 sent, 6 received, 60% loss",  # what was received taken for what was lost
        "4 sent, 0 lost",
        "4 received, 10 sent, loss 100%",
        "lost 0 of 4",
        "lost 14",
        "4x lost packets: 3",
        "lost: 0.4",
        "min/avg/max 4/4/4, loss 0%",
    ],
)
def test_a_wrong_program_does_not_pass_by_accident(text: str) -> None:
    numbers = told_numbers(LOST, [text])
    assert not (numbers and all(number.is_one_of((4, 40)) for number in numbers))


@pytest.mark.parametrize(
    "text",
    ["24 bytes", "length: 24 bytes", "长度：24", "24字节", "size=24 octets, 3 lines", "24 byte(s)"],
)
def test_sizes(text: str) -> None:
    assert told(BYTES, text) in (["24"], ["24", "24"])

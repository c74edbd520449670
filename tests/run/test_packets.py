"""Demands on packets, and what a program tried in vain, in real plays: right and wrong."""

from __future__ import annotations

from textwrap import dedent

import pytest
from harness import network as network_module

from tests.run.theatre import Played, Theatre, play_once

TROUBLE = network_module._trouble()
pytestmark = pytest.mark.skipif(bool(TROUBLE), reason=TROUBLE)

GREET = """
    import socket, struct, sys
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as peer:
        peer.sendall(b"hello\\n")
        print(peer.recv(100))
        END
"""
BREAK_OFF = "peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))"
DATAGRAM = """
    import socket, sys
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOPS)
    peer.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
"""
PING = """
    import socket, struct, sys
    def checksum(data):
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        total = (total >> 16) + (total & 0xFFFF)
        return ~(total + (total >> 16)) & 0xFFFF
    request = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"ping"
    request = struct.pack("!BBHHH", 8, 0, checksum(request) + WRONG, 7, 1) + b"ping"
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.sendto(request, (sys.argv[1], 0))
"""
LOST = """
    import socket, sys
    for place in PLACES:
        try:
            socket.create_connection(place).close()
        except OSError as error:
            print(error)
    sys.exit(STATUS)
"""
SERVER = """
    import socket, sys
    server = socket.create_server((sys.argv[1], int(sys.argv[2])))
    while True:
        connection, _ = server.accept()
        connection.sendall(connection.recv(100))
        connection.close()
"""


def client(
    theatre: Theatre,
    program: str,
    expect: str,
    exchange: str = "",
    cast: str = "server: {kind: tcp, at: 'server.example.test:12000', eol: lf}",
    role: str = "echo-client",
) -> Played:
    more = f"patience: 2s\nexpect: {expect}"
    plan = theatre.plan(exchange, program, role=role, cast=cast, more=more, network="private")
    return play_once(plan, network="private")


def greet(theatre: Theatre, packets: str, end: str = "pass") -> Played:
    exchange = "server< hello\nserver> HELLO\n"
    return client(theatre, GREET.replace("END", end), f"{{packets: {packets}}}", exchange)


@pytest.mark.parametrize(
    ("end", "packets", "fault"),
    [
        (
            "pass",
            """{in order: ['program > server: tcp SYN', 'server > program: tcp SYN ACK',
                'program > server: tcp ACK']}""",
            "",
        ),
        (
            "pass",
            "{in order: ['program > server: tcp FIN ACK', 'server > program: tcp FIN ACK']}",
            "",
        ),
        (
            "pass",
            "{in order: ['server > program: tcp FIN ACK', 'program > server: tcp FIN ACK']}",
            "No line of the capture matches `program > server: tcp FIN ACK` behind the one",
        ),
        (BREAK_OFF, "{lacks: 'program > server: tcp RST'}", "The capture must not show"),
        ("pass", "{lacks: 'tcp RST'}", ""),
        ("pass", "{count: {'program > server: tcp SYN': 1, '*, again': 0}}", ""),
        ("pass", "{count: {'server > program: tcp ACK, 6 octets': 1}}", ""),
        ("pass", "{count: {'program > server: tcp SYN': 2}}", "1 line of the capture matches"),
        ("pass", "'program > server: tcp SYN, ttl 64'", ""),
        ("pass", "'program > server: tcp SYN, ttl 3'", "No line of the capture matches"),
        ("pass", "{lacks: 'program > nobody'}", ""),
    ],
)
def test_connections_are_told_packet_by_packet(
    theatre: Theatre, end: str, packets: str, fault: str
) -> None:
    played = greet(theatre, packets, end)

    assert played.outcome == ("failed" if fault else "passed"), played.headlines
    assert fault in played.headline


def test_the_packet_that_must_not_be_there_is_shown_with_its_number_and_time(
    theatre: Theatre,
) -> None:
    played = greet(theatre, "{lacks: 'tcp RST'}", BREAK_OFF)
    (rung,) = played.verdict.findings[0].ladder

    assert rung.text.startswith("packet ")
    assert " s: program > server: tcp RST ACK, ttl 64" in rung.text


@pytest.mark.parametrize(("again", "outcome"), [(1, "passed"), (0, "failed")])
def test_what_is_sent_again_is_counted(theatre: Theatre, again: int, outcome: str) -> None:
    played = client(
        theatre,
        GREET.replace("END", "pass"),
        f"{{packets: {{count: {{'program > server: tcp ACK, 6 octets, again': {again}}}}}}}",
        "server< hello\nserver> HELLO\n",
        cast=(
            "server: {kind: tcp, at: 'server.example.test:12000', eol: lf,"
            " segments: {hear: {lose: [1]}}}"
        ),
    )

    assert played.outcome == outcome, played.headlines


@pytest.mark.parametrize(("ttl", "outcome"), [(3, "passed"), (4, "failed")])
def test_datagrams_tell_their_ttl(theatre: Theatre, ttl: int, outcome: str) -> None:
    played = client(
        theatre,
        DATAGRAM.replace("HOPS", str(ttl)),
        "{packets: 'program > server: udp, 5 octets, ttl 3'}",
        cast="server: {kind: udp, at: 'server.example.test:12000', answer: nothing}",
    )

    assert played.outcome == outcome, played.headlines
    assert played.headlines in (
        [],
        ["No line of the capture matches `program > server: udp, 5 octets, ttl 3`."],
    )


@pytest.mark.parametrize(("wrong", "fault"), [(0, ""), (1, "must not show `wrong checksum`")])
def test_echo_requests_tell_their_fields_and_their_checksum(
    theatre: Theatre, wrong: int, fault: str
) -> None:
    program = dedent(PING).replace("WRONG", str(wrong))
    (theatre.author / "program.py").write_text(program, encoding="utf-8")
    plan = theatre.plan_of(
        "",
        "['{python}', program.py, '{host}']",
        role="icmp-ping",
        cast="target: {kind: icmp, at: far.example.test}",
        more=(
            "patience: 2s\nexpect: {packets: {has: 'program > target: icmp echo request 1, id 7,"
            " 4 octets*', lacks: wrong checksum}}"
        ),
        network="private",
    )
    played = play_once(plan, network="private")

    assert played.outcome == ("failed" if fault else "passed"), played.headlines
    assert fault in " ".join(played.headlines)


@pytest.mark.parametrize("place", ["203.0.113.9:587", "127.0.0.1:9", "[2001:db8::9]:587"])
def test_what_is_sent_to_nobody_is_told_by_its_place(theatre: Theatre, place: str) -> None:
    host, _, port = place.rpartition(":")
    program = LOST.replace("PLACES", repr([(host.strip("[]"), int(port))])).replace("STATUS", "0")
    played = client(theatre, program, "{packets: {lacks: program > nobody}}")

    assert played.outcome == "failed"
    assert f"program > nobody at {place}: tcp SYN" in played.verdict.findings[0].observed


@pytest.mark.parametrize(
    ("pattern", "outcome"),
    [("browser > program: tcp SYN", "passed"), ("program > browser: tcp SYN", "failed")],
)
def test_who_dials_a_server_has_a_name(theatre: Theatre, pattern: str, outcome: str) -> None:
    plan = theatre.plan(
        "browser! connect\nbrowser> hello\nbrowser< hello",
        SERVER,
        role="echo-server",
        cast="browser: {kind: tcp, to: server}",
        more=f"expect: {{packets: '{pattern}'}}",
        network="private",
    )
    played = play_once(plan, network="private")

    assert played.outcome == outcome, played.headlines


def test_without_captures_the_scenario_is_skipped(theatre: Theatre) -> None:
    plan = theatre.plan(
        "",
        "pass",
        role="echo-client",
        cast="server: {kind: tcp, at: 12000}",
        more="expect: {packets: {lacks: program > nobody}}",
    )

    assert plan.skipped == "this network (loopback) has no capture"


# -- what was tried in vain -----------------------------------------------------------


def tried(theatre: Theatre, places: list[tuple[str, int]], status: int = 1) -> Played:
    program = LOST.replace("PLACES", repr(places)).replace("STATUS", str(status))
    return client(theatre, program, "{exit: 0}")


def test_a_place_where_nobody_is_is_told_with_what_makes_it_true(theatre: Theatre) -> None:
    played = tried(theatre, [("203.0.113.9", 587)])

    assert played.headlines[-1] == (
        "The program tried 203.0.113.9:587 over TCP; no actor is there; if that stands in its "
        "source, say `server: 203.0.113.9:587` in wirelab.yaml."
    )


def test_so_are_places_on_the_programs_own_host(theatre: Theatre) -> None:
    assert (
        "The program tried 127.0.0.1:25 over TCP"
        in (tried(theatre, [("127.0.0.1", 25)]).headlines[-1])
    )


def test_of_many_places_some_are_told_and_the_rest_are_counted(theatre: Theatre) -> None:
    played = tried(theatre, [("203.0.113.9", port) for port in range(1, 8)])

    assert "203.0.113.9:1, 203.0.113.9:2, 203.0.113.9:3 and 4 more places" in played.headlines[-1]


def test_datagrams_that_reach_no_port_are_told(theatre: Theatre) -> None:
    program = DATAGRAM.replace("HOPS", "9").replace(
        "sys.argv[1], int(sys.argv[2])", "'192.0.2.9', 9"
    )
    played = client(theatre, program + "    sys.exit(1)\n", "{exit: 0}")

    assert "The program tried 192.0.2.9:9 over UDP; no actor is there" in played.headlines[-1]


def test_a_play_that_passed_tells_of_none(theatre: Theatre) -> None:
    played = tried(theatre, [("203.0.113.9", 587)], status=0)

    assert (played.outcome, played.headlines) == ("passed", [])


def test_an_address_that_a_name_leads_to_is_not_told(theatre: Theatre) -> None:
    """The scenario has said that nobody is there."""
    plan = theatre.plan(
        "",
        LOST.replace("PLACES", "[('192.0.2.25', 25)]").replace("STATUS", "1"),
        role="echo-client",
        cast="server: {kind: tcp, at: 'server.example.test:12000'}",
        more="names: {server.example.test: [192.0.2.7, 192.0.2.25]}\nexpect: {exit: 0}",
        network="private",
    )
    played = play_once(plan, network="private")

    assert played.outcome == "failed"
    assert not any("tried" in headline for headline in played.headlines)


def test_another_port_of_an_actors_host_is_told_by_its_name(theatre: Theatre) -> None:
    played = tried(theatre, [("server.example.test", 12001)])

    assert "say `server: server.example.test:12001` in wirelab.yaml" in played.headlines[-1]


def test_a_place_that_is_closed_on_purpose_is_not_told(theatre: Theatre) -> None:
    played = client(
        theatre,
        LOST.replace("PLACES", "[('203.0.113.9', 587)]").replace("STATUS", "1"),
        "{exit: 0}",
        cast="gone: {kind: closed, at: '203.0.113.9:587', as: server}",
    )

    assert played.outcome == "failed"
    assert not any("tried" in headline for headline in played.headlines)

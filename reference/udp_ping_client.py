"""UDP ping: numbered datagrams to an echo service, a round-trip time for each, statistics.

    python udp_ping_client.py HOST PORT [--count 10] [--timeout 1.0] [--interval 0]

Each ping is one datagram, ``Ping <sequence> <time>``, and is credited with its own reply
only: the same octets come back, as an echo service sends them (RFC 862) or in capitals, as
the lab's ping server does. What comes too late, twice or damaged is told and not counted.

The socket is connected, for two reasons. The kernel then discards what other addresses send
(a server must answer from the address that was asked, RFC 1122 4.1.3.5), and it hands over
ICMP errors such as port unreachable (RFC 1122 4.1.3.3), of which an unconnected socket hears
nothing.

Exit status: 0 at least one reply; 1 none; 2 wrong usage or no such host; 130 and 143 ended
by SIGINT and SIGTERM, after the statistics. Requirement A7; behaviours UP01 to UP04.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from protocols.arguments import add_family
from protocols.sockets import LARGEST_DATAGRAM, RECEIVE_ERRORS, is_own_peer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

MSG_ERRQUEUE = 0x2000
"""recvmsg(2): read the queue of errors; not in the socket module on every platform."""


class NoSuchPeerError(Exception):
    """The host has no address, or none that can be reached from here. The text is for the user."""


# --- Accounting: what was sent, and what an arriving datagram means. No sockets here. ---


class State(Enum):
    """What became of one ping."""

    WAITING = "waiting"
    GIVEN_UP = "given up"
    ANSWERED = "answered"


class Kind(Enum):
    """What an arriving datagram is to us."""

    REPLY = "reply"
    LATE = "late"
    DUPLICATE = "duplicate"
    STRANGE = "strange"


@dataclass
class Ping:
    """One ping under way: its number (from 1), when it left (seconds) and its state."""

    sequence: int
    sent_at: float
    state: State = State.WAITING


@dataclass(frozen=True)
class Arrival:
    """An arriving datagram, understood. Strange ones have no sequence and no time."""

    kind: Kind
    octets: int
    sequence: int = 0
    rtt_ms: float = 0.0


@dataclass
class Ledger:
    """All pings of a run, by payload, and the round-trip times (milliseconds) of the answered.

    Clocks are handed in as seconds of one monotonic clock, so a test can be its own clock.
    """

    pings: dict[bytes, Ping] = field(default_factory=dict)
    rtts_ms: list[float] = field(default_factory=list)
    current: Ping | None = None

    def send(self, sequence: int, payload: bytes, now: float) -> None:
        """Note that a ping leaves now; a reply is awaited from here on."""
        self.current = self.pings[key(payload)] = Ping(sequence, now)

    def give_up(self) -> None:
        """Stop waiting: a reply to the current ping is late from here on."""
        if self.current is not None:
            self.current.state = State.GIVEN_UP
            self.current = None

    def receive(self, datagram: bytes, now: float) -> Arrival:
        """Say what a datagram is; a proper reply ends the wait and counts."""
        ping = self.pings.get(key(datagram))
        if ping is None:
            return Arrival(Kind.STRANGE, len(datagram))
        rtt_ms = (now - ping.sent_at) * 1000
        arrival = Arrival(kind_of(ping), len(datagram), ping.sequence, rtt_ms)
        ping.state = State.ANSWERED
        if arrival.kind is Kind.REPLY:
            self.current = None
            self.rtts_ms.append(rtt_ms)
        return arrival

    def statistics(self) -> list[str]:
        """Return the closing lines. A ping that a signal cut short counts as lost."""
        return statistics(len(self.pings), self.rtts_ms)


def key(payload: bytes) -> bytes:
    """Return what identifies a payload, whether it comes back as sent or in capitals."""
    return payload.upper()


def kind_of(ping: Ping) -> Kind:
    """Return what a datagram with this ping's payload is, by the ping's state."""
    return {
        State.WAITING: Kind.REPLY,
        State.GIVEN_UP: Kind.LATE,
        State.ANSWERED: Kind.DUPLICATE,
    }[ping.state]


def payload_for(sequence: int, wall_clock: float) -> bytes:
    """Return the datagram ``Ping <sequence> <seconds since 1970>``.

    The time also keeps two runs apart: an answer to an earlier run's ping 3 is strange here.
    """
    return f"Ping {sequence} {wall_clock:.6f}".encode("ascii")


# --- Words for the screen ---


def statistics(sent: int, rtts_ms: Sequence[float]) -> list[str]:
    """Return ``10 sent, 6 received, 4 lost (40%)`` and, if any came back, the rtt line (ms)."""
    received = len(rtts_ms)
    lost = sent - received
    share = percentage(lost, sent)
    lines = [f"{sent} sent, {received} received, {lost} lost ({share})"]
    if received:
        low, high = min(rtts_ms), max(rtts_ms)
        mean = math.fsum(rtts_ms) / received
        lines.append(f"rtt min/avg/max = {low:.3f}/{mean:.3f}/{high:.3f} ms")
    return lines


def percentage(part: int, whole: int) -> str:
    """Return the share to a tenth of a percent, ``40%`` or ``33.3%``; nothing of nothing is 0%."""
    share = round(100 * part / whole, 1) if whole else 0
    return f"{share:g}%"


def describe(arrival: Arrival, peer: str) -> str:
    """Return the line that tells the user of an arrival."""
    told = f"from {peer}: seq={arrival.sequence} time={arrival.rtt_ms:.3f} ms"
    return {
        Kind.REPLY: f"reply {told}",
        Kind.LATE: f"late reply {told}, not counted",
        Kind.DUPLICATE: f"duplicate reply {told}, not counted",
        Kind.STRANGE: f"unknown datagram from {peer}: {arrival.octets} bytes, not counted",
    }[arrival.kind]


def endpoint(address: tuple[str, int]) -> str:
    """Return ``127.0.0.1:12000`` or ``[::1]:12000`` (brackets as in RFC 3986 3.2.2)."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# --- Sockets ---


def open_socket(host: str, port: int, family: int = socket.AF_UNSPEC) -> socket.socket:
    """Return a non-blocking UDP socket connected to the first address that can be reached.

    Raises:
        NoSuchPeerError: the name does not resolve, or no route leads to any of its addresses.
    """
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)
    except (OSError, ValueError) as error:  # ValueError: no host name at all (NUL, label too long)
        raise NoSuchPeerError(f"cannot resolve {host!r}: {reason(error)}") from error
    trouble = "no address"
    for kind, _, _, _, address in found:
        try:
            return connect(kind, address)
        except OSError as error:
            trouble = reason(error)
    raise NoSuchPeerError(f"cannot reach {host!r}: {trouble}")


def connect(family: int, address: tuple[Any, ...]) -> socket.socket:
    """Return a non-blocking connected socket that is not its own peer."""
    sock = new_socket(family)
    try:
        sock.connect(address)
        if is_own_peer(sock):
            # On loopback the kernel may pick the very port that we ping: we would answer
            # ourselves. The port stays taken until the second socket has found another.
            with sock:
                return connect(family, address)
    except OSError:
        sock.close()
        raise
    return sock


def new_socket(family: int) -> socket.socket:
    """Return an unconnected, non-blocking UDP socket that hears of every ICMP error."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(*RECEIVE_ERRORS[family], 1)
    return sock


def discard_errors(sock: socket.socket) -> None:
    """Empty the queue of ICMP errors.

    Reading an error off the socket leaves its details in the queue, and while any are there
    the socket counts as ready.
    """
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.recvmsg(1, 0, MSG_ERRQUEUE)


def reason(error: Exception) -> str:
    """Return an error's own words, without its number."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class StopSignal:
    """SIGINT and SIGTERM as something to wait for beside a socket: readable once one has come.

    A handler that raised could strike between a send and its entry in the ledger.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.number = 0
        self._hears, self._told = socket.socketpair()
        self._told.setblocking(False)

    def fileno(self) -> int:
        return self._hears.fileno()

    def __enter__(self) -> Self:
        self._old = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        self._old_fd = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._hears.close()
        self._told.close()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number = number


class Pinger:
    """Sends pings on a connected socket, tells what comes back, and keeps the ledger.

    Args:
        sock: non-blocking, connected.
        stop: ends the run early.
        timeout: seconds that each ping waits for its reply.
        interval: seconds from one ping to the next, at least; a reply or time-out may take longer.
    """

    def __init__(
        self, sock: socket.socket, stop: StopSignal, *, timeout: float, interval: float = 0
    ) -> None:
        self.ledger = Ledger()
        self._sock = sock
        self._stop = stop
        self._timeout = timeout
        self._interval = interval
        self._peer = endpoint(sock.getpeername()[:2])
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(stop, selectors.EVENT_READ)

    def run(self, count: int) -> None:
        """Send that many pings, one after the other, or fewer if a signal comes."""
        with self._selector:
            for sequence in range(1, count + 1):
                started = time.perf_counter()
                self._ping(sequence)
                if sequence < count:
                    self._listen(started + self._interval)
                if self._stop.number:
                    return

    def _ping(self, sequence: int) -> None:
        payload = payload_for(sequence, time.time())
        sent_at = time.perf_counter()
        try:
            self._send(payload)
        except OSError as error:
            tell(f"seq={sequence} not sent: {reason(error)}")
            # It counts as lost; there is nothing to wait for.
            self.ledger.send(sequence, payload, sent_at)
            self.ledger.give_up()
            return
        self.ledger.send(sequence, payload, sent_at)
        self._listen(sent_at + self._timeout, sequence)

    def _send(self, payload: bytes) -> None:
        try:
            self._sock.send(payload)
        except OSError:
            # An ICMP error that came for an earlier datagram is handed to the next call,
            # whichever that is, and the call does nothing else. If it was this datagram's
            # own error, it is back at once.
            discard_errors(self._sock)
            self._sock.send(payload)

    def _listen(self, deadline: float, sequence: int = 0) -> None:
        """Tell what arrives until the deadline, or until the given ping is settled."""
        while not self._stop.number:
            left = deadline - time.perf_counter()
            if left <= 0:
                if sequence:
                    self.ledger.give_up()
                    tell(f"seq={sequence} timed out")
                return
            if self._selector.select(left):
                self._receive(sequence)
            if sequence and self.ledger.current is None:
                return

    def _receive(self, sequence: int) -> None:
        try:
            datagram = self._sock.recv(LARGEST_DATAGRAM)
        except OSError as error:
            discard_errors(self._sock)
            # Nothing to read: woken by a signal, or by a datagram whose checksum was wrong.
            if not isinstance(error, BlockingIOError):
                self._refused(sequence, error)
            return
        tell(describe(self.ledger.receive(datagram, time.perf_counter()), self._peer))

    def _refused(self, sequence: int, error: OSError) -> None:
        # ICMP says nothing of our sequence numbers: it is laid to the ping that waits.
        refused = isinstance(error, ConnectionRefusedError)
        words = "port unreachable (connection refused)" if refused else reason(error)
        tell(f"seq={sequence} {words}" if sequence else f"an earlier ping: {words}")
        self.ledger.give_up()


def tell(line: str) -> None:
    """Print a line at once, so that a reader at the other end of a pipe sees it as it happens."""
    print(line, flush=True)


# --- Command line ---


def port_number(text: str) -> int:
    """Return a UDP port from 1 to 65535; 0 is reserved (RFC 6335 6)."""
    return whole_number(text, 65_535)


def ping_count(text: str) -> int:
    """Return how many pings to send: at least one."""
    return whole_number(text, 1_000_000_000)


def whole_number(text: str, largest: int) -> int:
    """Return a number from 1 up to the largest, written in ASCII digits."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= largest):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {largest}")
    return int(text)


def seconds(text: str) -> float:
    """Return a time in seconds: finite and not negative."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 <= value <= 86_400):
        raise argparse.ArgumentTypeError(f"{text!r} is no time from 0 to 86400 seconds")
    return value


def some_seconds(text: str) -> float:
    """Return a time in seconds, more than none."""
    value = seconds(text)
    if value == 0:
        raise argparse.ArgumentTypeError("a time-out of 0 seconds would lose every reply")
    return value


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog="udp_ping_client.py",
        description="Ping a UDP echo service: a round-trip time for each, then statistics.",
        epilog="exit status: 0 at least one reply, 1 none, 2 wrong usage or no such host, "
        "130/143 ended by SIGINT/SIGTERM",
    )
    add = result.add_argument
    add("host", help="name or address of the service")
    add("port", type=port_number, help="its UDP port")
    add("--count", type=ping_count, default=10, help="how many pings (default 10)")
    add("--timeout", type=some_seconds, default=1.0, help="seconds to wait for each (default 1)")
    add("--interval", type=seconds, default=0.0, help="seconds between two pings (default 0)")
    add_family(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Ping as the command line says and return the exit status."""
    options = parser().parse_args(argv)
    try:
        sock = open_socket(options.host, options.port, options.family)
    except NoSuchPeerError as error:
        print(f"udp_ping_client.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # while the name was looked up
        return 128 + signal.SIGINT
    with sock, StopSignal() as stop:
        pinger = Pinger(sock, stop, timeout=options.timeout, interval=options.interval)
        pinger.run(options.count)
        print(*pinger.ledger.statistics(), sep="\n", flush=True)
    if stop.number:
        return 128 + stop.number
    return 0 if pinger.ledger.rtts_ms else 1


if __name__ == "__main__":
    # Into a pipe that its reader has closed (`| head -1`): end as other programs do.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())

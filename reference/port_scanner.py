"""Port scanner: which TCP or UDP ports of a host are open, closed or silent.

    python port_scanner.py HOST PORTS [--tcp | --udp] [--timeout 1.0] [--parallel 200]
                           [--retries 1] [--json] [--open-only] [-4 | -6]

PORTS are numbers and ranges: ``22,80,8000-8010``. A TCP port is asked by a full connection
(connect scan; no privilege needed), a UDP port by a datagram on a connected socket:

=============  ==================================  =======================================
state          TCP                                 UDP
=============  ==================================  =======================================
open           the connection was accepted         a datagram came back
closed         it was reset (RFC 9293 3.10.7.1)    ICMP port unreachable (RFC 1122 4.1.3.1)
filtered       no answer, or ICMP unreachable      any other ICMP unreachable
open|filtered                                      no answer
=============  ==================================  =======================================

All probes of one scan share one selector; as many are under way as ``--parallel`` and the
limit of open files allow. A silent port is asked once more (``--retries``), since a segment
or datagram may have been lost. Hosts ration their ICMP errors (RFC 1812 4.3.2.8; Linux sends
one a second after a burst of six), so of many closed UDP ports elsewhere than on loopback
most seem silent; ``--udp --parallel 1`` is slow enough to tell them apart.

Exit status: 0 the scan was done, whatever it found; 2 wrong usage, no such host, no way to
it; 130 and 143 ended by SIGINT and SIGTERM, after the results so far. Requirement K8;
behaviours PS01 to PS06.
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import re
import resource
import selectors
import signal
import socket
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

from protocols.arguments import add_family
from protocols.sockets import RECEIVE_ERRORS, is_own_peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import FrameType


class ScanError(Exception):
    """The scan cannot be done. The text is for the user."""


class Stopped(BaseException):
    """A signal ended the scan; carries its number. No `Exception`, so nothing takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class State(Enum):
    """What a scan says of a port."""

    OPEN = "open"
    CLOSED = "closed"
    FILTERED = "filtered"
    OPEN_OR_FILTERED = "open|filtered"


MAYBE_OPEN = (State.OPEN, State.OPEN_OR_FILTERED)

# --- The list of ports ---

LARGEST_PORT = 65_535


def parse_ports(text: str) -> list[int]:
    """Return the ports of ``22,80,8000-8010``: ascending, each once, all from 1 to 65535.

    Raises:
        ValueError: a part is no port or range; the text names the part and what is wrong.
    """
    ports: set[int] = set()
    for part in text.split(","):
        ports.update(parse_range(part.strip()))
    return sorted(ports)


def parse_range(part: str) -> range:
    """Return the ports of ``80`` or ``8000-8010``, both ends included.

    Raises:
        ValueError: as `parse_ports`.
    """
    match = re.fullmatch(r"([0-9]+)(?:\s*-\s*([0-9]+))?", part)
    if match is None:
        raise ValueError(f"{part!r} is neither a port nor a range such as 8000-8010")
    first = parse_port(match[1])
    last = parse_port(match[2] or match[1])
    if last < first:
        raise ValueError(f"the range {part!r} runs backwards")
    return range(first, last + 1)


def parse_port(digits: str) -> int:
    """Return the port, 1 to 65535: port 0 is reserved (RFC 6335 6).

    Raises:
        ValueError: outside of that.
    """
    significant = digits.lstrip("0")
    # Five digits at most, before int() has to read a number of any length.
    if not significant or len(significant) > 5 or int(significant) > LARGEST_PORT:
        raise ValueError(f"there is no port {digits[:20]}: ports run from 1 to {LARGEST_PORT}")
    return int(significant)


# --- What errors say of a port ---

NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH})

FILTERED = NO_ROUTE | {
    # What Linux makes of the other kinds of ICMP destination unreachable (PS03), of its own
    # packet filter, and of a neighbour that does not answer.
    errno.ENOPROTOOPT,
    errno.EACCES,
    errno.EPERM,
    errno.EHOSTDOWN,
    errno.ETIMEDOUT,
}


def tcp_state(error: int) -> State:
    """Return the state that the outcome of a connect means; 0 is success.

    A connection that was accepted and reset at once was accepted all the same.

    Raises:
        ScanError: this host could not ask at all.
    """
    if error in {0, errno.ECONNRESET, errno.EPIPE}:
        return State.OPEN
    return refused_state(error)


def refused_state(error: int) -> State:
    """Return closed for a refusal, filtered for any other word that the port is out of reach.

    Raises:
        ScanError: this host could not ask at all.
    """
    if error == errno.ECONNREFUSED:
        return State.CLOSED
    if error in FILTERED:
        return State.FILTERED
    raise ScanError(f"cannot probe: {os.strerror(error)}")


# --- Probes: how one port is asked. The scan below is the same for both. ---


@dataclass(frozen=True)
class Target:
    """Whom to scan: an address of the host, without the port."""

    family: int
    address: str
    scope: int = 0

    def at(self, port: int) -> tuple[Any, ...]:
        """Return the socket address of a port."""
        if self.family == socket.AF_INET6:
            return (self.address, port, 0, self.scope)
        return (self.address, port)


class Probe(ABC):
    """One question to one port, over a socket of its own.

    Raises:
        OSError: from the constructor, if there are no more sockets to be had.
    """

    PROTOCOL: str
    EVENT: int
    SILENT: State
    """What it means if no answer comes."""

    def __init__(self, target: Target, port: int) -> None:
        self.port = port
        self.address = target.at(port)
        self.sock = new_socket(target.family, self.TYPE)

    TYPE: socket.SocketKind

    @abstractmethod
    def ask(self) -> State | None:
        """Send the question; return the state if it is known at once."""

    @abstractmethod
    def answer(self) -> State | None:
        """Read the answer, now that the socket is ready; None if there is none after all."""

    def close(self) -> None:
        """Give the socket back."""
        self.sock.close()


class TcpProbe(Probe):
    """Asks by a full connection, closed again at once."""

    PROTOCOL = "tcp"
    TYPE = socket.SOCK_STREAM
    EVENT = selectors.EVENT_WRITE
    SILENT = State.FILTERED

    def ask(self) -> State | None:
        """Begin to connect."""
        error = self.sock.connect_ex(self.address)
        if error == errno.EINPROGRESS:
            return None
        if error in NO_ROUTE:  # said before anything was sent: this host's word, not the port's
            raise ScanError(f"cannot reach {self.address[0]}: {os.strerror(error)}")
        return self._state(error)

    def answer(self) -> State | None:
        """Read how the connect ended."""
        return self._state(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _state(self, error: int) -> State:
        if error == 0 and is_own_peer(self.sock):
            return State.CLOSED
        return tcp_state(error)


class UdpProbe(Probe):
    """Asks by a datagram; the socket is connected, else no ICMP error would reach it."""

    PROTOCOL = "udp"
    TYPE = socket.SOCK_DGRAM
    EVENT = selectors.EVENT_READ
    SILENT = State.OPEN_OR_FILTERED

    def ask(self) -> State | None:
        """Send the datagram that is most likely to be answered."""
        try:
            self._connect()
        except OSError as error:
            raise ScanError(f"cannot reach {self.address[0]}: {error.strerror}") from error
        try:
            self.sock.send(QUESTIONS.get(self.port, ANY_QUESTION))
        except OSError as error:
            return refused_state(error.errno or 0)
        return None

    def answer(self) -> State | None:
        """Read a datagram or the ICMP error."""
        try:
            self.sock.recv(1)
        except BlockingIOError:  # a datagram with a wrong checksum
            return None
        except OSError as error:
            return refused_state(error.errno or 0)
        return State.OPEN

    def _connect(self) -> None:
        self.sock.setsockopt(*RECEIVE_ERRORS[self.sock.family], 1)
        self.sock.connect(self.address)
        if is_own_peer(self.sock):
            own, self.sock = self.sock, new_socket(self.sock.family, self.TYPE)
            with own:  # open until the new one has a port, so that it must be another
                self._connect()


ANY_QUESTION = b"\r\n"
"""An echo service returns it, and a line-based one answers something."""

QUESTIONS = {
    # Services that keep silent unless the question makes sense.
    # DNS (RFC 1035 4.1): id 1, recursion desired, one question: the root's name servers.
    53: b"\0\1\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1",
    # NTP (RFC 5905 7.3): version 4, mode 3 (client), all else zero.
    123: b"\x23" + bytes(47),
}


def new_socket(family: int, kind: socket.SocketKind) -> socket.socket:
    """Return an unconnected, non-blocking socket."""
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    return sock


# --- The scan ---


@dataclass
class Pending:
    """A probe under way, until when (monotonic seconds), and how often it may be repeated."""

    probe: Probe
    deadline: float
    retries: int


class Scan:
    """Asks many ports at a time over one selector.

    Args:
        target: whom.
        probe: `TcpProbe` or `UdpProbe`.
        timeout: seconds that each probe waits.
        parallel: how many probes may be under way, at least 1.
        retries: how often a silent port is asked again.
    """

    def __init__(
        self,
        target: Target,
        probe: type[Probe],
        *,
        timeout: float = 1.0,
        parallel: int = 200,
        retries: int = 1,
    ) -> None:
        self.results: dict[int, State] = {}
        """Port -> state, as they become known."""
        self._target = target
        self._probe = probe
        self._timeout = timeout
        self._parallel = parallel
        self._retries = retries
        self._todo: deque[tuple[int, int]] = deque()
        # All wait equally long, so the oldest is always the first to run out: no heap needed.
        self._pending: dict[int, Pending] = {}
        self._selector = selectors.DefaultSelector()

    def run(self, ports: Iterable[int]) -> dict[int, State]:
        """Ask them all and return the results.

        Raises:
            ScanError: this host cannot ask. What is known by then is in `results`.
        """
        self._todo.extend((port, self._retries) for port in ports)
        try:
            while self._todo or self._pending:
                self._fill()
                self._wait()
                self._expire()
        finally:
            self._close()
        return self.results

    def _fill(self) -> None:
        while self._todo and len(self._pending) < self._parallel:
            port, retries = self._todo.popleft()
            try:
                probe = self._probe(self._target, port)
            except OSError as error:
                self._out_of_sockets(error)
                self._todo.appendleft((port, retries))
                return
            self._start(probe, retries)

    def _out_of_sockets(self, error: OSError) -> None:
        """Make do with the sockets that there are, if there are any."""
        if not self._pending:
            raise ScanError(f"no socket to probe with: {error.strerror}") from error
        self._parallel = len(self._pending)

    def _start(self, probe: Probe, retries: int) -> None:
        deadline = time.monotonic() + self._timeout
        self._pending[probe.port] = Pending(probe, deadline, retries)
        state = probe.ask()
        if state is None:
            self._selector.register(probe.sock, probe.EVENT, probe)
        else:
            self._settle(probe, state)

    def _wait(self) -> None:
        if not self._pending:
            return
        oldest = next(iter(self._pending.values()))
        for ready, _ in self._selector.select(max(0, oldest.deadline - time.monotonic())):
            state = ready.data.answer()
            if state is not None:
                self._settle(ready.data, state)

    def _expire(self) -> None:
        now = time.monotonic()
        for pending in list(self._pending.values()):
            if pending.deadline > now:
                return
            if pending.retries:
                self._drop(pending.probe)
                self._todo.appendleft((pending.probe.port, pending.retries - 1))
            else:
                self._settle(pending.probe, pending.probe.SILENT)

    def _settle(self, probe: Probe, state: State) -> None:
        self.results[probe.port] = state
        self._drop(probe)

    def _drop(self, probe: Probe) -> None:
        del self._pending[probe.port]
        if probe.sock in self._selector.get_map():
            self._selector.unregister(probe.sock)
        probe.close()

    def _close(self) -> None:
        for pending in self._pending.values():
            pending.probe.close()
        self._pending.clear()
        self._selector.close()


def find_target(host: str, family: int = socket.AF_UNSPEC) -> Target:
    """Return the host's first address, in the order that the resolver prefers (RFC 6724).

    Raises:
        ScanError: there is none.
    """
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: no host name at all (NUL, label too long)
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ScanError(f"cannot resolve {host!r}: {words}") from error
    kind, _, _, _, address = found[0]
    scope = int(address[3]) if len(address) == 4 else 0
    return Target(kind, str(address[0]), scope)


def sockets_to_spare() -> int:
    """Return how many sockets may be opened: what RLIMIT_NOFILE allows less a few for the rest."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return LARGEST_PORT if soft == resource.RLIM_INFINITY else max(1, soft - 16)


# --- Words for the screen ---


def service_name(port: int, protocol: str) -> str:
    """Return the registered name of a port (RFC 6335), or an empty string."""
    try:
        return socket.getservbyport(port, protocol)
    except OSError:
        return ""


def port_line(port: int, protocol: str, state: State, service: str = "") -> str:
    """Return ``8001/tcp open``, or ``22/tcp open ssh`` where the service has a name."""
    return f"{port}/{protocol} {state.value} {service}".rstrip()


def summary(states: Iterable[State]) -> dict[str, int]:
    """Return how many ports are in each state; states without any are left out."""
    counted = Counter(states)
    return {state.value: counted[state] for state in State if counted[state]}


def summary_line(address: str, states: Sequence[State], elapsed_s: float) -> str:
    """Return ``3 ports of 127.0.0.1 scanned in 1.00 s: 1 open, 2 closed``."""
    ports = "1 port" if len(states) == 1 else f"{len(states)} ports"
    counts = ", ".join(f"{number} {state}" for state, number in summary(states).items())
    return f"{ports} of {address} scanned in {elapsed_s:.2f} s: {counts or 'nothing known'}"


@dataclass(frozen=True)
class Report:
    """A scan's results, ready to be shown."""

    host: str
    address: str
    protocol: str
    results: Mapping[int, State]
    elapsed_s: float
    open_only: bool = False

    def shown(self) -> list[tuple[int, State]]:
        """Return the ports to list, ascending; only those that may be open if so asked."""
        wanted = MAYBE_OPEN if self.open_only else tuple(State)
        return [(port, state) for port, state in sorted(self.results.items()) if state in wanted]

    def text(self) -> str:
        """Return a line for each port and the summary line."""
        lines = [
            port_line(port, self.protocol, state, service_name(port, self.protocol))
            for port, state in self.shown()
        ]
        return "\n".join([*lines, self._last_line()])

    def json(self) -> str:
        """Return the same as one JSON object on one line."""
        ports = [
            {
                "port": port,
                "state": state.value,
                "service": service_name(port, self.protocol) or None,
            }
            for port, state in self.shown()
        ]
        return json.dumps(
            {
                "host": self.host,
                "address": self.address,
                "protocol": self.protocol,
                "ports": ports,
                "summary": summary(self.results.values()),
                "elapsed_s": round(self.elapsed_s, 3),
            }
        )

    def _last_line(self) -> str:
        return summary_line(self.address, list(self.results.values()), self.elapsed_s)


# --- Command line ---


def port_list(text: str) -> list[int]:
    """Return the ports, for argparse."""
    try:
        return parse_ports(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def some_seconds(text: str) -> float:
    """Return a time in seconds: more than none, a day at most."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value <= 86_400):
        raise argparse.ArgumentTypeError(f"{text!r} is no time above 0 and up to 86400 seconds")
    return value


def number(text: str) -> int:
    """Return a whole number, 0 to 65535, written in ASCII digits."""
    if not (re.fullmatch("[0-9]{1,5}", text) and int(text) <= LARGEST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {LARGEST_PORT}")
    return int(text)


def positive(text: str) -> int:
    """Return a whole number, 1 to 65535."""
    value = number(text)
    if value == 0:
        raise argparse.ArgumentTypeError("at least one probe must be under way")
    return value


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog="port_scanner.py",
        description="Tell which TCP (or UDP) ports of a host are open, closed or filtered.",
        epilog="exit status: 0 the scan was done, 2 wrong usage or host out of reach, "
        "130/143 ended by SIGINT/SIGTERM",
    )
    add = result.add_argument
    add("host", help="name or address")
    add("ports", type=port_list, help="numbers and ranges, such as 22,80,8000-8010")
    transport = result.add_mutually_exclusive_group()
    transport.add_argument("--udp", action="store_true", help="UDP instead of TCP")
    transport.add_argument("--tcp", dest="udp", action="store_false", help="TCP (the default)")
    add("--timeout", type=some_seconds, default=1.0, help="seconds to wait (default 1)")
    add("--parallel", type=positive, default=200, help="probes under way (default 200)")
    add("--retries", type=number, default=1, help="more questions to a silent port (default 1)")
    add("--json", action="store_true", help="print one JSON object")
    add("--open-only", action="store_true", help="list only ports that are or may be open")
    add_family(result)
    return result


def stop(number: int, _: FrameType | None) -> NoReturn:
    """End the scan; the handler of SIGINT and SIGTERM."""
    raise Stopped(number)


def perform(options: argparse.Namespace) -> int:
    """Scan, print, and return the exit status."""
    target = find_target(options.host, options.family)
    scan = Scan(
        target,
        UdpProbe if options.udp else TcpProbe,
        timeout=options.timeout,
        parallel=min(options.parallel, sockets_to_spare()),
        retries=options.retries,
    )
    started = time.monotonic()
    status = 0
    try:
        scan.run(options.ports)
    except Stopped as stopped:
        status = 128 + stopped.number
    report = Report(
        host=options.host,
        address=target.address,
        protocol="udp" if options.udp else "tcp",
        results=scan.results,
        elapsed_s=time.monotonic() - started,
        open_only=options.open_only,
    )
    print(report.json() if options.json else report.text(), flush=True)
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Scan as the command line says and return the exit status."""
    options = parser().parse_args(argv)
    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return perform(options)
    except ScanError as error:
        print(f"port_scanner.py: {error}", file=sys.stderr)
        return 2
    except Stopped as stopped:  # before the scan, or while it was printed
        return 128 + stopped.number
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    # Into a pipe that its reader has closed (`| head -1`): end as other programs do.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())

"""What every rung of the ladder of networks offers: the network of one play, as an interface.

Nothing outside this package knows which rung it plays on; what differs is told by `rung`
and `offers`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol

from harness.errors import HarnessError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from harness.model.capture import Capture
    from harness.network.icmp import EchoSocket, Router
    from harness.network.segments import LostSegments

Transport = Literal["tcp", "udp"]
Way = Literal["heard", "answer"]  # from the program to an actor, or from the actor to the program


class Reading(Enum):
    """How far the program is with what was sent to it on one connection."""

    DONE = auto()  # it has read all of it
    BEHIND = auto()  # some of it is on its way, or not read yet
    GONE = auto()  # it has closed its end, and reads no more
    UNKNOWN = auto()  # nothing here tells


class Place(NamedTuple):
    """A numeric address and a port: where somebody listens, or nobody."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended: by itself with a status, or by a signal; the other is None."""

    status: int | None = None
    signal: int | None = None


class Process(Protocol):
    """A program that runs in the network of a play, with everything that it starts.

    Attributes:
        pid: Its process id, as seen from the harness.
        crowd: How many processes there were in the end, if they were far too many; else 0.
    """

    pid: int
    crowd: int

    async def wait(self) -> Exit:
        """How the program itself ended; what it has started may go on.

        Raises:
            HarnessError: the process that watches over it was killed.
        """

    def signal(self, number: int) -> None:
        """Send a signal to the program's process group; nothing once the program has ended."""

    @property
    def outlived(self) -> bool:
        """Once the program has ended: whether anything that it has started goes on."""

    async def end(self) -> list[str]:
        """Kill the program and all that descends from it, daemons too; return when all are gone.

        Returns:
            The command lines of the processes that had outlived the program (cut at 200
            characters).  Processes of the program's own group are not counted when the
            group was sent a signal: they were told to go along with it.
        """


class Network(ABC):
    """The network of one play: where its actors stand and where its program lives.

    Made by `open_network`, ended by `close`; used from one event loop.

    Attributes:
        rung: The name of the rung, told by every report.
        offers: What a scenario may list under `needs:` here.
        resolver: Where the program asks for names, if it can; an actor must stand there.
    """

    rung: ClassVar[str]
    offers: ClassVar[frozenset[str]]
    resolver: ClassVar[Place | None] = None

    @classmethod
    async def open(cls) -> Self:
        """A new network, for one play.

        Raises:
            MachineError: it cannot be set up here.
        """
        return cls()

    def known_as(self, host: str, place: Place) -> Place:  # noqa: ARG002 - for other rungs
        """Where the program is told that an actor stands, and so what records and reports say.

        `host` is what the scenario calls it: true on rungs that offer "names".
        """
        return place

    @property
    def names(self) -> Mapping[str, str]:
        """The address of every host name that has one here, by name in small letters."""
        return {}

    def keep_names_out_of_hosts(self) -> None:
        """Have the program ask its resolver for every name, since no file tells it any.

        Raises:
            HarnessError: this rung does not offer "names".
        """
        raise HarnessError(f"there are no names on the rung {self.rung}")

    def add_names(self, names: Mapping[str, str]) -> None:  # noqa: ARG002 - for other rungs
        """Have the program find these addresses (by host name) whoever looks names up for it.

        Raises:
            HarnessError: this rung does not offer "names".
        """
        raise HarnessError(f"there are no names on the rung {self.rung}")

    def capture(self, curtain_ns: int, secrets: bytes) -> Capture | None:  # noqa: ARG002 - for other rungs
        """Every frame so far that came to the program's host, left it, or stayed in it.

        Args:
            curtain_ns: When the curtain rose, in nanoseconds since 1970; 0 if it never did.
            secrets: Keys of TLS, to go with them.

        Returns:
            None on rungs where frames cannot be seen.
        """
        return None

    def trust(self, files: Mapping[str, bytes]) -> None:  # noqa: B027 - nothing, on other rungs
        """Have these stand for the authorities that the program's host trusts, where that can be.

        Before a program is started.  `files` go by path below its folder of authorities; bundles
        that lie elsewhere become `ca-certificates.crt`.  Where the host has no authorities it
        gets none.

        Raises:
            MachineError: the kernel refuses.
        """

    @abstractmethod
    def listen(self, host: str, port: int, transport: Transport) -> socket.socket:
        """A non-blocking socket for an actor that stands at `host:port`; the caller closes it.

        It is bound, and listens if it is a TCP socket.  `getsockname()` tells where the
        program must dial, which is `host:port` itself only on rungs that offer
        "private-addresses".

        Raises:
            MachineError: no socket, or no port, is left.
        """

    @abstractmethod
    def closed(self, host: str, port: int, transport: Transport) -> Place:
        """A place that refuses for the whole play: TCP resets, UDP is told unreachable.

        Raises:
            MachineError: as `listen`.
        """

    @abstractmethod
    def filtered(self, host: str, port: int) -> Place:
        """A place where a TCP connect gets no answer at all for the whole play.

        Raises:
            MachineError: this kernel has no socket filters, or as `listen`.
        """

    def echo(self, host: str) -> EchoSocket:  # noqa: ARG002 - for other rungs
        """A host that an actor answers echo requests for; the caller closes it.

        From then on nobody else on that side of the network answers any.

        Raises:
            HarnessError: this rung does not offer "raw-icmp".
            MachineError: as `listen`.
        """
        raise HarnessError(f"nobody hears ICMP on the rung {self.rung}")

    def unreachable(
        self,
        host: str,  # noqa: ARG002 - for other rungs
        port: int,  # noqa: ARG002 - likewise
        transport: Transport | Literal["icmp"],  # noqa: ARG002 - likewise
    ) -> Router:
        """The router before a place that cannot be reached; the caller closes it.

        Over ICMP the place is a host, the port is 0, and the router tells of echo requests.
        It tells what comes for the place, and nobody there answers; whoever goes there waits
        until the caller has the router tell.

        Raises:
            HarnessError: this rung does not offer "icmp-errors".
            MachineError: as `listen`; or no router lies between the program and the place.
        """
        raise HarnessError(f"there are no routers on the rung {self.rung}")

    def lose_segments(
        self,
        place: Place,  # noqa: ARG002 - for other rungs
        way: Way,  # noqa: ARG002 - likewise
        ordinals: Sequence[int],  # noqa: ARG002 - likewise
        visitor: str = "",  # noqa: ARG002 - likewise
    ) -> LostSegments:
        """Have data segments of TCP be lost on their way; the caller closes it.

        Args:
            place: Where the actor listens; where the program does, if the actor is a visitor.
            way: Those that are "heard" by the actor, or those of its "answer".
            visitor: The address from which the actor dials.
            ordinals: Which ones, counted from 1 as they come; at least one, each once.

        Raises:
            HarnessError: this rung does not offer "lost-segments".
            MachineError: this kernel cannot lose any.
        """
        raise HarnessError(f"no segment is lost on the rung {self.rung}")

    def visitor(self, place: Place) -> str:  # noqa: ARG002 - for other rungs
        """An address from which nobody else dials, for one actor that dials a place.

        Where the place is ::1 there is no other address.

        Raises:
            HarnessError: this rung does not offer "lost-segments".
        """
        raise HarnessError(f"all actors dial from one address on the rung {self.rung}")

    @abstractmethod
    def reserve(self, *transports: Transport, host: str = "", port: int = 0) -> Place:
        """A place at which the program under test is to listen, one port for all transports.

        No other play gets the same one.

        Args:
            transports: At least one.
            host: Where the program listens whatever it is told; heeded on rungs that offer
                "private-addresses".  Empty or a wildcard for its host's own address.
            port: The port that it listens on whatever it is told, likewise; 0 for any.

        Raises:
            MachineError: as `listen`.
        """

    @abstractmethod
    def release(self) -> None:
        """Let go of what was reserved, so that a program can bind it; `start` does so itself."""

    @abstractmethod
    async def dial(
        self, place: Place, transport: Transport, *, deadline: float, source: str = ""
    ) -> socket.socket:
        """A connected non-blocking socket to the program; the caller closes it.

        Args:
            place: Where the program listens; a name is never looked up.
            transport: A UDP socket is connected too, so it hears only from there.
            deadline: The moment to give up, on the clock of the event loop, in seconds.
            source: The address from which to dial, one that `visitor` gave.

        Raises:
            OSError: nobody answers there: ConnectionRefusedError, TimeoutError (the
                deadline has passed) and their kin.
        """

    @abstractmethod
    async def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin_fd: int,
        stdout_fd: int,
        stderr_fd: int,
        tty: bool,
        raw: bool = False,
    ) -> Process:
        """Start a program where it lives, in a session of its own.

        The descriptors stay the caller's; the program gets these three and no others, and
        `env` and nothing else.  A command without a slash is looked up in the PATH of `env`.

        Args:
            argv: The command line; not empty.
            cwd: The folder in which it starts.
            env: All of its environment.
            stdin_fd: Its standard input.
            stdout_fd: Its standard output.
            stderr_fd: Its standard error.
            tty: Whether standard input is a terminal that becomes its controlling terminal.
            raw: Whether it may open raw sockets, on rungs that offer "raw-icmp".

        Raises:
            OSError: the program cannot be started: `errno`, and `filename` is the command,
                the interpreter that its first line names, or the folder.
            HarnessError: the helper that starts programs has died.
        """

    @abstractmethod
    def listening(self, process: Process, transport: Transport) -> set[Place]:
        """Where the program, or anything that descends from it, listens (UDP: is bound) now.

        From the kernel's tables, in well under a millisecond or two; nothing is connected.
        A wildcard socket is told as `0.0.0.0`, `::`, or both if it takes both.
        """

    @abstractmethod
    def listens(self, process: Process, place: Place, transport: Transport) -> bool:
        """Whether a connection to `place` would reach the program now.

        Cheaper than `listening`: there is no event for it, so it is asked every few
        milliseconds, by many plays at once.
        """

    def reading(self, connection: socket.socket) -> Reading:  # noqa: ARG002 - for other rungs
        """How far the program is with what was sent to it on a TCP connection.

        From the kernel's tables, in some ten microseconds; a read that is told as done has
        returned, so that what is sent afterwards comes in another one.
        """
        return Reading.UNKNOWN

    @abstractmethod
    async def close(self) -> None:
        """End every program of the play and give back its places; may be called again."""

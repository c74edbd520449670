"""The witness of one connection: it tells the recorder what passes there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from typing import TYPE_CHECKING

from harness.model.instead import ACTS
from harness.model.record import What
from harness.peers.peer import shown_address

if TYPE_CHECKING:
    from harness.peers.pacing import PacedTransport
    from harness.peers.peer import Peer
    from harness.record import Recorder

_RESETS = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)
_CHUNK = 65_536


class Witness:
    """Records one connection; the protocol on it, our own or a library's, reports here."""

    def __init__(self, peer: Peer, number: int, recorder: Recorder) -> None:
        self.number = number
        self.transport: asyncio.Transport | None = None
        self.paced: PacedTransport | None = None
        self.will_speak = False  # without being asked, when its time has come
        self._connection: asyncio.Transport | None = None
        self._peer = peer
        self._recorder = recorder
        self._heard = 0
        self._ended = False
        self._reasons: set[str] = set()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _note(self, what: What, data: bytes = b"", *, note: str = "") -> None:
        self._recorder.note(what, self._peer.actor.name, self.number, data, note=note)

    def opened(self, transport: asyncio.Transport) -> None:
        """The connection is there; what it is over (TLS, say) may change later."""
        self.transport = self._connection = transport
        self._note(What.OPENED, note=shown_address(transport.get_extra_info("peername")))

    @property
    def below(self) -> asyncio.Transport:
        """The connection itself, whatever is spoken over it."""
        assert self._connection is not None  # noqa: S101 - `opened` comes first
        return self._connection

    def encrypted(self, transport: asyncio.Transport) -> None:
        """What is heard and said from here on goes over TLS."""
        self.transport = transport
        tls = transport.get_extra_info("ssl_object")
        self._note(What.ENCRYPTED, note=tls.version() if tls else "")

    def not_encrypted(self, reason: str, *, by_program: bool) -> None:
        """The TLS handshake has failed, and with it the connection."""
        self.broken(reason)
        if by_program:  # it has said that it will not go on (RFC 8446 6.2)
            self.ended()
        self.lost(None)

    async def all_said(self) -> None:
        """Return when nothing is left to be said in pieces."""
        if self.paced:
            await self.paced.all_said()

    def heard(self, data: bytes) -> bool:
        """Record bytes of the program; False once it has sent more than anyone may."""
        self._heard += len(data)
        if self._heard > self._peer.heard_limit:
            self.broken(f"the program sent more than {self._peer.heard_limit} octets")
            return False
        self._note(What.HEARD, data)
        return True

    def say(self, data: bytes, entry: int | None = None) -> None:
        """Send bytes to the program, in pieces if the play is one of those, and record them."""
        if self.paced:
            self.paced.say(data, entry)
        elif self.transport:
            self.said(data, entry)
            self.transport.write(data)

    def said(self, data: bytes, entry: int | None = None) -> None:
        """Record bytes to the program, and the entry that asked for them."""
        name = self._peer.actor.name
        self._recorder.note(What.SAID, name, self.number, data, entry=entry)

    def acted(self, entry: int) -> None:
        """An entry is done, though it was not said to its end."""
        self._recorder.note(What.ACTED, self._peer.actor.name, self.number, entry=entry)

    def deviated(self, step: str, act: str) -> None:
        """The actor does something else at a step, since the scenario says so (`instead`)."""
        note = f"{act} at {step}" if act in ACTS else f"another reply at {step}"
        name = self._peer.actor.name
        self._recorder.note(What.FAULT, name, self.number, note=note, fault="instead", step=step)

    def hurried(self, reason: str) -> None:
        """Pieces do not wait for the program; told once for each reason."""
        if reason not in self._reasons:
            self._reasons.add(reason)
            self._note(What.HURRIED, note=reason)

    def ended(self) -> None:
        """The program sent FIN."""
        self._end(What.EOF)

    def lost(self, error: Exception | None) -> None:
        """The connection is gone: reset by the program, or closed by us."""
        if error is not None and not self._ended:
            self._hear_the_rest()
        if self.paced:
            self.paced.stop()
        reset = isinstance(error, OSError) and error.errno in _RESETS
        self._end(What.RESET if reset else What.LEFT)
        if not self._gone.done():
            self._gone.set_result(None)

    def _end(self, what: What) -> None:
        if not self._ended:
            self._ended = True
            self._note(What.LEFT if self._peer.gave_up else what)

    def _hear_the_rest(self) -> None:
        """Where writing failed, what the program had sent before still lies in the socket."""
        if self._connection is None or self._connection is not self.transport:
            return  # over TLS the bytes in the socket are not what was said
        fd = self._connection.get_extra_info("socket").fileno()
        with contextlib.suppress(OSError):  # there is no more of it
            while (data := os.read(fd, _CHUNK)) and self.heard(data):
                pass

    def stalled(self) -> None:
        """The actor reads no more: whatever the program does from here on is not seen."""
        self._end(What.STALLED)

    def broken(self, reason: str) -> None:
        """Something went wrong that belongs to no entry."""
        self._note(What.BROKEN, note=reason)

    def failed(self, error: Exception) -> None:
        """An exception of ours: never the program's fault."""
        note = f"{self._peer.actor.name} failed: {type(error).__name__}: {error}"
        self._recorder.note(What.BROKEN, self._peer.actor.name, self.number, note=note, ours=1)

    def leave(self) -> None:
        """Close the connection, and send what is still to be sent."""
        if transport := self.paced or self.transport:
            transport.close()

    def abort(self) -> asyncio.Future[None] | None:
        """Close the connection at once; what is done when it is gone, None if it was."""
        if self._connection is None or self._gone.done():
            return None
        if self.paced:
            self.paced.stop()
        # the one below TLS: closed twice, asyncio's TLS transport forgets what it stands on
        self._connection.abort()
        return self._gone

"""What the kernel shows of every frame that comes to the program's host or leaves it (packet(7)).

Nothing is read while a play is quiet: frames wait in the kernel's buffer, and are taken out now and
then and at the end.  What does not fit there is counted by the kernel, and told.
"""

from __future__ import annotations

import _thread
import asyncio
import os
import socket
import struct
from typing import TYPE_CHECKING

from harness.model.capture import LIMIT, LOOPBACK, Capture, Frame

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUFFER = 4 << 20  # what newer kernels let everybody have; older ones give less
_LARGE_BUFFER = 2 << 20
#: Seconds between two readings where much, or little, fits into the kernel's buffer.
_SELDOM_S, _OFTEN_S = 0.02, 0.005
_LARGEST = 1 << 17  # a frame on `lo` is up to 64 KiB and its head
_SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>; the kernel's clock, in nanoseconds
_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # <linux/if_packet.h>
_OUTGOING = 4  # PACKET_OUTGOING
_STAMP, _COUNTERS = struct.Struct("@ll"), struct.Struct("@II")


class Tap:
    """Keeps the frames of one play; used from one event loop.

    Args:
        sock: A non-blocking AF_PACKET socket that hears all protocols on all links; now owned.
        limit: How many octets of frames are kept.
    """

    def __init__(self, sock: socket.socket, limit: int = LIMIT) -> None:
        self._sock = sock
        self._left = limit
        self._frames: list[Frame] = []
        self._beyond = 0
        self._lost = 0
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        large = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= _LARGE_BUFFER
        self._pause_s = _SELDOM_S if large else _OFTEN_S
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_later(self._pause_s, self._take)
        self._closing = _thread.allocate_lock()
        self._closing.acquire()

    def _take(self) -> None:
        self._read()
        self._next = self._loop.call_later(self._pause_s, self._take)

    def _read(self) -> None:
        receive, space = self._sock.recvmsg, socket.CMSG_SPACE(_STAMP.size)
        frames = self._frames
        while True:
            try:
                data, ancillary, _, (link, _, kind, *_) = receive(_LARGEST, space)
            except BlockingIOError:
                return
            if link == LOOPBACK and kind == _OUTGOING:
                continue  # it comes in there again
            self._left -= len(data)
            if self._left < 0:
                self._left = 0
                self._beyond += 1
            else:
                seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
                time_ns = seconds * 1_000_000_000 + nanoseconds
                frames.append(Frame(time_ns, link, kind == _OUTGOING, data))

    def capture(self, curtain_ns: int, names: Mapping[str, str], secrets: bytes) -> Capture:
        """All that has come so far; see `Capture` for what goes with it."""
        self._read()
        counters = self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _COUNTERS.size)
        self._lost += _COUNTERS.unpack(counters)[1]  # and counts from 0 again
        frames = tuple(self._frames)
        return Capture(frames, curtain_ns, self._lost, self._beyond, secrets, names)

    def close(self) -> None:
        """Hear no more.

        The kernel lets nobody go before all its processors have looked elsewhere (10 ms or more):
        so a thread waits for that.
        """
        self._next.cancel()
        if self._sock.fileno() >= 0:
            _thread.start_new_thread(self._close, (self._sock.detach(),))

    def _close(self, fd: int) -> None:
        self._closing.release()
        os.close(fd)  # gives the number back at once, and then waits

    def wait_closed(self) -> None:
        """Wait until the descriptor is given back, after `close`: until its thread has begun."""
        with self._closing:
            pass

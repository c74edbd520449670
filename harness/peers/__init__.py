"""Whom the program talks to: actors that listen, dial, answer or follow the exchange.

A peer takes its sockets from the network and tells the recorder everything that passes;
it never judges.
"""

from harness.peers.peer import NotPlayedError, Peer, PeerError, Setting
from harness.peers.stage import make_peer
from harness.peers.tls import Authority

__all__ = ["Authority", "NotPlayedError", "Peer", "PeerError", "Setting", "make_peer"]

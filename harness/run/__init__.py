"""Puts network, peers and program together and plays the exchange; asserts nothing."""

from harness.run.many import play_many
from harness.run.play import Stage, play

__all__ = ["Stage", "play", "play_many"]

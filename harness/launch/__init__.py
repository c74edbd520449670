"""How the program under test is started, watched, limited and ended."""

from harness.launch.launched import Launched, Limits, Ready, start

__all__ = ["Launched", "Limits", "Ready", "start"]

"""Wirelab: plays a network around a real program and says what went wrong."""

__version__ = "0.1.0"

"""Fixtures that all tests share would stand here; so far none is needed by all.

The pytest plugin is not loaded here: its entry point does that, and loading it twice fails.
"""

"""Utilities for every package: the process, atomic files, records from JSON, the version."""

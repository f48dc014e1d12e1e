"""Decide what a command does.

Pure Python: no I/O, no clock, no randomness; never sees protobuf or SQL.
"""

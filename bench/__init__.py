"""Measures the running suite, and the floors below it: `python -m bench <command>`.

Uses the public API and what the operating system tells of processes and files. Not installed.
"""

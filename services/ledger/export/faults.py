"""What a check has found, by file and line. Pure."""

from typing import NamedTuple

MAX_KEPT = 100
"""Faults that are told; the rest is only counted."""


class Fault(NamedTuple):
    """Something that does not hold."""

    file: str
    line: int
    """From 1; 0 for the file as a whole."""
    text: str

    def __str__(self) -> str:
        """Write it as compilers do, on one line: names and texts of a file may hold anything."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        return "".join(
            char if char.isprintable() else ascii(char)[1:-1] for char in f"{where}: {self.text}"
        )


class Faults:
    """The first hundred faults, and how many there are."""

    def __init__(self) -> None:
        self.kept: list[Fault] = []
        self.count = 0

    def add(self, file: str, line: int, text: str) -> None:
        """Add a fault."""
        self.count += 1
        if len(self.kept) < MAX_KEPT:
            self.kept.append(Fault(file, line, text))

"""Look up when a transaction counts, without keeping a month of them in memory.

Records say it, and come in the order of the chain; entries are read by wallet. So what the records
say is put into a file of rows of one length, ascending, and found there by halving.
"""

import mmap
import struct
from pathlib import Path

from ledger.export.files import written

_ROW = struct.Struct(">QiQ")
"""seq, n, effective time in microseconds."""


class EffectiveTimes:
    """A file of rows, first written, then read. It is gone when it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with written(path):
            self._file = path.open("x+b")
        self._rows = 0
        self._map: mmap.mmap | None = None

    def add(self, seq: int, effective: dict[int, int]) -> None:
        """Add what the next record says, by place in it."""
        rows = [_ROW.pack(seq, n, effective_us) for n, effective_us in sorted(effective.items())]
        with written(self._path):
            self._file.write(b"".join(rows))
        self._rows += len(rows)

    def find(self, seq: int, n: int) -> int | None:
        """Return the time of a place, None where the record says none. Nothing is added after."""
        if not self._rows:
            return None
        if self._map is None:
            with written(self._path):
                self._file.flush()
                self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        low, high = 0, self._rows
        while low < high:
            middle = (low + high) // 2
            row_seq, row_n, effective_us = _ROW.unpack_from(self._map, middle * _ROW.size)
            if (row_seq, row_n) == (seq, n):
                return int(effective_us)
            if (row_seq, row_n) < (seq, n):
                low = middle + 1
            else:
                high = middle
        return None

    def close(self) -> None:
        """Delete it."""
        if self._map is not None:
            self._map.close()
        with written(self._path):
            self._file.close()
            self._path.unlink()

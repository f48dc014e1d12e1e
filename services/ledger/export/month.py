"""What a month is: by recorded time, UTC. Pure."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from walletkit.clock import to_us

_FORM = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_FIRST_YEAR = 1970
_LAST_YEAR = 9_998
_MONTHS = 12


class Month(NamedTuple):
    """A calendar month of UTC; sorts by time."""

    year: int
    number: int

    def __str__(self) -> str:
        """Write it as it is typed."""
        return f"{self.year:04}-{self.number:02}"

    @property
    def next(self) -> "Month":
        """The month behind it."""
        if self.number == _MONTHS:
            return Month(self.year + 1, 1)
        return Month(self.year, self.number + 1)

    @property
    def begin_us(self) -> int:
        """Its first microsecond, since 1970."""
        return to_us(datetime(self.year, self.number, 1, tzinfo=UTC))

    @property
    def end_us(self) -> int:
        """The first microsecond behind it."""
        return self.next.begin_us


def parse_month(text: str) -> Month:
    """Read a month. Raise ``ValueError`` for anything but YYYY-MM from 1970 on."""
    found = _FORM.fullmatch(text)
    if found is None or not _FIRST_YEAR <= int(found[1]) <= _LAST_YEAR:
        raise ValueError(f"{text[:100]!r} is not a month: YYYY-MM from 1970-01 on, as in 2026-10")
    return Month(int(found[1]), int(found[2]))

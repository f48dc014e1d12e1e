"""Try changes of a batch out, and keep all of them or none.

A trial reads through to its batch and copies what it may change, so that it costs what it touches,
however large the batch is.
"""

from collections.abc import Iterator, MutableMapping
from dataclasses import fields, replace
from typing import Any, cast

from wallet.domain.batch import Balance, Batch, Changes
from wallet.domain.bound import Bound


class _Overlay(MutableMapping[Any, Any]):
    """What a trial changes of a mapping; all else is read from below."""

    __slots__ = ("_below", "_gone", "_own")

    def __init__(self, below: MutableMapping[Any, Any]) -> None:
        self._below = below
        self._own: dict[Any, Any] = {}
        self._gone: set[Any] = set()

    def __getitem__(self, key: object) -> Any:  # noqa: ANN401  # it stands for dicts of any values
        if key in self._own:
            return self._own[key]
        if key in self._gone:
            raise KeyError(key)
        value = self._below[key]
        if isinstance(value, Balance | Bound):
            # These change in place; everything else in a batch is a value.
            value = self._own[key] = replace(value)
        return value

    def __setitem__(self, key: object, value: object) -> None:
        self._own[key] = value
        self._gone.discard(key)

    def __delitem__(self, key: object) -> None:
        if key not in self:
            raise KeyError(key)
        self._own.pop(key, None)
        self._gone.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._own or (key not in self._gone and key in self._below)

    def __iter__(self) -> Iterator[Any]:
        yield from self._own
        yield from (k for k in self._below if k not in self._own and k not in self._gone)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def settle(self) -> None:
        """Write what was changed below."""
        for key in self._gone:
            self._below.pop(key, None)
        for key, value in self._own.items():
            self._below[key] = value


class Trial:
    """A batch to try changes on. Either ``keep`` or ``drop`` must follow, once."""

    def __init__(self, batch: Batch) -> None:
        """Begin; until the end only the trial's own ``batch`` may be changed."""
        self._overlays: list[_Overlay] = []
        self._lists: list[tuple[list[Any], int]] = []
        self._sets: list[tuple[set[Any], set[Any]]] = []
        self.batch = replace(
            batch, **self._overlaid(batch), changes=self._changes_upon(batch.changes)
        )

    def keep(self) -> None:
        """Make all changes those of the batch."""
        for overlay in self._overlays:
            overlay.settle()
        for below, own in self._sets:
            below.update(own)

    def drop(self) -> None:
        """Leave the batch as it was."""
        for below, length in self._lists:
            del below[length:]

    def _overlaid(self, whole: Batch | Changes) -> dict[str, Any]:
        """Return overlays of all mappings of a batch or of its changes, by field."""
        found = {}
        for field in fields(whole):
            value = getattr(whole, field.name)
            if isinstance(value, dict | _Overlay):
                overlay = _Overlay(cast("MutableMapping[Any, Any]", value))
                self._overlays.append(overlay)
                found[field.name] = overlay
        return found

    def _changes_upon(self, changes: Changes) -> Changes:
        """Share the lists, which only grow: deciders look for what was done before."""
        parts: dict[str, Any] = self._overlaid(changes)
        for field in fields(changes):
            value = getattr(changes, field.name)
            if isinstance(value, list):
                self._lists.append((value, len(value)))
            elif isinstance(value, set):
                parts[field.name] = own = set[Any]()
                self._sets.append((value, own))
        return replace(changes, **parts)

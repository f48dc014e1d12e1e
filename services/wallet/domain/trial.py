"""Try changes of a batch out, and keep all of them or none.

A trial reads through to its batch and copies what it may change, so that it costs what it touches,
however large the batch is.
"""

from collections.abc import Iterator, MutableMapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

from wallet.domain.batch import Balance, Batch, Changes
from wallet.domain.bound import Bound

_BALANCE_PARTS = attrgetter(*[field.name for field in fields(Balance)])
_BOUND_PARTS = attrgetter(*[field.name for field in fields(Bound)])
_BATCH_FIELDS = tuple(field.name for field in fields(Batch))
_CHANGES_FIELDS = tuple(field.name for field in fields(Changes))


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
        # These two change in place; everything else in a batch is a value.
        if type(value) is Balance:
            value = self._own[key] = Balance(*_BALANCE_PARTS(value))
        elif type(value) is Bound:
            value = self._own[key] = Bound(*_BOUND_PARTS(value))
        return value

    def get(self, key: object, default: Any = None) -> Any:  # noqa: ANN401
        # The inherited one raises and catches for what is not there, as most keys are not.
        if key not in self:
            return default
        return self[key]

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
        parts = {name: getattr(batch, name) for name in _BATCH_FIELDS}
        self._overlay(parts)
        parts["changes"] = self._changes_upon(batch.changes)
        self.batch = Batch(**parts)

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

    def _overlay(self, parts: dict[str, Any]) -> None:
        """Put an overlay over every mapping."""
        for name, value in parts.items():
            if isinstance(value, (dict, _Overlay)):
                parts[name] = overlay = _Overlay(value)
                self._overlays.append(overlay)

    def _changes_upon(self, changes: Changes) -> Changes:
        """Share the lists, which only grow: deciders look for what was done before."""
        parts = {name: getattr(changes, name) for name in _CHANGES_FIELDS}
        self._overlay(parts)
        for name, value in parts.items():
            if isinstance(value, list):
                self._lists.append((value, len(value)))
            elif isinstance(value, set):
                parts[name] = own = set[Any]()
                self._sets.append((value, own))
        return Changes(**parts)

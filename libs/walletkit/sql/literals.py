"""Write values into SQL text. The one place where a packet's literals are made.

Only integers and bytes can be written, as digits and ``x'hex'``: no quoting, so nothing to escape
(store of the design).
"""

from collections.abc import Iterable


def literal(value: int | bytes) -> str:
    """Write one value.

    Raise ``TypeError`` for anything but ``int`` and ``bytes``; a ``bool`` is refused too.
    """
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is bytes:
        return f"x'{value.hex()}'"  # type: ignore[union-attr]  # checked above, without a call
    message = f"only int and bytes can be a literal, not {kind.__name__}"
    raise TypeError(message)


def row(values: Iterable[int | bytes]) -> str:
    """Write a row of values in parentheses."""
    return f"({','.join([literal(value) for value in values])})"


def rows(table: Iterable[Iterable[int | bytes]]) -> str:
    """Write rows for ``VALUES``."""
    return ",".join([row(values) for values in table])


def ascii_text(value: str) -> str:
    """Write a text for a column of ASCII: as plain bytes it could not be found by an index."""
    return f"_ascii {literal(value.encode('ascii'))}"


def ascii_texts(values: Iterable[str]) -> str:
    """Write texts for ``IN (…)``."""
    return ",".join([ascii_text(value) for value in sorted(values)])


def id_list(ids: Iterable[bytes]) -> str:
    """Write ids for ``IN (…)``, ascending, so that locks are taken in one order everywhere."""
    return ",".join([literal(id_) for id_ in sorted(ids)])

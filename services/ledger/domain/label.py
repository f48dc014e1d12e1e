"""Label what a transaction can be found by: reference, metadata, family. Pure.

The writer keeps a row for each label of a transaction, and a reader asks for the label of what it
looks for. A label is 16 bytes of a hash: whoever reads compares the transaction itself as well.
"""

import hashlib
import json
from collections.abc import Mapping

MAX_METADATA_LABELS = 16
"""Pairs of one transaction that can be found, by ascending key; any further ones are only shown."""

_LABEL_BYTES = 16
_LENGTH_BYTES = 4


def reference_label(reference: bytes) -> bytes:
    """Return the label of all transactions with a reference."""
    return _label(b"reference", reference)


def metadata_label(key: str, value: str) -> bytes:
    """Return the label of all transactions with a pair of metadata."""
    # A lone surrogate is no text, but JSON can write one: it gets a label like any other.
    return _label(
        *(b"metadata", key.encode(errors="surrogatepass")),
        value.encode(errors="surrogatepass"),
    )


def family_label(family_id: bytes) -> bytes:
    """Return the label of all that follows from a hold or a first transaction.

    The first transaction itself does not have it: it names no family.
    """
    return _label(b"family", family_id)


def metadata_of(opaque: bytes) -> Mapping[str, str]:
    """Return the metadata in what a caller said; none where there is none, or no such thing.

    What can't be read is no reason to stop a shard's stream: it is shown as it came.
    """
    try:
        said = json.loads(opaque) if opaque else {}
    except (ValueError, RecursionError):
        return {}
    metadata = said.get("m") if isinstance(said, dict) else None
    if not isinstance(metadata, dict):
        return {}
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def labels_of(reference: bytes, opaque: bytes, family_id: bytes) -> list[bytes]:
    """Return the labels of a transaction, each once; none for most transactions."""
    labels = [reference_label(reference)] if reference else []
    # Without the key there is no metadata: most of what is said need not be read.
    if b'"m"' in opaque:
        metadata = metadata_of(opaque)
        labels += [metadata_label(key, metadata[key]) for key in sorted(metadata)][
            :MAX_METADATA_LABELS
        ]
    if family_id:
        labels.append(family_label(family_id))
    return labels


def _label(*parts: bytes) -> bytes:
    """Hash parts with the length of each before it, so that no two lists of parts look alike."""
    framed = b"".join([len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in parts])
    return hashlib.sha256(framed).digest()[:_LABEL_BYTES]

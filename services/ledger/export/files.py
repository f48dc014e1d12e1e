"""Write an export's folder so that it is whole or not there, and read its files line by line.

Packed by gzip, which will be readable for longer than an export is kept, and which packs the same
lines into the same bytes as long as its time is left out.
"""

import gzip
import hashlib
import os
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from ledger.export.errors import BrokenFileError, ExportError
from ledger.export.lines import LineError
from ledger.export.manifest import MANIFEST_FILE, FileEntry, Manifest
from ledger.export.regular import open_regular
from walletkit.durable import sync_file, sync_folder

_T = TypeVar("_T")

PARTIAL = ".partial"
PACK_LEVEL = 6
MAX_LINE_BYTES = 16 * 1024 * 1024
"""A record has 8 MiB at most, which base64 makes eleven."""
HASH_CHUNK_BYTES = 1024 * 1024


class PackedFile:
    """A file of lines that is being written."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name = name
        self._file = _Hashed(file, name)
        self._packer = gzip.GzipFile(
            filename="", mode="wb", compresslevel=PACK_LEVEL, fileobj=self._file, mtime=0
        )
        self._rows = 0

    def write(self, line: bytes) -> None:
        """Add a line."""
        self._packer.write(line + b"\n")
        self._rows += 1

    def finish(self) -> FileEntry:
        """Write what is left, and say what the file is."""
        self._packer.close()
        sha256 = self._file.digest.hexdigest()
        return FileEntry(name=self.name, rows=self._rows, bytes=self._file.size, sha256=sha256)


class _Hashed:
    """A file, and what was written to it."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, packed: bytes) -> int:
        self.digest.update(packed)
        self.size += len(packed)
        with written(self._name):
            return self._file.write(packed)

    def flush(self) -> None:
        self._file.flush()


class Folder:
    """An export's folder, under another name until it is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.partial = folder.with_name(folder.name + PARTIAL)
        self.files: list[FileEntry] = []

    @contextmanager
    def packed(self, name: str) -> Iterator[PackedFile]:
        """Write a file of lines; at the block's end it is on the disk."""
        with self.created(name) as file:
            packed = PackedFile(name, file)
            yield packed
            self.files.append(packed.finish())

    @contextmanager
    def created(self, name: str) -> Iterator[IO[bytes]]:
        """Write a file that only its owner may read; at the block's end it is on the disk."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with written(name):
            file = os.fdopen(os.open(self.partial / name, flags, 0o600), "wb")
        try:
            yield file
            with written(name):
                sync_file(file)
        finally:
            # What is on the disk is there; what is not, goes with the folder.
            with suppress(OSError):
                file.close()

    def finish(self, made: Manifest) -> None:
        """Write the manifest, then give the folder its name."""
        with self.created(MANIFEST_FILE) as file:
            file.write(made.model_dump_json(indent=2).encode() + b"\n")
        sync_folder(self.partial)
        self.partial.rename(self.folder)
        sync_folder(self.folder.parent)


@contextmanager
def written(what: Path | str) -> Iterator[None]:
    """Raise ``ExportError`` where a file can't be written.

    Around the writing alone: what reads a database may fail by an ``OSError`` too.
    """
    try:
        yield
    except OSError as error:
        raise ExportError(f"into: {what} can't be written: {error}") from None


@contextmanager
def new_folder(folder: Path) -> Iterator[Folder]:
    """Make a folder; unless the block finishes it, nothing of it is left.

    Raise ``ExportError`` where it is there already.
    """
    made = Folder(folder)
    if folder.exists():
        raise ExportError(f"into: {folder} is there already: an export is never written over")
    try:
        made.partial.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise ExportError(
            f"into: {made.partial} is there already: another export is being made, or was killed; "
            "in the latter case delete it"
        ) from None
    try:
        yield made
    finally:
        shutil.rmtree(made.partial, ignore_errors=True)


def read_lines(path: Path, read: Callable[[bytes], _T]) -> Iterator[tuple[int, _T]]:
    """Yield a file's lines, each as it is read, with their numbers from 1.

    Raise ``BrokenFileError``, which says the line.
    """
    number = 0
    try:
        with open_regular(path) as packed, gzip.GzipFile(fileobj=packed, mode="rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                number += 1
                if not line.endswith(b"\n"):
                    raise BrokenFileError(number, f"no end of line within {MAX_LINE_BYTES} bytes")
                yield number, read(line[:-1])
    except LineError as error:
        raise BrokenFileError(number, str(error)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise BrokenFileError(number + 1, f"can't be read on: {error}") from None


def size_and_hash(path: Path, most_bytes: int = sys.maxsize) -> tuple[int, str]:
    """Return a file's bytes and SHA-256, of its first bytes alone. Raise ``OSError``."""
    digest = hashlib.sha256()
    size = 0
    with open_regular(path) as file:
        while chunk := file.read(min(HASH_CHUNK_BYTES, most_bytes - size)):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()

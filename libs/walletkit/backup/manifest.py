"""What a backup says of itself: ``manifest.json`` beside the dump. No I/O but these files."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from walletkit.backup.errors import BackupError

MANIFEST_FILE = "manifest.json"
DUMP_FILE = "dump.sql.zst"
HASH_CHUNK_BYTES = 1024 * 1024

HexHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BinlogPosition(_Part):
    """A place in a server's binlogs: the next event begins at so many bytes of a file."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+\.[0-9]{6,}$")]
    position: Annotated[int, Field(ge=4)]

    def __str__(self) -> str:
        """Write it as it is typed."""
        return f"{self.file}:{self.position}"


class Head(_Part):
    """A shard's last record: which shard, its number, its hash."""

    shard: Annotated[int, Field(ge=0)]
    seq: Annotated[int, Field(ge=0)]
    hash: HexHash

    def __str__(self) -> str:
        """Write it for people."""
        return f"shard {self.shard}, record {self.seq}, {self.hash[:16]}…"


class Manifest(_Part):
    """A backup: whose, of which moment, and what its file has to be."""

    format: Literal[1] = 1
    database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,54}$")]
    server_version: str
    server_id: int
    begun_at: datetime
    ended_at: datetime
    binlog: BinlogPosition
    gtid: str
    """Where there is one, else empty."""
    shard: Head | None
    """Of a shard, its last record in the dump."""
    dump_bytes: Annotated[int, Field(ge=1)]
    dump_sha256: HexHash


def read(folder: Path) -> Manifest:
    """Read a backup's manifest. Raise ``BackupError`` unless it is one, and whole."""
    path = folder / MANIFEST_FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BackupError(f"{folder} is no finished backup: {error.strerror}: {path}") from None
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"])) or "it"
        raise BackupError(f"{path} is not a manifest: {where}: {found['msg']}") from None


def check(folder: Path, manifest: Manifest) -> None:
    """Compare the dump with its manifest. Raise ``BackupError`` when a byte of it differs."""
    path = folder / DUMP_FILE
    try:
        size = path.stat().st_size
        found = _sha256(path)
    except OSError as error:
        raise BackupError(f"the dump can't be read: {error}") from None
    if (size, found) != (manifest.dump_bytes, manifest.dump_sha256):
        raise BackupError(
            f"{path} is damaged: {size} bytes, SHA-256 {found}; its manifest says "
            f"{manifest.dump_bytes} bytes, {manifest.dump_sha256}. Take another backup"
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()

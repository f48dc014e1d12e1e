"""Read a dump as it is made: pack it, hash it, and note what it says of its own moment."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

import zstandard

from walletkit.backup.errors import BackupError
from walletkit.backup.manifest import BinlogPosition, Head

PACK_LEVEL = 3
_POSITION = re.compile(rb"^-- CHANGE MASTER TO MASTER_LOG_FILE='([^']+)', MASTER_LOG_POS=(\d+);")
_GTID = re.compile(rb"^-- SET GLOBAL gtid_slave_pos='([^']*)';")
_HEAD = re.compile(rb"^INSERT INTO `head` \(([^)]*)\) VALUES\s*\(([^)]*)\);\s*$")
_HEAD_BEGINS = b"INSERT INTO `head` ("
_ENDED = b"-- Dump completed"


@dataclass
class Dump:
    """What was read so far."""

    position: BinlogPosition | None = None
    gtid: str = ""
    head: Head | None = None
    ended: bool = False
    size: int = 0
    sha256: str = ""

    def pack(self, lines: Iterable[bytes], file: IO[bytes]) -> None:
        """Write the lines, packed, and note what they say."""
        digest = hashlib.sha256()
        packer = zstandard.ZstdCompressor(level=PACK_LEVEL, write_checksum=True).compressobj()
        head = b""
        for line in lines:
            self._note(line)
            if head or line.startswith(_HEAD_BEGINS):
                head += line
                if line.endswith(b";\n"):
                    self.head, head = _head(head), b""
            self._write(packer.compress(line), file, digest)
        self._write(packer.flush(), file, digest)
        self.sha256 = digest.hexdigest()

    def _note(self, line: bytes) -> None:
        if not line.startswith(b"-- "):
            return
        if found := _POSITION.match(line):
            self.position = BinlogPosition(file=found[1].decode(), position=int(found[2]))
        elif found := _GTID.match(line):
            self.gtid = found[1].decode()
        elif line.startswith(_ENDED):
            self.ended = True

    def _write(self, packed: bytes, file: IO[bytes], digest: "hashlib._Hash") -> None:
        if packed:
            file.write(packed)
            digest.update(packed)
            self.size += len(packed)


def _head(statement: bytes) -> Head | None:
    """Read a shard's row of ``head``; None for another table of that name."""
    found = _HEAD.match(statement)
    if found is None:
        raise BackupError("the dump's table head has not the one row that a shard has")
    names = [name.strip(" `") for name in found[1].decode().split(",")]
    row = dict(zip(names, found[2].decode().split(","), strict=True))
    if not {"shard", "seq", "hash"} <= row.keys():
        return None
    hash_ = row["hash"].lower().removeprefix("0x")
    return Head(shard=int(row["shard"]), seq=int(row["seq"]), hash=hash_)

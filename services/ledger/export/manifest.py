"""What an export says of itself: ``manifest.json`` beside its files. No I/O but that file."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ledger.export.errors import BrokenFileError
from ledger.export.month import parse_month
from ledger.export.regular import open_regular
from walletkit.ids import is_system, parse_wallet_id

MANIFEST_FILE = "manifest.json"
TRIAL_FILE = "trial-balance.jsonl.gz"
MAX_MANIFEST_BYTES = 16 * 1024 * 1024


def _check_month(text: str) -> str:
    parse_month(text)
    return text


def _check_wallet(text: str) -> str:
    if not is_system(parse_wallet_id(text)):
        raise ValueError("not a system wallet")
    return text


def _check_once(what: str, names: Iterable[object]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise ValueError(f"{what}: {name} is there {times} times")


HexHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Minor = Annotated[str, Field(pattern=r"^-?[0-9]{1,38}$")]
"""Minor units, as a text: readers of JSON may lose digits of large numbers."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Part):
    """A file as it is on the disk, packed, and how many lines are in it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+\.jsonl\.gz$")]
    rows: Count
    bytes: Count
    sha256: HexHash


class SystemWallet(_Part):
    """A system wallet before the month; no record says its version or balance."""

    wallet_id: Annotated[str, AfterValidator(_check_wallet)]
    version: Count
    posted_minor: Minor


class ShardPart(_Part):
    """A shard's month. One without records ends one record before it begins."""

    shard: Annotated[int, Field(ge=0, le=65_535)]
    first_seq: Annotated[int, Field(ge=1)]
    last_seq: Count
    hash_before: HexHash
    """Of the record before the first; of the shard's genesis where there is none."""
    hash_last: HexHash
    entries: Count
    system_wallets: tuple[SystemWallet, ...]
    """Those that the month moved."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _check_once("system_wallets", (wallet.wallet_id for wallet in self.system_wallets))
        return self


class Sum(_Part):
    """All entries of a currency, over all shards: as much is debited as credited."""

    currency_code: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,12}$")]
    entries: Count
    debit_minor: Minor
    credit_minor: Minor


class Manifest(_Part):
    """An export: of which month, and what its files have to be."""

    format: Literal[1] = 1
    product: Literal["guilder"] = "guilder"
    version: str
    month: Annotated[str, AfterValidator(_check_month)]
    begun_at: datetime
    ended_at: datetime
    files: tuple[FileEntry, ...]
    shards: tuple[ShardPart, ...]
    sums: tuple[Sum, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _check_once("files", (file.name for file in self.files))
        _check_once("shards", (part.shard for part in self.shards))
        return self


class Export(NamedTuple):
    """A finished export and its folder."""

    folder: Path
    manifest: Manifest


def records_file(shard: int) -> str:
    """Name a shard's file of records."""
    return f"shard-{shard}-records.jsonl.gz"


def entries_file(shard: int) -> str:
    """Name a shard's file of entries."""
    return f"shard-{shard}-entries.jsonl.gz"


def read(folder: Path) -> Manifest:
    """Read an export's manifest. Raise ``BrokenFileError`` unless it is one, and whole."""
    try:
        with open_regular(folder / MANIFEST_FILE) as file:
            return Manifest.model_validate_json(file.read(MAX_MANIFEST_BYTES))
    except OSError as error:
        raise BrokenFileError(0, f"no finished export: {error.strerror}") from None
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"])) or "it"
        raise BrokenFileError(0, f"not a manifest: {where}: {found['msg']}") from None

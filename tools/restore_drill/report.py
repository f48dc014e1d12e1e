"""What came of a drill: for people a table, for machines JSON."""

import json
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

from walletkit.backup.restore import Restored
from walletkit.backup.take import Backup

MAX_SHOWN = 20


@dataclass
class Part:
    """One database: its backup, and how it came back; zeros where it was not lost."""

    database: str
    backup_seconds: float
    backup_bytes: int
    backup_position: str
    backup_record: int | None
    load_seconds: float = 0.0
    replay_seconds: float = 0.0
    ended: str = ""
    record: int | None = None


@dataclass
class Report:
    """A drill, as far as it has come."""

    parts: dict[str, Part] = field(default_factory=dict)
    acknowledged: int = 0
    refusals: int = 0
    missing: list[str] = field(default_factory=list)
    """Acknowledged transfers that are not there as they were made."""
    wrong_balances: list[str] = field(default_factory=list)
    down_seconds: float = 0.0
    """From the kill until the shard served again."""
    resent_records: int = 0
    """What the ledger lacked when it was back."""
    catch_up_seconds: float = 0.0
    refused: str = ""
    """What was said to a shard that came back without its binlogs; empty: it was let in."""
    verified: bool = False
    differences: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing acknowledged was lost, and the books hold."""
        wrong = (*self.missing, *self.wrong_balances)
        return bool(self.acknowledged and self.verified and self.refused and not wrong)

    def backed_up(self, backup: Backup, seconds: float) -> None:
        """Note a backup."""
        made = backup.manifest
        record = None if made.shard is None else made.shard.seq
        self.parts[made.database] = Part(
            made.database, seconds, made.dump_bytes, str(made.binlog), record
        )

    def restored(self, done: Restored) -> None:
        """Note how a database came back."""
        part = self.parts[done.backup.database]
        part.load_seconds, part.replay_seconds = done.load_seconds, done.replay_seconds
        part.ended = str(done.ended.position or done.backup.binlog)
        part.record = None if done.head is None else done.head.seq


def as_json(report: Report) -> str:
    """Write it for machines."""
    told = asdict(report) | {"ok": report.ok, "lost": len(report.missing)}
    return json.dumps(told, indent=2)


def show(report: Report, console: Console) -> None:
    """Write it for people."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("database", "backup", "bytes", "at", "load", "replay", "restored to"):
        table.add_column(heading, overflow="fold")
    for part in report.parts.values():
        at = part.backup_position + _record(part.backup_record)
        back = part.ended + _record(part.record) if part.ended else "not lost"
        table.add_row(
            part.database,
            f"{part.backup_seconds:.2f} s",
            f"{part.backup_bytes:,}",
            at,
            f"{part.load_seconds:.2f} s",
            f"{part.replay_seconds:.2f} s",
            back,
        )
    console.print(table)
    console.print(f"acknowledged  {report.acknowledged} transfers ({report.refusals} refusals)")
    console.print(f"lost          {len(report.missing)} acknowledged")
    console.print(f"down          {report.down_seconds:.1f} s, shard 0 alone")
    resent = f"{report.resent_records} records that the ledger lacked"
    console.print(f"caught up     {report.catch_up_seconds:.1f} s, {resent}")
    console.print(f"refused       {report.refused or 'NOT: a shard behind the ledger was let in'}")
    console.print(f"books         {'verified' if report.verified else 'NOT VERIFIED'}")
    for line in [*report.missing, *report.wrong_balances, *report.differences][:MAX_SHOWN]:
        console.print(line, style="red")
    console.print("drill: passed" if report.ok else "drill: FAILED", style="bold")


def _record(number: int | None) -> str:
    return "" if number is None else f" (record {number})"

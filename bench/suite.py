"""The suite that is measured: what it runs with, and whether its books hold."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import redis

from bench import machine
from bench.ghz import GHZ
from bench.model import Results, to_json
from ledger.settings import Settings as LedgerSettings
from wallet.settings import Settings as WalletSettings
from walletkit.stack import Stack, StackSettings

VERIFY_LAG_S = 300
VERIFY_DEADLINE_S = 900
ROOT = Path(__file__).resolve().parents[1]
_VARIABLES = (
    "version",
    "innodb_flush_log_at_trx_commit",
    "log_bin",
    "sync_binlog",
    "binlog_format",
    "binlog_row_image",
    "innodb_flush_method",
    "innodb_doublewrite",
    "innodb_buffer_pool_size",
    "innodb_log_file_size",
)


def described() -> Stack:
    """Return the suite that the environment describes."""
    return Stack(StackSettings())


def is_up(stack: Stack, names: Sequence[str] = ()) -> bool:
    """Tell whether the services, or what is named, run; what does not is named on stderr."""
    if missing := [name for name in names or stack.services if not stack.is_running(name)]:
        sys.stderr.write(f"{', '.join(missing)}: not running; start the suite by `make up`\n")
    return not missing


def results(stack: Stack) -> Results:
    """Return results of now, empty, with what they will be made with; all may be added to."""
    return Results(
        commit=commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine.describe(),
        settings=settings(stack),
        runs=[],
        floors=[],
        verified={},
    )


def file_of(results: Results, kind: str = "") -> Path:
    """Return where results are kept: in the repository. A kind is what `make bench` is not."""
    weak = "" if results.settings["mariadb.log_bin"] == "1" else "binlog-off"
    name = "-".join(part for part in (results.date[:10], results.commit, kind, weak) if part)
    return ROOT / "bench/results" / f"{name}.json"


def keep(results: Results, out: Path) -> None:
    """Write results as JSON; the folder is made where it is missing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(to_json(results), encoding="utf-8")


def settings(stack: Stack) -> dict[str, str]:
    """Return what databases and services run with, as they themselves say."""
    tools = GHZ.parent / ".versions"
    listed = ",".join(f"@@{name}" for name in _VARIABLES)
    values = stack.execute("shard-0", f"SELECT {listed}").strip().split("\t")
    with redis.Redis.from_url(stack.redis_url) as client:
        redis_version = client.info("server")["redis_version"]
    return {
        **{f"mariadb.{name}": value for name, value in zip(_VARIABLES, values, strict=True)},
        "redis.version": redis_version,
        "ghz.version": tools.read_text(encoding="ascii").strip() if tools.exists() else "none",
        **dict(_decided(stack)),
        "shards": str(len(stack.settings.shard_ports)),
        "commits before": str(commits(stack)),
    }


def commits(stack: Stack) -> int:
    """Return how many commits all shards have seen: 0 in a fresh suite."""
    shards = range(len(stack.settings.shard_ports))
    return sum(
        int(stack.execute(f"shard-{n}", f"SELECT seq FROM wallet_{n}.head"))  # noqa: S608
        for n in shards
    )


def verified(stack: Stack, deadline_s: float | None = None) -> bool:
    """Prove the books as an operator does; what does not hold is printed.

    A deadline, seconds, is that of each proof and of all together; None: the command's own.
    """
    addresses = {
        f"GUILDER_{name.upper()}_ADDRESS": stack.address(name)
        for name in ("wallet", "ledger", "notify")
    }
    command = [sys.executable, "-m", "guilder.cli", "verify", f"--wait-lag={VERIFY_LAG_S}"]
    if deadline_s is not None:
        command.append(f"--deadline={deadline_s}")
    timeout = VERIFY_DEADLINE_S if deadline_s is None else VERIFY_LAG_S + deadline_s
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **addresses},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        sys.stdout.write(f"guilder verify did not end within {timeout:.0f} s\n")
        return False
    if done.returncode != 0:
        sys.stdout.write(done.stdout + done.stderr)
    return done.returncode == 0


def commit() -> str:
    """Return the commit that runs; it ends in `-dirty` when what runs differs from it."""
    short = _git("rev-parse", "--short", "HEAD")
    if not short:
        return "unknown"
    changed = _git("status", "--porcelain", "--", ".", ":!bench/results", ":!docs", ":!*.md")
    return f"{short}-dirty" if changed else short


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _decided(stack: Stack) -> Iterator[tuple[str, str]]:
    """Yield what an operator decides about the services, addresses left out."""
    for service, model in (("wallet", WalletSettings), ("ledger", LedgerSettings)):
        identity = stack.identity(service)
        assert identity is not None, "it was just called"
        environment = Path(f"/proc/{identity.pid}/environ").read_text(encoding="utf-8")
        given = dict(line.partition("=")[::2] for line in environment.split("\0") if line)
        for name, field in model.model_fields.items():
            if field.annotation in (int, bool):
                variable = f"{service}_{name}".upper()
                yield f"{service}.{name}", given.get(variable, str(field.default)).lower()

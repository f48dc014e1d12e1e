"""Take backups under traffic, lose a shard and the books, restore them, and prove the rest.

The shard comes back from backup and binlogs, the books from backups alone: what these lack the
relay sends again.
"""

import asyncio
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guilder.client import Addresses, Guilder
from guilder.client.calls import CallPolicy
from tools.restore_drill.report import Report
from tools.restore_drill.traffic import Traffic
from walletkit.backup import shard
from walletkit.backup.binlogs import Stop
from walletkit.backup.errors import BackupError
from walletkit.backup.restore import restore
from walletkit.backup.take import Backup, take
from walletkit.stack import Stack

CLIENTS = 8
DEADLINE_S = 300.0
CATCH_UP_S = 120.0
VERIFY_S = 300
POLL_S = 0.1
BOOKS = ("ledger", "notify", "edge")
"""Databases of the books' server, and the services that need them."""
LOST_SHARD = "shard-0"
OTHER = "drill_behind"
"""Where shard 1's backup is brought back without binlogs, to be refused."""


class Drill:
    """One drill on a running suite."""

    def __init__(self, suite: Stack, folder: Path, say: Callable[[str], None]) -> None:
        """Keep backups and binlogs in a folder; ``say`` gets a line for each step."""
        self._suite = suite
        self._backups = folder / "backups"
        self._binlogs = folder / "binlogs"
        self._say = say
        self._taken: dict[str, Backup] = {}
        self.report = Report()

    async def run(self, seconds: float, seed: int) -> Report:
        """Run it, with so much traffic before and between its steps."""
        names = ("wallet", "ledger", "notify")
        addresses = Addresses(*[self._suite.address(name) for name in names])
        async with Guilder(addresses, CallPolicy(timeout_seconds=5.0, max_attempts=1)) as guilder:
            traffic = Traffic(guilder, random.Random(seed))  # noqa: S311  # whom to pay
            await traffic.fund()
            stop = asyncio.Event()
            working = asyncio.create_task(traffic.run(CLIENTS, stop))
            try:
                await self._take_all(seconds)
                await self._lose()
                await self._bring_back()
                await asyncio.sleep(seconds)
            finally:
                stop.set()
                await working
            await self._prove(traffic)
        return self.report

    async def _take_all(self, seconds: float) -> None:
        """Take every backup at a moment of its own, while money moves."""
        urls = [self._suite.shard_url(1, "wallet_1"), self._suite.books_url("ledger")]
        urls += [self._suite.shard_url(0, "wallet_0")]
        urls += [self._suite.books_url(name) for name in BOOKS[1:]]
        for url in urls:
            await asyncio.sleep(seconds / 2)
            began = time.monotonic()
            made = await asyncio.to_thread(take, url, self._backups, DEADLINE_S)
            self.report.backed_up(made, time.monotonic() - began)
            self._taken[made.manifest.database] = made
            self._say(f"backup of {made.manifest.database} at {made.manifest.binlog}")
        await asyncio.sleep(seconds)

    async def _lose(self) -> None:
        """Kill shard 0 and the books, and delete their data: of the shard the binlogs stay."""
        self._killed_at = time.monotonic()
        await asyncio.to_thread(self._suite.kill, LOST_SHARD, "books")
        await asyncio.to_thread(self._suite.stop, *BOOKS)
        run_dir = self._suite.settings.run_dir
        self._binlogs.mkdir()
        for path in (run_dir / LOST_SHARD).glob("binlog.[0-9]*"):
            path.rename(self._binlogs / path.name)
        for name in (LOST_SHARD, "books"):
            await asyncio.to_thread(shutil.rmtree, run_dir / name)
        self._say("shard 0 and the books are killed, their data deleted")

    async def _bring_back(self) -> None:
        await asyncio.to_thread(self._suite.start, LOST_SHARD, "books")
        for name in BOOKS:
            await self._restore(name, self._suite.books_url(name), None)
        lost = self._suite.shard_url(0, "wallet_0")
        ledger = self._suite.books_url("ledger")
        await self._restore("wallet_0", lost, self._binlogs)
        await asyncio.to_thread(shard.admit, lost, ledger, DEADLINE_S)
        self.report.down_seconds = time.monotonic() - self._killed_at
        heads, began = await self._heads(), time.monotonic()
        behind = [max(0, h - c) for h, c in zip(heads, await self._cursors(), strict=True)]
        self.report.resent_records = sum(behind)
        await asyncio.to_thread(self._suite.start, *BOOKS)
        async with asyncio.timeout(CATCH_UP_S):
            while any(c < h for c, h in zip(await self._cursors(), heads, strict=True)):  # noqa: ASYNC110  # rows
                await asyncio.sleep(POLL_S)
        self.report.catch_up_seconds = time.monotonic() - began
        self._say(f"the ledger has caught up with {sum(behind)} records")

    async def _restore(self, database: str, url: str, binlogs: Path | None) -> None:
        done = await asyncio.to_thread(
            restore,
            self._taken[database].folder,
            url,
            DEADLINE_S,
            binlog_folder=binlogs,
            stop=Stop(),
        )
        self.report.restored(done)
        self._say(f"{database} is restored")

    async def _prove(self, traffic: Traffic) -> None:
        self.report.acknowledged, self.report.refusals = len(traffic.made), traffic.refusals
        verdict = await self._verify()
        self.report.verified = verdict["ok"]
        self.report.differences = [json.dumps(one) for one in verdict["differences"]]
        self.report.missing = await traffic.missing()
        self.report.wrong_balances = await traffic.wrong_balances()
        await self._refuse()

    async def _refuse(self) -> None:
        """Bring shard 1's backup back beside it, without binlogs: it may not be admitted."""
        behind = self._suite.shard_url(1, OTHER)
        backup = self._taken["wallet_1"].folder
        await asyncio.to_thread(
            restore, backup, behind, DEADLINE_S, binlog_folder=None, stop=Stop()
        )
        try:
            ledger = self._suite.books_url("ledger")
            await asyncio.to_thread(shard.admit, behind, ledger, DEADLINE_S)
        except BackupError as error:
            self.report.refused = str(error)

    async def _verify(self) -> dict[str, Any]:
        """Run `guilder verify` as an operator does."""
        names = ("wallet", "ledger", "notify")
        addresses = {f"GUILDER_{n.upper()}_ADDRESS": self._suite.address(n) for n in names}
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "guilder.cli", "verify", "--json", f"--wait-lag={CATCH_UP_S}"),
            env={**os.environ, **addresses},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(VERIFY_S):
            out, err = await program.communicate()
        try:
            verdict: dict[str, Any] = json.loads(out)
        except ValueError:
            return {"ok": False, "differences": [err.decode()]}
        return verdict

    async def _heads(self) -> list[int]:
        shards = range(len(self._suite.settings.shard_ports))
        asked = [(f"shard-{n}", f"SELECT seq FROM wallet_{n}.head") for n in shards]  # noqa: S608
        return [int(await asyncio.to_thread(self._suite.execute, *one)) for one in asked]

    async def _cursors(self) -> list[int]:
        shards = range(len(self._suite.settings.shard_ports))
        statement = "SELECT shard,seq FROM ledger.cursors"
        told = await asyncio.to_thread(self._suite.execute, "books", statement)
        known = {int(n): int(seq) for n, seq in map(str.split, told.splitlines())}
        return [known.get(n, 0) for n in shards]

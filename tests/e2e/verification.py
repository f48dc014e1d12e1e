"""Run `guilder verify` as an operator does: the program itself, against a running suite."""

import asyncio
import json
import os
import sys
from typing import Any

from walletkit.stack import Stack

VERIFY_S = 120


async def verify(suite: Stack, *, wait_lag_s: int = 30) -> dict[str, Any]:
    """Return the verdict; the ledger may take so long to catch up."""
    addresses = {
        f"GUILDER_{name.upper()}_ADDRESS": suite.address(name)
        for name in ("wallet", "ledger", "notify")
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "guilder.cli", "verify", "--json", "--wait-lag", str(wait_lag_s)),
        env={**os.environ, **addresses},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(VERIFY_S):
        out, err = await program.communicate()
    assert program.returncode in (0, 1), err.decode()
    verdict: dict[str, Any] = json.loads(out)
    verdict["exit_code"] = program.returncode
    return verdict


async def expect_clean(suite: Stack) -> None:
    """Fail with the differences unless every invariant was checked and holds."""
    verdict = await verify(suite)
    wrong = [check for check in verdict["checks"] if check["result"] != "OK"]
    assert (verdict["ok"], wrong, verdict["exit_code"]) == (True, [], 0), verdict["differences"]

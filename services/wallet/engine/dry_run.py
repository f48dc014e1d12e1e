"""Decide commands against what the shards hold now, and write nothing: what `validate_only` asks.

The same deciders decide as in a batch, on a snapshot instead of locks.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence

import structlog

from wallet.domain.commands import KeyedCommand
from wallet.domain.decide import decide
from wallet.domain.outcome import Outcome
from wallet.engine.counterparties import Counterparties
from wallet.engine.group_commit import ShardLoop
from wallet.store.needs import read_set
from walletkit.errors import ServiceError

VALIDATE_TIMEOUT_S = 10.0
"""Longest wait for a shard, where the caller waits for ever."""

log = structlog.get_logger()


async def validate(
    commands: Sequence[KeyedCommand],
    deadline: float,
    loop_of: Callable[[int], ShardLoop],
    counterparties: Counterparties,
) -> list[Outcome]:
    """Return an outcome for each command; those of one shard are decided in order, together.

    ``deadline``: by ``time.monotonic``.
    """
    groups: dict[ShardLoop, list[int]] = {}
    outcomes: dict[int, Outcome] = {}
    for n, command in enumerate(commands):
        try:
            loop = loop_of(command.slot)
            if not loop.up:
                raise loop.unavailable()
        except ServiceError as error:
            outcomes[n] = error
        else:
            groups.setdefault(loop, []).append(n)

    async def run(loop: ShardLoop, numbers: list[int]) -> None:
        chosen = [commands[n] for n in numbers]
        outcomes.update(
            zip(numbers, await _group(loop, chosen, deadline, counterparties), strict=True)
        )

    await asyncio.gather(*[run(loop, numbers) for loop, numbers in groups.items()])
    return [outcomes[n] for n in range(len(commands))]


async def _group(
    loop: ShardLoop, commands: list[KeyedCommand], deadline: float, counterparties: Counterparties
) -> Sequence[Outcome]:
    left_s = VALIDATE_TIMEOUT_S if deadline == math.inf else deadline - time.monotonic()
    try:
        async with asyncio.timeout(max(0.0, min(left_s, VALIDATE_TIMEOUT_S))):
            return await _decide(loop, commands, counterparties)
    except ServiceError as error:
        return [error] * len(commands)
    except TimeoutError:
        late = ServiceError("DEADLINE_EXCEEDED", "the deadline passed; nothing was changed")
        return [late] * len(commands)
    except Exception:
        log.exception("validation failed", shard=loop.shard.number)
        broken = ServiceError("INTERNAL", "the command could not be validated")
        return [broken] * len(commands)


async def _decide(
    loop: ShardLoop, commands: list[KeyedCommand], counterparties: Counterparties
) -> list[Outcome]:
    needs = read_set(commands, loop.shard.local_slots)
    found = await counterparties.look_up(needs.counterparties)
    batch = await loop.shard.peek(needs)
    batch.counterparties = found
    return [decide(batch, command) for command in commands]

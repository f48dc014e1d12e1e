"""Admin actions that change something are recorded once, with who, why, before and after."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from ledger.domain.record import AuditAction, AuditEvent
from ledger.store.codec import decode
from tests.api import books
from tests.api.conftest import Urls
from tests.api.failures import KEY_REUSED, declined, failure_of, invalid, missing, of_result
from tests.api.suite import TIMEOUT_S, Suite, money, running
from walletkit.ids import format_id, new_id, parse_id
from walletkit.principal import Principal, Role, become

ACTOR = "ops-1"
HOUR = {"window": 1, "basis": 1, "max_count": 3}
KEPT_HOUR = {"velocity": [{"basis": "DEBITS", "max_count": 3, "window": "HOUR"}]}


class Acting(grpc.aio.ServerInterceptor):
    """Serves every call on behalf of one credential."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401  # whatever handles the call
        """Name the caller, then go on."""
        become(Principal(ACTOR, frozenset({Role.OPERATOR})))
        return await continuation(handler_call_details)


@pytest_asyncio.fixture
async def acting(shard_urls: Urls) -> AsyncIterator[Suite]:
    """A service whose caller has a credential."""
    async with running(shard_urls, before=(Acting(),)) as suite:
        yield suite
        await books.check(shard_urls)


class Case(NamedTuple):
    """An admin action that can be carried out, and what must be told of it."""

    method: str
    fields: dict[str, Any]
    action: AuditAction
    before: dict[str, Any]
    after: dict[str, Any]
    subject: dict[str, Any]


Make = Callable[[Suite], Awaitable[Case]]


async def freeze_wallet(suite: Suite) -> Case:
    """Freeze a wallet for debits."""
    wallet = await suite.wallet()
    return Case(
        *("FreezeWallet", {"wallet_id": wallet, "scope": 1}, AuditAction.FREEZE_WALLET),
        *({"status": 1}, {"status": 4}, {"wallet_id": parse_id(wallet)}),
    )


async def unfreeze_wallet(suite: Suite) -> Case:
    """Make a wallet active."""
    wallet = await suite.wallet()
    await suite.freeze(wallet)
    return Case(
        *("UnfreezeWallet", {"wallet_id": wallet}, AuditAction.UNFREEZE_WALLET),
        *({"status": 2}, {"status": 1}, {"wallet_id": parse_id(wallet)}),
    )


async def close_wallet(suite: Suite) -> Case:
    """Close a wallet."""
    wallet = await suite.wallet()
    return Case(
        *("CloseWallet", {"wallet_id": wallet}, AuditAction.CLOSE_WALLET),
        *({"status": 1}, {"status": 3}, {"wallet_id": parse_id(wallet)}),
    )


async def close_limited_wallet(suite: Suite) -> Case:
    """Close a wallet whose limits go with it."""
    wallet = await suite.wallet()
    limits = {"overdraft_limit_minor": 7, "max_transaction_minor": 3}
    await suite.do("SetWalletLimits", wallet_id=wallet, limits=limits)
    before = {"status": 1, "limits": {"max_transaction": 3, "overdraft": 7}}
    return Case(
        *("CloseWallet", {"wallet_id": wallet}, AuditAction.CLOSE_WALLET),
        *(before, {"status": 3, "limits": ""}, {"wallet_id": parse_id(wallet)}),
    )


async def set_wallet_limits(suite: Suite) -> Case:
    """Replace a wallet's credit line by other limits."""
    wallet = await suite.wallet()
    await suite.do("SetWalletLimits", wallet_id=wallet, limits={"overdraft_limit_minor": 5})
    fields = {"wallet_id": wallet, "limits": {"velocity": [HOUR]}}
    return Case(
        *("SetWalletLimits", fields, AuditAction.SET_WALLET_LIMITS),
        *({"limits": {"overdraft": 5}}, {"limits": KEPT_HOUR}, {"wallet_id": parse_id(wallet)}),
    )


async def freeze_account(suite: Suite) -> Case:
    """Freeze an account for all that was frozen for debits; it is one action on three wallets."""
    account = suite.account(0)
    for _ in range(3):
        await suite.wallet_in(account)
    await suite.do("FreezeAccount", account_id=account, scope=1)
    return Case(
        *("FreezeAccount", {"account_id": account}, AuditAction.FREEZE_ACCOUNT),
        *({"freeze": 1}, {"freeze": 2}, {"account_id": account}),
    )


async def unfreeze_account(suite: Suite) -> Case:
    """Undo an account's freeze."""
    account = suite.account(0)
    await suite.wallet_in(account)
    await suite.do("FreezeAccount", account_id=account)
    return Case(
        *("UnfreezeAccount", {"account_id": account}, AuditAction.UNFREEZE_ACCOUNT),
        *({"freeze": 2}, {"freeze": 0}, {"account_id": account}),
    )


async def set_account_limits(suite: Suite) -> Case:
    """Replace an account's limits in a currency."""
    account = suite.account(0)
    await suite.wallet_in(account)
    scope = {"account_id": account, "currency_code": "EUR"}
    await suite.do("SetAccountLimits", **scope, limits={"max_transaction_minor": 9})
    return Case(
        *("SetAccountLimits", {**scope, "limits": {"velocity": [HOUR]}}),
        *(AuditAction.SET_ACCOUNT_LIMITS, {"limits": {"max_transaction": 9}}),
        *({"limits": KEPT_HOUR}, {"account_id": account, "currency": "EUR"}),
    )


async def register_asset(suite: Suite) -> Case:
    """Register an asset."""
    code = f"A{suite.key().upper().replace('-', '')[-10:]}"
    return Case(
        *("RegisterAsset", {"currency_code": code, "exponent": 3}, AuditAction.REGISTER_ASSET),
        *({}, {"exponent": 3}, {"currency": code}),
    )


async def reverse(suite: Suite) -> Case:
    """Reverse the second part of a transfer from another shard."""
    payer, payee = await suite.wallet(100, shard=1), await suite.wallet()
    made = (await suite.transfer(payer, payee, 50)).transaction.transaction_id
    await suite.do("ReverseTransaction", transaction_id=made, amount=money(20))
    fields = {"transaction_id": made, "amount": money(7)}
    return Case(
        *("ReverseTransaction", fields, AuditAction.REVERSE_TRANSACTION),
        *({"reversed": 20}, {"reversed": 27}),
        {"wallet_id": parse_id(payee), "original": parse_id(made), "currency": "EUR"},
    )


async def reverse_postings(suite: Suite) -> Case:
    """Reverse several postings as a whole."""
    payer, payee = await suite.wallet(100), await suite.wallet()
    line = {"source_wallet_id": payer, "destination_wallet_id": payee, "amount": money(5)}
    fee = {**line, "destination_wallet_id": "sys:fees", "amount": money(1)}
    reply = await suite.do("PostTransaction", postings=[line, fee])
    made = reply.transaction.transaction_id
    return Case(
        *("ReverseTransaction", {"transaction_id": made}, AuditAction.REVERSE_TRANSACTION),
        *({"reversed": 0}, {"reversed": 0}),
        {"wallet_id": parse_id(payee), "original": parse_id(made), "currency": "EUR"},
    )


CASES: list[Make] = [
    *(freeze_wallet, unfreeze_wallet, close_wallet, close_limited_wallet, set_wallet_limits),
    *(freeze_account, unfreeze_account, set_account_limits, register_asset),
    *(reverse, reverse_postings),
]


class Log:
    """What both shards record from now on."""

    def __init__(self, suite: Suite, seqs: list[int]) -> None:
        self._suite = suite
        self._seqs = seqs

    async def events(self) -> list[AuditEvent]:
        """Return the events of all records since."""
        found: list[AuditEvent] = []
        for url, seq in zip(self._suite.urls, self._seqs, strict=True):
            query = f"SELECT payload FROM outbox WHERE seq>{seq} ORDER BY seq"
            for (payload,) in await books.ask(url, query):
                found += decode(payload).audit_events
        return found


async def log_of(suite: Suite) -> Log:
    """Begin to look at what the shards record."""
    heads = [await books.ask(url, "SELECT seq FROM head") for url in suite.urls]
    return Log(suite, [int(rows[0][0]) for rows in heads])


async def ask(suite: Suite, case: Case, **more: object) -> Any:  # noqa: ANN401  # any reply
    """Carry an action out, on a call that has an id."""
    request = suite.ask(case.method, **case.fields, **more)
    call = getattr(suite.stub, case.method)
    return await call(request, timeout=TIMEOUT_S, metadata=(("x-request-id", "call:1"),))


def state_of(kept: bytes) -> dict[str, Any]:
    """Read what was before or after."""
    state: dict[str, Any] = json.loads(kept) if kept else {}
    if state.get("limits"):
        state["limits"] = json.loads(state["limits"])
    return state


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
async def test_action_is_recorded_once_with_who_and_why(acting: Suite, make: Make) -> None:
    """One event: the action, the credential, the reason, the call, what was before and after."""
    case = await make(acting)
    log = await log_of(acting)
    reply = await ask(acting, case, reason="because")
    (event,) = await log.events()
    assert (event.action, event.actor, event.reason) == (case.action, ACTOR, "because")
    assert event.request_id == "call:1"
    assert state_of(event.before) == case.before
    assert state_of(event.after) == case.after
    subject = {name: value for name, value in event._asdict().items() if name in case.subject}
    assert subject == case.subject
    if case.method == "ReverseTransaction":
        assert event.tx_id == parse_id(reply.transaction.transaction_id)


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
async def test_replay_is_no_second_event_and_a_reason_is_part_of_the_request(
    acting: Suite, make: Make
) -> None:
    """The same key again tells the first decision; with another reason it is another request."""
    case, key = await make(acting), acting.key()
    await ask(acting, case, reason="because", idempotency_key=key)
    log = await log_of(acting)
    again = await ask(acting, case, reason="because", idempotency_key=key)
    assert again.replayed
    for reason in ("", "not so"):
        failure = await failure_of(ask(acting, case, reason=reason, idempotency_key=key))
        assert failure == KEY_REUSED
    assert await log.events() == []


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
async def test_dry_run_is_no_event(acting: Suite, make: Make) -> None:
    """What is only tried changes nothing, so there is nothing to tell."""
    case = await make(acting)
    log = await log_of(acting)
    await ask(acting, case, reason="because", validate_only=True)
    assert await log.events() == []


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
async def test_reason_is_bounded(acting: Suite, make: Make) -> None:
    """256 bytes are taken and told; one more is malformed."""
    case = await make(acting)
    too_long = ask(acting, case, reason="\N{EURO SIGN}" * 86)
    assert await failure_of(too_long) == invalid("reason")
    log = await log_of(acting)
    reason = "\N{EURO SIGN}" * 85 + "x"
    await ask(acting, case, reason=reason)
    assert [event.reason for event in await log.events()] == [reason]


async def test_declines_are_no_events(suite: Suite) -> None:
    """What was refused changed nothing, whether the refusal is kept with its key or not."""
    wallet = await suite.wallet(5)
    account = suite.account(0)
    log = await log_of(suite)
    found = [
        await failure_of(suite.do("UnfreezeWallet", wallet_id=wallet, reason="r")),
        await failure_of(suite.do("CloseWallet", wallet_id=wallet, reason="r")),
        await failure_of(suite.do("FreezeAccount", account_id=account, reason="r")),
        await failure_of(suite.do("ReverseTransaction", transaction_id=format_id(new_id(7)))),
    ]
    assert [failure.reason for failure in found] == [
        *("WALLET_NOT_FROZEN", "WALLET_NOT_EMPTY", "ACCOUNT_NOT_FOUND", "TRANSACTION_NOT_FOUND"),
    ]
    assert found[2] == missing("ACCOUNT_NOT_FOUND", account_id=account)
    assert await log.events() == []


async def test_asset_that_is_registered_already_is_no_event(suite: Suite) -> None:
    """A second registration as asked for is done, but changes nothing."""
    case = await register_asset(suite)
    log = await log_of(suite)
    await ask(suite, case)
    await ask(suite, case)
    assert len(await log.events()) == 1


async def test_trusted_caller_has_no_id_and_each_call_has_one(suite: Suite) -> None:
    """Without a credential the actor is empty; a call that names no id, or a bad one, gets one."""
    wallet = await suite.wallet()
    log = await log_of(suite)
    await suite.freeze(wallet)
    request = suite.ask("UnfreezeWallet", wallet_id=wallet)
    await suite.stub.UnfreezeWallet(request, metadata=(("x-request-id", "not one"),))
    one, two = await log.events()
    assert (one.actor, one.reason, two.actor, two.reason) == ("",) * 4
    assert one.request_id != two.request_id
    assert {len(event.request_id) for event in (one, two)} == {16}


async def test_longest_credential_is_told_by_its_begin(shard_urls: Urls) -> None:
    """No id of a credential is too long for the log; what is beyond 255 bytes is cut."""

    class Long(Acting):
        async def intercept_service(
            self,
            continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
            handler_call_details: grpc.HandlerCallDetails,
        ) -> Any:  # noqa: ANN401  # whatever handles the call
            become(Principal("\N{EURO SIGN}" * 100, frozenset(Role)))
            return await continuation(handler_call_details)

    async with running(shard_urls, before=(Long(),)) as suite:
        wallet = await suite.wallet()
        log = await log_of(suite)
        await suite.freeze(wallet)
        assert [event.actor for event in await log.events()] == ["\N{EURO SIGN}" * 85]


async def test_reversals_of_a_batch_each_have_their_event(acting: Suite) -> None:
    """Each for itself: one for each that was made, all of the one call; none for the declined."""
    payer, payee = await acting.wallet(100), await acting.wallet()
    made = [(await acting.transfer(payer, payee, 5)).transaction for _ in range(3)]
    parts = [
        {
            "reverse_transaction": {
                "transaction_id": one.transaction_id,
                "idempotency_key": acting.key(),
                "reason": f"r{n}",
            }
        }
        for n, one in enumerate([*made, made[0]])
    ]
    log = await log_of(acting)
    reply = await acting.do("BatchExecute", commands=parts, idempotency_key="")
    assert of_result(reply.results[3]).reason == "TRANSACTION_REVERSED"
    found = await log.events()
    assert sorted(event.reason for event in found) == ["r0", "r1", "r2"]
    assert {event.actor for event in found} == {ACTOR}
    assert len({event.request_id for event in found}) == 1


async def test_atomic_batch_records_all_or_nothing(acting: Suite) -> None:
    """Undone reversals leave no event; those that were made have one each, in order."""
    payer, payee = await acting.wallet(100), await acting.wallet()
    original = (await acting.transfer(payer, payee, 9)).transaction.transaction_id

    def part(amount: int) -> dict[str, Any]:
        fields = {"transaction_id": original, "amount": money(amount), "reason": f"r{amount}"}
        return {"reverse_transaction": fields}

    log = await log_of(acting)
    too_much = acting.do("BatchExecute", commands=[part(4), part(6)], atomic=True)
    failure = await failure_of(too_much)
    shown = {"transaction_id": original, "remaining": 5, "required": 6, "failed_index": 1}
    assert failure == declined("REVERSAL_EXCEEDS_ORIGINAL", **shown)
    assert await log.events() == []
    key = acting.key()
    for _ in range(2):
        both = {"commands": [part(4), part(5)], "atomic": True, "idempotency_key": key}
        await acting.do("BatchExecute", **both)
    found = await log.events()
    assert [(event.n, event.reason) for event in found] == [(0, "r4"), (1, "r5")]
    assert [state_of(event.before) for event in found] == [{"reversed": 0}, {"reversed": 4}]
    assert [state_of(event.after) for event in found] == [{"reversed": 4}, {"reversed": 9}]


async def test_plain_movements_are_no_admin_actions(suite: Suite) -> None:
    """Money that moves, holds, and what owners do to their wallets are not in the log."""
    one, two = await suite.wallet(), await suite.wallet()
    log = await log_of(suite)
    await suite.deposit(one, 50)
    await suite.transfer(one, two, 5)
    await suite.authorize(one, 5)
    await suite.do("UpdateWallet", wallet_id=one, metadata={"a": "b"})
    line = {"source_wallet_id": one, "destination_wallet_id": two, "amount": money(1)}
    await suite.do("PostTransaction", postings=[line])
    assert await log.events() == []

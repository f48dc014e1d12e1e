"""The client for code without an event loop: the same methods, which wait; plain iterators.

Example::

    from guilder.client.sync import Guilder

    with Guilder() as guilder:
        made = guilder.wallet.create_wallet("alice", "EUR")
        for wallet in guilder.wallet.list_wallets("alice"):
            print(wallet.wallet_id)

Each ``Guilder`` has one background thread with an event loop, and the async client in it; any
number of threads may call it at once. Names, parameters, types and errors are those of the async
client. An interrupt (Ctrl-C) cancels the call that it meets. ``close``, or the end of the ``with``
block, cancels what still runs: such calls raise ``OutcomeUnknownError``.

Threads do not survive a fork: make a client in each process, after the fork (with gunicorn in
``post_fork``, with multiprocessing in the child, or by the start method ``spawn``). One that was
made before raises ``RuntimeError``.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from guilder.client import suite
from guilder.client.access import Tls, Token
from guilder.client.accounts import AccountClient
from guilder.client.assets import AssetClient
from guilder.client.audit import AuditClient
from guilder.client.calls import DEFAULT_POLICY, PROOF_TIMEOUT_SECONDS, CallPolicy
from guilder.client.holds import HoldClient
from guilder.client.keys import KeyClient
from guilder.client.ledger import LedgerClient
from guilder.client.limits import LimitClient
from guilder.client.notify import NotifyClient
from guilder.client.streams import Answer
from guilder.client.suite import DEFAULT_ADDRESSES, Addresses
from guilder.client.threads import EventLoopThread, blocking, iterating, pulled
from guilder.client.wallet import WalletClient
from guilder.wallet.v1.wallet_service_pb2 import TransferRequest


@dataclass(frozen=True, slots=True)
class SyncWallet:
    """Wallets and the money in them; see ``WalletClient``."""

    _client: WalletClient
    _thread: EventLoopThread

    create_wallet = blocking(WalletClient.create_wallet)
    get_wallet = blocking(WalletClient.get_wallet)
    update_wallet = blocking(WalletClient.update_wallet)
    list_wallets = iterating(WalletClient.list_wallets)
    get_balance = blocking(WalletClient.get_balance)
    deposit = blocking(WalletClient.deposit)
    withdraw = blocking(WalletClient.withdraw)
    transfer = blocking(WalletClient.transfer)
    batch_transfer = blocking(WalletClient.batch_transfer)
    batch_execute = blocking(WalletClient.batch_execute)
    batch_execute_atomic = blocking(WalletClient.batch_execute_atomic)
    post_transaction = blocking(WalletClient.post_transaction)
    reverse_transaction = blocking(WalletClient.reverse_transaction)
    get_transaction = blocking(WalletClient.get_transaction)
    get_transaction_family = blocking(WalletClient.get_transaction_family)
    list_transactions = iterating(WalletClient.list_transactions)
    freeze_wallet = blocking(WalletClient.freeze_wallet)
    unfreeze_wallet = blocking(WalletClient.unfreeze_wallet)
    close_wallet = blocking(WalletClient.close_wallet)

    def stream_transfers(self, transfers: Iterable[Sequence[TransferRequest]]) -> Generator[Answer]:
        """Make transfers over one stream, in batches of up to 1,000; get the answers as they come.

        ``transfers`` is read in threads of its own, one at a time, so that it may wait. A broken
        stream is opened again, and what was not answered sent again with its keys. At most
        ``streams.STREAM_WINDOW`` batches are unanswered at a time.
        """
        return self._thread.iterate(self._client.stream_transfers(pulled(transfers)))


@dataclass(frozen=True, slots=True)
class SyncHolds:
    """Holds; see ``HoldClient``."""

    _client: HoldClient
    _thread: EventLoopThread

    authorize = blocking(HoldClient.authorize)
    increment_hold = blocking(HoldClient.increment_hold)
    extend_hold = blocking(HoldClient.extend_hold)
    capture_hold = blocking(HoldClient.capture_hold)
    void_hold = blocking(HoldClient.void_hold)
    get_hold = blocking(HoldClient.get_hold)
    list_holds = iterating(HoldClient.list_holds)


@dataclass(frozen=True, slots=True)
class SyncLimits:
    """Limits; see ``LimitClient``."""

    _client: LimitClient
    _thread: EventLoopThread

    set_wallet_limits = blocking(LimitClient.set_wallet_limits)
    get_wallet_limits = blocking(LimitClient.get_wallet_limits)
    set_account_limits = blocking(LimitClient.set_account_limits)
    get_account_limits = blocking(LimitClient.get_account_limits)


@dataclass(frozen=True, slots=True)
class SyncAccounts:
    """All wallets of an account; see ``AccountClient``."""

    _client: AccountClient
    _thread: EventLoopThread

    freeze_account = blocking(AccountClient.freeze_account)
    unfreeze_account = blocking(AccountClient.unfreeze_account)


@dataclass(frozen=True, slots=True)
class SyncAssets:
    """Assets; see ``AssetClient``."""

    _client: AssetClient
    _thread: EventLoopThread

    register_asset = blocking(AssetClient.register_asset)
    list_assets = blocking(AssetClient.list_assets)


@dataclass(frozen=True, slots=True)
class SyncAudit:
    """Whole shards; see ``AuditClient``."""

    _client: AuditClient
    _thread: EventLoopThread

    list_shards = blocking(AuditClient.list_shards)
    stream_balances = iterating(AuditClient.stream_balances)
    get_head = blocking(AuditClient.get_head)


@dataclass(frozen=True, slots=True)
class SyncLedger:
    """The journal; see ``LedgerClient``."""

    _client: LedgerClient
    _thread: EventLoopThread

    list_entries = iterating(LedgerClient.list_entries)
    list_audit_events = iterating(LedgerClient.list_audit_events)
    get_balance = blocking(LedgerClient.get_balance)
    get_statement = iterating(LedgerClient.get_statement)
    get_statement_csv = iterating(LedgerClient.get_statement_csv)
    get_trial_balance = blocking(LedgerClient.get_trial_balance)
    get_chart_of_accounts = blocking(LedgerClient.get_chart_of_accounts)
    verify_chain = blocking(LedgerClient.verify_chain)
    verify_transit = blocking(LedgerClient.verify_transit)
    reconcile = blocking(LedgerClient.reconcile)


@dataclass(frozen=True, slots=True)
class SyncNotify:
    """Subscriptions and events; see ``NotifyClient``."""

    _client: NotifyClient
    _thread: EventLoopThread

    create_subscription = blocking(NotifyClient.create_subscription)
    list_subscriptions = iterating(NotifyClient.list_subscriptions)
    delete_subscription = blocking(NotifyClient.delete_subscription)
    list_dead_letters = iterating(NotifyClient.list_dead_letters)
    replay_deliveries = blocking(NotifyClient.replay_deliveries)
    watch = iterating(NotifyClient.watch)


@dataclass(frozen=True, slots=True)
class SyncKeys:
    """API keys; see ``KeyClient``."""

    _client: KeyClient
    _thread: EventLoopThread

    create_key = blocking(KeyClient.create_key)
    list_keys = iterating(KeyClient.list_keys)
    list_key_events = iterating(KeyClient.list_key_events)
    rotate_key = blocking(KeyClient.rotate_key)
    revoke_key = blocking(KeyClient.revoke_key)


class Guilder:
    """The whole suite: ``with Guilder() as guilder: guilder.wallet.transfer(...)``.

    Safe to share between threads. Opens its channels lazily, at the first call.
    """

    def __init__(
        self,
        addresses: Addresses = DEFAULT_ADDRESSES,
        policy: CallPolicy = DEFAULT_POLICY,
        proof_timeout_seconds: float = PROOF_TIMEOUT_SECONDS,
        token: Token | None = None,
        *,
        api_key: str | None = None,
        tls: Tls | None = None,
    ) -> None:
        """Start the thread and make the channels in it; nothing is sent yet."""

        async def make() -> suite.Guilder:
            return suite.Guilder(
                addresses, policy, proof_timeout_seconds, token, api_key=api_key, tls=tls
            )

        self.addresses = addresses
        self._thread = EventLoopThread()
        self._client = self._thread.run(make())
        self.wallet = SyncWallet(self._client.wallet, self._thread)
        self.holds = SyncHolds(self._client.holds, self._thread)
        self.limits = SyncLimits(self._client.limits, self._thread)
        self.accounts = SyncAccounts(self._client.accounts, self._thread)
        self.assets = SyncAssets(self._client.assets, self._thread)
        self.audit = SyncAudit(self._client.audit, self._thread)
        self.ledger = SyncLedger(self._client.ledger, self._thread)
        self.notify = SyncNotify(self._client.notify, self._thread)
        self.keys = SyncKeys(self._client.keys, self._thread)

    healthy = blocking(suite.Guilder.healthy)
    wait_ready = blocking(suite.Guilder.wait_ready)

    def close(self) -> None:
        """Close the channels and end the thread; calls in flight get a second to end."""
        self._thread.close(self._client.close())

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

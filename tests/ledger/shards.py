"""A shard for tests: makes wallets, moves money and writes records as the wallet service does.

Shares no code with the ledger, so that it can judge it.
"""

from dataclasses import dataclass, field
from typing import cast

from guilder.events.v1 import record_pb2 as events
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_audit_service_pb2 as audit
from walletkit.chain import genesis_hash, next_hash
from walletkit.ids import SystemKind, is_system, new_id, system_wallet_id

START_US = 1_790_000_000_000_000
"""Some moment of 2026."""

SECOND_US = 1_000_000


@dataclass
class Wallet:
    """A customer wallet."""

    currency: str
    posted: int = 0
    version: int = 1
    status: events.WalletStatus.ValueType = events.WALLET_STATUS_ACTIVE
    account_id: str = "ann"
    held: int = 0
    overdraft: int = 0
    freeze: events.AccountFreeze.ValueType = events.ACCOUNT_FREEZE_UNSPECIFIED


@dataclass
class Hold:
    """A hold of a wallet; ``open`` is what it still reserves."""

    wallet_id: bytes
    authorized: int
    expire_time_us: int
    captured: int = 0
    released: int = 0
    state: events.HoldState.ValueType = events.HOLD_STATE_AUTHORIZED

    @property
    def open(self) -> int:
        """Return what is still reserved."""
        return self.authorized - self.captured - self.released


@dataclass
class Shard:
    """One shard: what it holds now, and all records it has written."""

    number: int = 0
    time_us: int = START_US
    wallets: dict[bytes, Wallet] = field(default_factory=dict)
    system: dict[bytes, int] = field(default_factory=dict)
    intents: dict[tuple[bytes, int], events.Intent] = field(default_factory=dict)
    holds: dict[bytes, Hold] = field(default_factory=dict)
    frozen: dict[str, events.AccountFreeze.ValueType] = field(default_factory=dict)
    records: list[events.SequencedRecord] = field(default_factory=list)
    batch: events.Record = field(default_factory=events.Record)

    def world(self, currency: str = "EUR") -> bytes:
        """Return the id of `world`."""
        return self.system_id(SystemKind.WORLD, currency)

    def system_id(self, kind: SystemKind, currency: str = "EUR") -> bytes:
        """Return the id of a system wallet of this shard."""
        return system_wallet_id(kind, self.number, currency)

    def create(self, currency: str = "EUR", account_id: str = "ann") -> bytes:
        """Create a wallet in the batch."""
        wallet_id = new_id(self.number)
        freeze = self.frozen.get(account_id, events.ACCOUNT_FREEZE_UNSPECIFIED)
        self.wallets[wallet_id] = Wallet(currency, account_id=account_id, freeze=freeze)
        self.batch.wallet_changes.add(
            kind=events.WALLET_CHANGE_KIND_CREATED,
            wallet_id=wallet_id,
            version=1,
            status=events.WALLET_STATUS_ACTIVE,
            account_id=account_id,
            currency_code=currency,
            account_freeze=freeze,
        )
        return wallet_id

    def change(self, wallet_id: bytes, status: events.WalletStatus.ValueType) -> None:
        """Freeze, unfreeze or close a wallet in the batch."""
        kinds = {
            events.WALLET_STATUS_FROZEN: events.WALLET_CHANGE_KIND_FROZEN,
            events.WALLET_STATUS_DEBITS_FROZEN: events.WALLET_CHANGE_KIND_FROZEN,
            events.WALLET_STATUS_ACTIVE: events.WALLET_CHANGE_KIND_UNFROZEN,
            events.WALLET_STATUS_CLOSED: events.WALLET_CHANGE_KIND_CLOSED,
        }
        overdraft = 0 if status == events.WALLET_STATUS_CLOSED else None
        self._alter(wallet_id, kinds[status], status=status, overdraft=overdraft)

    def limit(self, wallet_id: bytes, overdraft: int) -> None:
        """Give a wallet another credit line in the batch."""
        self._alter(wallet_id, events.WALLET_CHANGE_KIND_LIMITED, overdraft=overdraft)

    def update(self, wallet_id: bytes) -> None:
        """Replace a wallet's metadata in the batch."""
        self._alter(wallet_id, events.WALLET_CHANGE_KIND_UPDATED)

    def freeze_account(self, account_id: str, freeze: events.AccountFreeze.ValueType) -> None:
        """Freeze or unfreeze an account in the batch, with each of its wallets that is not closed.

        One whose id is larger comes later, as the wallet service has it.
        """
        self.frozen[account_id] = freeze
        kind = events.WALLET_CHANGE_KIND_FROZEN if freeze else events.WALLET_CHANGE_KIND_UNFROZEN
        for wallet_id, wallet in sorted(self.wallets.items()):
            closed = wallet.status == events.WALLET_STATUS_CLOSED
            if wallet.account_id == account_id and not closed:
                self._alter(wallet_id, kind, freeze=freeze)
        self.batch.account_changes.add(account_id=account_id, freeze=freeze)

    def _alter(
        self,
        wallet_id: bytes,
        kind: events.WalletChangeKind.ValueType,
        *,
        status: events.WalletStatus.ValueType | None = None,
        freeze: events.AccountFreeze.ValueType | None = None,
        overdraft: int | None = None,
    ) -> None:
        wallet = self.wallets[wallet_id]
        before = wallet.status, wallet.freeze, wallet.overdraft
        wallet.version += 1
        wallet.status = wallet.status if status is None else status
        wallet.freeze = wallet.freeze if freeze is None else freeze
        wallet.overdraft = wallet.overdraft if overdraft is None else overdraft
        self.batch.wallet_changes.add(
            kind=kind,
            wallet_id=wallet_id,
            version=wallet.version,
            status=wallet.status,
            account_freeze=wallet.freeze,
            overdraft_limit_minor=wallet.overdraft,
            previous_status=before[0],
            previous_account_freeze=before[1],
            previous_overdraft_limit_minor=before[2],
        )

    def authorize(self, wallet_id: bytes, amount: int) -> bytes:
        """Reserve money in the batch; the hold lasts an hour."""
        hold_id = new_id(self.number)
        self.holds[hold_id] = Hold(wallet_id, 0, self.time_us + 3_600 * SECOND_US)
        self._hold(hold_id, events.HOLD_CHANGE_KIND_AUTHORIZED, authorized=amount)
        return hold_id

    def increment(self, hold_id: bytes, amount: int) -> None:
        """Reserve more under a hold in the batch."""
        self._hold(hold_id, events.HOLD_CHANGE_KIND_INCREMENTED, authorized=amount)

    def extend(self, hold_id: bytes, by_us: int) -> None:
        """Let a hold end later in the batch."""
        self.holds[hold_id].expire_time_us += by_us
        self._hold(hold_id, events.HOLD_CHANGE_KIND_EXTENDED)

    def capture(
        self, hold_id: bytes, destination: bytes, amount: int, *, final: bool = False
    ) -> events.Transaction:
        """Capture from a hold in the batch; the last unit, or ``final``, ends it."""
        hold = self.holds[hold_id]
        final = final or hold.open == amount
        released = hold.open - amount if final else 0
        state = events.HOLD_STATE_CAPTURED if final else hold.state
        kind = events.HOLD_CHANGE_KIND_CAPTURED
        change = self._hold(hold_id, kind, captured=amount, released=released, state=state)
        transaction = self.transfer(hold.wallet_id, destination, amount)
        transaction.type = events.TRANSACTION_TYPE_CAPTURE
        transaction.parent_id = transaction.family_id = hold_id
        change.transaction_id = transaction.transaction_id
        return transaction

    def release(
        self,
        hold_id: bytes,
        kind: events.HoldChangeKind.ValueType = events.HOLD_CHANGE_KIND_VOIDED,
        state: events.HoldState.ValueType = events.HOLD_STATE_VOIDED,
    ) -> None:
        """Void a hold in the batch, or expire it."""
        self._hold(hold_id, kind, released=self.holds[hold_id].open, state=state)

    def _hold(
        self,
        hold_id: bytes,
        kind: events.HoldChangeKind.ValueType,
        *,
        authorized: int = 0,
        captured: int = 0,
        released: int = 0,
        state: events.HoldState.ValueType = events.HOLD_STATE_AUTHORIZED,
    ) -> events.HoldChange:
        hold = self.holds[hold_id]
        wallet = self.wallets[hold.wallet_id]
        wallet.version += 1
        wallet.held -= hold.open
        hold.authorized += authorized
        hold.captured += captured
        hold.released += released
        hold.state = state
        wallet.held += hold.open
        return self.batch.hold_changes.add(
            kind=kind,
            hold_id=hold_id,
            wallet_id=hold.wallet_id,
            wallet_version=wallet.version,
            held_after_minor=wallet.held,
            currency_code=wallet.currency,
            state=state,
            authorized_minor=hold.authorized,
            captured_minor=hold.captured,
            released_minor=hold.released,
            expire_time_us=hold.expire_time_us,
        )

    def transfer(self, source: bytes, destination: bytes, amount: int) -> events.Transaction:
        """Move money within the shard in the batch; deposits and withdrawals too."""
        transaction = self._transaction(source, destination)
        transaction.state = events.TRANSACTION_STATE_COMPLETED
        self._post(transaction.postings.add(), source, destination, amount)
        return transaction

    def send(self, source: bytes, destination: bytes, amount: int) -> events.Transaction:
        """Debit a wallet for one on another shard in the batch."""
        transaction = self._transaction(source, destination)
        transaction.state = events.TRANSACTION_STATE_PROCESSING
        currency = self.wallets[source].currency
        transit = self.system_id(SystemKind.TRANSIT, currency)
        self._post(transaction.postings.add(), source, transit, amount)
        intent = transaction.intents.add(
            leg=0, destination=destination, currency_code=currency, amount_minor=amount
        )
        self.intents[transaction.transaction_id, 0] = intent
        return transaction

    def land(self, tx_id: bytes, intent: events.Intent) -> events.LandedLeg:
        """Credit a leg of another shard in the batch."""
        landed = self.batch.landed_legs.add(
            transaction_id=tx_id, leg=intent.leg, result=events.LEG_RESULT_CREDITED
        )
        transit = self.system_id(SystemKind.TRANSIT, intent.currency_code)
        self._post(landed.postings.add(), transit, intent.destination, intent.amount_minor)
        return landed

    def send_back(self, tx_id: bytes, intent: events.Intent, home: bytes) -> events.Intent:
        """Return a leg that can't be credited, in the batch."""
        landed = self.batch.landed_legs.add(
            transaction_id=tx_id, leg=intent.leg, result=events.LEG_RESULT_RETURNED
        )
        transit = self.system_id(SystemKind.TRANSIT, intent.currency_code)
        suspense = self.system_id(SystemKind.SUSPENSE, intent.currency_code)
        self._post(landed.postings.add(), transit, suspense, intent.amount_minor)
        self._post(landed.postings.add(), suspense, transit, intent.amount_minor)
        back = landed.intents.add(
            leg=intent.leg + 128,
            destination=home,
            currency_code=intent.currency_code,
            amount_minor=intent.amount_minor,
        )
        self.intents[tx_id, back.leg] = back
        return back

    def close(
        self,
        tx_id: bytes,
        leg: int = 0,
        state: events.TransactionState.ValueType = events.TRANSACTION_STATE_COMPLETED,
    ) -> None:
        """Forget an intent in the batch."""
        del self.intents[tx_id, leg]
        self.batch.closed_intents.add(transaction_id=tx_id, leg=leg, state=state)

    def commit(self, time_us: int | None = None) -> events.SequencedRecord:
        """Write the batch as a record, a second after the one before unless told."""
        self.time_us = self.time_us + SECOND_US if time_us is None else time_us
        self.batch.version, self.batch.shard, self.batch.time_us = 1, self.number, self.time_us
        record = self.seal(self.batch.SerializeToString())
        self.records.append(record)
        self.batch = events.Record()
        return record

    def seal(self, payload: bytes) -> events.SequencedRecord:
        """Give a payload the next place in the chain, without writing it."""
        last = self.records[-1].hash if self.records else genesis_hash(self.number)
        return events.SequencedRecord(
            seq=len(self.records) + 1,
            prev_hash=last,
            hash=next_hash(last, payload),
            payload=payload,
        )

    def snapshot(self) -> list[audit.StreamBalancesResponse]:
        """Return what StreamBalances would answer now, two wallets a part."""
        seq = len(self.records)
        last = self.records[-1].hash if self.records else genesis_hash(self.number)
        parts = [audit.StreamBalancesResponse(seq=seq, hash=last)]
        wallets = sorted(self.wallets.items())
        for start in range(0, len(wallets), 2):
            part = audit.StreamBalancesResponse()
            for wallet_id, wallet in wallets[start : start + 2]:
                part.balances.add(
                    wallet_id=wallet_id,
                    currency_code=wallet.currency,
                    posted_minor=wallet.posted,
                    held_minor=wallet.held,
                    overdraft_limit_minor=wallet.overdraft,
                    account_freeze=cast("res.FreezeScope.ValueType", wallet.freeze),
                    version=wallet.version,
                    status=cast("res.WalletStatus.ValueType", wallet.status),
                )
            parts.append(part)
        end = audit.StreamBalancesResponse(complete=True)
        for wallet_id, posted in self.system.items():
            currency = wallet_id[4:].rstrip(b"\0").decode()
            end.system_wallets.add(
                wallet_id=wallet_id, currency_code=currency, posted_minor=str(posted)
            )
        for (tx_id, leg), intent in self.intents.items():
            end.intents.add(
                transaction_id=tx_id,
                leg=leg,
                destination=intent.destination,
                currency_code=intent.currency_code,
                amount_minor=intent.amount_minor,
            )
        for hold_id, hold in self.holds.items():
            if hold.state == events.HOLD_STATE_AUTHORIZED:
                end.holds.add(
                    hold_id=hold_id,
                    wallet_id=hold.wallet_id,
                    currency_code=self.wallets[hold.wallet_id].currency,
                    state=cast("res.HoldState.ValueType", hold.state),
                    authorized_minor=hold.authorized,
                    captured_minor=hold.captured,
                    released_minor=hold.released,
                    expire_time_us=hold.expire_time_us,
                )
        return [*parts, end]

    def _transaction(self, source: bytes, destination: bytes) -> events.Transaction:
        kind = events.TRANSACTION_TYPE_TRANSFER
        if is_system(source):
            kind = events.TRANSACTION_TYPE_DEPOSIT
        if is_system(destination):
            kind = events.TRANSACTION_TYPE_WITHDRAWAL
        return self.batch.transactions.add(
            transaction_id=new_id(self.number), type=kind, source=source, destination=destination
        )

    def _post(
        self, posting: events.Posting, source: bytes, destination: bytes, amount: int
    ) -> None:
        posting.source, posting.destination = source, destination
        posting.amount_minor = amount
        for wallet_id in (source, destination):
            if not is_system(wallet_id):
                posting.currency_code = self.wallets[wallet_id].currency
        if not posting.currency_code:
            posting.currency_code = source[4:].rstrip(b"\0").decode()
        after = self._move(source, -amount)
        posting.source_posted_after, posting.source_version = after
        after = self._move(destination, amount)
        posting.destination_posted_after, posting.destination_version = after

    def _move(self, wallet_id: bytes, delta: int) -> tuple[int, int]:
        if is_system(wallet_id):
            self.system[wallet_id] = self.system.get(wallet_id, 0) + delta
            return 0, 0
        wallet = self.wallets[wallet_id]
        wallet.posted += delta
        wallet.version += 1
        return wallet.posted, wallet.version


def postings_of(message: events.Record) -> list[events.Posting]:
    """Return all postings of a record: of its transactions, then of its landed legs."""
    of_transactions = [p for transaction in message.transactions for p in transaction.postings]
    return of_transactions + [p for landed in message.landed_legs for p in landed.postings]


def send_across(home: Shard, away: Shard, source: bytes, destination: bytes, amount: int) -> bytes:
    """Send money to another shard and have it land; a record for each step. Return its id."""
    transaction = home.send(source, destination, amount)
    tx_id, intent = transaction.transaction_id, transaction.intents[0]
    home.commit()
    away.land(tx_id, intent)
    away.commit()
    home.close(tx_id)
    home.commit()
    return tx_id

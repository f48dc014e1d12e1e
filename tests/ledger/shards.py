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


@dataclass
class Shard:
    """One shard: what it holds now, and all records it has written."""

    number: int = 0
    time_us: int = START_US
    wallets: dict[bytes, Wallet] = field(default_factory=dict)
    system: dict[bytes, int] = field(default_factory=dict)
    intents: dict[tuple[bytes, int], events.Intent] = field(default_factory=dict)
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
        self.wallets[wallet_id] = Wallet(currency)
        self.batch.wallet_changes.add(
            kind=events.WALLET_CHANGE_KIND_CREATED,
            wallet_id=wallet_id,
            version=1,
            status=events.WALLET_STATUS_ACTIVE,
            account_id=account_id,
            currency_code=currency,
        )
        return wallet_id

    def change(self, wallet_id: bytes, status: events.WalletStatus.ValueType) -> None:
        """Freeze, unfreeze or close a wallet in the batch."""
        wallet = self.wallets[wallet_id]
        wallet.version += 1
        wallet.status = status
        kinds = {
            events.WALLET_STATUS_FROZEN: events.WALLET_CHANGE_KIND_FROZEN,
            events.WALLET_STATUS_ACTIVE: events.WALLET_CHANGE_KIND_UNFROZEN,
            events.WALLET_STATUS_CLOSED: events.WALLET_CHANGE_KIND_CLOSED,
        }
        self.batch.wallet_changes.add(
            kind=kinds[status], wallet_id=wallet_id, version=wallet.version, status=status
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

"""A shard in memory: keeps what the deciders change, as the store does, with nothing beside it."""

from collections.abc import Sequence
from dataclasses import replace

from wallet.domain.batch import (
    Balance,
    Batch,
    Changes,
    Counterparty,
    Kept,
    NoCounterparty,
    Posting,
)
from wallet.domain.bound import Bound, account_owner
from wallet.domain.commands import Command, Intent
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    ACCOUNT_LIMITED,
    RETURN_LEG,
    AccountFreeze,
    LegResult,
    TransactionState,
    TransactionType,
    WalletChangeKind,
)
from wallet.domain.outcome import Hold, Outcome, WalletFacts
from walletkit.ids import SystemKind

Place = tuple[bytes, int]


class MemoryShard:
    """Rows of one shard."""

    def __init__(self, number: int) -> None:
        """Make a shard without wallets."""
        self.number = number
        self.seq = 0
        self.balances: dict[bytes, Balance] = {}
        self.facts: dict[bytes, WalletFacts] = {}
        self.keys: dict[bytes, tuple[bytes, bytes, bytes]] = {}
        self.states: dict[bytes, TransactionState] = {}
        self.intents: dict[Place, Intent] = {}
        self.inbox: dict[Place, LegResult] = {}
        self.system: dict[tuple[SystemKind, str], int] = {}
        self.postings: list[tuple[Place, Posting]] = []
        """Every posting ever made, with the leg that it opens or lands; a home's own has leg -1."""
        self.holds: dict[bytes, Hold] = {}
        self.reversed: dict[bytes, int] = {}
        self.originals: dict[bytes, bytes] = {}
        """Of each reversal of a single posting: what it reverses."""
        self.bounds: dict[bytes, Bound] = {}
        self.accounts: dict[str, AccountFreeze] = {}
        self.assets: dict[str, int] = {}
        self.now_us: int | None = None
        """The clock, microseconds; None: it ticks with every commit."""

    def load(self) -> Batch:
        """Read everything: what a batch does not touch does no harm."""
        return Batch(
            shard=self.number,
            now_us=self.seq + 1 if self.now_us is None else self.now_us,
            seq=self.seq,
            balances={wallet_id: replace(row) for wallet_id, row in self.balances.items()},
            kept={
                key: Kept(ref, fingerprint, outcome, self.states.get(ref))
                for key, (ref, fingerprint, outcome) in self.keys.items()
            },
            facts=dict(self.facts),
            landed=dict(self.inbox),
            open_intents=set(self.intents),
            paying={i.source for i in self.intents.values() if i.leg < RETURN_LEG},
            holds=dict(self.holds),
            reversed=dict(self.reversed),
            returning={
                tx_id: original
                for tx_id, original in self.originals.items()
                if original in self.reversed
            },
            states=dict(self.states),
            bounds={owner: replace(bound) for owner, bound in self.bounds.items()},
            owners={
                wallet_id: account_owner(self.facts[wallet_id].account_id, row.currency)
                for wallet_id, row in self.balances.items()
                if row.flags & ACCOUNT_LIMITED
            },
            aliases={(f.account_id, f.alias): w for w, f in self.facts.items() if f.alias},
            accounts=dict(self.accounts),
            account_wallets=self._wallets_by_account(),
            assets=dict(self.assets),
        )

    def _wallets_by_account(self) -> dict[str, tuple[bytes, ...]]:
        found: dict[str, tuple[bytes, ...]] = {}
        for wallet_id, facts in self.facts.items():
            found[facts.account_id] = (*found.get(facts.account_id, ()), wallet_id)
        return found

    def run(
        self,
        commands: Sequence[Command],
        counterparties: dict[bytes, Counterparty | NoCounterparty],
        *,
        commit: bool = True,
    ) -> list[Outcome]:
        """Decide a batch; without ``commit`` nothing of it stays."""
        batch = self.load()
        batch.counterparties = counterparties
        outcomes = [decide(batch, command) for command in commands]
        if commit and batch.changes.any():
            self._save(batch)
        return outcomes

    def _save(self, batch: Batch) -> None:
        changes = batch.changes
        self._save_wallets(changes)
        self._save_movements(changes)
        for closed in changes.closed:
            del self.intents[closed.tx_id, closed.leg]
            if closed.state is not None:
                self.states[closed.tx_id] = closed.state
        for command, _, kept in changes.keys:
            assert command.key_hash not in self.keys, "a key is inserted once"
            self.keys[command.key_hash] = (command.ref, command.fingerprint, kept)
        for entry, delta in changes.system.items():
            self.system[entry] = self.system.get(entry, 0) + delta
        self.seq += 1

    def _save_wallets(self, changes: Changes) -> None:
        for change in changes.wallets:
            if change.kind == WalletChangeKind.CREATED:
                wallet_id = change.facts.wallet_id
                assert wallet_id not in self.balances, "a wallet is inserted once"
                currency = change.facts.currency
                self.balances[wallet_id] = Balance(currency, 0, 0, 0, change.status, change.version)
            self.facts[change.facts.wallet_id] = change.facts
        for wallet_id, row in changes.touched.items():
            self.balances[wallet_id] = row
        assert changes.settings <= changes.touched.keys(), "what is set is written"
        for account in changes.accounts:
            self.accounts[account.account_id] = account.freeze
        for owner, bound in changes.bounds.items():
            if bound is None:
                self.bounds.pop(owner, None)
            else:
                self.bounds[owner] = bound
        self.assets.update({asset.currency: asset.exponent for asset in changes.assets})

    def _save_movements(self, changes: Changes) -> None:
        for new in changes.transactions:
            assert new.command.ref not in self.states, "a transaction is inserted once"
            self.states[new.command.ref] = new.state
            if new.command.type == TransactionType.REVERSAL and not new.lines:
                self.originals[new.command.ref] = new.command.parent
            legs = {intent.leg for intent in new.intents}
            self.postings.extend(
                ((new.command.ref, n if n in legs else -1), posting)
                for n, posting in enumerate(new.postings)
            )
            for intent in new.intents:
                self._open(intent)
        for leg in changes.legs:
            place = (leg.intent.tx_id, leg.intent.leg)
            assert place not in self.inbox, "an inbox row is inserted once"
            self.inbox[place] = leg.result
            self.postings += [(place, posting) for posting in leg.postings]
            if leg.returned is not None:
                self._open(leg.returned)
        for hold_id in changes.new_holds:
            assert hold_id not in self.holds, "a hold is inserted once"
        assert {change.hold.hold_id for change in changes.hold_changes} == set(changes.holds)
        self.holds.update(changes.holds)
        for tx_id, (_, total) in changes.reversed.items():
            assert total >= 0, "no more comes back than was sent"
            self.reversed[tx_id] = total
        self.reversed = {tx_id: total for tx_id, total in self.reversed.items() if total}

    def _open(self, intent: Intent) -> None:
        place = (intent.tx_id, intent.leg)
        assert place not in self.intents
        self.intents[place] = intent

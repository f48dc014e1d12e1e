"""Decide how a credit from another shard lands, and when its intent is over.

A leg is never refused. What a wallet can't take goes through `suspense` back home, as a return;
what can't return stays in `suspense`, where an operator finds it. A reversal that comes back can be
tried again: its original gets back what it had used up.

A leg counts when its transaction does, and so does its return: what came back never left. The
intents carry that time, for the shard where they land knows nothing else of the transaction.

A transaction with several legs is over with the last of them. It is RETURNED as soon as one of them
has come back, for good.
"""

from wallet.domain.batch import Batch, ClosedIntent, NewLeg, Posting
from wallet.domain.commands import CloseIntent, Intent, LandLeg
from wallet.domain.kinds import RETURN_LEG, LegResult, TransactionState, WalletStatus
from wallet.domain.limits import refuse_credit
from wallet.domain.outcome import Closed, Landed
from wallet.domain.reversal import note_bounced
from walletkit.ids import SystemKind, is_system


def decide_landing(batch: Batch, command: LandLeg) -> Landed:
    """Credit the destination once; a leg that has landed before keeps its result."""
    intent = command.intent
    place = (intent.tx_id, intent.leg)
    before = batch.landed.get(place)
    if before is not None:
        return Landed(before)
    transit = batch.system(SystemKind.TRANSIT, intent.currency)
    returned = None
    postings: tuple[Posting, ...]
    if _can_take(batch, intent):
        result = LegResult.CREDITED
        postings = (_post(batch, intent, transit, intent.destination),)
    else:
        suspense = batch.system(SystemKind.SUSPENSE, intent.currency)
        postings = (_post(batch, intent, transit, suspense),)
        result = LegResult.SUSPENDED
        if intent.leg < RETURN_LEG:
            result = LegResult.RETURNED
            postings += (_post(batch, intent, suspense, transit),)
            returned = intent._replace(
                leg=intent.leg + RETURN_LEG, source=intent.destination, destination=intent.source
            )
    batch.landed[place] = result
    batch.changes.legs.append(NewLeg(intent, command.slot, result, postings, returned))
    if intent.leg >= RETURN_LEG:
        _close_returned(batch, intent)
        if result == LegResult.CREDITED:
            note_bounced(batch, intent.tx_id, command.slot, intent.amount)
    return Landed(result)


def decide_close(batch: Batch, command: CloseIntent) -> Closed:
    """Forget the intent; one that is gone already stays gone."""
    tx_id, leg, state = command.tx_id, command.leg, command.state
    if (tx_id, leg) not in batch.open_intents:
        return Closed()
    if command.legs > 1 and state is not None:
        others = any((tx_id, n) in batch.open_intents for n in range(RETURN_LEG) if n != leg)
        if others or batch.states.get(tx_id) == TransactionState.RETURNED:
            state = None
        else:
            batch.states[tx_id] = state
    _close(batch, tx_id, leg, state)
    return Closed()


def _close_returned(batch: Batch, back: Intent) -> None:
    """End the intent whose amount has come back. Its transaction is RETURNED at once."""
    place = (back.tx_id, back.leg - RETURN_LEG)
    if place in batch.open_intents:
        batch.states[back.tx_id] = TransactionState.RETURNED
        _close(batch, *place, TransactionState.RETURNED)


def _close(batch: Batch, tx_id: bytes, leg: int, state: TransactionState | None) -> None:
    batch.open_intents.discard((tx_id, leg))
    batch.changes.closed.append(ClosedIntent(tx_id, leg, state))


def _can_take(batch: Batch, intent: Intent) -> bool:
    """Tell whether an amount can stay. A return is bound by no limits: it was the wallet's."""
    returns = intent.leg >= RETURN_LEG
    if is_system(intent.destination):
        # Only a return can meet one: that of a posting which a system wallet paid.
        return returns
    wallet = batch.balances.get(intent.destination)
    return (
        wallet is not None
        and wallet.status != WalletStatus.CLOSED
        and wallet.currency == intent.currency
        and wallet.has_room(intent.amount)
        and (
            returns
            or not wallet.flags
            or refuse_credit(batch, intent.destination, wallet, intent.amount) is None
        )
    )


def _post(batch: Batch, intent: Intent, source: bytes, destination: bytes) -> Posting:
    return batch.post(source, destination, intent.currency, intent.amount)

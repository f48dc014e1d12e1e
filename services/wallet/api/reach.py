"""Read a request on behalf of its caller: a customer reaches the wallets of one account. No I/O.

What is another's is told as what does not exist is: whether a wallet is foreign or unknown can't be
told apart, neither by the answer nor by what it took. Most of it needs no lookup, as a wallet's id
carries its account's slot, and an alias its account. Callers whose roles reach all wallets read
their requests by ``Form`` itself and pay nothing for this.
"""

from collections.abc import Iterator
from typing import cast

from wallet.api import fields
from wallet.api.form import ALIAS_PREFIX, Form, Sort, UnresolvedError, split_alias
from wallet.api.known import Known, Original
from wallet.domain.hold import hold_not_found
from wallet.store.queries import HoldFacts
from walletkit.errors import ServiceError
from walletkit.ids import slot_of, slot_of_account
from walletkit.principal import MOVERS, TRUSTED, Role, confined_to, current
from walletkit.rpc.permission import denied


class CustomerForm(Form):
    """Refuses what its caller does not reach, once nothing is malformed."""

    __slots__ = ("_account", "_refusal", "_slot")

    def __init__(
        self, known: Known, account_id: str, *, part: bool = False, client: bytes = b""
    ) -> None:
        """Take the account whose wallets the caller reaches."""
        super().__init__(known, part=part, client=client)
        self._account = account_id
        self._slot = slot_of_account(account_id)
        self._refusal: ServiceError | None = None

    def done(self) -> None:
        """Raise as ``Form`` does, and what is refused before anything is looked up for it.

        A currency is looked up first: until then the request may be malformed.
        """
        try:
            super().done()
        except UnresolvedError as unresolved:
            if self._refusal is None or unresolved.needs[0].sort is Sort.CURRENCY:
                raise
        if self._refusal is not None:
            raise self._refusal

    def own(self, field: str, text: str) -> bytes:
        """Read a wallet of the caller's."""
        wallet_id = self.wallet(field, text)
        if text.startswith(ALIAS_PREFIX):
            if split_alias(text)[0] != self._account:
                self._miss(wallet_not_found(text))
        elif wallet_id and slot_of(wallet_id) != self._slot:
            self._miss(wallet_not_found(text))
        elif wallet_id and not self._owns(wallet_id):
            self._need(field, text, Sort.OWNER)
        return wallet_id

    def funded(self, field: str, text: str) -> bytes:
        """Refuse money from outside: it would come from nothing."""
        self.unconfined()
        return self.wallet(field, text)

    def source_side(self, field: str, text: str, currency: str) -> bytes:
        """Read what a posting debits: a wallet of the caller's, never a system wallet."""
        if not text.startswith("sys:"):
            return self.own(field, text)
        self.unconfined()
        return self.side(field, text, currency)

    def account(self, text: str) -> str:
        """Read the caller's account."""
        account_id = super().account(text)
        if account_id and account_id != self._account:
            self.unconfined()
        return account_id

    def unconfined(self) -> None:
        """Refuse what concerns more than one account. Permission comes before existence."""
        self._refusal = denied(MOVERS)

    def hold(self, text: str) -> tuple[bytes, HoldFacts]:
        """Read a hold of a wallet of the caller's."""
        hold_id = self.read(fields.plain_id, "hold_id", text)
        known = self._known.holds.get(hold_id) if self._known is not None else None
        if hold_id and slot_of(hold_id) != self._slot:
            self._miss(hold_not_found(hold_id))
        elif hold_id and (known is None or not self._owns(known.wallet_id)):
            self._need("hold_id", text, Sort.OWN_HOLD)
        return hold_id, cast("HoldFacts", known)

    def original(self, text: str) -> tuple[bytes, Original]:
        """Read a transaction to reverse that touched a wallet of the caller's.

        He may give back what came to him, not take back what he gave.
        """
        tx_id = self.read(fields.plain_id, "transaction_id", text)
        known = self._known.originals.get(tx_id) if self._known is not None else None
        if tx_id and (known is None or not any(map(self._owns, sides_of(known)))):
            self._need("transaction_id", text, Sort.OWN_ORIGINAL)
        elif known is not None and not all(map(self._owns, _credited(known))):
            self.unconfined()
        return tx_id, cast("Original", known)

    def _owns(self, wallet_id: bytes) -> bool:
        """Tell whether a wallet is known to be the caller's."""
        return self._known is not None and self._known.owners.get(wallet_id) == self._account

    def _miss(self, error: ServiceError) -> None:
        if self._refusal is None:
            self._refusal = error


def form_of(known: Known | None, *, part: bool = False, free: frozenset[Role] = MOVERS) -> Form:
    """Return the form by which a request of the present caller is read.

    ``free``: the roles that are not confined to one account.
    """
    who = current()
    if who is TRUSTED:
        return Form(known, part=part)
    client = who.client_id.encode()
    account_id = confined_to(free)
    if account_id is None:
        return Form(known, part=part, client=client)
    return CustomerForm(known or Known(), account_id, part=part, client=client)


def wallet_not_found(text: str) -> ServiceError:
    """Say that no wallet has this id or alias, in the words for ids that nobody has."""
    return ServiceError("WALLET_NOT_FOUND", f"no wallet {text}", {"wallet_id": text})


def sides_of(original: Original) -> Iterator[bytes]:
    """Return all wallets that a transaction touched, system wallets too."""
    yield original.source
    yield original.destination
    for line in original.lines:
        yield line.source
        yield line.destination


def _credited(original: Original) -> list[bytes]:
    """Return what a reversal debits; `world` is nobody's."""
    return [line.destination for line in original.lines] or [original.destination]

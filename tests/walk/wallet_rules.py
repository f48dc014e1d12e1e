"""Rules about wallets: created, named, frozen, limited, closed."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, multiple, precondition, rule

from guilder.wallet.v1 import limits_pb2
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.walk.asking import Asking, money, now, velocity_of
from tests.walk.model import Purse, Rules, Together, Usage

CURRENCIES = ("EUR", "EUR", "EUR", "USD")
OWNERS = 5
FIRST = 1_000
VELOCITY = st.lists(
    st.tuples(
        st.sampled_from(("HOUR", "DAY", "MONTH")),
        st.sampled_from(("DEBITS", "CREDITS", "NET_DEBITS")),
        st.integers(1, 300),
        st.sampled_from((0, 0, 3)),
    ),
    max_size=2,
    unique_by=lambda limit: limit[:2],
).map(lambda limits: tuple((w, b, m, 0 if b == "NET_DEBITS" else c) for w, b, m, c in limits))
BOUND = st.one_of(st.none(), st.integers(0, 300))
RULES = st.builds(
    Rules,
    minimum=st.one_of(st.none(), st.integers(0, 20)),
    maximum=st.one_of(st.none(), st.integers(100, 2_000)),
    single=st.one_of(st.none(), st.integers(1, 200)),
    over_capture=st.sampled_from((0, 20, 100)),
    velocity=VELOCITY,
)


class WalletRules(Asking):
    """What is done to wallets."""

    @initialize(target=Asking.wallets)
    def begin(self) -> Any:
        """Begin with money in wallets of every account, on every shard."""
        wallets = [self._create(owner, CURRENCIES[owner % 4]) for owner in range(OWNERS)]
        for wallet in wallets:
            currency = self.model.purses[wallet].currency
            request = pb.DepositRequest(wallet_id=wallet, amount=money(currency, FIRST))
            self.ask("Deposit", request, [set()])
            self.model.post([("", wallet, currency, FIRST)], 0, now())
        return multiple(*wallets)

    @precondition(lambda self: self.seldom())
    @rule(target=Asking.wallets, owner=st.integers(0, 4), currency=st.sampled_from(CURRENCIES))
    def create(self, owner: int, currency: str) -> str:
        """Create a wallet, and name it."""
        return self._create(owner, currency)

    @precondition(lambda self: self.seldom())
    @rule(owner=st.integers(0, 4))
    def retire(self, owner: int) -> None:
        """Close a wallet that never held anything, and try to pay into it."""
        wallet = self._create(owner, "EUR")
        self._status(wallet, "Close", "")
        request = pb.DepositRequest(wallet_id=wallet, amount=money("EUR", 1))
        frozen = self.model.state_faults(wallet, debit=False)
        self.ask("Deposit", request, [frozen])

    @precondition(lambda self: self.seldom())
    @rule(owner=st.integers(0, 4))
    def take_name(self, owner: int) -> None:
        """Ask for a name that its account has given before."""
        account = self.account(owner)
        alias = next((name for who, name in self.model.aliases if who == account), None)
        if alias is not None:
            request = pb.CreateWalletRequest(account_id=account, currency_code="EUR", alias=alias)
            self.ask("CreateWallet", request, [{"ALIAS_TAKEN"}])

    @precondition(lambda self: self.seldom())
    @rule(wallet=Asking.wallets, kind=st.sampled_from(("Freeze", "Freeze", "Unfreeze", "Close")))
    def change_status(self, wallet: str, kind: str) -> None:
        """Freeze for all, unfreeze, or close."""
        self._status(wallet, kind, "FROZEN")

    @precondition(lambda self: self.seldom())
    @rule(wallet=Asking.wallets)
    def freeze_debits(self, wallet: str) -> None:
        """Freeze a wallet for debits."""
        self._status(wallet, "Freeze", "DEBITS_FROZEN")

    @rule(wallet=Asking.wallets)
    def thaw(self, wallet: str) -> None:
        """Unfreeze what is frozen, so that walks don't end in ice."""
        purse = self.model.purses[wallet]
        if purse.status in {"FROZEN", "DEBITS_FROZEN"}:
            self._status(wallet, "Unfreeze", "")
        if purse.account in self.model.frozen:
            self._freeze_account(purse.account, "")

    @precondition(lambda self: self.seldom())
    @rule(wallet=Asking.wallets, scope=st.sampled_from(("DEBITS", "ALL", "")))
    def freeze_account(self, wallet: str, scope: str) -> None:
        """Freeze a wallet's account, or unfreeze it."""
        self._freeze_account(self.model.purses[wallet].account, scope)

    @precondition(lambda self: self.seldom())
    @rule(wallet=Asking.wallets, text=st.text(max_size=10))
    def update(self, wallet: str, text: str) -> None:
        """Replace a wallet's metadata."""
        purse = self.model.purses[wallet]
        closed = {"WALLET_CLOSED"} if purse.status == "CLOSED" else set()
        text = text.encode(errors="ignore").decode()
        request = pb.UpdateWalletRequest(wallet_id=wallet, metadata={"note": text})
        answer = self.ask("UpdateWallet", request, [closed])
        if not answer.reason:
            purse.version += 1
            assert dict(answer.message.wallet.metadata) == {"note": text}

    @precondition(lambda self: self.seldom())
    @rule(wallet=Asking.wallets, overdraft=st.sampled_from((0, 0, 50, 500)), rules=RULES)
    def limit(self, wallet: str, overdraft: int, rules: Rules) -> None:
        """Set a wallet's limits."""
        self._limit(wallet, overdraft, rules)

    @precondition(lambda self: any(p.rules.any for p in self.model.purses.values()))
    @rule(wallet=Asking.wallets)
    def free(self, wallet: str) -> None:
        """Take a wallet's limits away."""
        if self.model.purses[wallet].rules.any:
            self._limit(wallet, self.model.purses[wallet].overdraft, Rules())

    @precondition(lambda self: self.seldom())
    @rule(wallet=Asking.wallets, velocity=VELOCITY, single=BOUND)
    def limit_account(
        self, wallet: str, velocity: tuple[tuple[str, str, int, int], ...], single: int | None
    ) -> None:
        """Set what bounds an account's wallets of a currency together."""
        purse = self.model.purses[wallet]
        rules = Rules(single=single or None, velocity=velocity)
        request = limits_pb2.SetAccountLimitsRequest(
            account_id=purse.account, currency_code=purse.currency
        )
        request.limits.velocity.extend(velocity_of(rules))
        if rules.single is not None:
            request.limits.max_transaction_minor = rules.single
        self.ask("SetAccountLimits", request, [set()])
        place = purse.account, purse.currency
        before = self.model.together.pop(place, None)
        if rules.any:
            usage = before.usage if before else Usage()
            self.model.together[place] = Together(rules, usage)
        for other in self.model.account_purses(purse.account):
            if other.currency == purse.currency:
                other.version += 1

    def _create(self, owner: int, currency: str) -> str:
        account = self.account(owner)
        alias = f"n{len(self.model.purses)}"
        request = pb.CreateWalletRequest(account_id=account, currency_code=currency, alias=alias)
        answer = self.ask("CreateWallet", request, [set()])
        wallet_id = str(answer.message.wallet.wallet_id)
        shard = answer.message.position.shard
        self.model.purses[wallet_id] = Purse(wallet_id, account, shard, currency)
        self.model.aliases[account, alias] = wallet_id
        assert answer.message.wallet.alias == alias
        return wallet_id

    def _status(self, wallet: str, kind: str, to: str) -> None:
        purse = self.model.purses[wallet]
        states: set[str] = set()
        if purse.status == "CLOSED":
            states.add("WALLET_CLOSED")
        elif kind == "Freeze" and purse.status == to:
            states.add("WALLET_FROZEN")
        elif kind == "Unfreeze" and purse.status not in {"FROZEN", "DEBITS_FROZEN"}:
            states.add("WALLET_NOT_FROZEN")
        elif kind == "Close" and (purse.posted or purse.held):
            states.add("WALLET_NOT_EMPTY")
        request: Any = getattr(pb, f"{kind}WalletRequest")(wallet_id=wallet)
        if to == "DEBITS_FROZEN":
            request.scope = res.FREEZE_SCOPE_DEBITS
        answer = self.ask(f"{kind}Wallet", request, [states])
        if not answer.reason:
            purse.status = {"Freeze": to, "Unfreeze": "ACTIVE", "Close": "CLOSED"}[kind]
            purse.version += 1
            if kind == "Close":
                purse.rules, purse.overdraft = Rules(), 0

    def _freeze_account(self, account: str, scope: str) -> None:
        present = self.model.frozen.get(account, "")
        states: set[str] = set()
        request: Any
        if scope:
            request = limits_pb2.FreezeAccountRequest(account_id=account)
            request.scope = res.FreezeScope.Value(f"FREEZE_SCOPE_{scope}")
            states = {"ACCOUNT_FROZEN"} if present == scope else set()
        else:
            request = limits_pb2.UnfreezeAccountRequest(account_id=account)
            states = set() if present else {"ACCOUNT_NOT_FROZEN"}
        method = type(request).__name__.removesuffix("Request")
        answer = self.ask(method, request, [states])
        if answer.reason:
            return
        self.model.frozen.pop(account, None)
        if scope:
            self.model.frozen[account] = scope
        for purse in self.model.account_purses(account):
            purse.version += 1

    def _limit(self, wallet: str, overdraft: int, rules: Rules) -> None:
        purse = self.model.purses[wallet]
        request = limits_pb2.SetWalletLimitsRequest(wallet_id=wallet)
        request.limits.overdraft_limit_minor = overdraft
        for field, value in (
            ("min_balance_minor", rules.minimum),
            ("max_balance_minor", rules.maximum),
            ("max_transaction_minor", rules.single),
        ):
            if value is not None:
                setattr(request.limits, field, value)
        request.limits.over_capture_percent = rules.over_capture
        request.limits.velocity.extend(velocity_of(rules))
        states = {"WALLET_CLOSED"} if purse.status == "CLOSED" else set()
        used = {"OVERDRAFT_IN_USE"} if purse.posted - purse.held + overdraft < 0 else set()
        answer = self.ask("SetWalletLimits", request, [states, used])
        if answer.reason:
            return
        if not purse.rules.any or not rules.any:
            purse.usage = Usage()
        purse.rules, purse.overdraft = rules, overdraft
        purse.version += 1

"""What each mutating RPC is: how its request is read, and how its reply is written."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from guilder.wallet.v1 import holds_pb2 as holds_pb
from guilder.wallet.v1 import wallet_service_pb2 as pb
from wallet.api import replies
from wallet.api.form import Form
from wallet.api.parse import holds, limits, postings, transfers, wallets
from wallet.domain.commands import SingleCommand
from wallet.domain.outcome import AccountSet, AssetSet, HoldSet, Posted, SingleOutcome, WalletSet

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)
Out = TypeVar("Out", bound=SingleOutcome)


class Verb(NamedTuple, Generic[Request, Out, Reply]):
    """One kind of command."""

    parse: Callable[[Request, Form], SingleCommand]
    outcome: type[Out]
    """What it comes to, unless it is declined."""
    reply: Callable[[Out, replies.Made], Reply]
    makes: str = ""
    """The field of the reply that holds what it makes, if it makes something with an id."""
    fill: Callable[[Reply, Out, replies.Made], None] | None = None
    """Writes the reply in its place, where that has to be quick."""


AnyVerb = Verb[Any, Any, Any]

TRANSFER = Verb(transfers.transfer, Posted, replies.transfer, "transaction", replies.fill_transfer)
DEPOSIT = Verb(transfers.deposit, Posted, replies.deposit, "transaction")
WITHDRAW = Verb(transfers.withdrawal, Posted, replies.withdrawal, "transaction")

AUTHORIZE = Verb(
    holds.authorize, HoldSet, partial(replies.hold_set, holds_pb.AuthorizeResponse), "hold"
)
INCREMENT_HOLD = Verb(
    holds.increment, HoldSet, partial(replies.hold_set, holds_pb.IncrementHoldResponse)
)
EXTEND_HOLD = Verb(holds.extend, HoldSet, partial(replies.hold_set, holds_pb.ExtendHoldResponse))
CAPTURE_HOLD = Verb(holds.capture, Posted, replies.capture, "transaction")
VOID_HOLD = Verb(holds.void, HoldSet, partial(replies.hold_set, holds_pb.VoidHoldResponse))

POST_TRANSACTION = Verb(postings.post, Posted, replies.post, "transaction")
REVERSE_TRANSACTION = Verb(postings.reverse, Posted, replies.reverse, "transaction")

CREATE_WALLET = Verb(
    wallets.create, WalletSet, partial(replies.wallet_set, pb.CreateWalletResponse), "wallet"
)
UPDATE_WALLET = Verb(
    wallets.update, WalletSet, partial(replies.wallet_set, pb.UpdateWalletResponse)
)
FREEZE_WALLET = Verb(
    wallets.freeze, WalletSet, partial(replies.wallet_set, pb.FreezeWalletResponse)
)
UNFREEZE_WALLET = Verb(
    wallets.unfreeze, WalletSet, partial(replies.wallet_set, pb.UnfreezeWalletResponse)
)
CLOSE_WALLET = Verb(wallets.close, WalletSet, partial(replies.wallet_set, pb.CloseWalletResponse))

FREEZE_ACCOUNT = Verb(wallets.freeze_account, AccountSet, replies.freeze_account)
UNFREEZE_ACCOUNT = Verb(wallets.unfreeze_account, AccountSet, replies.unfreeze_account)
SET_WALLET_LIMITS = Verb(limits.set_wallet_limits, WalletSet, replies.wallet_limits)
SET_ACCOUNT_LIMITS = Verb(limits.set_account_limits, AccountSet, replies.account_limits)
REGISTER_ASSET = Verb(wallets.register_asset, AssetSet, replies.asset)

IN_BATCHES: Mapping[str, AnyVerb] = MappingProxyType(
    {
        "deposit": DEPOSIT,
        "withdraw": WITHDRAW,
        "transfer": TRANSFER,
        "authorize": AUTHORIZE,
        "increment_hold": INCREMENT_HOLD,
        "extend_hold": EXTEND_HOLD,
        "capture_hold": CAPTURE_HOLD,
        "void_hold": VOID_HOLD,
        "reverse_transaction": REVERSE_TRANSACTION,
        "post_transaction": POST_TRANSACTION,
    }
)
"""What a batch may hold, by the name that commands and results have there."""

METHODS: Mapping[str, str] = MappingProxyType(
    {
        name: "/guilder.wallet.v1.WalletService/" + name.title().replace("_", "")
        for name in IN_BATCHES
    }
)
"""The RPC that is each of them alone."""

"""Judge the proofs: which invariant holds, which does not, and which could not be checked. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from guilder.cli.proofs import Proofs
from guilder.client import GuilderError
from guilder.ledger.v1.ledger_service_pb2 import (
    Difference,
    DifferenceKind,
    GetTrialBalanceResponse,
    ReconcileResponse,
    VerifyChainResponse,
    VerifyTransitResponse,
)

STATEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "I1": "On every shard all balances sum to 0 per currency",
        "I2": "Transit holds exactly what is on its way between shards",
        "I3": "No customer wallet's available balance is below 0",
        "I6": "The ledger holds each committed record exactly once, in order, with no gap",
        "I7": "Replaying the journal from nothing gives every balance and balance-after",
        "I8": "Held amounts are those of the open holds",
        "I9": "Every record's hash follows from the one before",
        "I10": "Every debit into transit is paired with exactly one credit out of it",
    }
)

_INVARIANTS: Mapping[DifferenceKind.ValueType, str] = {
    DifferenceKind.DIFFERENCE_KIND_HASH: "I9",
    DifferenceKind.DIFFERENCE_KIND_GAP: "I6",
    DifferenceKind.DIFFERENCE_KIND_REPLAY: "I7",
    DifferenceKind.DIFFERENCE_KIND_ENTRIES: "I7",
    DifferenceKind.DIFFERENCE_KIND_BALANCE: "I7",
    DifferenceKind.DIFFERENCE_KIND_WALLET: "I7",
    DifferenceKind.DIFFERENCE_KIND_SUM: "I1",
    DifferenceKind.DIFFERENCE_KIND_NEGATIVE: "I3",
    DifferenceKind.DIFFERENCE_KIND_TRANSIT: "I2",
    DifferenceKind.DIFFERENCE_KIND_LEG: "I10",
    DifferenceKind.DIFFERENCE_KIND_HOLD: "I8",
    DifferenceKind.DIFFERENCE_KIND_FORK: "I6",
}

# What a newer ledger may find and this program does not know counts against the books as a whole.
_UNKNOWN_KIND = "I7"

_BY_RECONCILIATION = ("I1", "I3", "I6", "I7", "I8")
_BY_CHAIN = ("I6", "I7", "I9")
_BY_TRANSIT = ("I2", "I10")
_BY_TRIAL = ("I1",)


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference, with the invariant that it breaks."""

    invariant: str
    difference: Difference


@dataclass(slots=True)
class Check:
    """One invariant: what was looked at, and what came out."""

    invariant: str
    scope: list[str] = field(default_factory=list)
    differences: int = 0
    unchecked: list[str] = field(default_factory=list)

    @property
    def result(self) -> str:
        """FAIL before UNCHECKED before OK."""
        if self.differences:
            return "FAIL"
        return "UNCHECKED" if self.unchecked else "OK"


@dataclass(slots=True)
class Verdict:
    """All checks, all differences that were reported, and all that could not be checked."""

    checks: dict[str, Check] = field(
        default_factory=lambda: {name: Check(name) for name in STATEMENTS}
    )
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Tell whether everything was checked and holds."""
        return not self.unchecked and all(check.result == "OK" for check in self.checks.values())

    @property
    def difference_count(self) -> int:
        """How many differences were found in all, those not listed included."""
        return sum(check.differences for check in self.checks.values())

    def miss(self, invariants: Iterable[str], reason: str) -> None:
        """Note that something could not be checked."""
        self.unchecked.append(f"{', '.join(invariants)}: {reason}")
        for name in invariants:
            self.checks[name].unchecked.append(reason)

    def add(
        self, differences: Iterable[Difference], count: int, invariants: tuple[str, ...]
    ) -> None:
        """Take in what a proof found; those beyond its list count for its first invariant."""
        listed = 0
        for difference in differences:
            name = _INVARIANTS.get(difference.kind, _UNKNOWN_KIND)
            self.findings.append(Finding(name, difference))
            self.checks[name].differences += 1
            listed += 1
        self.checks[invariants[0]].differences += max(0, count - listed)

    def scope(self, invariants: Iterable[str], text: str) -> None:
        """Note what was looked at."""
        for name in invariants:
            self.checks[name].scope.append(text)


def judge(proofs: Proofs) -> Verdict:
    """Return what the proofs come to."""
    verdict = Verdict()
    for text in proofs.lag:
        verdict.miss(("I6",), text)
    _judge_shards(verdict, proofs)
    _judge_transit(verdict, proofs)
    _judge_trial(verdict, proofs)
    return verdict


def _judge_shards(verdict: Verdict, proofs: Proofs) -> None:
    names = tuple(sorted({*_BY_RECONCILIATION, *_BY_CHAIN}))
    if isinstance(proofs.shards, GuilderError):
        verdict.miss(names, f"the shards are unknown: {proofs.shards}")
        return
    if not proofs.shards:
        verdict.miss(names, "the wallet service serves no shard")
    for shard, proof in proofs.shards.items():
        _judge_reconciliation(verdict, shard, proof.reconciliation)
        _judge_chain(verdict, shard, proof.chain)
        if isinstance(proof.chain, GuilderError) or isinstance(proof.reconciliation, GuilderError):
            continue
        walked, compared = proof.chain.position.seq, proof.reconciliation.position.seq
        if walked < compared:
            reason = f"shard {shard}: compared at record {compared}, but walked to {walked} only"
            verdict.miss(("I7",), reason)


def _judge_reconciliation(
    verdict: Verdict, shard: int, reply: ReconcileResponse | GuilderError
) -> None:
    if isinstance(reply, GuilderError):
        verdict.miss(_BY_RECONCILIATION, f"shard {shard} against the ledger: {reply}")
        return
    verdict.add(reply.differences, reply.difference_count, ("I7",))
    text = f"shard {shard} at record {reply.position.seq:,}: {reply.wallets:,} wallets"
    verdict.scope(("I1", "I3", "I7", "I8"), text)


def _judge_chain(verdict: Verdict, shard: int, reply: VerifyChainResponse | GuilderError) -> None:
    if isinstance(reply, GuilderError):
        verdict.miss(_BY_CHAIN, f"chain of shard {shard}: {reply}")
        return
    verdict.add(reply.differences, reply.difference_count, ("I9",))
    verdict.scope(("I6", "I9"), f"shard {shard}: {reply.records:,} records")
    text = f"{reply.transactions:,} transactions, {reply.entries:,} entries replayed"
    verdict.scope(("I7",), f"shard {shard}: {text}")


def _judge_transit(verdict: Verdict, proofs: Proofs) -> None:
    reply = proofs.transit
    if isinstance(reply, GuilderError):
        verdict.miss(_BY_TRANSIT, f"legs between shards: {reply}")
        return
    verdict.add(reply.differences, reply.difference_count, ("I10",))
    verdict.scope(("I10",), f"{reply.paired:,} legs paired")
    verdict.scope(_BY_TRANSIT, f"{reply.open:,} on their way")
    _same_shards(verdict, proofs, reply, _BY_TRANSIT)


def _judge_trial(verdict: Verdict, proofs: Proofs) -> None:
    """Sum the trial balance here too: `balanced` is the ledger's own word."""
    reply = proofs.trial
    if isinstance(reply, GuilderError):
        verdict.miss(_BY_TRIAL, f"trial balance: {reply}")
        return
    wrong = list(_unbalanced(reply))
    if not reply.balanced and not wrong:
        detail = "The ledger says that its books do not balance, yet its lines sum to 0."
        wrong.append(Difference(kind=DifferenceKind.DIFFERENCE_KIND_SUM, detail=detail))
    verdict.add(wrong, len(wrong), _BY_TRIAL)
    currencies = {line.currency_code for line in reply.lines}
    verdict.scope(_BY_TRIAL, f"trial balance in {', '.join(sorted(currencies)) or 'no currency'}")
    _same_shards(verdict, proofs, reply, _BY_TRIAL)


def _unbalanced(reply: GetTrialBalanceResponse) -> Iterator[Difference]:
    """Yield a difference for each shard and currency whose nets do not sum to 0."""
    sums: dict[tuple[int, str], int] = defaultdict(int)
    for line in reply.lines:
        sums[line.shard, line.currency_code] += int(line.net_minor)
    for (shard, currency), total in sorted(sums.items()):
        if total:
            yield Difference(
                kind=DifferenceKind.DIFFERENCE_KIND_SUM,
                shard=shard,
                expected="0",
                actual=str(total),
                detail=f"The trial balance of {currency} does not sum to 0 minor units.",
            )


def _same_shards(
    verdict: Verdict,
    proofs: Proofs,
    reply: VerifyTransitResponse | GetTrialBalanceResponse,
    invariants: tuple[str, ...],
) -> None:
    """Note shards that the ledger has books of and nobody serves: nothing compares them."""
    if isinstance(proofs.shards, GuilderError):
        return
    for shard in sorted({position.shard for position in reply.positions} - set(proofs.shards)):
        verdict.miss(invariants, f"shard {shard} has books, but no wallet service serves it")

"""What a batch sends: few statements whatever its size, by primary keys, in one order of locks."""

import asyncmy
import pytest

from tests.engine import movements as make
from wallet.domain.batch import Balance, Batch, ClosedIntent, Counterparty, WalletChange
from wallet.domain.commands import (
    ChangeStatus,
    CloseIntent,
    Command,
    ExpireHold,
    Intent,
    LandLeg,
    Limits,
    Transfer,
)
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    ACCOUNT_LIMITED,
    ANY_VERSION,
    LIMITED,
    HoldState,
    TransactionState,
    TransactionType,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import Hold, Posted, WalletFacts
from wallet.store import load as loading
from wallet.store.load import load
from wallet.store.needs import ReadSet, read_set
from wallet.store.save import save_packet
from walletkit.ids import NIL, SLOTS, new_id
from walletkit.sql.literals import ascii_text, id_list
from walletkit.sql.session import Rows, open_session, run_packet

LOCAL = [slot < SLOTS // 2 for slot in range(SLOTS)]
NOW_US = 1_700_000_000_000_000
PLAIN = [f"INSERT INTO {table}" for table in ("transactions(", "idem(", "outcomes(")]
CHAIN = ["UPDATE head", "INSERT INTO fence", "INSERT INTO outbox", "SELECT seq", "COMMIT"]


def wallet() -> bytes:
    """Make up a wallet of shard 0."""
    return new_id(7)


def transfer(source: bytes, destination: bytes) -> Transfer:
    """Make a transfer."""
    return Transfer(
        new_id(7),
        7,
        TransactionType.TRANSFER,
        source,
        destination,
        "EUR",
        5,
        b"",
        b"",
        ANY_VERSION,
        new_id(1),
        bytes(33),
    )


def a_hold() -> Hold:
    """Make up a hold."""
    state = HoldState.AUTHORIZED
    return Hold(new_id(7), wallet(), "EUR", NIL, state, 9, 0, 0, NOW_US * 2, NOW_US, b"", b"")


def every_command() -> list[Command]:
    """Make one command of each kind, on wallets of their own."""
    hold, intent = a_hold(), Intent(new_id(7), 2, wallet(), wallet(), "EUR", 5, legs=3)
    back = intent._replace(leg=130)
    original = Posted(
        transfer(wallet(), wallet()), TransactionState.COMPLETED, 0, None, None, replayed=False
    )
    return [
        transfer(wallet(), wallet()),
        make.named("acme", "main"),
        ChangeStatus(new_id(7), 7, WalletChangeKind.CLOSED, wallet(), new_id(1), bytes(33)),
        make.update(wallet(), b""),
        make.limit_wallet(wallet(), Limits()),
        make.limit_account("acme", Limits()),
        make.freeze_account("acme"),
        make.register(7, "GOLD", 2),
        make.authorize(wallet(), 5),
        make.increment(hold, 5),
        make.extend(hold, 5),
        make.capture(hold, wallet()),
        make.void(hold),
        ExpireHold(7, hold.hold_id, hold.wallet_id),
        make.reverse(original, leg=0),
        make.post(7, (wallet(), wallet(), 1), (wallet(), make.FEES, 1)),
        make.atomic(transfer(wallet(), wallet())),
        LandLeg(7, intent),
        LandLeg(7, back),
        CloseIntent(7, intent.tx_id, 2, None, 3),
    ]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the packets that a load sends."""
    packets: list[str] = []

    async def noted(connection: asyncmy.Connection, sql: str) -> list[Rows]:
        packets.append(sql)
        return await run_packet(connection, sql)

    monkeypatch.setattr(loading, "run_packet", noted)
    return packets


async def _load(url: str, needs: ReadSet, *, lock: bool = True) -> Batch:
    session = await open_session(url, autocommit=False)
    try:
        return await load(session, 0, 1, needs, lock=lock)
    finally:
        session.close()


async def test_a_transfer_loads_in_one_packet_of_three_statements(
    urls: tuple[str, ...], sent: list[str]
) -> None:
    """Balances, keys, clock: what all else needs is not asked for."""
    for count in (1, 500):
        sent.clear()
        commands = [transfer(wallet(), wallet()) for _ in range(count)]
        await _load(urls[0], read_set(commands, LOCAL))
        (packet,) = sent
        tables = [part.split(" FROM ")[1].split()[0] for part in packet.split("; ")]
        assert tables == ["balances", "idem", "head"]


async def test_statements_do_not_grow_with_the_batch(
    urls: tuple[str, ...], sent: list[str]
) -> None:
    """All kinds of commands at once: as many statements for forty of each as for one."""
    counts = []
    for times in (1, 40):
        sent.clear()
        commands = [command for _ in range(times) for command in every_command()]
        await _load(urls[0], read_set(commands, LOCAL))
        counts.append([len(packet.split("; ")) for packet in sent])
    assert counts[0] == counts[1] == [2, 15, 2]


async def test_a_look_locks_nothing(urls: tuple[str, ...], sent: list[str]) -> None:
    """Without locks the same is read; no statement asks for one."""
    await _load(urls[0], read_set(every_command(), LOCAL), lock=False)
    assert sent
    assert not any("FOR UPDATE" in packet for packet in sent)


async def test_limited_wallets_alone_pay_for_limits(urls: tuple[str, ...], sent: list[str]) -> None:
    """One packet more for a limited wallet, two where its account is."""
    ids = sorted(wallet() for _ in range(3))
    flags = (0, LIMITED, ACCOUNT_LIMITED)
    session = await open_session(urls[0], autocommit=True)
    rows = ",".join(
        f"(x'{w.hex()}',7,'EUR',9,0,0,1,1,{f})" for w, f in zip(ids, flags, strict=True)
    )
    facts = ",".join(f"(x'{w.hex()}',7,'acme','EUR',NOW(6),'','')" for w in ids)
    await run_packet(session, f"INSERT INTO balances VALUES {rows}")
    await run_packet(session, f"INSERT INTO wallets VALUES {facts}")
    session.close()
    packets = []
    for wallet_id in ids:
        sent.clear()
        batch = await _load(urls[0], read_set([transfer(wallet_id, wallet())], LOCAL))
        packets.append(len(sent))
        assert (wallet_id in batch.owners) == (batch.balances[wallet_id].flags == ACCOUNT_LIMITED)
    assert packets == [1, 2, 3]


@pytest.mark.parametrize("rows", [3, 3_000])
async def test_locks_are_taken_by_primary_key(urls: tuple[str, ...], rows: int) -> None:
    """A scan would wait for rows of others: small table or large, the plan is a range."""
    ids = [wallet() for _ in range(rows)]
    session = await open_session(urls[0], autocommit=True)
    try:
        values = ",".join(f"(x'{w.hex()}',7,'EUR',9,0,0,1,1,0)" for w in ids)
        await run_packet(session, f"INSERT INTO balances VALUES {values}")
        values = ",".join(f"(x'{w.hex()}',7,'',0,'')" for w in ids)
        await run_packet(session, f"INSERT INTO limits VALUES {values}")
        values = ",".join(f"(x'{w.hex()}',0,7,'a','b','EUR',1,1,0)" for w in ids)
        await run_packet(session, f"INSERT INTO intents VALUES {values}")
        listed = id_list(ids[: rows * 2 // 3])
        for table, column in (("balances", "wallet_id"), ("limits", "owner"), ("intents", "tx_id")):
            statement = (
                f"SELECT {column} FROM {table} FORCE INDEX(PRIMARY)"
                f" WHERE {column} IN ({listed}) ORDER BY {column} FOR UPDATE"
            )
            await _assert_plan(session, statement, "range", "PRIMARY")
    finally:
        session.close()


async def test_reads_beside_the_locks_use_their_keys(urls: tuple[str, ...]) -> None:
    """Names, accounts, holds and what is over are found by a key, however large the table."""
    session = await open_session(urls[0], autocommit=True)
    try:
        ids = [wallet() for _ in range(500)]
        for table, row in (
            ("aliases", "'a{0}','n{0}',7,x'{0}'"),
            ("accounts", "'a{0}',7,1"),
            ("wallets", "x'{0}',7,'a{0}','EUR',NOW(6),'',''"),
            ("holds", "x'{0}',7,x'{0}','EUR','',1,9,0,0,NOW(6),NOW(6),NOW(6),'',''"),
        ):
            values = ",".join(f"({row.format(id_.hex())})" for id_ in ids)
            await run_packet(session, f"INSERT INTO {table} VALUES {values}; ANALYZE TABLE {table}")
        chosen = ids[::50]
        needs = ReadSet(holds=set(chosen))
        needs.aliases = {(f"a{id_.hex()}", f"n{id_.hex()}") for id_ in chosen}
        needs.accounts = {f"a{id_.hex()}" for id_ in chosen}
        statements = loading._statements(needs, lock=True)
        assert len((await run_packet(session, statements["aliases"]))[0]) == len(chosen)
        await _assert_plan(session, statements["aliases"], "eq_ref", "PRIMARY")
        await _assert_plan(session, statements["accounts"], "range", "PRIMARY")
        await _assert_plan(session, statements["holds"], "range", "PRIMARY")
        account = f"SELECT wallet_id FROM wallets WHERE account_id={ascii_text('acme')}"
        await _assert_plan(session, account, "ref", "wallets_by_account")
        over = (
            "SELECT hold_id,wallet_id,open_until FROM holds FORCE INDEX(holds_open)"
            " WHERE open_until<='2020-01-01' AND open_until>='1970-01-01'"
            " AND (open_until>'1970-01-01' OR hold_id>x'') ORDER BY open_until,hold_id LIMIT 5"
        )
        await _assert_plan(session, over, "range", "holds_open")
    finally:
        session.close()


async def _assert_plan(session: asyncmy.Connection, sql: str, how: str, key: str) -> None:
    plan = (await run_packet(session, f"EXPLAIN {sql}"))[0]
    found = [(row[3], row[5]) for row in plan]
    assert (how, key) in found, plan
    assert "filesort" not in str(plan), plan


def test_a_plain_transfer_writes_no_more_than_before() -> None:
    """Its packet has the statements that it had before there was anything but transfers."""
    source, near, far = wallet(), wallet(), new_id(SLOTS - 1)
    batch = Batch(
        shard=0,
        now_us=NOW_US,
        seq=1,
        balances={
            source: Balance("EUR", 100, 0, 0, WalletStatus.ACTIVE, 1),
            near: Balance("EUR", 0, 0, 0, WalletStatus.ACTIVE, 1),
        },
        kept={},
        facts={},
        landed={},
        open_intents=set(),
        paying=set(),
    )
    assert isinstance(decide(batch, transfer(source, near)), Posted)
    _assert_begins(save_packet(1, batch), [*PLAIN, "UPDATE (SELECT", *CHAIN])
    batch.counterparties = {far: Counterparty("EUR", WalletStatus.ACTIVE)}
    assert isinstance(decide(batch, transfer(source, far)), Posted)
    packet = save_packet(1, batch)
    intents = "INSERT INTO intents(tx_id,leg,slot,source,destination,currency,amount) VALUES"
    system = "INSERT INTO system_wallets"
    _assert_begins(packet, [*PLAIN, intents, "UPDATE (SELECT", system, *CHAIN])
    assert "SET w.posted=j.p,w.held=j.h,w.status=j.s,w.version=j.v; " in packet


def _assert_begins(packet: str, beginnings: list[str]) -> None:
    statements = packet.split("; ")
    assert len(statements) == len(beginnings), statements
    for statement, beginning in zip(statements, beginnings, strict=True):
        assert statement.startswith(beginning), statement


async def test_updates_and_deletes_find_their_rows_by_primary_key(urls: tuple[str, ...]) -> None:
    """Every bulk form is joined from its list: what a batch does not touch is not locked."""
    ids = [wallet() for _ in range(6)]
    batch = Batch(0, NOW_US, 1, {}, {}, {}, {}, set(), set())
    changes = batch.changes
    balance = Balance("EUR", 1, 0, 0, WalletStatus.ACTIVE, 2)
    changes.touched = dict.fromkeys(ids, balance)
    changes.settings = set(ids[:3])
    changes.holds = {id_: a_hold()._replace(hold_id=id_) for id_ in ids}
    changes.bounds = dict.fromkeys(ids)
    changes.closed = [ClosedIntent(id_, 0, TransactionState.COMPLETED) for id_ in ids]
    facts = [WalletFacts(id_, "acme", "EUR", 1, b"{}") for id_ in ids]
    kind, active = WalletChangeKind.UPDATED, WalletStatus.ACTIVE
    changes.wallets = [WalletChange(kind, one, 7, 2, active) for one in facts]
    bulk = [s for s in save_packet(1, batch).split("; ") if "STRAIGHT_JOIN" in s]
    assert len(bulk) == 7
    session = await open_session(urls[0], autocommit=True)
    try:
        for statement in bulk:
            plan = (await run_packet(session, f"EXPLAIN {statement}"))[0]
            target = [(row[3], row[5]) for row in plan if row[2] in set("witlh")]
            assert target in ([("eq_ref", "PRIMARY")], [("ref", "PRIMARY")]), (statement, plan)
    finally:
        session.close()

"""API keys: made, listed, rotated, revoked by admins; and a log of it that nothing takes back."""

import asyncio
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any

import asyncmy
import grpc
import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from structlog.testing import capture_logs

from edge.access import keyring
from edge.settings import Settings
from guilder.edge.v1 import key_service_pb2 as pb
from tests.edge.world import Edge, Request, reason_of, running
from walletkit.ids import new_id
from walletkit.sql.session import open_session, run_packet
from walletkit.stack import Stack


async def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    """Ask the database."""
    session: asyncmy.Connection = await open_session(settings.database_url, autocommit=True)
    try:
        found = await run_packet(session, query)
    finally:
        session.close()
    return found[0] if found else []


async def refused(call: Any) -> str:  # noqa: ANN401  # any call
    """Await a call that must fail, and return its reason."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


async def test_key_becomes_a_token_of_its_holder(edge: Edge) -> None:
    """A call with a key passes, with a token that says whose it is, for a minute."""
    made = await edge.create(roles=["customer"], account_id="alice")
    answer = await edge.check(Request().bearing(made.credential))
    claims = edge.claims(answer)
    assert (claims["sub"], claims["key_id"]) == ("key:web", made.key.key_id)
    assert claims["roles"] == ["customer"]
    assert claims["account_id"] == "alice"
    assert 50 <= claims["exp"] - time.time() <= 60
    assert list(answer.ok_response.headers_to_remove) == ["x-api-key"]
    again = await edge.check(Request().bearing(made.credential))
    assert again == answer


async def test_a_client_is_one_caller_with_all_its_keys(edge: Edge) -> None:
    """Limits and idempotency keys know it by one name, also after a rotation; the log by its key.

    That name is none that an issuer of people's tokens gives, whatever the client is called.
    """
    first, second = await edge.create(), await edge.create()
    rotated = await edge.keys.RotateKey(pb.RotateKeyRequest(key_id=first.key.key_id))
    signed = Request().signed(await edge.signing_key())
    requests = (Request().bearing(second.credential), Request().bearing(rotated.credential), signed)
    claims = [edge.claims(await edge.check(request)) for request in requests]
    assert {one["sub"] for one in claims} == {"key:web"}
    assert len({one["key_id"] for one in claims}) == len(requests)
    assert claims[1]["key_id"] == first.key.key_id


async def test_call_without_edges_credentials_passes_as_it_is(edge: Edge) -> None:
    """Edge says nothing about tokens: Envoy and the services check them."""
    for headers in ({}, {"authorization": "Bearer x"}):
        answer = await edge.check(Request().having(headers))
        assert (answer.status.code, len(answer.ok_response.headers)) == (0, 0)


async def test_two_credentials_are_refused(edge: Edge) -> None:
    """Which of two would count is nobody's guess."""
    made, signing = await edge.create(), await edge.signing_key()
    bearer = Request().bearing(made.credential)
    token = {"authorization": "Bearer x"}
    assert await edge.status(bearer.having(token)) == 401
    assert await edge.status(bearer.signed(signing)) == 401
    assert await edge.status(Request().signed(signing).having(token)) == 401


async def test_refusals_tell_nothing_to_guess_by(edge: Edge) -> None:
    """Unknown, wrong, revoked, expired, of another kind, garbage: one and the same answer (T35)."""
    made, ended = await edge.create(), await edge.create()
    await edge.keys.RevokeKey(pb.RevokeKeyRequest(key_id=ended.key.key_id))
    soon = Timestamp()
    soon.FromNanoseconds(time.time_ns() + 300_000_000)
    expired = await edge.create(expire_time=soon)
    assert await edge.status(Request().bearing(expired.credential)) == 200
    await asyncio.sleep(0.4)
    prefix, key_id, secret = made.credential.split("_")
    wrong = [
        f"{prefix}_{key_id}_{'0' * 64}",
        f"{prefix}_{new_id(0).hex()}_{secret}",
        ended.credential,
        expired.credential,
        await edge.signing_key(),
        made.credential.upper(),
        f"{made.credential},{made.credential}",
        "",
    ]
    answers = [await edge.check(Request().bearing(credential)) for credential in wrong]
    assert {answer.denied_response.status.code for answer in answers} == {401}
    assert len({answer.SerializeToString() for answer in answers}) == 1


async def test_rotation_overlaps(edge: Edge) -> None:
    """Old and new secret are valid for the overlap; a second rotation ends the oldest at once."""
    first = await edge.create()
    request = pb.RotateKeyRequest(key_id=first.key.key_id, overlap_s=2)
    second = await edge.keys.RotateKey(request)
    assert second.key.HasField("overlap_end_time")
    for credential in (first.credential, second.credential):
        assert await edge.status(Request().bearing(credential)) == 200
    third = await edge.keys.RotateKey(request)
    valid = (first.credential, second.credential, third.credential)
    assert [await edge.status(Request().bearing(one)) for one in valid] == [401, 200, 200]
    await asyncio.sleep(2.1)
    assert [await edge.status(Request().bearing(one)) for one in valid] == [401, 401, 200]
    last = await edge.keys.RotateKey(pb.RotateKeyRequest(key_id=first.key.key_id))
    assert not last.key.HasField("overlap_end_time")
    assert await edge.status(Request().bearing(third.credential)) == 401


async def test_signing_key_rotates_too(edge: Edge) -> None:
    """A signing key's old secret signs until the overlap ends."""
    made = await edge.create(pb.KEY_KIND_SIGNING)
    request = pb.RotateKeyRequest(key_id=made.key.key_id, overlap_s=60)
    rotated = await edge.keys.RotateKey(request)
    for credential in (made.credential, rotated.credential):
        assert await edge.status(Request().signed(credential)) == 200


async def test_revoked_key_dies_in_every_process(
    edge: Edge, migrated: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it was revoked at once, elsewhere within the named bound; and for good."""
    assert keyring.STALE_S <= 8
    monkeypatch.setattr(keyring, "FRESH_S", 0.3)
    made = await edge.create()
    call = Request().bearing(made.credential)
    async with running(migrated) as other:
        assert [await edge.status(call), await other.status(call)] == [200, 200]
        await edge.keys.RevokeKey(pb.RevokeKeyRequest(key_id=made.key.key_id))
        assert await edge.status(call) == 401
        assert await other.status(call) == 200
        await asyncio.sleep(0.3)
        assert await other.status(call) == 401
    revoked = await edge.keys.RevokeKey(pb.RevokeKeyRequest(key_id=made.key.key_id))
    assert revoked.key.state == pb.KEY_STATE_REVOKED
    rotation = pb.RotateKeyRequest(key_id=made.key.key_id)
    assert await refused(edge.keys.RotateKey(rotation)) == "KEY_REVOKED"


async def test_reading_from_before_a_change_is_not_kept(edge: Edge) -> None:
    """What was being read while a key changed here may lack the change: it is read again."""
    made = await edge.create()
    key_id = bytes.fromhex(made.key.key_id.replace("-", ""))
    ring = edge.app.authorization._gate._keyring
    reading = asyncio.create_task(ring.find(key_id))
    await asyncio.sleep(0)
    ring.forget(key_id)
    assert await reading is not None
    assert not ring._known
    assert await ring.find(key_id) is not None
    assert list(ring._known) == [key_id]
    assert not ring._lookups


async def test_guessing_fills_no_memory(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that nobody has are kept in a bounded number, and push out no key in use (T35)."""
    monkeypatch.setattr(keyring, "MAX_UNKNOWN", 10)
    made = await edge.create()
    assert await edge.status(Request().bearing(made.credential)) == 200
    for _ in range(30):
        guess = f"gk_{new_id(0).hex()}_{'0' * 64}"
        assert await edge.status(Request().bearing(guess)) == 401
    ring = edge.app.authorization._gate._keyring
    assert (len(ring._unknown), len(ring._known)) == (10, 1)


async def test_a_flood_of_guesses_waits_for_itself_alone(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many ids are looked up at once, and no more; keys in use pass meanwhile (T35)."""
    monkeypatch.setattr(keyring, "MAX_LOOKUPS", 3)
    made = await edge.create()
    call = Request().bearing(made.credential)
    assert await edge.status(call) == 200
    guesses = [f"gk_{new_id(0).hex()}_{'0' * 64}" for _ in range(30)]
    asked = [edge.status(Request().bearing(guess)) for guess in guesses]
    *refused_, passed = await asyncio.gather(*asked, edge.status(call))
    assert passed == 200
    assert set(refused_) == {401, 503}


@pytest.mark.parametrize("who", ["right", "unknown", "wrong", "revoked", "of another kind"])
async def test_a_guess_costs_what_a_right_key_costs(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """The secret is hashed, and compared in constant time, whether there is such a key (T35)."""
    made, ended = await edge.create(), await edge.create()
    await edge.keys.RevokeKey(pb.RevokeKeyRequest(key_id=ended.key.key_id))
    prefix, key_id, secret = made.credential.split("_")
    signing_id, signing_secret = (await edge.signing_key()).split("_")[1:]
    credential = {
        "right": made.credential,
        "unknown": f"{prefix}_{new_id(0).hex()}_{secret}",
        "wrong": f"{prefix}_{key_id}_{'0' * 64}",
        "revoked": ended.credential,
        "of another kind": f"{prefix}_{signing_id}_{signing_secret}",
    }[who]
    compared: list[tuple[int, int]] = []
    in_constant_time = hmac.compare_digest

    def compare(one: bytes, two: bytes) -> bool:
        compared.append((len(one), len(two)))
        return in_constant_time(one, two)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert await edge.status(Request().bearing(credential)) == (200 if who == "right" else 401)
    assert compared == [(32, 32)]


async def test_keys_are_listed_in_pages(edge: Edge) -> None:
    """Oldest first, all or of one client; what is shown has no secret."""
    made = [await edge.create(client_id=name) for name in ("a", "b", "a")]
    first = await edge.keys.ListKeys(pb.ListKeysRequest(page_size=2))
    rest = await edge.keys.ListKeys(
        pb.ListKeysRequest(page_size=2, page_token=first.next_page_token)
    )
    assert [*first.keys, *rest.keys] == [one.key for one in made]
    assert not rest.next_page_token
    of_a = await edge.keys.ListKeys(pb.ListKeysRequest(client_id="a"))
    assert [key.key_id for key in of_a.keys] == [made[0].key.key_id, made[2].key.key_id]
    for one in made:
        assert one.credential.split("_")[2] not in str(of_a)


async def test_every_change_is_logged_with_it(edge: Edge) -> None:
    """Who, why, which request, before and after: in the same transaction, and without a secret."""
    metadata = (("x-request-id", "req-7"),)
    request = pb.CreateKeyRequest(
        kind=pb.KEY_KIND_BEARER, client_id="web", roles=["admin"], reason="the new shop"
    )
    made = await edge.keys.CreateKey(request, metadata=metadata)
    key_id = made.key.key_id
    await edge.keys.RotateKey(pb.RotateKeyRequest(key_id=key_id, overlap_s=9))
    for _ in range(2):
        await edge.keys.RevokeKey(pb.RevokeKeyRequest(key_id=key_id, reason="stolen"))
    columns = "action, actor, reason, request_id, before_state, after_state"
    events = await rows(edge.settings, f"SELECT {columns} FROM key_events ORDER BY event_id")
    assert [event[0] for event in events] == ["created", "rotated", "revoked"]
    assert events[0][1:4] == ("(trusted)", "the new shop", "req-7")
    assert events[0][4] is None
    facts = [json.loads(state) for event in events for state in event[4:] if state]
    assert facts[0] == facts[1]
    assert (facts[0]["clientId"], facts[0]["roles"]) == ("web", ["admin"])
    assert not facts[3]["revokeTimeUs"]
    assert facts[4]["revokeTimeUs"]
    await rows(edge.settings, "DROP TABLE key_events")
    with capture_logs(), pytest.raises(grpc.aio.AioRpcError):
        await edge.create()
    assert await rows(edge.settings, "SELECT COUNT(*) FROM api_keys") == [(1,)]


async def test_events_are_listed_in_pages(edge: Edge) -> None:
    """Newest first, of all keys or of one, with the key before and after; no secret is shown."""
    first, second = await edge.create(account_id="alice", roles=["customer"]), await edge.create()
    await edge.keys.RotateKey(pb.RotateKeyRequest(key_id=first.key.key_id, overlap_s=9))
    await edge.keys.RevokeKey(pb.RevokeKeyRequest(key_id=first.key.key_id, reason="stolen"))
    newest = await edge.keys.ListKeyEvents(pb.ListKeyEventsRequest(page_size=3))
    token = newest.next_page_token
    rest = await edge.keys.ListKeyEvents(pb.ListKeyEventsRequest(page_size=3, page_token=token))
    assert not rest.next_page_token
    told = [(event.key_id, event.action) for event in (*newest.events, *rest.events)]
    key_ids = first.key.key_id, second.key.key_id
    assert told == [
        (key_ids[0], pb.KEY_ACTION_REVOKED),
        (key_ids[0], pb.KEY_ACTION_ROTATED),
        (key_ids[1], pb.KEY_ACTION_CREATED),
        (key_ids[0], pb.KEY_ACTION_CREATED),
    ]
    revoked, made = newest.events[0], rest.events[0]
    assert (revoked.actor, revoked.reason) == ("(trusted)", "stolen")
    assert not revoked.before.HasField("revoke_time")
    assert revoked.after.HasField("revoke_time")
    assert not made.HasField("before")
    assert (made.after.client_id, made.after.account_id) == ("web", "alice")
    assert made.after.roles == ["customer"]
    of_one = await edge.keys.ListKeyEvents(pb.ListKeyEventsRequest(key_id=key_ids[1]))
    assert [event.key_id for event in of_one.events] == [key_ids[1]]
    other = pb.ListKeyEventsRequest(key_id=key_ids[1], page_token=token)
    assert await refused(edge.keys.ListKeyEvents(other)) == "INVALID_FIELD"


async def test_no_secret_is_kept_in_clear(edge: Edge) -> None:
    """Who reads the tables can neither call nor sign."""
    made, signing = await edge.create(), await edge.signing_key()
    kept = await rows(edge.settings, "SELECT kind, current_secret FROM api_keys ORDER BY key_id")
    assert [kind for kind, _ in kept] == ["bearer", "signing"]
    for credential, (_, secret) in zip((made.credential, signing), kept, strict=True):
        assert bytes.fromhex(credential.split("_")[2]) not in secret


async def test_last_use_is_noted_later(edge: Edge) -> None:
    """A call only notes it in memory; it is written now and then, and never set back."""
    made = await edge.create()
    await edge.check(Request().bearing(made.credential))
    listed = await edge.keys.ListKeys(pb.ListKeysRequest())
    assert not listed.keys[0].HasField("last_use_time")
    await edge.app.uses.write()
    listed = await edge.keys.ListKeys(pb.ListKeysRequest())
    used = listed.keys[0].last_use_time.ToNanoseconds()
    assert abs(used - time.time_ns()) < 10**10
    edge.app.uses.note(bytes.fromhex(made.key.key_id.replace("-", "")), 1_000_000)
    await edge.app.uses.write()
    listed = await edge.keys.ListKeys(pb.ListKeysRequest())
    assert listed.keys[0].last_use_time.ToNanoseconds() == used


MALFORMED: Sequence[tuple[str, dict[str, Any]]] = (
    ("kind", {"kind": 0}),
    ("client_id", {"client_id": ""}),
    ("client_id", {"client_id": "a b"}),
    ("roles", {"roles": []}),
    ("roles", {"roles": ["service"] * 6}),
    ("roles[0]", {"roles": ["root"]}),
    ("roles[0]", {"roles": ["internal"]}),
    ("roles", {"roles": ["customer", "admin"], "account_id": "alice"}),
    ("account_id", {"roles": ["customer"]}),
    ("account_id", {"account_id": "alice"}),
    ("expire_time", {"expire_time": Timestamp(seconds=1)}),
    ("reason", {"reason": "x" * 257}),
    ("reason", {"reason": "a\nb"}),
)


async def test_malformed_wish_is_refused(edge: Edge) -> None:
    """The error names the field."""
    for field, fields in MALFORMED:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await edge.create(**fields)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (caught.value.details() or "").startswith(f"{field} = ")


async def test_what_is_not_there_or_too_much(edge: Edge) -> None:
    """Unknown ids, malformed ones, an overlap out of bounds, more keys than allowed."""
    unknown = "01900000-0000-7000-8000-000000000000"
    keys = edge.keys
    assert await refused(keys.RevokeKey(pb.RevokeKeyRequest(key_id=unknown))) == "KEY_NOT_FOUND"
    assert await refused(keys.RotateKey(pb.RotateKeyRequest(key_id=unknown))) == "KEY_NOT_FOUND"
    assert await refused(keys.RevokeKey(pb.RevokeKeyRequest(key_id="7"))) == "INVALID_FIELD"
    late = pb.RotateKeyRequest(key_id=unknown, overlap_s=2_592_001)
    assert await refused(keys.RotateKey(late)) == "INVALID_FIELD"
    made = [await edge.create() for _ in range(edge.settings.max_keys)]
    assert await refused(edge.create()) == "KEY_LIMIT"
    await keys.RevokeKey(pb.RevokeKeyRequest(key_id=made[0].key.key_id))
    await edge.create()


async def test_database_away(edge: Edge, databases: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was read lately is believed for a bounded time; then it can't be decided: 503."""
    monkeypatch.setattr(keyring, "FRESH_S", 0.2)
    monkeypatch.setattr(keyring, "STALE_S", 3.0)
    made = await edge.create()
    call = Request().bearing(made.credential)
    assert await edge.status(call) == 200
    read_at = time.monotonic()
    await asyncio.to_thread(databases.kill, "books")
    assert await edge.status(call) == 200
    await asyncio.sleep(3.0 - (time.monotonic() - read_at))
    assert await edge.status(call) == 503
    assert await refused(edge.keys.ListKeys(pb.ListKeysRequest())) == "EDGE_UNAVAILABLE"

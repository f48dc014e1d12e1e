"""Signed requests: what is replayed, altered, or of another time is refused, and fails closed."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import redis
from structlog.testing import capture_logs

from edge.domain import signature
from edge.settings import Settings
from guilder.edge.v1 import key_service_pb2 as pb
from tests.edge.world import WINDOW_S, Edge, Request, running
from walletkit.stack import Stack

API_PAGE = Path(__file__).resolve().parents[2] / "docs/api.md"
NONCE = "0123456789abcdef"


def nonces(edge: Edge) -> dict[str, int]:
    """Return what Redis remembers, and for how many ms."""
    with redis.Redis.from_url(edge.settings.redis_url, decode_responses=True) as client:
        return {name: client.pttl(name) for name in client.keys("edge:nonce:*")}


async def test_signed_request_passes(edge: Edge) -> None:
    """It becomes a token of the key's holder, and the signature stays at the edge."""
    answer = await edge.check(Request().signed(await edge.signing_key()))
    assert edge.claims(answer)["sub"] == "key:web"
    assert set(answer.ok_response.headers_to_remove) == set(signature.HEADERS)


async def test_replayed_request_is_refused(edge: Edge) -> None:
    """The same bytes again are no second request."""
    signed = Request().signed(await edge.signing_key())
    assert [await edge.status(signed) for _ in range(3)] == [200, 401, 401]


async def test_of_parallel_replays_one_passes(edge: Edge, migrated: Settings) -> None:
    """Fifty at once, at two processes: set-if-absent lets exactly one through (T30)."""
    signed = Request().signed(await edge.signing_key())
    async with running(migrated) as other:
        asked = [one.status(signed) for one in (edge, other) for _ in range(25)]
        answers = await asyncio.gather(*asked)
    assert sorted(answers) == [200] + [401] * 49


async def test_reordered_requests_pass(edge: Edge) -> None:
    """Nonces have no order: what was signed later may come first, each once."""
    key = await edge.signing_key()
    now = int(time.time())
    signed = [Request().signed(key, timestamp=str(now - age)) for age in (20, 10, 0)]
    assert [await edge.status(one) for one in reversed(signed)] == [200] * 3
    assert [await edge.status(one) for one in signed] == [401] * 3


async def test_altered_request_is_refused(edge: Edge) -> None:
    """Each part is signed, by its bytes: JSON that means the same is another body (T34)."""
    request = Request().having({"idempotency-key": "pay-7"})
    signed = request.signed(await edge.signing_key(), nonce=NONCE)
    altered = {
        "body": replace(signed, body=b'{"amount": 6}'),
        "spaces": replace(signed, body=b'{"amount":5}'),
        "no body": replace(signed, body=b""),
        "path": replace(signed, path="/v1/wallets?dry=1"),
        "query": replace(signed, path="/v1/transfers?dry=0"),
        "no query": replace(signed, path="/v1/transfers"),
        "method": replace(signed, method="PUT"),
        "idempotency key": signed.having({"idempotency-key": "other"}),
        "nonce": signed.having({"x-signature-nonce": NONCE[::-1]}),
        "timestamp": signed.having({"x-signature-timestamp": str(int(time.time()) - 1)}),
        "signature": signed.having({"x-signature": "0" * 64}),
    }
    answers = {name: await edge.status(one) for name, one in altered.items()}
    assert answers == dict.fromkeys(altered, 401)
    assert await edge.status(signed) == 200


async def test_bad_signature_burns_no_nonce(edge: Edge) -> None:
    """Verified first: who can't sign can't use up nonces, nor fill Redis (T29)."""
    key = await edge.signing_key()
    signed = Request().signed(key, nonce=NONCE)
    for _ in range(3):
        assert await edge.status(signed.having({"x-signature": "f" * 64})) == 401
    assert nonces(edge) == {}
    assert await edge.status(signed) == 200


async def test_time_window_has_two_sides(edge: Edge) -> None:
    """What was signed too long ago, or for a future too far away, is refused (T32)."""
    key, now = await edge.signing_key(), int(time.time())
    for ahead, status in ((-30, 200), (30, 200), (-WINDOW_S - 2, 401), (WINDOW_S + 30, 401)):
        assert await edge.status(Request().signed(key, timestamp=str(now + ahead))) == status, ahead


async def test_timestamp_that_is_none_is_refused(edge: Edge) -> None:
    """Only digits are a time; nothing else is ever compared, or passed by (T31)."""
    key, now = await edge.signing_key(), int(time.time())
    for stamp in (
        *("", "NaN", "nan", "abc", "inf", "-1", "1e9", "0x10", "1_0", "9" * 13, "9" * 400),
        *(f"+{now}", f" {now}", f"{now}.0", f"{now}\n", f"-{now}", "\u0661" * 10),
        *("0", "999999999999"),
    ):
        assert await edge.status(Request().signed(key, timestamp=stamp)) == 401, stamp
    assert nonces(edge) == {}


async def test_every_header_is_needed(edge: Edge) -> None:
    """One that is left out is named, and no check is skipped for it."""
    signed = Request().signed(await edge.signing_key())
    for name in signature.HEADERS:
        left = replace(signed, headers=tuple(one for one in signed.headers if one[0] != name))
        answer = await edge.check(left)
        assert answer.denied_response.status.code == 401
        assert answer.denied_response.body.startswith(f"{name}: must be")


async def test_nonce_is_remembered_for_twice_the_window(edge: Edge) -> None:
    """As long as any request with it could be timely, in Redis's primary alone (T32, T33)."""
    signed = Request().signed(await edge.signing_key(), timestamp=str(int(time.time()) + 55))
    assert await edge.status(signed) == 200
    (kept_ms,) = nonces(edge).values()
    assert 2 * WINDOW_S * 1_000 <= kept_ms <= (2 * WINDOW_S + signature.CLOCK_MARGIN_S) * 1_000


async def test_nonces_of_two_clients_are_apart(edge: Edge) -> None:
    """Nobody uses up another's nonces (T34)."""
    keys = [await edge.signing_key() for _ in range(2)]
    assert [await edge.status(Request().signed(key, nonce=NONCE)) for key in keys] == [200, 200]


async def test_another_keys_secret_does_not_sign(edge: Edge) -> None:
    """Each key has a secret of its own; a bearer key's secret signs nothing, nor does no key."""
    one, two = await edge.signing_key(), await edge.signing_key()
    bearer = (await edge.create()).credential
    assert await edge.status(Request().signed(bearer)) == 401
    mixed = "_".join([*one.split("_")[:2], two.split("_")[2]])
    assert await edge.status(Request().signed(mixed)) == 401
    assert await edge.status(Request().signed(f"gs_{'0' * 32}_{'0' * 64}")) == 401


async def test_revoked_key_signs_no_more(edge: Edge) -> None:
    """Its nonces are not taken either."""
    made = await edge.create(pb.KEY_KIND_SIGNING)
    await edge.keys.RevokeKey(pb.RevokeKeyRequest(key_id=made.key.key_id))
    assert await edge.status(Request().signed(made.credential)) == 401
    assert nonces(edge) == {}


async def test_signature_on_a_stream_is_refused(edge: Edge) -> None:
    """Where Envoy does not wait for the body nothing can vouch for it."""
    signed = Request().signed(await edge.signing_key())
    answer = await edge.check(signed, {"body": "none"})
    assert answer.denied_response.status.code == 401
    assert await edge.status(signed) == 200


async def test_without_redis_signed_requests_are_refused(edge: Edge, databases: Stack) -> None:
    """A nonce that can't be noted could be used again: 503. Plain keys go on (T33)."""
    key, bearer = await edge.signing_key(), await edge.create()
    await asyncio.to_thread(databases.kill, "redis")
    signed = Request().signed(key)
    answer = await edge.check(signed)
    assert answer.denied_response.status.code == 503
    assert await edge.status(Request().bearing(bearer.credential)) == 200
    await asyncio.to_thread(databases.start, "redis")
    assert await edge.status(signed) == 200


async def test_secret_sealed_by_another_key_signs_nothing(edge: Edge) -> None:
    """A wrong sealing key refuses its callers, and is told to the operator; edge goes on."""
    key = await edge.signing_key()
    edge.settings.sealing_key_file.write_text("ab" * 32)
    async with running(edge.settings) as other:
        assert await other.status(Request().signed(key)) == 401
        assert await other.status(Request().signed(await other.signing_key())) == 200


async def test_no_secret_reaches_a_log(edge: Edge) -> None:
    """Calls that pass and calls that are refused: their logs have ids and causes alone."""
    bearer, signing = (await edge.create()).credential, await edge.signing_key()
    signed = Request().signed(signing)
    with capture_logs() as logs:
        granted = await edge.check(Request().bearing(bearer))
        await edge.check(Request().bearing(bearer[:-4] + "0000"))
        for _ in range(2):
            await edge.check(signed)
        await edge.check(signed.having({"x-signature": "0" * 64}))
    text = str(logs)
    assert "replayed" in text
    secrets = [credential.split("_")[2][:32] for credential in (bearer, signing)]
    secrets += [dict(signed.headers)["x-signature"], dict(signed.headers)["x-signature-nonce"]]
    secrets.append(granted.ok_response.headers[0].header.value)
    assert not [secret for secret in secrets if secret in text]


async def test_the_pages_example_signs(edge: Edge) -> None:
    """The example of docs/api.md makes what edge accepts."""
    page = API_PAGE.read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (example,) = (text for text in examples if "def sign(" in text)
    names: dict[str, Callable[..., dict[str, str]]] = {}
    exec(example, names)  # noqa: S102  # our own page
    request = Request()
    headers = names["sign"](await edge.signing_key(), request.method, request.path, request.body)
    assert await edge.status(request.having(headers)) == 200
    keyed = request.having({"idempotency-key": "pay-7"})
    headers = names["sign"](
        await edge.signing_key(), request.method, request.path, request.body, "pay-7"
    )
    assert await edge.status(keyed.having(headers)) == 200

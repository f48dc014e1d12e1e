"""A stream is held to the credential that began it, message by message, on a real server."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from tests.auth.issuing import ISSUER, Signer, jwks
from walletkit.auth.verifier import Issuer, Verifier
from walletkit.rpc.admission import Admission
from walletkit.rpc.interceptor import StatusInterceptor

SERVICE, METHOD = "guilder.wallet.v1.WalletService", "StreamTransfers"
TIMEOUT_S = 20
DAYS_S = 10 * 86_400


async def echo(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
    """Answer each message by itself."""
    async for request in requests:
        yield request


async def test_a_stream_ends_when_its_token_is_over(tmp_path: Path) -> None:
    """What comes before that is answered; the first message behind it is not carried out."""
    signer, path, now = Signer(), tmp_path / "jwks.json", [time.time()]
    path.write_bytes(jwks(signer.jwk))
    token = signer.token(roles=["service"])
    verifier = Verifier([Issuer(ISSUER, str(path))], "guilder", clock=lambda: now[0])
    await verifier.start()
    server = grpc.aio.server(interceptors=(StatusInterceptor(Admission(True, verifier)),))  # noqa: FBT003
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(
                f"/{SERVICE}/{METHOD}"
            )(timeout=TIMEOUT_S, metadata=(("authorization", f"Bearer {token}"),))
            await call.write(b"one")
            assert await call.read() == b"one"
            now[0] += DAYS_S
            await call.write(b"two")
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await call.read()
            assert ended.value.code() == grpc.StatusCode.UNAUTHENTICATED
    finally:
        await server.stop(None)
        await verifier.stop()

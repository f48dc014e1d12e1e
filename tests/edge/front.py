"""A real Envoy before a service that says what it got, with the filters that ask edge."""

import asyncio
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from edge.access.issuer import SigningKey
from tests.edge.world import AUDIENCE, ISSUER, Edge, Request
from walletkit.front import FrontSettings
from walletkit.front.edge import LIMIT_FILTER, known_keys, limit, told
from walletkit.front.replies import local_replies
from walletkit.stack.settings import free_ports

Json = dict[str, Any]

TYPES = "type.googleapis.com/envoy.extensions"
SUBJECT = "x-guilder-subject"
MAX_BODY_BYTES = 1_024
START_S = 60
FRONT = FrontSettings.model_construct(edge_address="127.0.0.1:1")
"""With an edge; where it is says the configuration here."""


class Front:
    """What a client sees."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        """Call this port."""
        self._url = f"http://127.0.0.1:{port}"
        self._session = session

    async def call(self, request: Request) -> tuple[int, dict[str, str], str]:
        """Send a request; return status, headers and body of the answer."""
        asked = self._session.request(
            request.method,
            # As it is: what is signed is what is sent.
            URL(self._url + request.path, encoded=True),
            data=request.body,
            headers=dict(request.headers),
            timeout=aiohttp.ClientTimeout(total=20),
        )
        async with asked as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, headers, await answer.text()

    async def seen(self, request: Request) -> Json:
        """Send a request that must pass; return what the service saw of it."""
        status, _, body = await self.call(request)
        assert status == 200, body
        seen: Json = json.loads(body)
        return seen


@asynccontextmanager
async def fronted(folder: Path, *edges: Edge, keeping: int | None = None) -> AsyncIterator[Front]:
    """Run Envoy with these processes of edge until the block ends."""
    (port,) = free_ports(1)
    runner = web.ServerRunner(web.Server(_echo), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        path = folder / f"envoy-{port}.json"
        path.write_text(json.dumps(_bootstrap(port, runner.addresses[0][1], edges, keeping)))
        async with _envoy(path) as envoy, aiohttp.ClientSession() as session:
            await _ready(envoy, session, port)
            yield Front(port, session)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _envoy(path: Path) -> AsyncIterator[Process]:
    """Run the program until the block ends."""
    program = shutil.which("envoy", path=str(Path(sys.executable).parent))
    assert program is not None
    options = ("--concurrency", "1", "--log-level", "error", "--disable-hot-restart")
    envoy = await asyncio.create_subprocess_exec(
        program, "-c", str(path), *options, stdout=DEVNULL, start_new_session=True
    )
    try:
        yield envoy
    finally:
        if envoy.returncode is None:
            # It is started by a script of its own.
            os.killpg(envoy.pid, signal.SIGKILL)
        await envoy.wait()


async def _ready(envoy: Process, session: aiohttp.ClientSession, port: int) -> None:
    async with asyncio.timeout(START_S):
        while True:
            assert envoy.returncode is None, "Envoy refuses its configuration"
            try:
                async with session.get(f"http://127.0.0.1:{port}/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


async def _echo(request: web.BaseRequest) -> web.Response:
    """Say what came."""
    body = await request.read()
    headers = {name.lower(): value for name, value in request.headers.items()}
    return web.json_response({"headers": headers, "body": body.hex()})


def _bootstrap(port: int, service_port: int, edges: Sequence[Edge], keeping: int | None) -> Json:
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "route_config": {"virtual_hosts": [_host()]},
        "local_reply_config": local_replies(),
        "http_filters": [
            *known_keys(FRONT),
            _only_with(("x-api-key", "x-signature"), _authorization()),
            _tokens(edges[0]),
            _limit(keeping),
            _filter("router", "router.v3.Router"),
        ],
    }
    filters = [{"name": "manager", "typed_config": manager}]
    listener = {"address": _address(port), "filter_chains": [{"filters": filters}]}
    clusters = [
        _cluster("service", [service_port]),
        _cluster("edge", [edge.port for edge in edges], http2=True),
    ]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _host() -> Json:
    ready = {"match": {"path": "/ready"}, "direct_response": {"status": 200}}
    kinds: tuple[tuple[str, list[Json]], ...] = (
        ("read", [{"name": ":method", "string_match": {"exact": "GET"}}]),
        ("write", []),
    )
    routes = [
        {
            "match": {"prefix": "/", "headers": headers},
            "route": {"cluster": "service"},
            "typed_per_filter_config": {
                LIMIT_FILTER: {
                    "@type": f"{TYPES}.filters.http.lua.v3.LuaPerRoute",
                    "filter_context": {"counted_as": kind},
                }
            },
        }
        for kind, headers in kinds
    ]
    return {
        "name": "all",
        "domains": ["*"],
        "routes": [ready, *routes],
        "response_headers_to_add": told(),
    }


def _authorization() -> Json:
    return _filter(
        "edge_authorization",
        "ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        grpc_service=_edge("1s"),
        failure_mode_allow=False,
        status_on_error={"code": "ServiceUnavailable"},
        with_request_body={
            "max_request_bytes": MAX_BODY_BYTES,
            "allow_partial_message": False,
            "pack_as_bytes": True,
        },
    )


def _tokens(edge: Edge) -> Json:
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "forward": True,
        "claim_to_headers": [{"header_name": SUBJECT, "claim_name": "sub"}],
        "local_jwks": {
            "inline_string": json.dumps(SigningKey.read(edge.settings.signing_key_file).jwks())
        },
    }
    return _filter(
        "tokens",
        "jwt_authn.v3.JwtAuthentication",
        providers={"edge": provider},
        rules=[
            {"match": {"path": "/ready"}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "edge"}},
        ],
    )


def _limit(keeping: int | None) -> Json:
    """Return the filter that the product makes; ``keeping``: so many leases instead of its own."""
    (made,) = limit(FRONT)
    if keeping is not None:
        source = made["typed_config"]["default_source_code"]
        script, usual = source["inline_string"], "MAX_LEASES = 10000\n"
        assert usual in script
        source["inline_string"] = script.replace(usual, f"MAX_LEASES = {keeping}\n")
    return made


def _only_with(headers: tuple[str, ...], http_filter: Json) -> Json:
    """Skip a filter for requests that have none of these headers."""
    kind = "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
    skip = "type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter"
    present = [
        {
            "single_predicate": {
                "input": {"name": "h", "typed_config": {"@type": kind, "header_name": name}},
                "value_match": {"safe_regex": {"google_re2": {}, "regex": ".*"}},
            }
        }
        for name in headers
    ]
    matcher = {
        "predicate": {"not_matcher": {"or_matcher": {"predicate": present}}},
        "on_match": {"action": {"name": "skip", "typed_config": {"@type": skip}}},
    }
    return {
        "name": http_filter["name"],
        "typed_config": {
            "@type": f"{TYPES}.common.matching.v3.ExtensionWithMatcher",
            "extension_config": http_filter,
            "xds_matcher": {"matcher_list": {"matchers": [matcher]}},
        },
    }


def _filter(name: str, kind: str, **fields: object) -> Json:
    return {"name": name, "typed_config": {"@type": f"{TYPES}.filters.http.{kind}", **fields}}


def _edge(timeout: str) -> Json:
    return {"envoy_grpc": {"cluster_name": "edge"}, "timeout": timeout}


def _cluster(name: str, ports: Sequence[int], *, http2: bool = False) -> Json:
    endpoints = [{"endpoint": {"address": _address(port)}} for port in ports]
    made: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }
    if http2:
        name_of = "upstreams.http.v3.HttpProtocolOptions"
        made["typed_extension_protocol_options"] = {
            f"envoy.extensions.{name_of}": {
                "@type": f"{TYPES}.{name_of}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    return made


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

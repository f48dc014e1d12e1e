"""Write the calls' part of docs/api.md out of the contracts and of recorded calls. `make docs`.

What stands above the mark there is written by hand.
"""

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from tools.openapi.catalogue import Binding, Catalogue, bindings, camel
from tools.openapi.examples import PAGE as RECORDED
from tools.openapi.reasons import ALWAYS, OF_SERVICE, reasons_of
from walletkit.errors import CATALOGUE as ERRORS

PAGE = Path("docs/api.md")
IMAGE = Path("gen/guilder.binpb")
MARK = "<!-- What follows is made by `make docs`. -->\n"
WIDTH = 100
GRPC_ONLY = ("WalletService.StreamTransfers",)
"""Public calls that REST can't carry."""
_BOUND = re.compile(r"\{(\w+)\}")

_HEAD = """
## Every call

Made from the protos, and from calls that were recorded on a running suite (`make record`). Lists in
replies are cut to two. `TOKEN` is a token of a caller. A key may stand in the body as here, or in
the header `Idempotency-Key`.

Each call names what it alone can end with. Any call can end with these besides, which
[errors.md](errors.md) explains:

{}

Through Envoy those of [the front door](front-door.md#errors) come on top.
"""


def page(written: str, catalogue: Catalogue, recorded: Mapping[str, Any]) -> str:
    """Return the page's text: what was written by hand, and every call."""
    by_hand = written.partition(MARK)[0]
    return f"{by_hand}{MARK}{_head()}{''.join(_sections(catalogue, recorded))}"


_OF_KEYS = "KeyService"


def _head() -> str:
    """Say once which errors all calls share, and all calls of a service."""
    rows = [f"- of any service: {', '.join(one for one in ERRORS if one in ALWAYS)}"]
    rows += [
        f"- of {service}: {', '.join(reasons)}"
        for service, reasons in OF_SERVICE.items()
        if service != _OF_KEYS
    ]
    return _HEAD.format("\n".join(rows))


def public_calls(catalogue: Catalogue) -> Iterator[MethodDescriptor]:
    """Return every call that the public can make, but those for keys.

    What these answer is a secret, so nothing of theirs is recorded: that page shows them by hand.
    """
    for service, methods in catalogue.public():
        if service.name == _OF_KEYS:
            continue
        names = {method.name for method in methods}
        for method in service.methods:
            if method.name in names or f"{service.name}.{method.name}" in GRPC_ONLY:
                yield method


def _sections(catalogue: Catalogue, recorded: Mapping[str, Any]) -> Iterator[str]:
    for method in public_calls(catalogue):
        name = f"{method.containing_service.name}.{method.name}"
        shared = {*ALWAYS, *OF_SERVICE[method.containing_service.name]}
        own = [one for one in reasons_of(catalogue, method) if one not in shared]
        call = recorded[name]
        told = catalogue.comment(method.full_name).split("Errors:")[0].strip()
        yield f"\n### {name}\n\n{told}\n\n```\n"
        for binding in bindings(method)[:1]:
            yield f"{_curl(binding, call['request'])}\n"
        yield f"{_grpcurl(method, call['request'])}\n```\n\n```json\n"
        replies = call["reply"] if isinstance(call["reply"], list) else [call["reply"]]
        yield "\n".join(pretty(one) for one in replies)
        yield f"\n```\n\nErrors: {', '.join(own) or 'those of any call'}.\n"


def _curl(binding: Binding, request: Mapping[str, Any]) -> str:
    """Write a call as REST: what the path binds in it, the rest in the query or the body."""
    path = _BOUND.sub(lambda found: str(request.get(camel(found[1]), 0)), binding.path)
    bound = {camel(name) for name in binding.bound}
    rest = {name: value for name, value in request.items() if name not in bound}
    verb = binding.verb.upper()
    address = f"http://localhost:8080{path}"
    if not binding.body:
        query = "&".join(f"{name}={one}" for name, one in _pairs(rest))
        address = f"'{address}?{query}'" if query else f"'{address}'"
        flag = "" if verb == "GET" else f"-X {verb} "
        return f'curl {flag}-H "Authorization: Bearer $TOKEN" \\\n    {address}'
    body = shlex.quote(pretty(rest, 4))
    return (
        f'curl -X {verb} -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
        f"    {address} \\\n    -d {body}"
    )


def _grpcurl(method: MethodDescriptor, request: Mapping[str, Any]) -> str:
    body = shlex.quote(pretty(request, 4))
    name = f"{method.containing_service.full_name}/{method.name}"
    return (
        f'grpcurl -plaintext -H "Authorization: Bearer $TOKEN" \\\n'
        f"    -d {body} \\\n    localhost:8080 {name}"
    )


def _pairs(fields: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Return query parameters: a list's values one by one, a message's by their paths."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _pairs(value, f"{before}{name}.")
        else:
            for one in value if isinstance(value, list) else [value]:
                yield f"{before}{name}", json.dumps(one).strip('"')


def pretty(value: Any, indent: int = 0) -> str:  # noqa: ANN401  # JSON
    """Write JSON with as few lines as fit the width."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    inner = indent + 2
    pad = " " * inner
    if isinstance(value, dict):
        parts = [
            f"{pad}{json.dumps(key)}: {pretty(one, inner + len(key) + 4)}"
            if len(json.dumps(one)) + inner + len(key) + 4 <= WIDTH
            else f"{pad}{json.dumps(key)}: {pretty(one, inner)}"
            for key, one in value.items()
        ]
        opened, closed = "{", "}"
    else:
        parts = [f"{pad}{pretty(one, inner)}" for one in value]
        opened, closed = "[", "]"
    return "\n".join([opened, ",\n".join(parts), f"{' ' * indent}{closed}"])


def main() -> None:
    """Write the page."""
    catalogue = Catalogue(IMAGE.read_bytes())
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), catalogue, recorded), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(list(public_calls(catalogue)))} calls\n")


if __name__ == "__main__":
    main()

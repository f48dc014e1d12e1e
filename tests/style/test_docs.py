"""Pages that are made from code say what the code says."""

import copy
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from tools import api_doc, errors_doc, metrics_doc, roles_doc, settings_doc
from tools.openapi import examples
from tools.openapi.catalogue import Catalogue, bindings
from tools.openapi.reasons import ALWAYS, OF_SERVICE
from walletkit.auth.settings import AuthSettings

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_errors_is_the_catalogue() -> None:
    """docs/errors.md was made anew after the last change of the catalogue: `make docs`."""
    assert (ROOT / errors_doc.PAGE).read_text(encoding="utf-8") == errors_doc.page()


CATALOGUE = Catalogue((ROOT / api_doc.IMAGE).read_bytes())
RECORDED = json.loads((ROOT / examples.PAGE).read_text(encoding="utf-8"))
WORD = re.compile(r"[A-Z_]{3,}")
SECTION = re.compile(r"^### (\w+\.\w+)\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)


def test_the_page_of_calls_is_made_of_the_contracts() -> None:
    """docs/api.md was made anew after a proto or a recorded call had changed: `make docs`."""
    written = (ROOT / api_doc.PAGE).read_text(encoding="utf-8")
    assert written == api_doc.page(written, CATALOGUE, RECORDED)


def sections() -> dict[str, str]:
    """Return what docs/api.md says of each call."""
    text = (ROOT / api_doc.PAGE).read_text(encoding="utf-8").partition(api_doc.MARK)[2]
    return dict(SECTION.findall(text))


@pytest.mark.parametrize("method", list(api_doc.public_calls(CATALOGUE)), ids=lambda one: one.name)
def test_every_public_call_is_shown(method: MethodDescriptor) -> None:
    """It has a line of curl, where it has a path, and one of grpcurl, which its request reads."""
    section = sections()[f"{method.containing_service.name}.{method.name}"]
    commands = [shlex.split(one.replace("\\\n", " ")) for one in commands_of(section)]
    assert [one[0] for one in commands] == ["curl", "grpcurl"][not bindings(method) :]
    for command in commands:
        given = command[command.index("-d") + 1] if "-d" in command else "{}"
        request = message_factory.GetMessageClass(method.input_type)()
        json_format.Parse(given, request, descriptor_pool=CATALOGUE.pool)


def test_what_all_calls_share_is_said_once() -> None:
    """No call repeats the errors of every call, or of every call of its service."""
    head, _, _ = (ROOT / api_doc.PAGE).read_text(encoding="utf-8").partition("\n### WalletService")
    head = head.partition(api_doc.MARK)[2]
    for name, section in sections().items():
        shared = {*ALWAYS, *OF_SERVICE[name.partition(".")[0]]}
        assert shared <= set(WORD.findall(head))
        assert not shared & set(WORD.findall(section.rpartition("Errors:")[2])), name


KEYS = CATALOGUE.pool.FindServiceByName("guilder.edge.v1.KeyService")


@pytest.mark.parametrize("method", list(KEYS.methods), ids=lambda one: one.name)
def test_calls_for_keys_are_shown_by_hand(method: MethodDescriptor) -> None:
    """Each has a line of curl at its path, and one of grpcurl that its request reads."""
    by_hand = (ROOT / api_doc.PAGE).read_text(encoding="utf-8").partition(api_doc.MARK)[0]
    lines = re.sub(r"\\\n\s*", "", by_hand).replace("'$KEY'", "key").splitlines()
    name = f"localhost:8080 {method.full_name.rpartition('.')[0]}/{method.name}"
    (grpcurl,) = (shlex.split(one) for one in lines if one.endswith(name))
    request = message_factory.GetMessageClass(method.input_type)()
    body = grpcurl[grpcurl.index("-d") + 1]
    json_format.Parse(body, request, descriptor_pool=CATALOGUE.pool)
    (binding,) = bindings(method)
    path = re.escape(f"localhost:8080{binding.path}").replace(r"\{key_id\}", r"\$KEY")
    verb = {"post": " -X POST", "get": ""}[binding.verb]
    assert [one for one in lines if re.match(rf"curl{verb} -H .*{path}[ ?]", one)]


def commands_of(section: str) -> Iterator[str]:
    """Return the commands of a section, each of which may take several lines."""
    block = section.split("```\n")[1]
    yield from re.split(r"\n(?=grpcurl )", block)


@pytest.mark.parametrize("method", list(api_doc.public_calls(CATALOGUE)), ids=lambda one: one.name)
def test_recorded_calls_are_of_these_contracts(method: MethodDescriptor) -> None:
    """What is shown is a request and a reply of the call: `make record` after either changed."""
    call = RECORDED[f"{method.containing_service.name}.{method.name}"]
    replies = call["reply"] if isinstance(call["reply"], list) else [call["reply"]]
    pairs = [(call["request"], method.input_type), *((one, method.output_type) for one in replies)]
    for told, kind in pairs:
        message = message_factory.GetMessageClass(kind)()
        # A copy: it moves `@type` behind the other keys of an Any, and other tests read them, too.
        json_format.ParseDict(copy.deepcopy(told), message, descriptor_pool=CATALOGUE.pool)


LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
CALL = re.compile(r"^  rpc (\w+)\(", re.MULTILINE)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file or folder of the repository."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_page_of_settings_is_what_is_read() -> None:
    """docs/configuration.md was made anew after the last change of a setting: `make docs`."""
    page = (ROOT / settings_doc.PAGE).read_text(encoding="utf-8")
    assert page == settings_doc.page()


@pytest.mark.parametrize(
    ("kind", "name", "field"),
    settings_doc.every(),
    ids=lambda one: getattr(one, "__module__", None) if isinstance(one, type) else None,
)
def test_every_setting_says_what_it_means(
    kind: type[BaseSettings], name: str, field: FieldInfo
) -> None:
    """Each has a docstring under it; what holds a password is kept out of every text."""
    assert field.description, f"{kind.__module__}: {name}"
    if name.endswith("_url") or name == "shard_urls":
        assert not field.repr


@pytest.mark.parametrize("field", AuthSettings.model_fields)
def test_operations_names_what_all_services_share(field: str) -> None:
    """Who may call and how is set in every service by the same names, behind its prefix."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert f"_{field.upper()}" in text


def test_the_page_of_roles_is_the_table() -> None:
    """docs/authorization.md was made anew after the last change of the table: `make docs`."""
    page = (ROOT / "docs/authorization.md").read_text(encoding="utf-8")
    assert page == roles_doc.page()


def test_the_page_of_metrics_is_what_is_declared() -> None:
    """docs/metrics.md was made anew after the last change of a metric: `make docs`."""
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert page == metrics_doc.page()


def test_the_api_page_names_every_call() -> None:
    """docs/api.md has each RPC of every service."""
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    protos = [path.read_text(encoding="utf-8") for path in ROOT.glob("protos/**/*.proto")]
    calls = {
        call for proto in protos for call in re.findall(r"^  rpc (\w+)\(", proto, re.MULTILINE)
    }
    assert calls
    assert not [call for call in calls if call not in text]

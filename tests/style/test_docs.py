"""Pages that are made from code say what the code says."""

import re
from pathlib import Path

import pytest

from tools import errors_doc

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_errors_is_the_catalogue() -> None:
    """docs/errors.md was made anew after the last change of the catalogue: `make docs`."""
    assert (ROOT / errors_doc.PAGE).read_text(encoding="utf-8") == errors_doc.page()


LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
SETTING = re.compile(r"^    ([a-z_]+): ", re.MULTILINE)
CALL = re.compile(r"^  rpc (\w+)\(", re.MULTILINE)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file or folder of the repository."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("service", ["wallet", "ledger", "notify"])
def test_operations_names_every_setting(service: str) -> None:
    """docs/operations.md has each setting of every service by the name of its variable."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    module = (ROOT / f"services/{service}/settings.py").read_text(encoding="utf-8")
    fields = set(SETTING.findall(module)) - {"model_config", "shard_urls"}
    assert fields
    assert not [name for name in fields if f"{service}_{name}".upper() not in text]


def test_the_api_page_names_every_call() -> None:
    """docs/api.md has each RPC of every service."""
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    protos = [path.read_text(encoding="utf-8") for path in ROOT.glob("protos/**/*.proto")]
    calls = {
        call for proto in protos for call in re.findall(r"^  rpc (\w+)\(", proto, re.MULTILINE)
    }
    assert calls
    assert not [call for call in calls if call not in text]

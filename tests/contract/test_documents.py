"""The page of the contract comes from our host alone, and every file of it is there."""

import re
from html.parser import HTMLParser

from tests.contract.documented import ROOT
from walletkit.documents import LARGEST_BYTES, files

FILES = files(ROOT / "gen/openapi.json")
FOREIGN = re.compile(r"(?:https?:)?//[\w.-]+")


class Page(HTMLParser):
    """Collects what a page loads, what it runs in place, and what it forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline = 0
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        given = dict(attrs)
        self.loads += [value for name in ("src", "href") if (value := given.get(name))]
        self.inline += tag == "script" and "src" not in given
        self.inline += any(name.startswith("on") for name in given)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given.get("content") or ""


def page() -> Page:
    """Read the page."""
    read = Page()
    read.feed(FILES["/docs"].read_text(encoding="utf-8"))
    return read


def test_files_are_there_and_bounded() -> None:
    """Each path has its file, and none is larger than a server may have to keep."""
    assert {"/docs", "/openapi.json"} <= set(FILES)
    assert all(0 < file.stat().st_size <= LARGEST_BYTES for file in FILES.values())


def test_page_loads_what_is_served() -> None:
    """Whatever the page names is one of the files; so is the contract that its start names."""
    named = {*page().loads, *re.findall(r'url: "([^"]+)"', FILES["/docs/start.js"].read_text())}
    assert named == set(FILES) - {"/docs", "/docs/index.html"}


def test_page_asks_no_other_host() -> None:
    """Neither the page nor its start names another host, and the policy would stop the rest."""
    for path in ("/docs", "/docs/start.js"):
        assert not FOREIGN.findall(FILES[path].read_text(encoding="utf-8"))
    assert "validatorUrl: null" in FILES["/docs/start.js"].read_text(encoding="utf-8")
    rules = dict(rule.strip().partition(" ")[::2] for rule in page().policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"


def test_page_runs_no_script_in_place() -> None:
    """A strict policy holds: scripts are files, no handler stands in the html."""
    assert page().inline == 0

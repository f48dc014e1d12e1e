"""Pages that are made from code say what the code says."""

from pathlib import Path

from tools import errors_doc

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_errors_is_the_catalogue() -> None:
    """docs/errors.md was made anew after the last change of the catalogue: `make docs`."""
    assert (ROOT / errors_doc.PAGE).read_text(encoding="utf-8") == errors_doc.page()

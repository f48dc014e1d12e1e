"""Results as JSON."""

import pytest

from bench.model import from_json, to_json
from tests.bench.runs import a_run, results_of


def test_results_survive_the_file() -> None:
    """What is read is what was written, absent figures and errors included."""
    odd = a_run(offered=500.0, batch_size=None, stored_bytes=None, errors={"Unavailable": 2})
    results = results_of([a_run(), odd], [a_run(scenario="floor: echo")])
    assert from_json(to_json(results)) == results


def test_another_document_is_refused() -> None:
    """A file of something else is no results with fields missing."""
    with pytest.raises((KeyError, TypeError)):
        from_json('{"runs": [], "commit": "x"}')

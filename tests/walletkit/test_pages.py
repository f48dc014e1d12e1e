"""Page tokens and sizes: what all lists share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletkit.errors import ServiceError
from walletkit.rpc.pages import DEFAULT_SIZE, MAX_SIZE, place_of, size_of, token_of

PLACE = st.binary(min_size=12, max_size=12)
FIRST = bytes(12)


@given(st.binary(), st.binary(), PLACE)
def test_a_token_fits_its_query_alone(query: bytes, other: bytes, place: bytes) -> None:
    """A token of the same query gives what was put in; of another query it is refused."""
    token = token_of(query, place)
    assert place_of(query, token, FIRST) == place
    if other != query:
        with pytest.raises(ServiceError):
            place_of(other, token, FIRST)


@given(st.text(min_size=1, max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever a caller sends, it is a token of ours or a malformed field."""
    with pytest.raises(ServiceError) as refused:
        place_of(b"query", text, FIRST)
    assert refused.value.violations[0].field == "page_token"


def test_no_token_means_the_first_page() -> None:
    """A list begins where its caller says."""
    assert place_of(b"query", "", FIRST) == FIRST


@pytest.mark.parametrize(("asked", "size"), [(0, DEFAULT_SIZE), (1, 1), (MAX_SIZE, MAX_SIZE)])
def test_sizes_within_the_bounds(asked: int, size: int) -> None:
    """0 means the default."""
    assert size_of(asked) == size


@pytest.mark.parametrize("asked", [-1, MAX_SIZE + 1])
def test_sizes_beyond_the_bounds(asked: int) -> None:
    """A size out of bounds is refused, not cut."""
    with pytest.raises(ServiceError) as refused:
        size_of(asked)
    assert refused.value.violations[0].field == "page_size"

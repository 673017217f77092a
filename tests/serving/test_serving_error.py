"""Messages that a client can make long."""

from urllib.parse import quote as percent_encode

import pytest

from tfmtl.serving.serving_error import ServingError, invalid_argument, quote


@pytest.mark.parametrize("text", ["a" * 10**6, "名" * 10**5, "%" * 10**5, "\n" * 10**5, "\ud800" * 10**5])
def test_what_does_not_fit_a_header_is_cut_off(text):
    message = invalid_argument("the cause: " + text).message
    assert message.startswith("the cause: ") and message.endswith(" ...")
    assert 5000 < len(percent_encode(message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")) < 7000


def test_what_fits_is_kept():
    assert ServingError("NOT_FOUND", "x" * 6000).message == "x" * 6000
    assert ServingError("NOT_FOUND", "Größe").message == "Größe"


def test_the_http_status_follows_the_code_unless_given():
    assert ServingError("NOT_FOUND", "x").http_status == 404
    assert ServingError("DATA_LOSS", "x").http_status == 500
    assert ServingError("RESOURCE_EXHAUSTED", "x", http_status=413).http_status == 413


def test_values_are_quoted_by_their_beginning():
    nested = 1
    for _ in range(5000):
        nested = [nested]
    assert quote(nested).startswith("[[[")
    assert quote("short") == "'short'"
    for value in ("x" * 10**6, [1] * 10**6, {str(number): number for number in range(10**5)}, 10**4000):
        assert len(quote(value)) <= 63

"""Arrays of whole numbers as text."""

import numpy as np
import pytest

from tfmtl.features.plain_integers import from_text, to_text


@pytest.mark.parametrize("bits", [3, 7, 8, 15, 31, 62])
def test_any_numbers_come_back_in_as_few_bytes_as_they_need(bits: int) -> None:
    values = np.random.default_rng(bits).integers(-(2**bits), 2**bits, 1000)
    text = to_text(values)
    np.testing.assert_array_equal(from_text(text), values)
    assert int(text[2]) * 8 > bits
    assert text[2] == "1" or int(text[2]) * 4 <= bits + 1
    np.testing.assert_array_equal(from_text(to_text(values[:0])), values[:0])


def test_texts_of_before_are_of_eight_bytes_and_other_types_are_refused() -> None:
    assert from_text(to_text(np.array([2**40, -1])).removeprefix("<i8:")).tolist() == [2**40, -1]
    with pytest.raises(ValueError, match=r"must be of one of the types .*Received: 'O'"):
        from_text("O:AAAA")

"""Tables of labels per value and cell, against sums in plain NumPy."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfmtl.features.rate_tables import FoundValues, RateCells, count_column, sum_column
from tfmtl.features.request_view import EVERYTHING


def test_sums_beyond_64_bits_are_right_by_value() -> None:
    large = 2**62
    cells = RateCells(("click",), np.arange(1, 4), np.zeros(3, np.int64), np.array([[2, large]] * 3))
    found = _looked_up(cells, np.arange(1, 4)).before(np.ones(3, np.int64))
    assert found.tolist() == [[2, large]] * 3
    assert cells.mean("click") == large / 2


def _looked_up(cells: RateCells, values: np.ndarray) -> FoundValues:
    return cells.find(values, np.argsort(values))


@pytest.mark.parametrize("unit", [1, 2**42])
def test_a_lookup_is_what_the_rows_add_up_to(unit: int) -> None:
    """Cells so far apart that they have no small numbers are searched for."""
    rng = np.random.default_rng(4)
    value, cell = rng.integers(1, 9, 60) * 2**40, rng.integers(-4, 5, 60) * unit
    names = [*map(count_column, ("buy", "click")), *map(sum_column, ("buy", "click"))]
    parts = rng.integers(-9, 9, (60, 4))
    table = pa.table({"value": value, "cell": cell, **dict(zip(names, parts.T, strict=True))})
    cells = RateCells.of(("click", "buy"), table)
    assert len(cells.value) < 60 and cells.places("click") == (1, 3)
    own, at = rng.integers(0, 11, 200) * 2**40, rng.integers(-6, 7, 200) * unit + rng.integers(-1, 2, 200)
    at[:9] = EVERYTHING
    found = _looked_up(cells, own)
    for name, known, looked_up in (
        ("before", lambda day: cell < day, found.before(at)),
        ("all but", lambda day: cell != day, found.all_but(at)),
        ("whole", lambda day: cell == cell, found.whole()),
    ):
        wanted = [parts[(value == each) & known(day)].sum(axis=0) for each, day in zip(own, at, strict=True)]
        np.testing.assert_array_equal(looked_up, wanted, err_msg=name)
    np.testing.assert_array_equal(cells.in_graph(tf.constant(own)), found.whole())
    # What is written is all there is; without cells it is the sums over them.
    read = RateCells.from_plain(cells.values_to_plain(), cells.cells_to_plain())
    for part in ("value", "cell", "parts"):
        np.testing.assert_array_equal(getattr(read, part), getattr(cells, part), err_msg=part)
    np.testing.assert_array_equal(_looked_up(RateCells.from_plain(cells.values_to_plain()), own).whole(), found.whole())


def test_sums_do_not_depend_on_the_order() -> None:
    generator = np.random.default_rng(0)
    names = ("value", "cell", count_column("click"), sum_column("click"))
    table = pa.table({name: generator.integers(1, 9, 300) for name in names})
    plain = lambda cells: (cells.values_to_plain(), cells.cells_to_plain())  # noqa: E731
    halves = [RateCells.of(["click"], table.slice(*cut)) for cut in ((0, 150), (150, 150))]
    nothing = RateCells.of(["click"], None)
    for one, other in (
        (halves[0].plus(halves[1]), halves[1].plus(halves[0])),
        (halves[0].plus(halves[1]), RateCells.of(["click"], table)),
        (halves[0], halves[0].plus(nothing)),
    ):
        assert plain(one) == plain(other)
    assert RateCells.from_plain(*plain(halves[0])).mean("click") == halves[0].mean("click")
    assert nothing.mean("click") is None
    for cells in (nothing, RateCells.from_plain(*plain(nothing))):
        found = _looked_up(cells, np.array([0, 5])).before(np.array([1, 1]))
        assert found.tolist() == np.asarray(cells.in_graph(tf.constant([0, 5], tf.int64))).tolist() == [[0, 0]] * 2

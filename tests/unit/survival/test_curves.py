"""Curves between cut points, in NumPy and in the graph: one code, two namespaces."""

import numpy as np
import pytest
from keras import ops

from tfmtl.survival import SurvivalCurves
from tfmtl.survival.interpolation import INTERPOLATIONS, lifetime_until, log_survival_at, median_lifetime

EDGES = np.array([1.0, 2.5, 6.0, 10.0])


def random_survival(seed: int = 0, size: int = 50) -> np.ndarray:
    hazards = np.random.default_rng(seed).beta(0.5, 0.5, (size, len(EDGES)))  # many near 0, many near 1
    return np.cumprod(1 - hazards, axis=1)


def curves_of(interpolation: str) -> SurvivalCurves:
    return SurvivalCurves(EDGES, random_survival(), interpolation)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
class TestCurves:
    def test_start_at_1_never_rise_and_stay_beyond_the_horizon(self, interpolation: str) -> None:
        curves = curves_of(interpolation)
        values = curves.at(np.linspace(0, 15, 400))
        assert (values[:, 0] == 1).all()
        assert (np.diff(values, axis=1) <= 1e-12).all()
        np.testing.assert_array_equal(curves.at([10.0]), curves.at([99.0]))

    def test_are_the_model_at_the_edges(self, interpolation: str) -> None:
        np.testing.assert_allclose(curves_of(interpolation).at(EDGES), random_survival(), rtol=1e-9, atol=1e-30)

    def test_expected_lifetime_is_the_integral(self, interpolation: str) -> None:
        curves = curves_of(interpolation)
        grid = np.linspace(0, 10, 200_001)
        few = curves.rows(slice(0, 8))
        np.testing.assert_allclose(few.expected_lifetime(), np.trapezoid(few.at(grid), grid, axis=1), rtol=2e-3)

    def test_median_is_where_the_curve_is_one_half(self, interpolation: str) -> None:
        curves = curves_of(interpolation)
        median = curves.median_lifetime()
        reached = curves.survival[:, -1] <= 0.5
        assert reached.any()
        assert not reached.all()
        np.testing.assert_allclose(curves.at_own(median)[reached], 0.5, atol=1e-5)
        assert (median[~reached] == 10).all()

    def test_age(self, interpolation: str) -> None:
        curves = curves_of(interpolation)
        zero = np.zeros(len(curves))
        np.testing.assert_allclose(curves.at_age([0.0, 3.0], zero), curves.at([0.0, 3.0]))
        np.testing.assert_allclose(curves.remaining_life(zero), curves.expected_lifetime())
        np.testing.assert_allclose(curves.at_age([0.0], np.full(len(curves), 2.0))[:, 0], 1.0)
        few = curves.rows(curves.at([2.0])[:, 0] > 0.05)
        at_2 = few.at_own(np.full(len(few), 2.0))
        grid = np.linspace(2, 10, 100_001)
        rest = np.trapezoid(few.at(grid), grid, axis=1) / at_2
        np.testing.assert_allclose(few.remaining_life(np.full(len(few), 2.0)), rest, rtol=2e-3)

    def test_the_graph_computes_the_same(self, interpolation: str) -> None:
        log_survival = np.log(random_survival()).clip(-80).astype(np.float32)
        times = np.random.default_rng(1).uniform(0, 12, (50, 3)).astype(np.float32)
        times[:4, 0] = EDGES
        for function in (log_survival_at, lifetime_until):
            graph = function(ops, ops.convert_to_tensor(log_survival), EDGES, times, interpolation)
            plain = function(np, log_survival.astype(np.float64), EDGES, times, interpolation)
            np.testing.assert_allclose(graph, plain, rtol=1e-4, atol=1e-4)
        graph = median_lifetime(ops, ops.convert_to_tensor(log_survival), EDGES, interpolation)
        plain = median_lifetime(np, log_survival.astype(np.float64), EDGES, interpolation)
        np.testing.assert_allclose(graph, plain, rtol=1e-4)


def test_interpolations_differ_inside_an_interval() -> None:
    density, hazard = (curves_of(name).at([2.0]) for name in INTERPOLATIONS)
    assert np.abs(density - hazard).max() > 0.01


@pytest.mark.parametrize(
    ("edges", "survival", "text"),
    [
        ([2.0, 1.0], [[0.5, 0.4]], "`edges` must ascend from above 0"),
        ([1.0], [[0.5, 0.4]], r"`survival.shape` must be \(N, 1\)"),
        ([1.0, 2.0], [[0.5, 0.6]], "`survival` must lie in .0, 1. and not rise along a row"),
        ([1.0], [[np.nan]], "`survival` must lie in"),
    ],
)
def test_errors(edges: list, survival: list, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SurvivalCurves(np.array(edges), np.array(survival))

"""Gradient aggregators: what must hold for matrices of every rank and scale, and references from the papers."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support import balancing_reference as reference
from tfmtl.balancing import BALANCERS, CAGrad, GradientAggregator, GradVac, PCGrad
from tfmtl.balancing._random_order import random_orders

NAMES = tuple(name for name, method in BALANCERS.items() if issubclass(method, GradientAggregator))
FAMILY = tuple(reference.matrices())
SCALES = (1e-10, 1.0, 1e10)

_TRACED: dict[tuple, tuple] = {}


def weights_of(name: str, gradients: np.ndarray, present=None, **arguments) -> np.ndarray:
    """Weights in the first step of a balancer, inside a graph that is traced once for all matrices of a size."""
    tasks, key = len(gradients), (name, len(gradients), *arguments.items())
    if key not in _TRACED:
        balancer = BALANCERS[name](**arguments)
        balancer.build(tasks)
        _TRACED[key] = balancer, tf.function(balancer.weights, autograph=False)
    balancer, graph = _TRACED[key]
    for variable in balancer.variables:
        variable.assign(tf.zeros_like(variable.value))
    rows = gradients.astype("float32").astype("float64")
    present = np.ones(tasks, bool) if present is None else present
    return graph(tf.zeros(tasks), tf.constant(rows @ rows.T), tf.constant(present)).numpy().astype("float64")


def step_of(name: str, gradients: np.ndarray, **arguments) -> np.ndarray:
    rows = gradients.astype("float32").astype("float64")
    return weights_of(name, gradients, **arguments) @ rows


def size(gradients: np.ndarray) -> float:
    """Norm of the largest row, or 1 where all are zero."""
    return float(np.linalg.norm(gradients, axis=1).max()) or 1.0


def independent(gradients: np.ndarray, limit: float = 0.05) -> bool:
    """Whether the rows are far from linearly dependent, so that solutions are unique."""
    norms = np.linalg.norm(gradients, axis=1)
    return bool(norms.min() > 0) and np.linalg.svd(gradients / norms[:, None], compute_uv=False).min() > limit


WELL_POSED = [(label, matrix) for label, matrix in FAMILY if independent(matrix)]


def test_the_family_has_what_the_tests_below_need() -> None:
    assert len(WELL_POSED) >= 10
    products = [matrix @ matrix.T for _, matrix in FAMILY]
    assert sum(bool((product < -1e-6).any()) for product in products) >= 10
    assert sum(np.linalg.matrix_rank(matrix) < len(matrix) for _, matrix in FAMILY) >= 10
    assert not independent(np.ones((2, 3)))


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_finite_for_every_rank_and_scale(name: str) -> None:
    random = np.random.default_rng(0)
    for label, matrix in FAMILY:
        for scale in (*SCALES, 10.0 ** random.uniform(-10, 10, size=(len(matrix), 1))):
            found = weights_of(name, scale * matrix)
            assert np.all(np.isfinite(found)), (label, scale)
            step = found @ (scale * matrix)
            assert np.linalg.norm(step) <= 3 * np.sqrt(len(matrix)) * max(1.0, len(matrix) * size(scale * matrix)), (
                label
            )


@pytest.mark.parametrize("name", NAMES)
def test_a_common_scale_changes_only_the_length_of_the_step(name: str) -> None:
    for label, matrix in FAMILY:
        plain = step_of(name, matrix)
        for scale in SCALES:
            # Nash-MTL's step has a length of its own.
            expected = plain if name == "nash_mtl" else scale * plain
            tolerance = 2e-4 * (size(matrix) * scale if name != "nash_mtl" else np.sqrt(len(matrix)))
            np.testing.assert_allclose(step_of(name, scale * matrix), expected, atol=tolerance, rtol=0, err_msg=label)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("pcgrad", "gradvac")])
def test_the_order_of_tasks_does_not_matter(name: str) -> None:
    random = np.random.default_rng(1)
    for label, matrix in FAMILY:
        order = random.permutation(len(matrix))
        scale = 1.0 if name == "nash_mtl" else size(matrix)
        np.testing.assert_allclose(
            step_of(name, matrix[order]), step_of(name, matrix), atol=2e-4 * scale, rtol=0, err_msg=label
        )


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_task_is_as_none(name: str) -> None:
    """Two tasks of three, so that a random order of the others is no choice."""
    for label, matrix in FAMILY:
        if len(matrix) != 3:
            continue
        for absent in range(3):
            present = np.arange(3) != absent
            found = weights_of(name, matrix, present)
            assert found[absent] == 0.0
            rows = matrix[present].astype("float32")
            scale = 1.0 if name == "nash_mtl" else size(rows)
            np.testing.assert_allclose(
                found[present] @ rows, step_of(name, matrix[present]), atol=2e-4 * scale, rtol=0, err_msg=label
            )
            if independent(matrix[present]):
                np.testing.assert_allclose(found[present], weights_of(name, matrix[present]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_no_task_at_all_gives_zeros(name: str) -> None:
    assert np.all(weights_of(name, np.eye(3), present=np.zeros(3, bool)) == 0.0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pcgrad", 1.0),
        ("gradvac", 1.0),
        ("cagrad", (1 / 3 + 0.4 / 3) / 1.16),
        ("mgda", 1.0),
        ("imtl_g", 1 / 3),
        ("nash_mtl", 0.5),
        ("aligned_mtl", 1.0),
        ("upgrad", 1 / 3),
    ],
)
def test_scale_on_orthogonal_gradients_of_norm_two(name: str, expected: float) -> None:
    np.testing.assert_allclose(weights_of(name, 2 * np.eye(3, 5)), expected, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gramian_that_is_not_finite_is_noticed(name: str) -> None:
    balancer = BALANCERS[name]()
    balancer.build(2)
    assert np.all(np.isnan(balancer.weights(tf.zeros(2), tf.constant([[1.0, np.nan], [np.nan, 1.0]]))))


@pytest.mark.parametrize("name", NAMES)
def test_aggregate_is_the_weighted_sum(name: str) -> None:
    matrix = np.random.default_rng(2).normal(size=(3, 5)).astype("float32")
    found = BALANCERS[name]().aggregate(matrix)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, weights_of(name, matrix) @ matrix, rtol=1e-5, atol=1e-6)


def test_aggregate_refuses_what_is_no_matrix() -> None:
    with pytest.raises(ValueError, match=r"MGDA: `matrix.shape` must be"):
        BALANCERS["mgda"]().aggregate(np.ones(3))


def test_slightly_indefinite_gramians_are_survived() -> None:
    """As float32 products of nearly parallel gradients give them."""
    gramian = np.ones((4, 4)) - 1e-5 * (1 - np.eye(4)) + 3e-5 * np.array([[0, 1, 0, 0], [1, 0, 0, 0]] + [[0] * 4] * 2)
    assert np.linalg.eigvalsh(gramian).min() < -1e-6
    for name in NAMES:
        balancer = BALANCERS[name]()
        balancer.build(4)
        found = balancer.weights(tf.zeros(4), gramian)
        assert np.all(np.isfinite(found)), name


def test_upgrad_harms_no_task_and_is_the_mean_of_projections() -> None:
    for label, matrix in FAMILY:
        step = step_of("upgrad", matrix)
        norms = np.linalg.norm(matrix, axis=1)
        assert np.all(matrix @ step >= -1e-5 * norms * size(matrix)), label
        np.testing.assert_allclose(step, reference.upgrad(matrix), atol=1e-4 * size(matrix), rtol=0, err_msg=label)
    assert np.any(np.array([[1.0, 0.0], [-1.0, 0.1]]) @ np.array([0.0, -1.0]) < 0), "a harm would be seen"


def test_mgda_is_the_point_of_least_norm() -> None:
    for label, matrix in FAMILY:
        weights = weights_of("mgda", matrix)
        assert weights.sum() == pytest.approx(len(matrix), rel=1e-5)
        assert np.all(weights >= 0)
        step = weights @ matrix / len(matrix)
        square = step @ step
        assert np.all(matrix @ step >= square - 1e-5 * size(matrix) ** 2), label
        np.testing.assert_allclose(step, reference.min_norm(matrix), atol=1e-4 * size(matrix), rtol=0, err_msg=label)


def test_mgda_of_norms_far_apart() -> None:
    """Two rows ten million times as long do not hide how two short ones lie."""
    matrix = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [1e7, 1e7, 1.0], [1e7, 1e7, -1.0]])
    np.testing.assert_allclose(weights_of("mgda", matrix) / 4, [0.8, 0.2, 0.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 0.9])
def test_cagrad_is_best_for_the_worst_task(alpha: float) -> None:
    for label, matrix in FAMILY:
        if not matrix.any():
            continue
        mean = matrix.mean(axis=0)
        radius = alpha * np.linalg.norm(mean)
        step = step_of("cagrad", matrix, alpha=alpha) * (1 + alpha**2)
        # The primal problem: no further from the mean than allowed, and the dual optimum reached for the worst task.
        assert np.linalg.norm(step - mean) <= radius * (1 + 1e-4) + 1e-6 * size(matrix), label
        best = reference.cagrad_objective(matrix, reference.cagrad_shares(matrix, alpha), alpha)
        assert (matrix @ step).min() == pytest.approx(best, rel=1e-4, abs=1e-4 * size(matrix) * max(radius, 1e-3)), (
            label
        )


def test_cagrad_equals_the_reference() -> None:
    for label, matrix in WELL_POSED:
        expected = reference.cagrad(matrix, 0.4)
        tolerance = 1e-3 * np.linalg.norm(expected)
        np.testing.assert_allclose(step_of("cagrad", matrix), expected, atol=tolerance, rtol=0, err_msg=label)


def test_cagrad_without_a_ball_is_the_mean() -> None:
    for _, matrix in FAMILY:
        np.testing.assert_allclose(weights_of("cagrad", matrix, alpha=0.0), 1 / len(matrix), rtol=1e-6)


def test_imtl_g_projects_equally_on_every_unit_gradient() -> None:
    for label, matrix in WELL_POSED:
        weights = weights_of("imtl_g", matrix)
        projections = matrix @ (weights @ matrix) / np.linalg.norm(matrix, axis=1)
        np.testing.assert_allclose(projections, projections[0], rtol=1e-4, err_msg=label)
        # Positive, whatever the sum: no task is harmed.
        assert projections[0] > 0, label
        raw = np.linalg.solve(matrix @ matrix.T, np.linalg.norm(matrix, axis=1))
        if raw.sum() > 0.01 * np.abs(raw).sum():
            assert weights.sum() == pytest.approx(1.0, rel=1e-5), label
            if len(matrix) > 1:
                expected = reference.imtl_g(matrix)
                np.testing.assert_allclose(weights @ matrix, expected, rtol=1e-4, atol=1e-4 * size(matrix))


def test_imtl_g_where_the_paper_would_raise_every_loss() -> None:
    """Equal projections need a large negative weight of the short gradient: weights of sum 1 point uphill."""
    matrix = np.array([[1.0, 0.5, 0.0], [1.0, -0.5, 0.0], [0.01, 0.0, 0.001]])
    raw = np.linalg.solve(matrix @ matrix.T, np.linalg.norm(matrix, axis=1))
    assert np.all(matrix @ (raw / raw.sum() @ matrix) < 0)
    weights = weights_of("imtl_g", matrix)
    projections = matrix @ (weights @ matrix) / np.linalg.norm(matrix, axis=1)
    np.testing.assert_allclose(projections, projections[0], rtol=1e-4)
    assert projections[0] > 0
    assert np.abs(weights).sum() == pytest.approx(100.0, rel=1e-4)


def test_nash_solves_the_bargain() -> None:
    for label, matrix in WELL_POSED:
        weights = weights_of("nash_mtl", matrix)
        np.testing.assert_allclose(weights * (matrix @ matrix.T @ weights), 1.0, rtol=1e-4, err_msg=label)
        assert np.all(weights > 0)
        assert np.linalg.norm(weights @ matrix) == pytest.approx(np.sqrt(len(matrix)), rel=1e-4)


def test_nash_weights_stay_bounded_where_no_step_helps_all() -> None:
    weights = weights_of("nash_mtl", np.array([[1.0, 0.0], [-1.0, 0.0]]))
    np.testing.assert_allclose(weights, 1000.0, rtol=1e-3)


def test_aligned_matrix_has_condition_one() -> None:
    for label, matrix in FAMILY:
        expected = reference.aligned_mtl(matrix) if matrix.any() else np.zeros(matrix.shape[1])
        np.testing.assert_allclose(
            step_of("aligned_mtl", matrix), expected, atol=2e-4 * size(matrix), rtol=0, err_msg=label
        )
    checked = 0
    for _, matrix in WELL_POSED:
        values, vectors = np.linalg.eigh(matrix @ matrix.T)
        if values[0] < 1e-5 * values[-1]:  # near what counts as 0
            continue
        checked += 1
        # The matrix that aligns, by its definition; the step adds its rows up.
        balance = np.sqrt(values.min()) * vectors @ np.diag(values**-0.5) @ vectors.T
        assert np.linalg.cond(balance @ matrix) == pytest.approx(1.0, rel=1e-6)
        np.testing.assert_allclose(weights_of("aligned_mtl", matrix), balance.sum(axis=0), rtol=1e-3, atol=1e-5)
    assert checked >= 10


@pytest.mark.parametrize("compiled", [False, True])
def test_aligned_mtl_does_not_lose_short_gradients_beside_a_long_one(compiled: bool) -> None:
    """Orthogonal gradients become those of the shortest one's norm, whatever the others' norms."""
    balancer = BALANCERS["aligned_mtl"]()
    balancer.build(3)
    weigh = tf.function(balancer.weights, autograph=False, jit_compile=compiled)
    for factor in (1e3, 2e3, 1e6, 1e12, 1e20):
        weights = weigh(tf.zeros(3), tf.constant(np.diag([factor**2, 1.0, 1.0]))).numpy()
        np.testing.assert_allclose(weights, [1 / min(factor, 1e14), 1.0, 1.0], rtol=1e-6)


@pytest.mark.parametrize("factor", [1e4, 1e8, 1e12])
def test_aligned_mtl_of_norms_far_apart_goes_on_as_it_began(factor: float) -> None:
    """As a gradient grows, the weights of the others approach a limit, and so does its own share of the step."""
    matrix = np.random.default_rng(0).normal(size=(4, 6))
    shares = []
    for times in (factor, 30 * factor):
        long = matrix * np.array([[1.0], [np.sqrt(times)], [times], [1.0]])
        balancer = BALANCERS["aligned_mtl"]()
        balancer.build(4)
        shares.append(balancer.weights(tf.zeros(4), long @ long.T).numpy() * np.linalg.norm(long, axis=1))
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-3 if factor > 1e4 else 0.02)


def test_aligned_mtl_of_dependent_gradients_far_apart() -> None:
    """Two parallel gradients, one of them very long, and a third: the aligned matrix has rank two."""
    matrix = np.array([[1.0, 1.0, 1.0, 1.0], [1e5, 1e5, 1e5, 1e5], [5.0, 1.0, 1.0, 1.0]])
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    expected = np.ones(3) @ left[:, :2] @ right[:2] * values[1]
    np.testing.assert_allclose(step_of("aligned_mtl", matrix), expected, rtol=1e-4)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e3, 1e6])
def test_cagrad_finds_the_ideal_gain_of_the_worst_task_at_any_scale(factor: float) -> None:
    """Of two tasks, where the weights of the worst case are a matter of one number."""
    random = np.random.default_rng(3)
    tried = 0
    for _ in range(6):
        matrix = random.normal(size=(2, 3)) * np.array([[factor], [1.0]])
        mean = matrix.mean(axis=0)

        def worst(log_odds: float, matrix: np.ndarray = matrix) -> float:
            shares = 1 / (1 + np.exp(-np.array([log_odds, -log_odds])))
            return reference.cagrad_objective(matrix, shares, 0.4)

        grid = np.linspace(-40.0, 40.0, 20_001)
        ideal = min(map(worst, grid))
        step = step_of("cagrad", matrix) * (1 + 0.4**2)
        assert np.linalg.norm(step - mean) <= 0.4 * np.linalg.norm(mean) * (1 + 1e-4)
        short = np.linalg.norm(matrix, axis=1).min()
        assert (matrix @ step).min() == pytest.approx(ideal, rel=1e-3, abs=1e-4 * short * np.linalg.norm(mean))
        tried += ideal > 0
    assert tried >= 2


@pytest.mark.parametrize("name", ["pcgrad", "gradvac"])
def test_without_conflict_the_step_is_the_plain_sum(name: str) -> None:
    matrix = np.abs(np.random.default_rng(3).normal(size=(4, 6)))
    np.testing.assert_array_equal(weights_of(name, matrix), 1.0)


def test_pcgrad_equals_the_algorithm_in_each_step() -> None:
    matrix = np.random.default_rng(4).normal(size=(5, 6))
    matrix -= 0.8 * matrix.mean(axis=0)
    balancer = PCGrad(seed=3)
    for step in range(4):
        orders = random_orders(5, tf.constant([3, step], tf.int64)).numpy()
        assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(5), (5, 1)))
        np.testing.assert_allclose(balancer.aggregate(matrix), reference.pcgrad(matrix, orders), rtol=1e-5, atol=1e-6)


def test_random_orders_differ_between_tasks_and_steps() -> None:
    orders = np.concatenate([random_orders(6, tf.constant([0, step], tf.int64)) for step in range(3)])
    assert len(np.unique(orders, axis=0)) >= 17


def test_gradvac_equals_the_algorithm_over_steps() -> None:
    random = np.random.default_rng(5)
    balancer, usual = GradVac(decay=0.3, seed=2), np.zeros((4, 4))
    for step in range(6):
        matrix = random.normal(size=(4, 5)) + 0.7
        orders = random_orders(4, tf.constant([2, step], tf.int64)).numpy()
        expected = reference.gradvac(matrix, orders, usual, 0.3)
        np.testing.assert_allclose(balancer.aggregate(matrix), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(usual).max() > 0.2


def test_gradvac_at_the_start_is_pcgrad() -> None:
    for label, matrix in WELL_POSED:
        np.testing.assert_allclose(
            step_of("gradvac", matrix), step_of("pcgrad", matrix), atol=1e-5 * size(matrix), rtol=0, err_msg=label
        )


def test_gradvac_means_of_an_absent_or_zero_task_stand_still() -> None:
    balancer = GradVac(decay=0.5)
    balancer.build(3)
    rows = np.array([[1.0, 0.2], [0.5, 1.0], [1.0, 1.0]])
    balancer.weights(tf.zeros(3), rows @ rows.T, tf.constant([True, True, False]))
    usual = balancer.variables[1].numpy()
    assert usual[0, 1] > 0
    assert np.all(usual[2] == 0)
    assert np.all(usual[:, 2] == 0)


@pytest.mark.parametrize("value", [-0.1, 1.0, "a"])
def test_cagrad_refuses_a_wrong_radius(value: object) -> None:
    with pytest.raises((ValueError, TypeError), match="CAGrad: `alpha` must"):
        CAGrad(alpha=value)

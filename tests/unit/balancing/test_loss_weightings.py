"""Loss weightings over sequences of steps: references from the papers, and the limits they must have."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support import balancing_reference as reference
from tfmtl.balancing import (
    BALANCERS,
    FAMO,
    Balancer,
    DynamicWeightAverage,
    FixedWeights,
    GeometricMean,
    GradientAggregator,
    GradNorm,
    RandomWeights,
    UncertaintyWeights,
)

NAMES = tuple(name for name, method in BALANCERS.items() if not issubclass(method, GradientAggregator))


def built(balancer: Balancer, num_tasks: int = 3) -> Balancer:
    balancer.build(num_tasks)
    return balancer


def weights_of(balancer: Balancer, losses, present=None, norms=None) -> np.ndarray:
    """Weights of one step, the gradients being orthogonal with these norms."""
    norms = np.ones(len(losses)) if norms is None else np.asarray(norms)
    gramian = np.diag(norms**2) if balancer.uses_gramian else None
    return balancer.weights(tf.constant(losses, tf.float32), gramian, present).numpy()


def random_losses(steps: int, tasks: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 3.0, size=(steps, tasks)).astype("float32")


def run(balancer: Balancer, losses: np.ndarray, present: np.ndarray, norms: np.ndarray) -> list[np.ndarray]:
    """The weights of every step; losses after a step are those of the next one."""
    found = []
    for step in range(len(losses) - 1):
        found.append(weights_of(balancer, losses[step], present[step], norms[step]))
        balancer.update(losses[step], losses[step + 1])
    return found


@pytest.mark.parametrize("name", [name for name in NAMES if name != "random"])
def test_an_absent_task_is_as_none(name: str) -> None:
    """Random draws for two tasks are others than for three: that method has a test of its own."""
    losses, norms = random_losses(9), np.random.default_rng(1).uniform(0.1, 5, size=(9, 3))
    arguments = {"steps_per_period": 2} if name == "dwa" else {}
    with_it, without_it = built(BALANCERS[name](**arguments)), built(BALANCERS[name](**arguments), 2)
    present = np.tile([True, False, True], (9, 1))
    kept = [0, 2]
    three = run(with_it, losses * present, present, norms * present)
    two = run(without_it, losses[:, kept], present[:, kept], norms[:, kept])
    np.testing.assert_allclose(np.array(three)[:, kept], two, rtol=1e-5)
    assert np.all(np.array(three)[:, 1] == 0.0)
    for variable, other in zip(with_it.variables, without_it.variables, strict=True):
        if variable.shape != ():
            np.testing.assert_allclose(variable.numpy()[kept], other.numpy(), rtol=1e-4, atol=1e-7)
            start = {"task_weights": 1.0}.get(variable.name, 0.0)
            assert variable.numpy()[1] == start, variable.name


@pytest.mark.parametrize("name", NAMES)
def test_a_task_that_pauses_goes_on_where_it_was(name: str) -> None:
    balancer = built(BALANCERS[name]())
    run(balancer, random_losses(4), np.ones((4, 3), bool), np.ones((4, 3)))
    before = [variable.numpy() for variable in balancer.variables]
    weights_of(balancer, [0.5, 0.0, 2.0], [True, False, True], [1.0, 0.0, 3.0])
    balancer.update([0.5, 0.0, 2.0], [0.4, 0.0, 2.2])
    for old, variable in zip(before, balancer.variables, strict=True):
        if old.ndim and variable.name != "present":
            assert variable.numpy()[1] == old[1], variable.name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1.0, 1e10])
def test_weights_are_finite_for_extreme_losses_and_gradients(name: str, scale: float) -> None:
    balancer = built(BALANCERS[name](), 4)
    losses = np.array([[0.0, scale, 1.0, 2 * scale]] * 3, dtype="float32")
    norms = np.array([[0.0, scale, 1.0, 1e-10]] * 3)
    found = run(balancer, losses, np.ones((3, 4), bool), norms)
    found += run(balancer, losses, np.zeros((3, 4), bool), norms)
    assert np.all(np.isfinite(found))
    assert np.all(found[-1] == 0.0)
    assert all(np.all(np.isfinite(variable.numpy())) for variable in balancer.variables)


@pytest.mark.parametrize("name", NAMES)
def test_one_task(name: str) -> None:
    found = run(built(BALANCERS[name](), 1), random_losses(4, 1), np.ones((4, 1), bool), np.ones((4, 1)))
    assert np.all(np.array(found) > 0)
    if name != "uncertainty":
        np.testing.assert_allclose(found, 1.0, rtol=1e-5)


def test_fixed_weights() -> None:
    np.testing.assert_array_equal(weights_of(built(FixedWeights()), [3.0, 2.0, 1.0]), 1.0)
    given = FixedWeights([1, 0.5, 0])
    np.testing.assert_allclose(weights_of(built(given), [3.0, 2.0, 1.0]), [1.0, 0.5, 0.0])


def test_uncertainty_follows_its_gradient() -> None:
    losses = random_losses(20)
    balancer, log_variance, adam = built(UncertaintyWeights(0.05)), np.zeros(3), reference.Adam(3, 0.05)
    for row in losses:
        np.testing.assert_allclose(weights_of(balancer, row), np.exp(-log_variance), rtol=1e-4)
        # d/ds of exp(-s) L + s / 2
        log_variance = log_variance + adam.change(0.5 - np.exp(-log_variance) * row)


def test_uncertainty_rests_where_every_weighted_loss_is_one_half() -> None:
    losses = np.array([0.1, 1.0, 8.0], dtype="float32")
    balancer = built(UncertaintyWeights(0.1))
    step = tf.function(balancer.weights, autograph=False)
    for _ in range(300):
        weights = step(tf.constant(losses))
    np.testing.assert_allclose(weights * losses, 0.5, rtol=0.02)


def test_dwa_equals_the_paper_over_periods() -> None:
    losses = random_losses(14)
    balancer = built(DynamicWeightAverage(temperature=0.7, steps_per_period=3))
    expected = reference.dwa(losses, 0.7, 3)
    for row, weights in zip(losses, expected, strict=True):
        np.testing.assert_allclose(weights_of(balancer, row), weights, rtol=1e-5)
    assert np.ptp(expected[-1]) > 0.1


@pytest.mark.parametrize(("temperature", "expected"), [(1e6, [1.0, 1.0, 1.0]), (1e-3, [0.0, 3.0, 0.0])])
def test_dwa_limits_of_the_temperature(temperature: float, expected: list[float]) -> None:
    balancer = built(DynamicWeightAverage(temperature, steps_per_period=1))
    for losses in ([1.0, 1.0, 1.0], [0.5, 0.9, 0.7]):  # the second task falls most slowly
        weights_of(balancer, losses)
    np.testing.assert_allclose(weights_of(balancer, [1.0, 1.0, 1.0]), expected, atol=1e-5)


def test_dwa_of_a_task_that_misses_a_period_keeps_its_ratio() -> None:
    balancer = built(DynamicWeightAverage(steps_per_period=1), 2)
    for losses in ([1.0, 4.0], [0.5, 2.0]):
        weights_of(balancer, losses)
    weights_of(balancer, [0.1, 0.0], [True, False])
    # Ratios .1 / .5 and still 2 / 4.
    expected = 2 * np.exp([0.1, 0.25]) / np.exp([0.1, 0.25]).sum()
    np.testing.assert_allclose(weights_of(balancer, [1.0, 1.0]), expected, rtol=1e-5)


def test_random_weights_average_to_the_plain_sum_and_never_repeat() -> None:
    balancer = built(RandomWeights(seed=4))
    step = tf.function(balancer.weights, autograph=False)
    found = np.array([step(tf.ones(3)).numpy() for _ in range(400)])
    np.testing.assert_allclose(found.sum(axis=1), 3.0, rtol=1e-5)
    assert len(np.unique(found, axis=0)) == 400
    np.testing.assert_allclose(found.mean(axis=0), 1.0, atol=0.12)  # three standard errors
    # A softmax of standard normals: differences of logarithms have the variance 2.
    assert np.var(np.log(found[:, 0] / found[:, 1])) == pytest.approx(2.0, abs=0.45)


def test_random_weights_of_the_present_tasks_keep_their_ratio() -> None:
    whole, part = (
        weights_of(built(RandomWeights(seed=1)), np.ones(3), present) for present in ([True] * 3, [True, False, True])
    )
    assert part[1] == 0.0
    assert part.sum() == pytest.approx(2.0)
    assert part[0] / part[2] == pytest.approx(whole[0] / whole[2], rel=1e-5)


def test_gradnorm_equals_the_algorithm_over_steps() -> None:
    losses, norms = random_losses(25), np.random.default_rng(1).uniform(0.1, 5, size=(25, 3))
    balancer = built(GradNorm(alpha=1.2, learning_rate=0.03))
    expected = reference.gradnorm(losses, norms, 1.2, 0.03)
    for step, weights in enumerate(expected):
        np.testing.assert_allclose(weights_of(balancer, losses[step], norms=norms[step]), weights, rtol=2e-4)
    assert np.ptp(expected[-1]) > 0.1


def test_gradnorm_lowers_large_gradients_and_raises_slow_tasks() -> None:
    balancer = built(GradNorm(alpha=0.0))
    weights_of(balancer, [1.0, 1.0, 1.0], norms=[1.0, 1.0, 10.0])
    found = weights_of(balancer, [1.0, 1.0, 1.0], norms=[1.0, 1.0, 10.0])
    assert found[2] < 1 < found[0]
    balancer = built(GradNorm(alpha=1.0))
    for losses in ([1.0, 1.0, 1.0], [0.9, 0.9, 0.2]):
        weights_of(balancer, losses)
    found = weights_of(balancer, [1.0, 1.0, 1.0])
    assert found[2] < 1 < found[0]


def test_gradnorm_ends_at_equal_norms_and_keeps_the_sum() -> None:
    balancer, norms = built(GradNorm(alpha=0.0, learning_rate=0.01)), np.array([1.0, 2.0, 5.0])
    step = tf.function(balancer.weights, autograph=False)
    for _ in range(400):
        weights = step(tf.ones(3), tf.constant(np.diag(norms**2))).numpy()
    assert weights.sum() == pytest.approx(3.0, rel=1e-4)
    np.testing.assert_allclose(weights * norms, (weights * norms).mean(), rtol=0.05)


def test_geometric_mean_has_the_gradient_of_the_geometric_mean() -> None:
    losses = tf.constant([0.3, 2.0, 7.0])
    with tf.GradientTape() as tape:
        tape.watch(losses)
        mean = tf.reduce_prod(losses) ** (1 / 3)
    weights = weights_of(built(GeometricMean()), losses.numpy())
    np.testing.assert_allclose(weights, tape.gradient(mean, losses), rtol=1e-5)
    np.testing.assert_allclose(weights_of(built(GeometricMean()), [2.0, 2.0, 2.0]), 1 / 3, rtol=1e-5)


def test_famo_equals_the_algorithm_over_steps() -> None:
    before, after = random_losses(60)[::2], random_losses(60)[1::2]
    balancer = built(FAMO(learning_rate=0.1, gamma=0.02))
    expected = reference.famo(list(zip(before, after, strict=True)), 0.1, 0.02)
    for old, new, weights in zip(before, after, expected, strict=True):
        np.testing.assert_allclose(weights_of(balancer, old), weights, rtol=2e-4)
        balancer.update(old, new)
    assert np.ptp(expected[-1] * before[-1]) > 0.1


def test_famo_raises_the_task_that_falls_least() -> None:
    balancer = built(FAMO())
    losses = [1.0, 1.0, 1.0]
    np.testing.assert_allclose(weights_of(balancer, losses), 1 / 3, rtol=1e-5)
    balancer.update(losses, [0.5, 0.9, 0.5])
    found = weights_of(balancer, losses)
    assert found[1] > 1 / 3 > found[0]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: FixedWeights("12"), TypeError, "FixedWeights: `task_weights` must be a sequence of numbers"),
        (lambda: FixedWeights([1.0, -1.0]), ValueError, "task_weights=[1.0, -1.0]"),
        (lambda: FixedWeights([1.0, "a"]), TypeError, "FixedWeights: `task_weights` must be a finite number"),
        (lambda: built(FixedWeights([1.0])), ValueError, "FixedWeights: `task_weights` must have 3 numbers"),
        (lambda: UncertaintyWeights(0.0), ValueError, "UncertaintyWeights: `learning_rate` must be a positive number"),
        (lambda: DynamicWeightAverage(0), ValueError, "DynamicWeightAverage: `temperature` must be a positive number"),
        (lambda: DynamicWeightAverage(1, 0), ValueError, "`steps_per_period` must be a positive int"),
        (lambda: RandomWeights(-1), ValueError, "RandomWeights: `seed` must be an int of at least 0"),
        (lambda: GradNorm(-1), ValueError, "GradNorm: `alpha` must be at least 0. Received: alpha=-1."),
        (lambda: GradNorm(learning_rate=-1), ValueError, "GradNorm: `learning_rate` must be a positive number"),
        (lambda: FAMO(gamma=-1), ValueError, "FAMO: `gamma` must be at least 0"),
    ],
)
def test_wrong_arguments(make, error: type, text: str) -> None:
    with pytest.raises(error) as raised:
        make()
    assert text in str(raised.value)

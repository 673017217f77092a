"""What all survival losses share: rows without a label, weights, compiled code, errors."""

import math
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.losses.survival import (
    aft_loss,
    competing_causes_loss,
    cox_loss,
    deephit_loss,
    hazard_loss,
    interval_censored_loss,
    mtlr_loss,
    piecewise_hazard_loss,
    pmf_loss,
)
from tfmtl.survival.raw_curves import log_survival_of_hazards

EDGES = [2.0, 4.0, 7.0]
NAN = math.nan


def causes(times, events, outputs, **more):
    return competing_causes_loss(times, events, tf.zeros_like(events), outputs, EDGES, **more)


def between(times, events, outputs, **more):
    upper = tf.where(events > 0, times + 1.5, NAN)
    return interval_censored_loss(times, upper, log_survival_of_hazards(outputs), EDGES, **more)


GRID = {
    "hazard": hazard_loss,
    "piecewise_hazard": piecewise_hazard_loss,
    "pmf": pmf_loss,
    "mtlr": mtlr_loss,
    "deephit": deephit_loss,
}
LOSSES = {
    **{name: (partial(loss, edges=EDGES), (3,)) for name, loss in GRID.items()},
    "causes": (causes, (3, 2)),
    "between": (between, (3,)),
    "cox": (cox_loss, ()),
    **{name: (partial(aft_loss, distribution=name), (2,)) for name in ("normal", "logistic", "extreme")},
}
OVER_PAIRS = ("deephit", "cox")


def batch(shape: tuple[int, ...], size: int = 12):
    generator = np.random.default_rng(0)
    times = generator.integers(1, 9, size).astype(np.float32)
    events = (generator.random(size) < 0.6).astype(np.float32)
    return times, events, generator.normal(0, 2, (size, *shape)).astype(np.float32)


def value_and_gradient(loss, times, events, outputs, jit_compile=None, **more):
    def run(outputs):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value = loss(tf.constant(times), tf.constant(events), outputs, **more)
        return value, tape.gradient(value, outputs)

    if jit_compile is not None:
        run = tf.function(run, jit_compile=jit_compile)
    value, gradient = run(tf.constant(outputs))
    return float(value), gradient.numpy()


@pytest.mark.parametrize("name", LOSSES)
class TestEveryLoss:
    def test_a_row_without_label_or_weight_is_absent_whatever_its_output(self, name: str) -> None:
        loss, shape = LOSSES[name]
        times, events, outputs = batch(shape)
        expected, slope = value_and_gradient(loss, times, events, outputs)
        longer = np.append(times, [NAN, 3.0]).astype(np.float32)
        happened = np.append(events, [NAN, 1.0]).astype(np.float32)
        # A curve made of outputs that are no numbers has no gradient before the loss sees it.
        worst = 1e4 if name == "between" else NAN
        wild = np.concatenate([outputs, np.full((2, *shape), worst)]).astype(np.float32)
        weights = np.append(np.ones(12), [1.0, 0.0]).astype(np.float32)
        value, gradient = value_and_gradient(loss, longer, happened, wild, weights=weights)
        assert value == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(gradient[:12], slope, rtol=1e-5, atol=1e-7)
        assert (gradient[12:] == 0).all()

    def test_all_labels_missing_is_zero(self, name: str) -> None:
        loss, shape = LOSSES[name]
        nothing = np.full(12, NAN, np.float32)
        value, gradient = value_and_gradient(loss, nothing, nothing, batch(shape)[2])
        assert value == 0.0
        assert (gradient == 0).all()

    def test_all_censored_is_finite_and_asks_for_longer_lives(self, name: str) -> None:
        loss, shape = LOSSES[name]
        times, _, outputs = batch(shape)
        value, gradient = value_and_gradient(loss, times + 2, np.zeros(12, np.float32), outputs)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
        if shape and shape[0] == 3:
            assert gradient.sum() > 0  # hazards fall

    def test_order_of_rows_does_not_matter(self, name: str) -> None:
        loss, shape = LOSSES[name]
        times, events, outputs = batch(shape)
        order = np.random.default_rng(1).permutation(12)
        value, gradient = value_and_gradient(loss, times, events, outputs)
        other, slope = value_and_gradient(loss, times[order], events[order], outputs[order])
        assert other == pytest.approx(value, rel=1e-5)
        if name != "cox":  # of rows tied in time Efron's rule treats the first as leaving first: only their sum is even
            np.testing.assert_allclose(slope, gradient[order], rtol=1e-4, atol=1e-6)

    def test_weights_are_repeated_rows(self, name: str) -> None:
        loss, shape = LOSSES[name]
        times, events, outputs = batch(shape)
        if name == "cox":
            loss = partial(cox_loss, ties="breslow")
        if name == "deephit":
            times = np.arange(1.0, 13.0, dtype=np.float32)  # a copy is no pair with itself
        weights = np.arange(12, dtype=np.float32) % 3
        twice = np.repeat(np.arange(12), weights.astype(int))
        weighted, _ = value_and_gradient(loss, times, events, outputs, weights=weights)
        repeated, _ = value_and_gradient(loss, times[twice], events[twice], outputs[twice])
        assert weighted == pytest.approx(repeated, rel=1e-5)

    def test_a_split_batch_is_the_mean_of_its_parts(self, name: str) -> None:
        if name in OVER_PAIRS:
            pytest.skip("its rows are compared with each other, so a batch is more than its parts")
        loss, shape = LOSSES[name]
        times, events, outputs = batch(shape)
        whole, _ = value_and_gradient(loss, times, events, outputs)
        parts = [value_and_gradient(loss, times[p], events[p], outputs[p])[0] for p in (slice(0, 4), slice(4, 12))]
        assert (4 * parts[0] + 8 * parts[1]) / 12 == pytest.approx(whole, rel=1e-5)

    def test_xla_says_the_same(self, name: str) -> None:
        loss, shape = LOSSES[name]
        times, events, outputs = batch(shape)
        times[3] = NAN
        entries = np.where(np.arange(12) % 2, times / 2, 0).astype(np.float32)
        value, gradient = value_and_gradient(loss, times, events, outputs, entries=entries)
        compiled, slope = value_and_gradient(loss, times, events, outputs, True, entries=entries)
        assert compiled == pytest.approx(value, rel=1e-4)
        np.testing.assert_allclose(slope, gradient, rtol=1e-3, atol=1e-5)

    def test_bfloat16_outputs_are_computed_in_float32(self, name: str) -> None:
        loss, shape = LOSSES[name]
        times, events, outputs = batch(shape)
        rounded = tf.cast(tf.cast(outputs, tf.bfloat16), tf.float32)
        value = loss(tf.constant(times), tf.constant(events), tf.cast(outputs, tf.bfloat16))
        assert value.dtype == tf.float32
        assert float(value) == pytest.approx(float(loss(tf.constant(times), tf.constant(events), rounded)), rel=1e-6)

    def test_a_wrong_shape_is_an_error(self, name: str) -> None:
        loss, shape = LOSSES[name]
        times, events, outputs = batch(shape)
        with pytest.raises(ValueError, match=r"`(logits|outputs|log_survival)\.shape` must be \(B"):
            loss(tf.constant(times), tf.constant(events), np.zeros((12, 4, 4, 4), np.float32))
        with pytest.raises(ValueError, match=r"`weights.shape` must be \(B,\)"):
            loss(tf.constant(times), tf.constant(events), outputs, weights=np.ones((12, 1), np.float32))


def test_edges_that_do_not_ascend_are_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"hazard_loss: `edges` must ascend from above 0. Received: edges=\[2.0, 1.0\]"
    ):
        hazard_loss([1.0], [1.0], [[0.0, 0.0]], [2.0, 1.0])

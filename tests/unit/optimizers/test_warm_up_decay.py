"""The learning rate over a run, against its formula in plain Python."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmtl.optimizers import LazyAdam, Split, WarmUpDecay

STEPS, WARM_UP, SHARE = 50, 10, 0.05


def expected(decay: str, step: int, warm_up: int) -> float:
    progress = min(max((step - warm_up) / (STEPS - warm_up), 0.0), 1.0)
    factor = {
        "constant": 1.0,
        "exponential": SHARE**progress,
        "cosine": SHARE + (1.0 - SHARE) * (1.0 + math.cos(math.pi * progress)) / 2.0,
    }[decay]
    return 0.3 * factor * (min((step + 1) / warm_up, 1.0) if warm_up else 1.0)


@pytest.mark.parametrize("warm_up", [0, WARM_UP])
@pytest.mark.parametrize("decay", ["constant", "exponential", "cosine"])
def test_rates_equal_the_formula(decay: str, warm_up: int) -> None:
    rate = WarmUpDecay(0.3, decay, STEPS, warm_up, SHARE)
    for step in (0, 3, 9, 10, 11, 30, 49, 50, 500):
        assert float(rate(step)) == pytest.approx(expected(decay, step, warm_up), rel=1e-5)
    again = WarmUpDecay.from_config(rate.get_config())
    np.testing.assert_array_equal([again(step) for step in range(60)], [rate(step) for step in range(60)])


def test_both_parts_of_a_split_follow_their_schedule() -> None:
    table, dense = tf.Variable(tf.ones((3, 2))), tf.Variable(1.0)
    optimizer = Split(
        tables=LazyAdam(WarmUpDecay(0.1, "cosine", 20, 4)),
        rest=keras.optimizers.SGD(WarmUpDecay(0.1, "cosine", 20, 4)),
        select=("table",),
    )
    weights = [keras.Variable(table, name="table"), keras.Variable(dense, name="dense")]
    optimizer.build(weights)
    for step in range(6):
        before = float(weights[1].numpy())
        optimizer.apply([tf.ones((3, 2)), tf.constant(1.0)], weights)
        assert before - float(weights[1].numpy()) == pytest.approx(
            float(WarmUpDecay(0.1, "cosine", 20, 4)(step)), abs=1e-6
        )


def test_errors() -> None:
    with pytest.raises(ValueError, match="WarmUpDecay: `warm_up` must be below the 5 steps"):
        WarmUpDecay(0.1, "cosine", 5, 5)
    with pytest.raises(ValueError, match="WarmUpDecay: `decay` must be one of"):
        WarmUpDecay(0.1, "cosin", 5)
    with pytest.raises(ValueError, match="WarmUpDecay: `final_share` must be at most 1"):
        WarmUpDecay(0.1, "cosine", 5, final_share=1.5)

"""The inverse propensity loss: right on all rows though it sees some, and nothing for the parent to learn."""

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.losses import inverse_propensity_loss, masked_binary_cross_entropy


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


def simulated(rows: int = 200_000) -> dict[str, np.ndarray]:
    """Clicks that are likelier where conversion is: what is seen is not what there is. The model predicts .3."""
    random = np.random.default_rng(0)
    x = random.uniform(size=rows)
    click, conversion = 0.02 + 0.6 * x**2, 0.1 + 0.7 * x
    clicked = random.uniform(size=rows) < click
    converts = random.uniform(size=rows) < conversion
    return {
        "labels": np.where(clicked, converts, np.nan).astype("float32"),
        "logits": np.full(rows, logit(np.array(0.3)), "float32"),
        "parent_labels": clicked.astype("float32"),
        "parent_logits": logit(click).astype("float32"),
        "all": converts.astype("float32"),
    }


def test_with_the_true_propensity_it_is_the_loss_on_all_rows_and_clipping_is_a_bias() -> None:
    log = simulated()
    every = log.pop("all")
    ideal = float(masked_binary_cross_entropy(every, log["logits"]))
    naive = float(masked_binary_cross_entropy(log["labels"], log["logits"]))
    found = float(inverse_propensity_loss(**log, least=1e-3))
    clipped = float(inverse_propensity_loss(**log, least=0.2))
    assert abs(naive - ideal) > 0.1, "or the simulation shows nothing"
    assert found == pytest.approx(ideal, abs=0.02)
    assert clipped < ideal - 0.05


def test_the_parent_learns_nothing_and_unseen_rows_neither_even_from_nan() -> None:
    labels = tf.constant([1.0, 0.0, np.nan, np.nan, 1.0])
    parents = tf.constant([1.0, 1.0, 0.0, 1.0, np.nan])
    logits, above = tf.Variable([0.3, -1.0, np.nan, 2.0, 1.0]), tf.Variable([-2.0, 0.5, np.nan, 1.0, np.nan])
    with tf.GradientTape() as tape:
        loss = inverse_propensity_loss(labels, logits, parents, above)
    own, parent = tape.gradient(loss, [logits, above])
    assert parent is None or not np.any(parent)
    assert np.all(np.isfinite(own)) and np.isfinite(loss)
    np.testing.assert_array_equal(own.numpy() != 0.0, [True, True, False, False, False])
    expected = (np.log1p(np.exp(-0.3)) * (1 + np.exp(2.0)) + np.log1p(np.exp(-1.0)) * (1 + np.exp(-0.5))) / 3
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_of_a_constant_propensity_it_is_the_masked_loss_times_the_share_seen() -> None:
    log = simulated(2_000)
    del log["all"]
    log["parent_logits"] = np.full(2_000, logit(np.array(0.25)), "float32")
    share = float(np.mean(log["parent_labels"])) / 0.25
    expected = float(masked_binary_cross_entropy(log["labels"], log["logits"])) * share
    assert float(inverse_propensity_loss(**log)) == pytest.approx(expected, rel=1e-4)


def test_no_parent_happened_and_weights() -> None:
    nothing = inverse_propensity_loss([np.nan, 1.0], [60.0, -60.0], [0.0, 0.0], [-60.0, 0.0])
    assert float(nothing) == 0.0
    given = {"labels": [1.0, 0.0], "logits": [0.5, 0.5], "parent_labels": [1.0, 1.0], "parent_logits": [0.0, 1.0]}
    twice = {name: [*values, values[1]] for name, values in given.items()}
    weighted = inverse_propensity_loss(**given, weights=[1.0, 2.0])
    assert float(weighted) == pytest.approx(float(inverse_propensity_loss(**twice)), rel=1e-6)
    assert np.isfinite(inverse_propensity_loss([1.0], [-60.0], [1.0], [-60.0]))


def test_errors() -> None:
    for least in (0.0, 1.5):
        with pytest.raises(ValueError, match="inverse_propensity_loss: `least` must lie above 0"):
            inverse_propensity_loss([1.0], [0.0], [1.0], [0.0], least)
    with pytest.raises(ValueError, match="inverse_propensity_loss: `labels"):
        inverse_propensity_loss([[1.0]], [[0.0]], [[1.0]], [[0.0]])

"""Heads start at the base rate, stay in float32, and their predictions are in the label's terms."""

import math

import numpy as np
import pytest

from tests.support.layer_checks import randomize_weights
from tests.support.numpy_reference import sigmoid
from tfmtl.layers.heads.binary_head import BinaryHead
from tfmtl.layers.heads.regression_head import RegressionHead

INPUTS = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


@pytest.mark.parametrize("prior", [0.001, 0.3, 0.5, 0.99])
def test_binary_head_starts_at_the_prior(prior: float) -> None:
    head = BinaryHead(prior)
    assert float(head.predictions(head(np.zeros((1, 5), "float32")))[0]) == pytest.approx(prior, rel=1e-5)


@pytest.mark.parametrize("head", [BinaryHead(0.2), RegressionHead(3.0, 2.0)], ids=["binary", "regression"])
def test_head_is_a_linear_function(head) -> None:
    head.build(INPUTS.shape)
    randomize_weights(head)
    kernel, bias = (weight.numpy() for weight in head.weights)
    np.testing.assert_allclose(head(INPUTS), INPUTS @ kernel[:, 0] + bias[0], rtol=1e-5, atol=1e-6)


def test_binary_predictions_are_probabilities() -> None:
    logits = np.array([-200.0, -1.0, 0.0, 1.0, 200.0], "float32")
    predictions = BinaryHead().predictions(logits).numpy()
    np.testing.assert_allclose(predictions[1:4], sigmoid(logits[1:4]), rtol=1e-6)
    assert np.all(np.isfinite(predictions))
    np.testing.assert_array_equal(predictions[[0, 2, 4]], [0.0, 0.5, 1.0])


def test_regression_predictions_are_in_the_unit_of_the_label() -> None:
    head = RegressionHead(mean=3.0, standard_deviation=2.0)
    np.testing.assert_array_equal(head.predictions(np.array([-1.0, 0.0, 2.5])), [1.0, 3.0, 8.0])
    np.testing.assert_array_equal(RegressionHead().predictions(np.array([-1.0, 2.0])), [-1.0, 2.0])


@pytest.mark.parametrize("head_class", [BinaryHead, RegressionHead])
def test_head_is_exact_under_mixed_precision(head_class: type) -> None:
    """The last product is in float32: only the inputs are rounded, not weights or output."""
    head, exact = head_class(dtype="mixed_bfloat16"), head_class()
    inputs = INPUTS.round()  # whole numbers, which bfloat16 holds exactly
    for layer in (head, exact):
        layer.build(inputs.shape)
        randomize_weights(layer)
    result = head(inputs)
    assert result.dtype == "float32"
    np.testing.assert_array_equal(result, exact(inputs))


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.5, 2])
def test_impossible_prior_is_refused(prior: float) -> None:
    with pytest.raises(
        ValueError, match=f"BinaryHead: `prior` must lie strictly between 0 and 1. Received: prior={prior}"
    ):
        BinaryHead(prior)


def test_bad_arguments_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="RegressionHead: `standard_deviation` must be a positive number"):
        RegressionHead(standard_deviation=0.0)
    with pytest.raises(ValueError, match="RegressionHead: `mean` must be a finite number"):
        RegressionHead(mean=math.nan)
    with pytest.raises(TypeError, match="RegressionHead: `mean` must be a finite number"):
        RegressionHead(mean="0")
    for head in (BinaryHead(), RegressionHead()):
        with pytest.raises(ValueError, match=r"`inputs.shape` must be \(B, H\) with all but the first known"):
            head.build((None, 3, 5))

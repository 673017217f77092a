"""rmse and mae against scikit-learn."""

import math

import numpy as np
import pytest
import sklearn.metrics

from tfmtl.metrics import mae, rmse

PAIRS = [(rmse, sklearn.metrics.root_mean_squared_error), (mae, sklearn.metrics.mean_absolute_error)]


@pytest.mark.parametrize(("metric", "reference"), PAIRS)
def test_equals_scikit_learn(metric, reference) -> None:
    generator = np.random.default_rng(0)
    labels = generator.lognormal(size=500)
    predictions = generator.lognormal(size=500)
    expected = reference(labels, predictions)
    assert metric(labels, predictions) == pytest.approx(expected, rel=1e-12)
    assert metric(60 * labels, 60 * predictions) == pytest.approx(60 * expected, rel=1e-12)
    assert metric(labels, labels) == 0.0


@pytest.mark.parametrize("metric", [rmse, mae])
def test_missing_labels_are_absent_rows(metric) -> None:
    assert metric([1.0, math.nan, 3.0], [2.0, math.nan, 5.0]) == metric([1.0, 3.0], [2.0, 5.0])
    assert math.isnan(metric([math.nan], [1.0]))


@pytest.mark.parametrize("metric", [rmse, mae])
@pytest.mark.parametrize(
    ("labels", "predictions", "text"),
    [
        ([math.inf, 1.0], [1.0, 1.0], "`labels` must be finite or NaN (NaN: no label). Received: labels=inf in row 0"),
        (
            [math.nan, 1.0],
            [1.0, math.nan],
            "`predictions` must be finite where there is a label. Received: predictions=nan in row 1",
        ),
        ([1.0, 1.0], [1.0, -math.inf], "Received: predictions=-inf in row 1 (1 such rows)."),
    ],
)
def test_errors(metric, labels, predictions, text) -> None:
    with pytest.raises(ValueError) as caught:
        metric(labels, predictions)
    assert str(caught.value).startswith(f"{metric.__name__}: ")
    assert text in str(caught.value)

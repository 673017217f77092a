"""Binary and regression tasks: what the facts of the training split become, priors and scales."""

import dataclasses

import numpy as np
import pytest

from tests.support.tiny_problem import tiny_inputs, tiny_problem
from tfmtl.schema import BinaryTask, RegressionTask
from tfmtl.tasks import behavior_of


@pytest.mark.parametrize(("mean", "prior"), [(0.3, 0.3), (0.0, 1e-4), (1.0, 1.0 - 1e-4)])
def test_prior_stays_inside_the_unit_interval(mean: float, prior: float) -> None:
    behavior = behavior_of(BinaryTask("click"))
    head = behavior.head(tiny_inputs(), mean, "float32")
    head.build((None, 4))
    start = behavior.predict(head, head(np.zeros((1, 4), "float32")))[""]
    assert float(start[0]) == pytest.approx(prior, rel=1e-4)


def test_squared_error_is_in_standard_deviations() -> None:
    behavior = behavior_of(RegressionTask("watch"))
    head = behavior.head(tiny_inputs(), 20.0, "float32")
    labels, raw = np.float32([28.0, np.nan, 20.0]), np.float32([0.0, 5.0, 1.0])
    loss = behavior.loss(head, {"": labels}, raw, None)
    assert float(loss) == pytest.approx(((28.0 - 20.0) ** 2 / 16.0 + 1.0) / 2.0)


def test_a_constant_label_has_scale_one() -> None:
    inputs = dataclasses.replace(tiny_inputs(tiny_problem()), label_deviations={"watch": 0.0})
    assert behavior_of(RegressionTask("watch")).head(inputs, 20.0, "float32").standard_deviation == 1.0

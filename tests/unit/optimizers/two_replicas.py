"""A process with two CPU devices: steps on one and on both, then a saved model goes on. Arguments: model, output."""

import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from tests.unit.optimizers.test_split import batch, foreign_model, gradients  # noqa: E402
from tfmtl.optimizers import SGD, Adagrad, Ftrl, LazyAdam, RowWiseAdagrad, Split  # noqa: E402

CASES: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "RowWiseAdagrad, clipvalue": lambda: RowWiseAdagrad(0.1, clipvalue=0.05, l2=0.1),
    "Ftrl, global_clipnorm": lambda: Ftrl(0.1, global_clipnorm=0.1),
    "Split, clipnorm": lambda: Split(LazyAdam(0.05, clipnorm=0.1), keras.optimizers.Adam(0.05)),
    "Adagrad, scaled": lambda: keras.optimizers.LossScaleOptimizer(Split(Adagrad(0.05), SGD(0.5))),
}


def trained(make: Callable[[], keras.optimizers.Optimizer], strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Weights and slots after three steps; the halves of a batch share ids, so replicas touch the same rows."""
    with strategy.scope():
        model = foreign_model()
        model.compile(make(), "mse")
    ids, labels = (np.stack(values) for values in zip(*map(batch, range(3)), strict=True))
    data = tf.data.Dataset.from_tensor_slices((ids, labels))
    model.fit(data, shuffle=False, verbose=0)
    return [np.asarray(variable) for variable in (*model.weights, *model.optimizer.variables)]


if __name__ == "__main__":
    found = {}
    for side, strategy in (("one", tf.distribute.get_strategy()), ("two", tf.distribute.MirroredStrategy())):
        for case, make in CASES.items():
            values = trained(make, strategy)
            found |= {f"{side}/{case}/{index}": value for index, value in enumerate(values)}
    restored = keras.saving.load_model(sys.argv[1])
    restored.optimizer.apply(gradients(restored, seed=3))
    state = (*restored.weights, *restored.optimizer.variables)
    found |= {f"restored/{index}": np.asarray(variable) for index, variable in enumerate(state)}
    np.savez(Path(sys.argv[2]), **found)

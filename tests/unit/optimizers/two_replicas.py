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
    "SGD, clipnorm": lambda: SGD(0.5, clipnorm=0.1),
    "Adagrad, clipvalue": lambda: Adagrad(0.1, clipvalue=0.05),
    "RowWiseAdagrad, l2": lambda: RowWiseAdagrad(0.1, l2=0.1),
    "Ftrl, global_clipnorm": lambda: Ftrl(0.1, global_clipnorm=0.1),
    "Split": lambda: Split(LazyAdam(0.05, global_clipnorm=0.1), keras.optimizers.Adam(0.05)),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(Split(LazyAdam(0.05), keras.optimizers.Adam(0.05))),
}


def trained(make: Callable[[], keras.optimizers.Optimizer], strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Weights and slots after three steps; the halves of a batch share ids, so replicas touch the same rows."""
    with strategy.scope():
        model = foreign_model()
        model.compile(make(), "mse")
    batches = [batch(seed) for seed in range(3)]
    data = tf.data.Dataset.from_generator(
        lambda: iter(batches), output_signature=(tf.TensorSpec((6, 3), tf.int32), tf.TensorSpec((6, 1)))
    )
    model.fit(data, verbose=0)
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

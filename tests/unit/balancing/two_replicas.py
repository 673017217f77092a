"""A process with two CPU devices: balancers over a few steps, on one device and on both. Argument: output file."""

import sys

import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from tfmtl.balancing import BALANCERS  # noqa: E402

STEPS, TASKS = 3, 3


def run(name: str, strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """Each replica's weights in every step, and the state afterwards."""
    random = np.random.default_rng(0)
    with strategy.scope():
        balancer = BALANCERS[name]()
        balancer.build(TASKS)

    @tf.function(autograph=False)
    def step(losses: tf.Tensor, gramian: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
        def replica() -> tf.Tensor:
            weights = balancer.weights(losses, gramian)
            balancer.update(losses, after)
            return weights

        return strategy.run(replica)

    found = {}
    for number in range(STEPS):
        losses, after = random.uniform(0.5, 2.0, size=(2, TASKS)).astype("float32")
        rows = random.normal(size=(TASKS, 5))
        weights = step(tf.constant(losses), tf.constant(rows @ rows.T), tf.constant(after))
        for replica, value in enumerate(strategy.experimental_local_results(weights)):
            found[f"{name}/weights/{number}/{replica}"] = value.numpy()
    return found | {f"{name}/state/{variable.name}": variable.numpy() for variable in balancer.variables}


if __name__ == "__main__":
    results = {"devices": np.array(len(tf.config.list_logical_devices("CPU")))}
    for kind, chosen in (
        ("one", tf.distribute.get_strategy()),
        ("two", tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])),
    ):
        for method in ("uncertainty", "dwa", "random", "gradnorm", "famo", "pcgrad", "gradvac", "mgda"):
            results |= {f"{kind}/{key}": value for key, value in run(method, chosen).items()}
    np.savez(sys.argv[1], **results)

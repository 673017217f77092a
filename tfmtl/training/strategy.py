"""Distribution strategies by name."""

from functools import cache

import tensorflow as tf

from tfmtl.core.validation import check_one_of

STRATEGIES = ("one_device", "mirrored")


def get_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy called `name`: `"one_device"`, or `"mirrored"` over all GPUs (all CPUs where there are none).

    Raises:
        ValueError: there is no such strategy.
    """
    check_one_of("get_strategy", "name", name, STRATEGIES)
    if name == "one_device":
        return tf.distribute.get_strategy()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return _mirrored(tuple(device.name for device in tf.config.list_logical_devices(kind)))


@cache  # A second strategy would number its exchanges like the first, and TensorFlow aborts where their shapes differ.
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(list(devices))

"""A process with two CPU devices: trains vectors on one and on both. Arguments: data folder, output folder."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from tests.support.distributed_cases import UNEVEN, train  # noqa: E402
from tfmtl.data import PreparedData  # noqa: E402
from tfmtl.training import get_strategy  # noqa: E402

if __name__ == "__main__":
    prepared, output = PreparedData(sys.argv[1]), Path(sys.argv[2])
    for strategy in ("one_device", "mirrored"):
        found = train(prepared, get_strategy(strategy), "shared_bottom", cases=(UNEVEN,))
        np.savez(output / f"{strategy}.npz", **found)

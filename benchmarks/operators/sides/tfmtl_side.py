"""One training with tfmtl, see `benchmarks/operators/deepxde.py`."""

import json
import sys

import numpy as np
import tensorflow as tf

from tfmtl.operators import OperatorData, relative_l2_errors
from tfmtl.pipelines.physics.networks import fisher_network
from tfmtl.pipelines.physics.study import Setting, predicted, trained

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
OPTIONS = {
    "vanilla": {"trunk": "mlp", "hard_start": False, "output_activation": "gelu"},
    "pod": {"trunk": "pod"},
    "default": {},
}


def main() -> None:
    path, kind, steps, seed, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    arrays = dict(np.load(path))

    def split(name: str) -> OperatorData:
        inputs = {key: arrays[f"{name}_{key}"] for key in ("coefficients", "initial")}
        return OperatorData.of_task("all", inputs, arrays["points"], arrays[f"{name}_fields"])

    queries = 128 if kind == "default" else len(arrays["points"])
    setting = Setting(steps, 100, queries, rate, seed)
    network, clock = trained(lambda: fisher_network(**OPTIONS[kind]), split("train"), setting)
    truth = arrays["test_fields"]
    errors = relative_l2_errors(truth, predicted(network, split("test")))
    by_task = {str(name): float(errors[arrays["test_tasks"] == k].mean()) for k, name in enumerate(arrays["tasks"])}
    each = 1e3 / steps
    print(
        json.dumps(
            {"steps": steps, "errors": by_task, "ms": each * clock.seconds, "cpu_ms": each * clock.processor_seconds}
        )
    )


if __name__ == "__main__":
    main()

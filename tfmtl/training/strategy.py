"""Distribution strategies by name."""

import json
import os
from functools import cache

import tensorflow as tf

from tfmtl.core.validation import check_one_of, error_text

STRATEGIES = ("one_device", "mirrored", "multi_worker")


def get_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy called `name`.

    `"one_device"`; `"mirrored"` over all GPUs of this machine (all CPUs where there are none); `"multi_worker"` over
    the processes that the environment variable `TF_CONFIG` names, each with all its GPUs. A process of several has to
    ask for its strategy before TensorFlow computes anything, and all of them have to do the same afterwards.

    Raises:
        ValueError: there is no such strategy, or `TF_CONFIG` names no workers.
        RuntimeError: TensorFlow had computed something before.
    """
    check_one_of("get_strategy", "name", name, STRATEGIES)
    if name == "one_device":
        return tf.distribute.get_strategy()
    if name == "multi_worker":
        return _multi_worker(os.environ.get("TF_CONFIG", ""))
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return _mirrored(tuple(device.name for device in tf.config.list_logical_devices(kind)))


@cache  # A second strategy would number its exchanges like the first, and TensorFlow aborts where their shapes differ.
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(list(devices))


@cache
def _multi_worker(config: str) -> tf.distribute.Strategy:
    try:
        cluster, task = (json.loads(config)[key] for key in ("cluster", "task"))
        known = all(cluster[kind] for kind in cluster) and 0 <= task["index"] < len(cluster[task["type"]])
    except (ValueError, LookupError, TypeError):
        known = False
    if not known:
        advice = (
            'Set it in every process, as in {"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}.'
        )
        rule = "be 'multi_worker' only where the environment variable TF_CONFIG names the workers and this one's place"
        raise ValueError(f"{error_text('get_strategy', 'name', rule, 'multi_worker', advice)} TF_CONFIG={config!r}")
    return tf.distribute.MultiWorkerMirroredStrategy()

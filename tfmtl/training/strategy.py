"""Distribution strategies by name."""

import json
import os
from functools import cache

import tensorflow as tf

from tfmtl.schema.checks import check_one_of, error_text
from tfmtl.schema.shown import shown

STRATEGIES = ("one_device", "mirrored", "multi_worker", "parameter_server")


def get_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy called `name`.

    - `"one_device"`.
    - `"mirrored"`: over all GPUs of this machine (all CPUs where there are none).
    - `"multi_worker"`: over the processes that the environment variable `TF_CONFIG` names, each with all its GPUs.
      They all run the same program, and step by step do the same.
    - `"parameter_server"`: the process that `TF_CONFIG` calls chief runs the program, those called worker compute the
      steps, and those called ps hold the weights. Workers and servers never return from here: they serve until they
      are stopped.

    The last two have to be asked for before TensorFlow computes anything.

    Raises:
        ValueError: there is no such strategy, or `TF_CONFIG` does not name the processes it needs.
        RuntimeError: TensorFlow had computed something before.
    """
    check_one_of("get_strategy", "name", name, STRATEGIES)
    if name == "one_device":
        return tf.distribute.get_strategy()
    if name == "multi_worker":
        _check_cluster(name, {"worker"})
        return _multi_worker()
    if name == "parameter_server":
        _check_cluster(name, {"chief", "worker", "ps"})
        return _parameter_server()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return _mirrored(tuple(device.name for device in tf.config.list_logical_devices(kind)))


def _check_cluster(name: str, jobs: set[str]) -> None:
    config = os.environ.get("TF_CONFIG", "")
    try:
        cluster, task = (json.loads(config)[key] for key in ("cluster", "task"))
        known = all(cluster[job] for job in jobs) and 0 <= task["index"] < len(cluster[task["type"]])
    except (ValueError, LookupError, TypeError):
        known = False
    if not known:
        example = {"cluster": {job: ["host:2222"] for job in sorted(jobs)}, "task": {"type": "worker", "index": 0}}
        rule = f"come with the addresses of {sorted(jobs)} and this process's place among them in TF_CONFIG"
        advice = f"TF_CONFIG={shown(config)}. Set it in every process, as in {json.dumps(example)}."
        raise ValueError(error_text("get_strategy", "name", rule, name, advice))


@cache  # A second strategy would number its exchanges like the first, and TensorFlow aborts where their shapes differ.
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(list(devices))


@cache
def _multi_worker() -> tf.distribute.Strategy:
    return tf.distribute.MultiWorkerMirroredStrategy()


@cache
def _parameter_server() -> tf.distribute.Strategy:
    os.environ.setdefault("GRPC_FAIL_FAST", "use_caller")  # else a step sent to a lost worker is an error at once
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    # With fewer threads than others that may ask at a time, all of them can come to wait for each other.
    threads = max(os.cpu_count() or 1, len(resolver.cluster_spec().job_tasks("worker")) + 1)
    if resolver.task_type in ("worker", "ps"):
        config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=threads)
        tf.distribute.Server(resolver.cluster_spec(), resolver.task_type, resolver.task_id, config=config).join()
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    tf.distribute.coordinator.ClusterCoordinator(strategy)  # connects to all, and is kept by the strategy
    return strategy

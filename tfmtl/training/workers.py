"""The processes of one training run: which one writes the output."""

import tempfile
from pathlib import Path

import tensorflow as tf

from tfmtl.core.replicas import sum_over_replicas

_SCRATCH: list[tempfile.TemporaryDirectory[str]] = []  # each is removed when the process ends


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the output: the only process, the chief, or the first worker if there is no chief."""
    if not is_one_of_several(strategy):
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().as_dict():
        return bool(resolver.task_type == "chief")
    return bool(resolver.task_type == "worker" and resolver.task_id == 0)


def is_one_of_several(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes take part in this one's run."""
    return strategy.cluster_resolver is not None and bool(strategy.cluster_resolver.cluster_spec().as_dict())


def own_folder(strategy: tf.distribute.Strategy, output: Path) -> Path:
    """The folder that this process writes to: `output` for the chief, and for others one that is thrown away.

    Saving a model reads variables that the workers hold together, so all of them have to save; one file is kept.
    """
    if is_chief(strategy):
        return output
    _SCRATCH.append(tempfile.TemporaryDirectory(prefix="worker_"))
    return Path(_SCRATCH[-1].name)


def all_say(strategy: tf.distribute.Strategy, number: int) -> bool:
    """Whether all processes that run this program ask with the same number; each of them has to ask."""
    if strategy.num_replicas_in_sync == 1 or not is_one_of_several(strategy):
        return True

    def moments() -> tf.Tensor:
        return sum_over_replicas(tf.constant([1.0, number, number**2]))  # made here, so that it lies on the replica

    found = tf.function(lambda: strategy.run(moments))()
    replicas, total, squares = strategy.experimental_local_results(found)[0].numpy().tolist()
    return bool(replicas * squares == total**2)  # their variance is 0

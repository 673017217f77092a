"""Transfer of a trained operator network to another task: freeze weights, compare them, mix in old samples."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfmtl.operators.branch.merged_branch import MergedBranch
from tfmtl.operators.operator_data import OperatorData
from tfmtl.operators.operator_network import OperatorNetwork
from tfmtl.schema.checks import check_rate, did_you_mean, error_text


def named_weights(network: OperatorNetwork) -> dict[str, keras.Variable]:
    """The network's learned weights by names that do not depend on how many layers were made before.

    Such as `branch/layers/dense_0/kernel`, `trunk/output/bias`, `last/kernel` and `bias`; parts of a `MergedBranch` are
    `branch/0`, `branch/1`, ...
    """
    names: dict[str, keras.Variable] = {}

    def add(prefix: str, layer: keras.layers.Layer) -> None:
        if isinstance(layer, MergedBranch):
            for number, branch in enumerate(layer.branches):
                add(f"{prefix}/{number}", branch)
            return
        for weight in layer.weights:
            if weight.name in ("kernel", "bias"):  # the others are statistics and modes
                parts = weight.path.split("/")
                names["/".join([prefix, *parts[parts.index(layer.name) + 1 :]])] = weight

    for prefix, layer in (("branch", network.branch), ("trunk", network.trunk), ("last", network.last)):
        add(prefix, layer)
    return {**names, "bias": network.bias}


def train_only(network: OperatorNetwork, names: Sequence[str]) -> list[str]:
    """Freezes all weights but the named ones. Compile afterwards: an optimizer keeps the weights that it has seen.

    Freezing is not saved with the model. `train_only(network, ["*"])` ends it.

    Args:
        network: a built `OperatorNetwork`.
        names: patterns of the names of `named_weights`, such as `"last/*"` or `"trunk/output/bias"`.

    Returns:
        list of str: the names of what is trained from now on.

    Raises:
        ValueError: a pattern fits no weight.
    """
    weights = named_weights(network)
    chosen: set[str] = set()
    for pattern in names:
        found = fnmatch.filter(weights, pattern)
        if not found:
            advice = f"Known: {sorted(weights)}.{did_you_mean(pattern, list(weights))}"
            raise ValueError(error_text("train_only", "names", "name weights of the network", pattern, advice))
        chosen |= set(found)
    for name, weight in weights.items():
        weight.trainable = name in chosen
    return [name for name in weights if name in chosen]


def weight_values(network: OperatorNetwork) -> dict[str, npt.NDArray[Any]]:
    """A copy of the learned weights by name, for `weight_changes`."""
    return {name: np.array(weight.numpy()) for name, weight in named_weights(network).items()}


def weight_changes(before: Mapping[str, npt.NDArray[Any]], network: OperatorNetwork) -> dict[str, float]:
    """The largest change of an entry of each weight; exactly 0 if it is bit-identical.

    Args:
        before: what `weight_values` returned.
        network: the same network, later.
    """
    return {
        name: float(np.max(np.abs(weight.numpy().astype(np.float64) - before[name])))
        for name, weight in named_weights(network).items()
    }


def rehearse(target: OperatorData, source: OperatorData, share: float = 0.1, seed: int = 0) -> OperatorData:
    """The target's samples with as many of the source's that these are a share of all: against forgetting.

    Args:
        target: samples of the new task.
        source: samples that the network was trained on, on the same points.
        share: float in [0, 1). Share of source samples in the result. Defaults to `0.1`.
        seed: int. Seed of the choice of source samples. Defaults to `0`.

    Raises:
        ValueError: `share` is outside of [0, 1), there are not that many source samples, or the data do not go
            together.
    """
    check_rate("rehearse", "share", share)
    count = round(len(target) * share / (1.0 - share))
    if count > len(source):
        advice = f"Take a smaller share; there are {len(source)} source samples."
        raise ValueError(error_text("rehearse", "share", f"need at most {len(source)} samples", share, advice))
    if count == 0:
        return target
    chosen = np.sort(np.random.RandomState(seed).choice(len(source), count, replace=False))
    return OperatorData.join(target, source.rows(chosen))

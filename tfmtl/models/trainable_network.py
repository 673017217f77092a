"""A network with losses, metrics and the settings of `compile`, as training steps need it."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.label_parts import label_parts
from tfmtl.core.types import Tensor
from tfmtl.models.feature_dropout import FeatureDropout
from tfmtl.models.multi_task_network import MultiTaskNetwork
from tfmtl.schema.checks import error_text
from tfmtl.sharpness import Sharpness

BALANCE_PLACES = ("parameters", "representation")


class TrainableNetwork(MultiTaskNetwork):
    """A `MultiTaskNetwork` with its tasks' losses, its running metrics, and what `MultiTaskModel.compile` decides.

    Steps are written for this class: they need the network and these, not the model that calls them.

    Args:
        *args: as `MultiTaskNetwork` takes them.
        **kwargs: likewise.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.balancing: Balancer | None = None
        self.flat_balancing: Balancer | None = None
        self.balance_at = BALANCE_PLACES[0]
        self.sharpness: Sharpness | None = None
        self.max_projected_rows: int | None = None
        self.label_smoothing = 0.0
        of_problem = FeatureDropout(self.inputs)
        self.feature_dropout: FeatureDropout | None = of_problem if of_problem.drops else None
        """What training steps do without; until `fit` sets it, what the problem's features say (`dropout`)."""
        self.loss_metrics = {name: keras.metrics.Mean(name="loss") for name in self.behaviors}
        self.task_metrics = {name: behavior.running_metric() for name, behavior in self.behaviors.items()}

    @property
    def compiles_with_xla(self) -> bool:
        """Whether the passes of a training step are compiled with XLA."""
        return bool(self.jit_compile) and not self.run_eagerly

    def labels_by_task(self, labels: Any) -> Mapping[str, Tensor]:
        """Labels as a dict: an array is those of the only task.

        Raises:
            TypeError: labels are an array, and there is more than one task.
        """
        if isinstance(labels, Mapping):
            return labels
        keys = self.inputs.problem.label_keys
        if len(keys) != 1:
            rule, advice = "be a dict", f"Give labels as {{task: (B,)}} for {list(keys)}."
            raise TypeError(error_text("MultiTaskModel", "labels", rule, type(labels).__name__, advice))
        return {keys[0]: tf.reshape(labels, (-1,))}

    def task_losses(
        self, raw: Mapping[str, Tensor], labels: Mapping[str, Tensor], weights: Any = None, smoothing: float = 0.0
    ) -> dict[str, Tensor]:
        """Each task's masked mean loss, before its weight; float32 scalars.

        Under `chain="dependence"` a mean over the rows where the parent happened.

        Args:
            raw: what `raw_outputs` returned.
            labels: task -> `(B,)`, NaN where missing.
            weights: of the rows, `(B,)` for all tasks or a dict by task. Defaults to `None`: all rows count once.
            smoothing: share by which yes/no labels are drawn towards their mean. Defaults to `0.0`.
        """
        labels = self.task_chain.loss_labels(labels)
        if self.task_chain.compares_products:
            raw = self.task_chain.marginals(raw)
        losses = {}
        means = self.inputs.label_means
        tasks = zip(self.inputs.problem.tasks, self.weights_by_task(weights).values(), strict=True)
        for number, (task, own) in enumerate(tasks):
            parts = label_parts(task, labels)
            if smoothing:
                mean = self.task_chain.prior(means, number) if self.chain == "dependence" else means[task.name]
                parts = self.behaviors[task.name].smooth_labels(parts, smoothing, mean)
            losses[task.name] = self.behaviors[task.name].loss(self.heads[task.name], parts, raw[task.name], own)
        return losses

    def weights_by_task(self, weights: Any) -> dict[str, Tensor | None]:
        """Row weights of each task; Keras turns one array for all into a dict, but only where it reads arrays."""
        if isinstance(weights, Mapping):
            return {name: weights[name] for name in self.heads}
        return dict.fromkeys(self.heads, weights)

    @property
    def loss_tracker(self) -> keras.metrics.Metric:
        """The running mean of the loss."""
        return self._loss_tracker

"""The multi-task model: a network with its training."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing import get_balancer
from tfmtl.core.replicas import mean_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.data.example_spec import encoded_signature
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.models.batch_losses import BatchLosses
from tfmtl.models.distributed_model import DistributedModel
from tfmtl.models.split_optimizer import split_optimizer
from tfmtl.models.steps.flat_gradients import flat_balancer
from tfmtl.models.steps.task_gradients import check_place
from tfmtl.models.steps.training_step import training_step
from tfmtl.models.trainable_network import BALANCE_PLACES, TrainableNetwork
from tfmtl.schema import ModelInputs
from tfmtl.schema.checks import (
    check_count,
    check_one_of,
    check_rate,
    error_text,
)
from tfmtl.sharpness import get_sharpness


@keras.saving.register_keras_serializable(package="tfmtl")
class MultiTaskModel(DistributedModel, TrainableNetwork):
    """A multi-task ranking model, one output per task of the problem.

    embedding -> bottom -> sharing -> towers (-> transfer) -> heads (-> chain).

    Composed of parts that may be exchanged one by one; the functions in
    `tfmtl.models.presets` name the usual compositions. Trained in logit space:
    the loss of each task reads the head's raw output, `call` returns
    probabilities (binary tasks) and values (regression tasks). Missing labels
    (NaN) are masked; a task without any label in a batch contributes zero.
    Sample weights are `(B,)`, or a dict task -> `(B,)`.

    `compile()` without arguments works for every problem. The loss is the sum
    of the tasks' losses times their `weight`, plus the calibrator and what
    layers add, such as a load balance. Under `chain="dependence"` `<task>/loss`
    is a mean over the rows where the parent happened, and enters the sum by the
    share of these rows. A regression task's squared error is measured in
    standard deviations of its training labels, so that the tasks' losses are
    of one order of magnitude. While fitting, `<task>/auc` (to the resolution
    of 2048 bins) or `<task>/rmse`, `<task>/loss` and, over the
    binary tasks that have one, `mean_auc` are shown.

    Arguments, call, outputs and errors are those of `MultiTaskNetwork`.
    """

    def __init__(
        self,
        inputs: ModelInputs | Mapping[str, Any],
        bottom: BottomLayer,
        sharing: SharingLayer,
        tower_units: Sequence[int] = (64,),
        dropout: float = 0.0,
        embedding_dim: int | None = None,
        transfer: keras.layers.Layer | None = None,
        chain: str = "none",
        expectation_weight: float = 0.0,
        propensity_weight: float = 0.1,
        least_propensity: float = 0.01,
        consistency_weight: float = 0.0,
        number_bins: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            inputs,
            bottom,
            sharing,
            tower_units,
            dropout,
            embedding_dim,
            transfer,
            chain,
            expectation_weight,
            propensity_weight,
            least_propensity,
            consistency_weight,
            number_bins,
            **kwargs,
        )

    # === Training ===

    def compile(
        self,
        optimizer: Any = None,
        embedding_optimizer: Any = None,
        balancing: Any = None,
        balance_at: str = "parameters",
        sharpness: Any = None,
        max_projected_rows: int | None = None,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            optimizer: any Keras optimizer or its name; without `embedding_optimizer` for the tables too, where
                Keras's own pass over every row at every step. Defaults to `None`: Adam, learning rate 1e-3, and for
                the tables `LazyAdam` with the same rate.
            embedding_optimizer: optimizer of the embedding tables, such as `tfmtl.optimizers.Adagrad(0.05)`.
                Defaults to `None`: as `optimizer` says.
            balancing: loss weighting or gradient aggregation: a `tfmtl.balancing.Balancer` or its name, as in
                `"pcgrad"`. Defaults to `None`: the tasks' weights alone.
            balance_at: str. Where gradients are balanced, for a balancer that reads them: `"parameters"`, at all
                weights that tasks share, with one backward pass per task; `"representation"`, at the last
                representation that they share, for about the cost of a plain step. Defaults to `"parameters"`.
            sharpness: how to look for a flat minimum: a `tfmtl.sharpness.Sharpness` or its name, `"sam"` or `"asam"`.
                If it is decomposed and the balancer reads gradients, the flat gradients are balanced by a separate copy
                of the balancer (`flat_balancing`), at `balance_at="parameters"`. Defaults to `None`: not at all.
            max_projected_rows: int or None. A plain step multiplies tables of at most this many rows by the first
                layers' kernels before it looks them up, rather than after; it gives the same to rounding. 0 for none.
                Defaults to `None`: a quarter of the batch, or 0 if its size is not known while the step is traced.
            label_smoothing: float in [0, 1). Share by which the training loss draws yes/no labels towards their mean;
                what is measured keeps the labels. Defaults to `0.0`.
            **kwargs: `run_eagerly`, `steps_per_execution`, `jit_compile`, `auto_scale_loss` of
                `keras.Model.compile`. `jit_compile` compiles the forward and the backward pass with XLA, not the
                tables, and defaults to `False`. The losses follow from the problem and cannot be given.

        Raises:
            ValueError: an argument that follows from the problem is given, a name is unknown, or decomposed sharpness
                is asked for at a representation.
            NotImplementedError: gradients are to be balanced at a representation that the sharing layer does not name.
        """
        for argument in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(argument) is not None:
                raise ValueError(
                    f"MultiTaskModel: `{argument}` must not be given to compile(), it follows from the problem. "
                    f"Received: {argument}={kwargs[argument]!r}. "
                    "Set a task's `weight` in the problem to change its share."
                )
        check_one_of("MultiTaskModel", "balance_at", balance_at, BALANCE_PLACES)
        compare = [task.name for task in self.inputs.problem.tasks if task.compares_rows]
        replicas = self.distribute_strategy.num_replicas_in_sync
        if compare and replicas > 1:
            raise ValueError(
                f"MultiTaskModel: the strategy must be one replica for tasks {compare}, whose loss compares the rows "
                f"of a batch with each other: the parts of a divided batch do not add up. Received: {replicas} "
                "replicas. Train on one device, or use a `model` of single rows such as 'hazard'."
            )
        if max_projected_rows is not None:
            check_count("MultiTaskModel", "max_projected_rows", max_projected_rows)
        check_rate("MultiTaskModel", "label_smoothing", label_smoothing, "Use a share such as 0.1.")
        kwargs.setdefault("jit_compile", False)
        self.balancing = None if balancing is None else get_balancer(balancing)
        self.balance_at = balance_at
        self.label_smoothing = label_smoothing
        self.max_projected_rows = max_projected_rows
        self.sharpness = None if sharpness is None else get_sharpness(sharpness)
        self.flat_balancing = flat_balancer(self.balancing, self.sharpness, balance_at)
        check_place(self.sharing, self.balancing, balance_at)
        for balancer in (self.balancing, self.flat_balancing):
            if balancer is not None:
                balancer.build(len(self.inputs.problem.tasks))
        super().compile(optimizer=split_optimizer(optimizer, embedding_optimizer), **kwargs)

    def get_compile_config(self) -> dict[str, Any] | None:
        if not self.compiled:
            return None
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "balancing": keras.saving.serialize_keras_object(self.balancing),
            "balance_at": self.balance_at,
            "sharpness": keras.saving.serialize_keras_object(self.sharpness),
            "max_projected_rows": self.max_projected_rows,
            "label_smoothing": self.label_smoothing,
            "jit_compile": self.jit_compile,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """`keras.Model.fit`, except that `shuffle` defaults to `False`: `PreparedData.train` shuffles already.

        Raises:
            ValueError: `class_weight` is given, which Keras knows for one output of classes alone.
        """
        if kwargs.get("class_weight") is not None:
            rule = "not be given: tasks have classes of their own"
            advice = "Give `sample_weight`, (B,) or a dict of tasks, or set a task's `weight` in the problem."
            raise ValueError(error_text("MultiTaskModel", "class_weight", rule, kwargs["class_weight"], advice))
        kwargs.setdefault("shuffle", False)
        return super().fit(*args, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """`keras.Model.export` of the network alone: a SavedModel that reads encoded features, as `PreparedData` yields
        them.

        `tfmtl.export.export` writes one that reads raw features, with signatures, checks and requests for a server.
        """
        if not args and kwargs.get("format", "tf_saved_model") == "tf_saved_model":
            kwargs.setdefault("input_signature", [encoded_signature(self.inputs.problem)])
        super().export(filepath, *args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        return training_step(self, data)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        features, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        losses = BatchLosses(self, features, labels, weights)
        raw = self.raw_outputs(features, training=False)
        contributions, rest, means = losses.of(raw, list(self.losses))
        loss = tf.reduce_sum(contributions)
        losses.record(raw, loss if rest is None else loss + rest, means)
        return mean_over_replicas(self.get_metrics_result())

    # === Keras ===

    def get_metrics_result(self) -> dict[str, Tensor]:
        """Current values: `loss`, `mean_auc`, and `<task>/loss`, `<task>/auc` or `<task>/rmse`."""
        result = {"loss": self._loss_tracker.result()}
        aucs, defined = [], []
        for task in self.inputs.problem.tasks:
            metric = self.task_metrics[task.name]
            result[f"{task.name}/loss"] = self.loss_metrics[task.name].result()
            result[f"{task.name}/{metric.name}"] = metric.result()
            if task.monitor[0] == "auc":
                aucs.append(result[f"{task.name}/auc"])
                defined.append(tf.cast(metric.is_defined(), aucs[-1].dtype))
        if aucs:
            # A task with labels of one class has no AUC; the 0 that it shows would lower the mean of the others.
            result["mean_auc"] = tf.math.divide_no_nan(tf.add_n(aucs), tf.add_n(defined))
        return result

    @property
    def metrics_names(self) -> list[str]:
        """The names of the values that `evaluate` and `train_on_batch` return, in this order."""
        names, has_auc = ["loss"], False
        for task in self.inputs.problem.tasks:
            names += [f"{task.name}/loss", f"{task.name}/{self.task_metrics[task.name].name}"]
            has_auc |= task.monitor[0] == "auc"
        return [*names, "mean_auc"] if has_auc else names

    def _flatten_metrics_in_order(self, logs: Mapping[str, Any]) -> list[Any]:
        # Keras looks for metrics of these names, but here a task's metric is called "auc" and its value "buy/auc".
        return [logs[name] for name in self.metrics_names]

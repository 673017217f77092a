"""The model: embedding -> bottom -> sharing -> towers -> heads."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing import Balancer, get_balancer
from tfmtl.core.replicas import mean_over_replicas
from tfmtl.core.types import Shape, Tensor
from tfmtl.core.validation import (
    check_axis,
    check_count,
    check_number,
    check_one_of,
    check_positive_ints,
    check_rate,
    error_text,
)
from tfmtl.data.example_spec import encoded_signature
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding
from tfmtl.layers.heads.tower_bank import TowerBank
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.models.batch_losses import BatchLosses, label_parts
from tfmtl.models.distributed_model import DistributedModel
from tfmtl.models.split_optimizer import split_optimizer
from tfmtl.models.steps.decomposed_gradients import flat_balancer
from tfmtl.models.steps.representation_gradients import check_place
from tfmtl.models.steps.training_step import training_step
from tfmtl.models.task_chain import TaskChain
from tfmtl.schema import ModelInputs
from tfmtl.sharpness import Sharpness, get_sharpness
from tfmtl.tasks import behavior_of

SHARED = ("parameters", "representation")


@keras.saving.register_keras_serializable(package="tfmtl")
class MultiTaskModel(DistributedModel):
    """A multi-task ranking model, one output per task of the problem.

    embedding -> bottom -> sharing -> towers (-> transfer) -> heads (-> chain).

    Composed of parts that may be exchanged one by one; the functions in
    `tfmtl.models.presets` name the usual compositions. Trained in logit space:
    the loss of each task reads the head's raw output, `call` returns
    probabilities (binary tasks) and values (regression tasks). Missing labels
    (NaN) are masked; a task without any label in a batch contributes zero.
    Sample weights are `(B,)`, or a dict task -> `(B,)`.

    `compile()` without arguments is right for the problem. The loss is the sum
    of the tasks' losses times their `weight`, plus the calibrator and what
    layers add, such as a load balance. Under `chain="dependence"` `<task>/loss`
    is a mean over the rows where the parent happened, and enters the sum by the
    share of these rows. A regression task's squared error is measured in
    standard deviations of its training labels, so that the tasks' losses are
    of one order of magnitude. While fitting, `<task>/auc` (to the resolution
    of 2048 bins) or `<task>/rmse`, `<task>/loss` and, over the
    binary tasks that have one, `mean_auc` are shown.

    Shapes: B batch, T tasks, S 1, T or, for some sharings, T + 1, H hidden width.

    Args:
        inputs: `ModelInputs` or the mapping that its `to_dict` returns.
        bottom: `BottomLayer`; embedded features (see `FeatureEmbedding`) -> `(B, S, H)`.
        sharing: `SharingLayer`; `(B, S, H)` -> `(B, T, H')`.
        tower_units: widths of each task's tower; `()` for none. Defaults to `(64,)`.
        dropout: float in [0, 1). Dropout inside the towers. Defaults to `0.0`.
        embedding_dim: int or None. Width of every field. Defaults to `None`: the widest feature's.
        transfer: layer or None; `(B, T, H)` -> `(B, T, H')` between towers and heads, such as
            `InformationTransfer`. Defaults to `None`.
        chain: str. What a binary task's `parent` means: `"none"`, nothing; `"entire_space"`, the prediction is the
            product of conditional probabilities along the chain, compared with the label on every row (ESMM);
            `"dependence"`, the same prediction, with the conditional probability compared where the parent happened.
            Defaults to `"none"`.
        expectation_weight: float. Factor of the loss for predicting a task above its parent (AITM's calibrator).
            With a chain there is nothing to calibrate. Defaults to `0.0`.
        **kwargs: Passed to `keras.Model` (`name`, `dtype`, ...).

    Call arguments:
        features: dict of tensors, as `PreparedData` yields them.

    Returns:
        dict: output name -> float32 `(B,)`, or `(B, ...)` of outputs of more than one number a row.

    Raises:
        TypeError: If a width is not an int, or a part has another type.
        ValueError: If a width is not positive, `dropout` outside [0, 1), `expectation_weight` negative, `chain`
            unknown, chain or calibrator are asked for and no task has a parent, the calibrator beside a chain, or at
            build if what the heads read has not one representation for each task.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if tower_units != () and tower_units != []:
            check_positive_ints("MultiTaskModel", "tower_units", tower_units, "Use widths as in (64,), or () for none.")
        check_rate("MultiTaskModel", "dropout", dropout)  # also without towers, where it says nothing
        for argument, part, base in (("bottom", bottom, BottomLayer), ("sharing", sharing, SharingLayer)):
            if not isinstance(part, base):
                rule, advice = f"be a {base.__name__}", f"Derive your own from tfmtl.layers.{base.__name__}."
                raise TypeError(error_text("MultiTaskModel", argument, rule, part, advice))
        self.inputs = inputs if isinstance(inputs, ModelInputs) else ModelInputs.from_dict(inputs)
        self.bottom = bottom
        self.sharing = sharing
        self.tower_units = tuple(tower_units)
        self.dropout = dropout
        self.embedding_dim = embedding_dim
        self.transfer = transfer
        self.chain = chain
        self.expectation_weight = expectation_weight
        self.task_chain = TaskChain(self.inputs.problem, chain)
        self._check_expectation_weight()
        tasks = self.inputs.problem.tasks
        unfit = [task.name for task in tasks if not task.correlates]
        if unfit and sharing.uses_label_correlation:
            rule = f"not ask how labels correlate beside tasks whose label is more than a number, {unfit}"
            advice = "Use another preset, or a sharing layer without a virtual gradient."
            raise ValueError(error_text("MultiTaskModel", "sharing", rule, type(sharing).__name__, advice))
        policy = self.dtype_policy
        self.embedding = FeatureEmbedding(self.inputs, embedding_dim, dtype=policy, name="embedding")
        self.towers = None
        if self.tower_units:
            self.towers = TowerBank(len(tasks), self.tower_units, dropout=dropout, dtype=policy, name="towers")
        self.behaviors = {task.name: behavior_of(task).fitted(self.inputs) for task in tasks}
        self.heads = {
            name: behavior.head(self.inputs, self.task_chain.prior(self.inputs.label_means, k), policy)
            for k, (name, behavior) in enumerate(self.behaviors.items())
        }
        self.balancing: Balancer | None = None
        self.flat_balancing: Balancer | None = None
        self.shared = SHARED[0]
        self.sharpness: Sharpness | None = None
        self.max_projected_rows: int | None = None
        self.loss_metrics = {task.name: keras.metrics.Mean(name="loss") for task in tasks}
        self.task_metrics = {task.name: self.behaviors[task.name].running_metric() for task in tasks}

    def build(self, input_shape: Any = None) -> None:
        """Builds every part; the shapes follow from `inputs`, so no argument is needed."""
        shape: Any = None
        for layer in (self.embedding, self.bottom, self.sharing, self.towers, self.transfer):
            if layer is None:
                continue
            if not layer.built:  # a deserialized layer has already built itself
                layer.build(shape)
            shape = layer.compute_output_shape(shape)
        # Heads read by position: of too many representations the last would be left out without a word.
        advice = "Give the sharing layer as many tasks as the problem has."
        check_axis("MultiTaskModel", "sharing", shape, 1, (len(self.heads),), advice)
        for head in self.heads.values():
            if not head.built:
                head.build((None, shape[-1]))
        self.built = True

    def _check_expectation_weight(self) -> None:
        check_number("MultiTaskModel", "expectation_weight", self.expectation_weight)
        rule = None
        if self.expectation_weight < 0.0:
            rule = "be at least 0"
        elif self.expectation_weight and not any(parent is not None for parent in self.task_chain.parents):
            rule = "be 0 where no binary task has a parent"
        elif self.expectation_weight and self.chain != "none":
            rule = "be 0 with a chain, which never predicts a task above its parent"
        if rule:
            advice = "Leave it out, or name parents in the problem and use no chain."
            raise ValueError(error_text("MultiTaskModel", "expectation_weight", rule, self.expectation_weight, advice))

    # === Forward ===

    def raw_outputs(
        self, features: Mapping[str, Tensor], training: bool = False, label_correlation: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What the heads put out before their link function (logits, standardised values), `(B,)` a task.

        In a chain the logits are conditional on the parent.

        Args:
            features: dict of tensors, as in the call.
            training: bool. Whether dropout is on. Defaults to `False`.
            label_correlation: `(T, T)` for a sharing layer that reads it (DEPHN's virtual gradient), or `None`.
        """
        bottom = self.bottom(self.embedding(features, training=training), training=training)
        return self.head_outputs(self.share(bottom, training, label_correlation), training)

    def share(
        self,
        bottom: Tensor,
        training: bool = False,
        label_correlation: Tensor | None = None,
        offset: Tensor | None = None,
    ) -> Tensor:
        """What the sharing layer makes of the bottom's output, `(B, S, H)` -> `(B, T, H')`.

        Args:
            bottom: `(B, S, H)`.
            training: bool. Whether dropout is on. Defaults to `False`.
            label_correlation: as in `raw_outputs`.
            offset: added to what all tasks read inside, of `representation_shape`; or `None`.
        """
        given = {"label_correlation": label_correlation, "offset": offset}
        asked = {name: value for name, value in given.items() if value is not None}
        return self.sharing(bottom, training=training, **asked)

    def head_outputs(self, hidden: Tensor, training: bool = False) -> dict[str, Tensor]:
        """What towers and heads make of the sharing layer's output, `(B, T, H')` -> `(B,)` a task."""
        for layer in (self.towers, self.transfer):
            if layer is not None:
                hidden = layer(hidden, training=training)  # (B, T, H)
        return {name: head(hidden[:, k]) for k, (name, head) in enumerate(self.heads.items())}

    def predictions(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What every task answers to what `raw_outputs` returned: output name -> `(B, *inner)`."""
        marginal = self.task_chain.marginals(raw)
        answers = {}
        for task in self.inputs.problem.tasks:
            found = self.behaviors[task.name].predict(self.heads[task.name], marginal[task.name])
            answers.update({task.key(output.suffix): found[output.suffix] for output in task.outputs})
        return answers

    def call(self, features: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        return self.predictions(self.raw_outputs(features, training=training))

    # === Training ===

    def compile(
        self,
        optimizer: Any = None,
        embedding_optimizer: Any = None,
        balancing: Any = None,
        shared: str = "parameters",
        sharpness: Any = None,
        max_projected_rows: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            optimizer: any Keras optimizer or its name; without `embedding_optimizer` for the tables too, where
                Keras's own pass over every row at every step. Defaults to `None`: Adam, learning rate 1e-3, and for
                the tables `LazyAdam` with the same rate.
            embedding_optimizer: optimizer of the embedding tables, such as `tfmtl.optimizers.Adagrad(0.05)`.
                Defaults to `None`: as `optimizer` says.
            balancing: what to do about tasks that conflict: a `tfmtl.balancing.Balancer` or its name, as in
                `"pcgrad"`. Defaults to `None`: the tasks' weights alone.
            shared: str. Where gradients are balanced, for a balancer that reads them: `"parameters"`, at all weights
                that tasks share, with a backward pass a task; `"representation"`, at the last representation that
                they share, for about the cost of a plain step. Defaults to `"parameters"`.
            sharpness: how to look for a flat minimum: a `tfmtl.sharpness.Sharpness` or its name, `"sam"` or `"asam"`.
                Decomposed, with a balancer that reads gradients, the flat gradients are balanced by a copy of it with
                a history of its own (`flat_balancing`), at `shared="parameters"`. Defaults to `None`: not at all.
            max_projected_rows: int or None. A plain step multiplies tables of at most so many rows by the first layers'
                kernels before it looks them up, rather than after; it gives the same to rounding. 0 for none.
                Defaults to `None`: a quarter of the batch, or 0 if its size is not known while the step is traced.
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
        check_one_of("MultiTaskModel", "shared", shared, SHARED)
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
        kwargs.setdefault("jit_compile", False)
        self.balancing = None if balancing is None else get_balancer(balancing)
        self.shared = shared
        self.max_projected_rows = max_projected_rows
        self.sharpness = None if sharpness is None else get_sharpness(sharpness)
        self.flat_balancing = flat_balancer(self.balancing, self.sharpness, shared)
        check_place(self.sharing, self.balancing, shared)
        for balancer in (self.balancing, self.flat_balancing):
            if balancer is not None:
                balancer.build(len(self.inputs.problem.tasks))
        super().compile(optimizer=split_optimizer(optimizer, embedding_optimizer), **kwargs)

    @property
    def compiles_with_xla(self) -> bool:
        """Whether the passes of a training step are compiled with XLA."""
        return bool(self.jit_compile) and not self.run_eagerly

    def get_compile_config(self) -> dict[str, Any] | None:
        if not self.compiled:
            return None
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "balancing": keras.saving.serialize_keras_object(self.balancing),
            "shared": self.shared,
            "sharpness": keras.saving.serialize_keras_object(self.sharpness),
            "max_projected_rows": self.max_projected_rows,
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
        """`keras.Model.export` of the network alone: a SavedModel that reads encoded features, as `PreparedData` does.

        `tfmtl.export.export` writes one that reads raw features, with signatures, checks and requests for a server.
        """
        if not args and kwargs.get("format", "tf_saved_model") == "tf_saved_model":
            kwargs.setdefault("input_signature", [encoded_signature(self.inputs.problem)])
        super().export(filepath, *args, **kwargs)

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
        self, raw: Mapping[str, Tensor], labels: Mapping[str, Tensor], weights: Any = None
    ) -> dict[str, Tensor]:
        """Each task's masked mean loss, before its weight; float32 scalars.

        Under `chain="dependence"` a mean over the rows where the parent happened.

        Args:
            raw: what `raw_outputs` returned.
            labels: task -> `(B,)`, NaN where missing.
            weights: of the rows, `(B,)` for all tasks or a dict by task. Defaults to `None`: all rows count once.
        """
        labels = self.task_chain.loss_labels(labels)
        if self.chain == "entire_space":
            raw = self.task_chain.marginals(raw)
        losses = {}
        for task, own in zip(self.inputs.problem.tasks, self.weights_by_task(weights).values(), strict=True):
            parts = label_parts(task, labels)
            losses[task.name] = self.behaviors[task.name].loss(self.heads[task.name], parts, raw[task.name], own)
        return losses

    def weights_by_task(self, weights: Any) -> dict[str, Tensor | None]:
        """Row weights of each task; Keras turns one array for all into a dict, but only where it reads arrays."""
        if isinstance(weights, Mapping):
            return {name: weights[name] for name in self.heads}
        return dict.fromkeys(self.heads, weights)

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

    @property
    def loss_tracker(self) -> keras.metrics.Metric:
        """The running mean of the loss."""
        return self._loss_tracker

    # === What belongs to whom ===

    @property
    def connects_tasks(self) -> bool:
        """Whether a task's loss depends on what the sharing layer puts out for another."""
        return self.transfer is not None or self.chain != "none"

    def task_layers(self) -> list[keras.layers.Layer]:
        """The layers above what tasks share."""
        return [layer for layer in (self.towers, self.transfer, *self.heads.values()) if layer is not None]

    def private_weights(self) -> list[keras.Variable]:
        """The weights of bottom and sharing layer in which every task has a part of its own.

        A layer names them as its `private_weights`. The bottom's belong to single tasks only if the sharing layer
        keeps what it puts out for them apart (`keeps_streams`), and none do where tasks are connected above.
        """
        if self.connects_tasks:
            return []
        bottoms = self.bottom.private_weights if self.sharing.keeps_streams else []
        return [*self.sharing.private_weights, *bottoms]

    def representation_shape(self) -> Shape | None:
        """Shape of the last representation that all tasks read inside the sharing layer; `None` if there is none."""
        bottom = self.bottom.compute_output_shape(self.embedding.compute_output_shape())
        return self.sharing.representation_shape(bottom) if bottom[1] == 1 else None

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
            # A task of one class has no AUC; counted as the 0 it shows, it would sink the mean of the others.
            result["mean_auc"] = tf.math.divide_no_nan(tf.add_n(aucs), tf.add_n(defined))
        return result

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` and `train_on_batch` return, in this order."""
        return list(self.get_metrics_result())

    def _flatten_metrics_in_order(self, logs: Mapping[str, Any]) -> list[Any]:
        # Keras looks for metrics of these names, but here a task's metric is called "auc" and its value "buy/auc".
        return [logs[name] for name in self.metrics_names]

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "inputs": self.inputs.to_dict(),
            "bottom": keras.saving.serialize_keras_object(self.bottom),
            "sharing": keras.saving.serialize_keras_object(self.sharing),
            "tower_units": list(self.tower_units),
            "dropout": self.dropout,
            "embedding_dim": self.embedding_dim,
            "transfer": keras.saving.serialize_keras_object(self.transfer),
            "chain": self.chain,
            "expectation_weight": self.expectation_weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MultiTaskModel":
        config = dict(config)
        for part in ("bottom", "sharing", "transfer"):
            config[part] = keras.saving.deserialize_keras_object(config.get(part))
        return cls(**config)

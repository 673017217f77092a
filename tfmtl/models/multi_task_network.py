"""The network: embedding -> bottom -> sharing -> towers -> heads."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import combinations
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.dense.given_products import given_products
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding
from tfmtl.layers.heads.tower_bank import TowerBank
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.models.shared_rows import products_of_shared_rows
from tfmtl.models.task_chain import TaskChain
from tfmtl.schema import ModelInputs
from tfmtl.schema.checks import (
    check_axis,
    check_nonnegative_number,
    check_number,
    check_positive_ints,
    check_rate,
    error_text,
)
from tfmtl.tasks import behavior_of


@keras.saving.register_keras_serializable(package="tfmtl")
class MultiTaskNetwork(keras.Model):
    """The network of a `MultiTaskModel`, without training.

    embedding -> bottom -> sharing -> towers (-> transfer) -> heads (-> chain).

    It can be called, saved and loaded alone, and be a part of your own Keras model, also of a functional one; you then
    choose losses and metrics. `MultiTaskModel` is this network with both.

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
            `"dependence"`, the same prediction, with the conditional probability compared where the parent happened;
            `"inverse_propensity"`, `"entire_space"` and, where the parent happened, the conditional probability
            weighted by one over the parent's (ESCM2-IPS). Defaults to `"none"`.
        expectation_weight: float. Factor of the loss for predicting a task above its parent (AITM's calibrator).
            With a chain there is nothing to calibrate. Defaults to `0.0`.
        propensity_weight: float, at least 0. Factor of the weighted loss under `chain="inverse_propensity"`.
            Defaults to `0.1`.
        least_propensity: float in (0, 1]. Smallest probability of a parent that is divided by there: more means less
            variance and more bias. Defaults to `0.01`.
        consistency_weight: float, at least 0. Factor of the loss for survival tasks of one lifetime that disagree: the
            squared difference of their survivals at the end of the shorter horizon. Defaults to `0.0`.
        number_bins: int. Bins of the piecewise linear function that every scaled number has, as in `FeatureEmbedding`;
            `embedding.adapt` sets its knots, and so does `tfmtl.training.fit`. Defaults to `0`: none.
        **kwargs: Passed to `keras.Model` (`name`, `dtype`, ...).

    Call arguments:
        features: dict of tensors, as `PreparedData` yields them.

    Returns:
        dict: output name -> float32 `(B,)`, or `(B, ...)` of outputs of more than one number per row.

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
        propensity_weight: float = 0.1,
        least_propensity: float = 0.01,
        consistency_weight: float = 0.0,
        number_bins: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if tower_units != () and tower_units != []:
            check_positive_ints(
                type(self).__name__, "tower_units", tower_units, "Use widths as in (64,), or () for none."
            )
        check_rate(type(self).__name__, "dropout", dropout)  # also without towers, where it says nothing
        for argument, part, base in (("bottom", bottom, BottomLayer), ("sharing", sharing, SharingLayer)):
            if not isinstance(part, base):
                rule, advice = f"be a {base.__name__}", f"Derive your own from tfmtl.layers.{base.__name__}."
                raise TypeError(error_text(type(self).__name__, argument, rule, part, advice))
        self.inputs = inputs if isinstance(inputs, ModelInputs) else ModelInputs.from_dict(inputs)
        self.bottom = bottom
        self.sharing = sharing
        self.tower_units = tuple(tower_units)
        self.dropout = dropout
        self.embedding_dim = embedding_dim
        self.transfer = transfer
        self.chain = chain
        self.expectation_weight = expectation_weight
        self.propensity_weight = propensity_weight
        self.least_propensity = least_propensity
        self.consistency_weight = consistency_weight
        self.number_bins = number_bins
        self.task_chain = TaskChain(self.inputs.problem, chain)
        check_nonnegative_number(type(self).__name__, "propensity_weight", propensity_weight)
        if not 0.0 < least_propensity <= 1.0:
            rule = "lie above 0 and at most at 1"
            raise ValueError(error_text(type(self).__name__, "least_propensity", rule, least_propensity, "Use 0.01."))
        self._check_expectation_weight()
        tasks = self.inputs.problem.tasks
        unfit = [task.name for task in tasks if not task.correlates]
        if unfit and sharing.uses_label_correlation:
            rule = f"not ask how labels correlate beside tasks whose label is more than a number, {unfit}"
            advice = "Use another preset, or a sharing layer without a virtual gradient."
            raise ValueError(error_text(type(self).__name__, "sharing", rule, type(sharing).__name__, advice))
        policy = self.dtype_policy
        copies = bottom.embedding_copies
        self.embedding = FeatureEmbedding(
            self.inputs, embedding_dim, copies, number_bins, dtype=policy, name="embedding"
        )
        self.towers = None
        if self.tower_units:
            self.towers = TowerBank(len(tasks), self.tower_units, dropout=dropout, dtype=policy, name="towers")
        self.behaviors = {task.name: behavior_of(task).fitted(self.inputs) for task in tasks}
        self.heads = {
            name: behavior.head(self.inputs, self.task_chain.prior(self.inputs.label_means, k), policy)
            for k, (name, behavior) in enumerate(self.behaviors.items())
        }
        check_nonnegative_number(type(self).__name__, "consistency_weight", consistency_weight)

    def build(self, input_shape: Any = None) -> None:
        """Builds every part; the shapes follow from `inputs`, so no argument is needed."""
        shape: Any = None
        for layer in (self.embedding, self.bottom, self.sharing, self.towers, self.transfer):
            if layer is None:
                continue
            if not layer.built:  # a deserialized layer has already built itself
                layer.build(shape)
            shape = layer.compute_output_shape(shape)
        # Heads read by position: if there were too many representations, the last would be ignored silently.
        advice = "Give the sharing layer as many tasks as the problem has."
        check_axis(type(self).__name__, "sharing", shape, 1, (len(self.heads),), advice)
        for head in self.heads.values():
            if not head.built:
                head.build((None, shape[-1]))
        self.built = True

    def _check_expectation_weight(self) -> None:
        check_number(type(self).__name__, "expectation_weight", self.expectation_weight)
        rule = None
        if self.expectation_weight < 0.0:
            rule = "be at least 0"
        elif self.expectation_weight and not any(parent is not None for parent in self.task_chain.parents):
            rule = "be 0 where no binary task has a parent"
        elif self.expectation_weight and self.chain != "none":
            rule = "be 0 with a chain, which never predicts a task above its parent"
        if rule:
            advice = "Leave it out, or name parents in the problem and use no chain."
            raise ValueError(
                error_text(type(self).__name__, "expectation_weight", rule, self.expectation_weight, advice)
            )

    # === Forward ===

    def raw_outputs(
        self, features: Mapping[str, Tensor], training: bool = False, label_correlation: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The outputs of the heads before their link function (logits, standardized values), `(B,)` per task.

        In a chain the logits are conditional on the parent.

        Args:
            features: dict of tensors, as in the call.
            training: bool. Whether dropout is on. Defaults to `False`.
            label_correlation: `(T, T)` for a sharing layer that reads it (DEPHN's virtual gradient), or `None`.
        """
        bottom = self.bottom(self.embedding(features, training=training), training=training)
        shared = products_of_shared_rows(self.embedding.plan, self.bottom, self.sharing, features, bottom)
        with given_products(shared) if shared else nullcontext():
            hidden = self.share(bottom, training, label_correlation)
        return self.head_outputs(hidden, training)

    def share(
        self,
        bottom: Tensor,
        training: bool = False,
        label_correlation: Tensor | None = None,
        offset: Tensor | None = None,
    ) -> Tensor:
        """The sharing layer's output for the bottom's output, `(B, S, H)` -> `(B, T, H')`.

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
        """The outputs of towers and heads for the sharing layer's output, `(B, T, H')` -> `(B,)` per task."""
        for layer in (self.towers, self.transfer):
            if layer is not None:
                hidden = layer(hidden, training=training)  # (B, T, H)
        # Taken apart at once: the gradient of every slice would be as large as what it was cut from.
        parts = tf.unstack(hidden, axis=1)
        return {name: head(part) for (name, head), part in zip(self.heads.items(), parts, strict=True)}

    def predictions(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The predictions that follow from `raw_outputs`: output name -> `(B, *inner)`."""
        marginal = self.task_chain.marginals(raw)
        answers = {}
        for task in self.inputs.problem.tasks:
            found = self.behaviors[task.name].predict(self.heads[task.name], marginal[task.name])
            answers.update({task.key(output.suffix): found[output.suffix] for output in task.outputs})
        return answers

    def disagreement(self, raw: Mapping[str, Tensor]) -> Tensor:
        """How far tasks with one label are apart, `(B,)`, the sum over their pairs.

        Raises:
            ValueError: there is no such pair.
        """
        found = []
        for one, other in combinations(self.heads, 2):
            between = self.behaviors[one].disagreement(
                self.heads[one], raw[one], self.behaviors[other], self.heads[other], raw[other]
            )
            found += [] if between is None else [between]
        if not found:
            rule = "be 0 without two survival tasks of the same `time` and `event`"
            advice = "Leave it out, or add a second term."
            owner = type(self).__name__
            raise ValueError(error_text(owner, "consistency_weight", rule, self.consistency_weight, advice))
        return tf.add_n(found)

    def call(self, features: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        return self.predictions(self.raw_outputs(features, training=training))

    # === Private and shared weights ===

    @property
    def connects_tasks(self) -> bool:
        """Whether a task's loss depends on the sharing layer's output for another task."""
        return self.transfer is not None or self.chain != "none"

    def task_layers(self) -> list[keras.layers.Layer]:
        """The layers above the sharing layer."""
        return [layer for layer in (self.towers, self.transfer, *self.heads.values()) if layer is not None]

    def private_weights(self) -> list[keras.Variable]:
        """The weights of bottom and sharing layer that have a separate part per task.

        A layer names them as its `private_weights`. The bottom's belong to single tasks only if the sharing layer
        keeps what it puts out for them apart (`keeps_tasks_apart`), and none do where tasks are connected above.
        """
        if self.connects_tasks:
            return []
        bottoms = self.bottom.private_weights if self.sharing.keeps_tasks_apart else []
        return [*self.sharing.private_weights, *bottoms]

    def representation_shape(self) -> Shape | None:
        """Shape of the last representation that all tasks read inside the sharing layer; `None` if there is none."""
        bottom = self.bottom.compute_output_shape(self.embedding.compute_output_shape())
        return self.sharing.representation_shape(bottom) if bottom[1] == 1 else None

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
            "propensity_weight": self.propensity_weight,
            "least_propensity": self.least_propensity,
            "consistency_weight": self.consistency_weight,
            "number_bins": self.number_bins,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MultiTaskNetwork":
        config = dict(config)
        for part in ("bottom", "sharing", "transfer"):
            config[part] = keras.saving.deserialize_keras_object(config.get(part))
        return cls(**config)

"""APEM's Pattern Selector (PS)."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.masking import masked_softmax
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.fields._padded_sets import check_set, hide_padding, mean_vector
from tfmtl.schema.checks import check_bool, check_keys, check_one_of, check_positive_int, check_shape, error_text

_EPSILON = 1e-6


def check_selector_arguments(owner: str, num_tasks: int, adaptive: bool, selection: str) -> None:
    """Raises unless the arguments are ones `PatternSelector` takes; layers that hold one check theirs by it."""
    check_positive_int(owner, "num_tasks", num_tasks)
    check_bool(owner, "adaptive", adaptive)
    check_one_of(owner, "selection", selection, ("sigmoid", "softmax"))


@keras.saving.register_keras_serializable(package="tfmtl")
class PatternSelector(keras.layers.Layer):
    """Lets every task select, for each example, among the fields and the groups that were made of them.

    Task k has an indicator vector v_k, made to fit the example by the fields E: `v_k(x) = v_k + W_a mean(E)`. Groups
    and fields together are the patterns P, and the task selects each by `a_ki = sigmoid(W_q v_k(x) . W_k P_i /
    sqrt(D))`. It sees every field times its weight and, after them, one vector of all patterns,
    `sum_i a_ki W_v P_i / sum_i a_ki`. A task's selection does not depend on another's indicator.

    Shapes: B batch, T tasks, F fields, M groups, D embedding width.

    Args:
        num_tasks: int. Number of tasks T.
        adaptive: bool. Whether indicators depend on the example; if not, `v_k(x) = v_k` (an ablation). Defaults to
            `True`.
        selection: str. `"sigmoid"`, by which patterns are selected on their own, or `"softmax"`, by which they
            compete. Defaults to `"sigmoid"`.
        use_groups: bool. Whether the patterns include the groups. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"fields"`, float `(B, F, D)`, `"groups"`, float `(B, M, D)`, not needed without `use_groups`,
            and optionally `"field_mask"`, bool `(B, F)`, true at real fields. It takes what `GroupTransformer` returns.

    Returns:
        float `(B, T, (F + 1) * D)`; zeros where a field is padding.

    Raises:
        ValueError: If `num_tasks` is not positive, `selection` unknown, or at build if a shape does not fit.
        TypeError: If `num_tasks` is not an int or a switch not a bool.

    Example:

    >>> import keras, tfmtl
    >>> inputs = {"fields": keras.ops.ones((8, 6, 4)), "groups": keras.ops.ones((8, 3, 4))}
    >>> tfmtl.layers.PatternSelector(num_tasks=2)(inputs).shape
    TensorShape([8, 2, 28])

    Reference:
        Tao et al. 2023 (APEM), https://arxiv.org/abs/2301.02494. That adaptive task-indicator vectors select features
        explicitly is the paper's; the equations are our reading.
    """

    def __init__(
        self,
        num_tasks: int,
        adaptive: bool = True,
        selection: str = "sigmoid",
        use_groups: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_selector_arguments(owner, num_tasks, adaptive, selection)
        check_bool(owner, "use_groups", use_groups)
        self.num_tasks = num_tasks
        self.adaptive = adaptive
        self.selection = selection
        self.use_groups = use_groups

    def build(self, input_shape: Shapes) -> None:
        owner = type(self).__name__
        check_set(owner, input_shape, "fields", "field_mask", "B, F, D")
        batch, patterns, width = input_shape["fields"]
        if self.use_groups:
            check_keys(owner, "inputs", input_shape, ("groups",))
            groups = tuple(input_shape["groups"])
            check_shape(owner, "groups", groups, "B, M, D")
            if groups[-1] != width:
                advice = "Give both as one layer made them."
                raise ValueError(error_text(owner, "groups.shape", f"have the fields' width {width}", groups, advice))
            patterns += groups[1]
        self.indicators = self.add_weight(name="indicators", shape=(self.num_tasks, width))
        if self.adaptive:
            self.adaptation = self._dense((batch, width))
        self.query = self._dense((batch, self.num_tasks, width))
        self.key = self._dense((batch, patterns, width))
        self.value = self._dense((batch, patterns, width))

    def _dense(self, shape: Shape) -> keras.layers.Dense:
        dense = keras.layers.Dense(shape[-1], use_bias=False, dtype=self.dtype_policy)
        dense.build(shape)
        return dense

    def call(self, inputs: Tensors) -> Tensor:
        fields, patterns, weights = self._select(inputs)
        _, count, width = fields.shape
        selected = ops.cast(weights[..., -count:, None], fields.dtype) * fields[:, None]  # (B, T, F, D)
        selected = ops.reshape(selected, (-1, self.num_tasks, count * width))
        shares = weights / (ops.sum(weights, axis=-1, keepdims=True) + _EPSILON)
        pooled = ops.matmul(ops.cast(shares, patterns.dtype), self.value(patterns))  # (B, T, D)
        return ops.concatenate([selected, pooled], axis=-1)

    def selection_weights(self, inputs: Tensors) -> Tensor:
        """Returns how far every task selects every group and then every field, float `(B, T, M + F)`.

        Without `use_groups` it is `(B, T, F)`; padding has the weight zero.
        """
        return ops.cast(self._select(inputs)[-1], self.compute_dtype)

    def _select(self, inputs: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the fields without padding, the patterns, and the weights in float32."""
        mask = inputs.get("field_mask")
        fields = hide_padding(inputs["fields"], mask)
        patterns = ops.concatenate([inputs["groups"], fields], axis=1) if self.use_groups else fields
        queries = self.query(self.indicators)[None]  # (1, T, D)
        if self.adaptive:
            # W_q is linear, so what the example adds to the indicators is projected once for all tasks.
            queries = queries + self.query(self.adaptation(mean_vector(fields, mask)))[:, None]
        products = ops.matmul(queries, ops.swapaxes(self.key(patterns), -1, -2))  # (B, T, M + F)
        scores = ops.cast(products, "float32") / fields.shape[-1] ** 0.5
        return fields, patterns, self._gate(scores, mask)

    def _gate(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            # Not `ops.softmax`: it warns about a single pattern.
            return ops.sigmoid(scores) if self.selection == "sigmoid" else tf.nn.softmax(scores, axis=-1)
        num_groups = scores.shape[-1] - mask.shape[-1]
        mask = ops.pad(mask, ((0, 0), (num_groups, 0)), constant_values=True)[:, None]  # (B, 1, M + F)
        if self.selection == "softmax":
            return masked_softmax(scores, mask)
        return ops.where(mask, ops.sigmoid(scores), 0.0)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, fields, width = input_shape["fields"]
        return (batch, self.num_tasks, (fields + 1) * width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "adaptive": self.adaptive,
            "selection": self.selection,
            "use_groups": self.use_groups,
        }

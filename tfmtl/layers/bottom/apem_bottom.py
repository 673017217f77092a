"""APEM's bottom: patterns of the fields, selected by every task."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.rows import with_equal_rows
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.bottom._bottom_shapes import check_bottom_shapes, num_vectors
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.bottom.pattern_selector import PatternSelector, check_selector_arguments
from tfmtl.layers.fields.group_transformer import GroupTransformer, check_transformer_arguments
from tfmtl.layers.sequence.pooling import check_pooling, pooling_layer


@keras.saving.register_keras_serializable(package="tfmtl")
class APEMBottom(BottomLayer):
    """Finds patterns in what is known of an example (DGT) and lets every task select its own (PS).

    Every behavior sequence is pooled to one vector, which is a field like the others; `GroupTransformer` enriches
    the fields and makes groups of them; `PatternSelector` gives each task its part. An empty sequence is no field:
    nothing attends to it, and tasks see zeros in its place.

    Shapes: B batch, T tasks, F fields, J behaviors, L sequence length, D embedding width.

    Args:
        num_tasks: int. Number of tasks T.
        num_groups: int. Number of groups, about a quarter of the fields. Defaults to `4`.
        num_heads: int. Number of attention heads; it must divide D. Defaults to `2`.
        num_blocks: int. Number of blocks of the transformer. Defaults to `1`.
        se_axis: str. `"group"`, `"field"`, `"channel"` or `"off"`, as in `GroupTransformer`. Defaults to `"group"`.
        reduction: int. Bottleneck of the squeeze-and-excitation, as in `SqueezeExcitation`. Defaults to `2`.
        use_set_attention: bool. Whether fields meet in groups, as in `GroupTransformer` (an ablation). Defaults to
            `True`.
        adaptive: bool. Whether a task's indicator depends on the example (an ablation). Defaults to `True`.
        selection: str. `"sigmoid"` or `"softmax"`, as in `PatternSelector`. Defaults to `"sigmoid"`.
        pooling: str. How a sequence becomes one vector: `"mean"` of its events, `"target"`, their `TargetAttention` by
            the queries, or `"sdim"`, their `HashedAttention`, for histories of thousands. With `"mean_count"`,
            `"target_count"` and `"sdim_count"` the vector also says how many events there are (`CountedPooling`).
            Defaults to `"mean"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"fields"`, float `(B, F, D)`, and where there are behaviors `"events"`, float `(B, J, L, D)`,
            `"event_mask"`, bool `(B, J, L)`, and, unless the pooling is a mean, `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, T, (F + J + 1) * D)`; J is 0 without behaviors.

    Raises:
        ValueError: If a size is not positive, a choice unknown, or at build if a shape does not fit.
        TypeError: If a size is not an int or a switch not a bool.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.APEMBottom(num_tasks=2, num_groups=2)({"fields": keras.ops.ones((8, 6, 4))}).shape
    TensorShape([8, 2, 28])

    Reference:
        Tao et al. 2023 (APEM), https://arxiv.org/abs/2301.02494. The two modules and their order are the paper's;
        for their insides see the two layers. Behavior sequences are our addition.
    """

    def __init__(
        self,
        num_tasks: int,
        num_groups: int = 4,
        num_heads: int = 2,
        num_blocks: int = 1,
        se_axis: str = "group",
        reduction: int = 2,
        use_set_attention: bool = True,
        adaptive: bool = True,
        selection: str = "sigmoid",
        pooling: str = "mean",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_selector_arguments(owner, num_tasks, adaptive, selection)
        check_transformer_arguments(
            owner,
            num_groups=num_groups,
            num_heads=num_heads,
            num_blocks=num_blocks,
            se_axis=se_axis,
            reduction=reduction,
            use_set_attention=use_set_attention,
        )
        check_pooling(owner, pooling)
        self.num_tasks = num_tasks
        self.num_groups = num_groups
        self.num_heads = num_heads
        self.num_blocks = num_blocks
        self.se_axis = se_axis
        self.reduction = reduction
        self.use_set_attention = use_set_attention
        self.adaptive = adaptive
        self.selection = selection
        self.pooling = pooling

    def build(self, input_shape: Shapes) -> None:
        check_bottom_shapes(type(self).__name__, input_shape)
        batch, _, width = input_shape["fields"]
        vectors = num_vectors(input_shape)
        shapes: dict[str, Shape] = {"fields": (batch, vectors, width)}
        if "events" in input_shape:
            self.pool = pooling_layer(self.pooling, self.dtype_policy)
            self.pool.build(input_shape)
            shapes["field_mask"] = (batch, vectors)
        self.transformer = GroupTransformer(
            self.num_groups,
            self.num_heads,
            self.num_blocks,
            self.se_axis,
            self.reduction,
            self.use_set_attention,
            dtype=self.dtype_policy,
        )
        self.transformer.build(shapes)
        self.selector = PatternSelector(self.num_tasks, self.adaptive, self.selection, dtype=self.dtype_policy)
        self.selector.build({**shapes, "groups": (batch, self.num_groups, width)})

    def call(self, inputs: Tensors) -> Tensor:
        return self.selector(self._patterns(inputs))

    def selection_weights(self, inputs: Tensors) -> Tensor:
        """Returns how far every task selects every group, field and behavior, float `(B, T, M + F + J)`."""
        return self.selector.selection_weights(self._patterns(inputs))

    def _patterns(self, inputs: Tensors) -> dict[str, Tensor]:
        """Returns what the tasks select from: fields before behaviors, the groups, and which of them are real."""
        vectors = {"fields": inputs["fields"]}
        if "events" in inputs:
            both = with_equal_rows([inputs["fields"], self.pool(inputs)])
            vectors["fields"] = ops.concatenate(both, axis=1)  # (B, F + J, D)
            present = ops.any(inputs["event_mask"], axis=-1)  # (B, J)
            num_fields = inputs["fields"].shape[1]
            vectors["field_mask"] = ops.pad(present, ((0, 0), (num_fields, 0)), constant_values=True)
        return {**vectors, **self.transformer(vectors)}

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that only its own representation depends on."""
        return [self.selector.indicators]

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, _, width = input_shape["fields"]
        return (batch, self.num_tasks, (num_vectors(input_shape) + 1) * width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_groups": self.num_groups,
            "num_heads": self.num_heads,
            "num_blocks": self.num_blocks,
            "se_axis": self.se_axis,
            "reduction": self.reduction,
            "use_set_attention": self.use_set_attention,
            "adaptive": self.adaptive,
            "selection": self.selection,
            "pooling": self.pooling,
        }

"""APEM's DeepAuto Group Transformer (DGT)."""

from typing import Any

import keras

from tfmtl.core.initializers import stacked_initializer
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.fields._padded_sets import check_set, hide_padding, mean_vector
from tfmtl.layers.fields.set_attention_block import SetAttentionBlock
from tfmtl.layers.fields.squeeze_excitation import SqueezeExcitation, check_reduction
from tfmtl.schema.checks import check_bool, check_one_of, check_positive_int


def check_transformer_arguments(
    owner: str,
    *,
    num_groups: int,
    num_heads: int,
    num_blocks: int,
    se_axis: str,
    reduction: int,
    use_set_attention: bool,
) -> None:
    """Raises unless the arguments are ones `GroupTransformer` takes; layers that hold one check theirs by it."""
    check_positive_int(owner, "num_groups", num_groups)
    check_positive_int(owner, "num_heads", num_heads)
    check_positive_int(owner, "num_blocks", num_blocks)
    check_one_of(owner, "se_axis", se_axis, ("group", "field", "channel", "off"))
    check_reduction(owner, reduction)
    check_bool(owner, "use_set_attention", use_set_attention)


@keras.saving.register_keras_serializable(package="tfmtl")
class GroupTransformer(keras.layers.Layer):
    """Lets the fields of an example exchange what they know through a few groups.

    A block with learned group tokens I does three things to the fields E: every group gathers the fields it needs,
    `H = MAB(I, E)`; squeeze-and-excitation switches groups on or off for the example, giving H'; every field takes
    what it needs of the groups, `E' = MAB(E, H')`, with MAB the `SetAttentionBlock`. The next block goes on from E',
    with tokens and weights of its own. No field attends to a field, so time and memory grow with `F * M`, not `F * F`.
    Without squeeze-and-excitation it is Set Transformer's ISAB. The order of the fields does not matter, except to
    squeeze-and-excitation over fields.

    Shapes: B batch, F fields, M groups, D embedding width.

    Args:
        num_groups: int. Number of groups M, about F / 4. Defaults to `4`.
        num_heads: int. Number of attention heads; it must divide D. Defaults to `2`.
        num_blocks: int. Number of blocks. Defaults to `1`.
        se_axis: str. What squeeze-and-excitation weighs: `"group"`, the M groups; `"channel"`, the D channels of the
            groups; `"field"`, the fields E' in place of the groups; or `"off"`, nothing. Defaults to `"group"`.
        reduction: int. Bottleneck of the squeeze-and-excitation, as in `SqueezeExcitation`. Defaults to `2`.
        use_set_attention: bool. Whether there is attention; if not (an ablation), E' = E and every group is a linear
            map of the mean of the fields, in one block whatever `num_blocks`. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"fields"`, float `(B, F, D)`, and optionally `"field_mask"`, bool `(B, F)`, true at real
            fields.

    Returns:
        dict of `"fields"`, E', float `(B, F, D)`, zeros at padding, and `"groups"`, H', float `(B, M, D)`, both of the
        last block.

    Raises:
        ValueError: If a size is not positive, `se_axis` unknown, or at build if `num_heads` does not divide D or a
            shape does not fit.
        TypeError: If a size is not an int or `use_set_attention` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.GroupTransformer(num_groups=2)({"fields": keras.ops.ones((8, 6, 4))})["groups"].shape
    TensorShape([8, 2, 4])

    Reference:
        Tao et al. 2023 (APEM), https://arxiv.org/abs/2301.02494. A modified set attention with squeeze-and-excitation
        is the paper's; all else is our reading, after Lee et al. 2019, https://arxiv.org/abs/1810.00825, eq. 9-10.
    """

    def __init__(
        self,
        num_groups: int = 4,
        num_heads: int = 2,
        num_blocks: int = 1,
        se_axis: str = "group",
        reduction: int = 2,
        use_set_attention: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_transformer_arguments(
            type(self).__name__,
            num_groups=num_groups,
            num_heads=num_heads,
            num_blocks=num_blocks,
            se_axis=se_axis,
            reduction=reduction,
            use_set_attention=use_set_attention,
        )
        self.num_groups = num_groups
        self.num_heads = num_heads
        self.num_blocks = num_blocks
        self.se_axis = se_axis
        self.reduction = reduction
        self.use_set_attention = use_set_attention

    def build(self, input_shape: Shapes) -> None:
        check_set(type(self).__name__, input_shape, "fields", "field_mask", "B, F, D")
        fields = tuple(input_shape["fields"])
        batch, _, width = fields
        groups = (batch, self.num_groups, width)
        if self.use_set_attention:
            self._build_attention(input_shape, groups)
        else:
            self.projection = StackedDense(self.num_groups, width, dtype=self.dtype_policy)
            self.projection.build((batch, 1, width))
        self.excitations = []
        if self.se_axis != "off":
            axis = "channel" if self.se_axis == "channel" else "field"
            for _ in range(self._depth):
                excitation = SqueezeExcitation(self.reduction, axis=axis, dtype=self.dtype_policy)
                excitation.build(fields if self.se_axis == "field" else groups)
                self.excitations.append(excitation)

    def _build_attention(self, input_shape: Shapes, groups: Shape) -> None:
        _, size, width = groups
        self.group_tokens = self.add_weight(
            name="group_tokens",
            shape=(self.num_blocks, size, width),
            initializer=stacked_initializer("glorot_uniform"),
        )
        reading = {"queries": (1, size, width), "keys": tuple(input_shape["fields"])}
        if "field_mask" in input_shape:
            reading["key_mask"] = tuple(input_shape["field_mask"])
        writing = {"queries": reading["keys"], "keys": groups}
        self.readers: list[SetAttentionBlock] = []
        self.writers: list[SetAttentionBlock] = []
        for _ in range(self.num_blocks):
            for layers, shapes in ((self.readers, reading), (self.writers, writing)):
                attention = SetAttentionBlock(self.num_heads, dtype=self.dtype_policy)
                attention.build(shapes)
                layers.append(attention)

    @property
    def _depth(self) -> int:
        return self.num_blocks if self.use_set_attention else 1

    def call(self, inputs: Tensors) -> dict[str, Tensor]:
        mask = inputs.get("field_mask")
        fields = hide_padding(inputs["fields"], mask)
        for block in range(self._depth):
            groups = self._read(block, fields, mask)  # (B, M, D)
            if self.se_axis in ("group", "channel"):
                groups = self.excitations[block](groups)
            fields = self._write(block, fields, groups, mask)
            if self.se_axis == "field":
                fields = self.excitations[block](fields)
        return {"fields": fields, "groups": groups}

    def _read(self, block: int, fields: Tensor, mask: Tensor | None) -> Tensor:
        if not self.use_set_attention:
            return self.projection(mean_vector(fields, mask)[:, None])
        inputs = {"queries": self.group_tokens[block : block + 1], "keys": fields}
        return self.readers[block](inputs if mask is None else {**inputs, "key_mask": mask})

    def _write(self, block: int, fields: Tensor, groups: Tensor, mask: Tensor | None) -> Tensor:
        if not self.use_set_attention:
            return fields
        # The projected query makes something of padding too.
        return hide_padding(self.writers[block]({"queries": fields, "keys": groups}), mask)

    def compute_output_shape(self, input_shape: Shapes) -> dict[str, Shape]:
        fields = tuple(input_shape["fields"])
        return {"fields": fields, "groups": (fields[0], self.num_groups, fields[-1])}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_groups": self.num_groups,
            "num_heads": self.num_heads,
            "num_blocks": self.num_blocks,
            "se_axis": self.se_axis,
            "reduction": self.reduction,
            "use_set_attention": self.use_set_attention,
        }

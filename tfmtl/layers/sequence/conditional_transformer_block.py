"""One layer of DTRN's conditional Transformer, for all tasks and behaviors at once."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.sequence.event_rows import EventRows, event_rows
from tfmtl.layers.sequence.masked_self_attention import MaskedSelfAttention
from tfmtl.layers.sequence.pooled_rows import unpacked
from tfmtl.layers.sequence.transformer_rows import TransformerWeights, scaled, transformer_rows
from tfmtl.schema.checks import check_axis, check_keys, check_positive_int, check_rate, check_shape

DELTA_SITES = ("value", "output", "expansion", "contraction")
"""The products of a block that may differ by pair; `<site>_down` and `<site>_up` are their deltas."""


@keras.saving.register_keras_serializable(package="tfmtl")
class ConditionalTransformerBlock(keras.layers.Layer):
    """A post-norm Transformer layer whose two layer norms belong to a (task, behavior) pair.

    `H = CLN_1(X + attention(X))`, `O = CLN_2(H + feed_forward(H))`. Attention and feed-forward weights are shared by
    all pairs. Where the input is the same for all tasks (S = 1) attention is computed once per behavior, and the
    tasks part at the first norm. With low-rank deltas every pair also has its own values, output projection and
    feed-forward weights, each `W + down up`; queries and keys, so what an event looks at, stay shared.

    Shapes: B batch, T tasks, S = 1 or T, J behaviors, L sequence length, D embedding width, R rank of the deltas.

    Args:
        num_heads: int. Number of attention heads; it must divide D. Defaults to `2`.
        feed_forward_multiplier: int. Hidden width of the feed-forward part in multiples of D. Defaults to `4`.
        dropout: float in [0, 1). Share of each part's outputs dropped in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(B, S, J, L, D)`, `"event_mask"`, bool `(B, J, L)`, true at real events,
            and `"scale"` and `"shift"`, each float `(T, J, 2, D)`, for the two norms. With deltas also
            `"<site>_down"`, float `(T, J, in, R)`, and `"<site>_up"`, float `(T, J, R, out)`, for the sites
            `value`, `output`, `expansion` and `contraction`.

    Returns:
        float `(B, T, J, L, D)`. What stands at padded positions means nothing.

    Raises:
        ValueError: If a size is not positive, `dropout` outside [0, 1), or at build if a shape does not fit.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> inputs = {"events": keras.ops.ones((8, 1, 3, 5, 4)), "event_mask": keras.ops.ones((8, 3, 5), "bool")}
    >>> norms = {"scale": keras.ops.ones((2, 3, 2, 4)), "shift": keras.ops.zeros((2, 3, 2, 4))}
    >>> tfmtl.layers.ConditionalTransformerBlock()({**inputs, **norms}).shape
    TensorShape([8, 2, 3, 5, 4])

    Reference:
        Liu et al. 2023 (DTRN), https://arxiv.org/abs/2308.05996. That generated layer norms condition an otherwise
        ordinary Transformer is the paper's; post-norm, ReLU and the sharing of attention are our reading. The deltas
        are ours, after Hu et al. 2021 (LoRA), https://arxiv.org/abs/2106.09685, eq. 3.
    """

    def __init__(
        self,
        num_heads: int = 2,
        feed_forward_multiplier: int = 4,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        # Without autocast, because a scale near 1 would lose in bfloat16 all that the hypernetwork adds to it.
        super().__init__(autocast=False, **kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_heads", num_heads)
        check_positive_int(owner, "feed_forward_multiplier", feed_forward_multiplier)
        check_rate(owner, "dropout", dropout)
        self.num_heads = num_heads
        self.feed_forward_multiplier = feed_forward_multiplier
        self.dropout = dropout

    def build(self, input_shape: Shapes) -> None:
        owner = type(self).__name__
        check_keys(owner, "inputs", input_shape, ("events", "event_mask", "scale", "shift"))
        check_shape(owner, "events", input_shape["events"], "B, S, J, L, D")
        check_shape(owner, "scale", input_shape["scale"], "T, J, 2, D")
        num_tasks = input_shape["scale"][0]
        advice = "Give one input for all tasks, or one for each."
        check_axis(owner, "events", input_shape["events"], 1, (1, num_tasks), advice)
        *_, length, width = input_shape["events"]
        events = (None, length, width)
        self.attention = MaskedSelfAttention(self.num_heads, dtype=self.dtype_policy)
        self.attention.build({"events": events, "event_mask": (None, length)})
        hidden_width = self.feed_forward_multiplier * width
        self.expansion = keras.layers.Dense(hidden_width, dtype=self.dtype_policy)
        self.expansion.build(events)
        self.contraction = keras.layers.Dense(width, dtype=self.dtype_policy)
        self.contraction.build((None, length, hidden_width))
        self.attention_dropout = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.attention_dropout.build(events)
        self.feed_forward_dropout = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.feed_forward_dropout.build(events)

    def call(self, inputs: Tensors) -> Tensor:
        events = ops.cast(inputs["events"], self.compute_dtype)
        _, streams, behaviors, length, width = events.shape
        rows = event_rows(inputs["event_mask"])
        by_event = ops.transpose(events, (0, 2, 3, 1, 4))  # (B, J, L, S, D)
        packed = rows.pack(ops.reshape(by_event, (-1, behaviors, length, streams * width)))
        made = self.on_rows(ops.reshape(packed, (-1, streams, width)), rows, inputs)
        norms = zip(made, *(ops.unstack(inputs[each][:, :, 1], axis=1) for each in ("scale", "shift")), strict=True)
        encoded = ops.concatenate([scaled(*each) for each in norms], axis=0)  # (R, T, D)
        return unpacked(ops.cast(encoded, self.compute_dtype), rows)

    def on_rows(self, events: Tensor, rows: EventRows, conditions: Tensors) -> list[Tensor]:
        """The layer on rows, up to the last norm's scale and shift: `(R, S, D)` -> `(R_j, T, D)` for every behavior.

        Args:
            events: float `(R, S, D)`.
            rows: what the rows are.
            conditions: the inputs but for events and mask.
        """
        dropouts = (self.attention_dropout, self.feed_forward_dropout)
        return transformer_rows(events, rows, self._weights(conditions), self.attention.num_heads, dropouts)

    def _weights(self, conditions: Tensors) -> TransformerWeights:
        projections, output = self.attention.projections.joined_kernel(), self.attention.output_projection
        kernels = {
            "value": projections[:, -output.kernel.shape[0] :],
            "output": output.kernel,
            "expansion": self.expansion.kernel,
            "contraction": self.contraction.kernel,
        }
        if "value_down" in conditions:
            for site in DELTA_SITES:
                down, up = (ops.cast(conditions[f"{site}_{part}"], "float32") for part in ("down", "up"))
                kernels[site] = ops.cast(kernels[site], "float32") + ops.matmul(down, up)
        return TransformerWeights(
            projections=projections,
            values=kernels["value"] if "value_down" in conditions else None,
            output=ops.convert_to_tensor(kernels["output"]),
            output_bias=ops.convert_to_tensor(output.bias),
            expansion=ops.convert_to_tensor(kernels["expansion"]),
            expansion_bias=ops.convert_to_tensor(self.expansion.bias),
            contraction=ops.convert_to_tensor(kernels["contraction"]),
            contraction_bias=ops.convert_to_tensor(self.contraction.bias),
            scale=ops.convert_to_tensor(conditions["scale"]),
            shift=ops.convert_to_tensor(conditions["shift"]),
        )

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, _, *others = input_shape["events"]
        return (batch, input_shape["scale"][0], *others)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "feed_forward_multiplier": self.feed_forward_multiplier,
            "dropout": self.dropout,
        }

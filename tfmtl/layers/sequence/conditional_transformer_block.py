"""One layer of DTRN's conditional Transformer, for all tasks and behaviors at once."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.sequence.conditional_layer_normalization import conditional_layer_normalization
from tfmtl.layers.sequence.masked_self_attention import MaskedSelfAttention
from tfmtl.schema.checks import check_axis, check_keys, check_positive_int, check_rate, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class ConditionalTransformerBlock(keras.layers.Layer):
    """A post-norm Transformer layer whose two layer norms belong to a (task, behavior) pair.

    `H = CLN_1(X + attention(X))`, `O = CLN_2(H + feed_forward(H))`. Attention and feed-forward weights are shared by
    all pairs. Where the input is the same for all tasks (S = 1) attention is computed once per behavior, and the
    tasks part at the first norm.

    Shapes: B batch, T tasks, S = 1 or T, J behaviors, L sequence length, D embedding width.

    Args:
        num_heads: int. Number of attention heads; it must divide D. Defaults to `2`.
        feed_forward_multiplier: int. Hidden width of the feed-forward part in multiples of D. Defaults to `4`.
        dropout: float in [0, 1). Share of each part's outputs dropped in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(B, S, J, L, D)`, `"event_mask"`, bool `(B, J, L)`, true at real events,
            and `"scale"` and `"shift"`, each float `(T, J, 2, D)`, for the two norms.

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
        ordinary Transformer is the paper's; post-norm, ReLU and the sharing of attention are our reading.
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
        self.expansion = keras.layers.Dense(hidden_width, "relu", dtype=self.dtype_policy)
        self.expansion.build(events)
        self.contraction = keras.layers.Dense(width, dtype=self.dtype_policy)
        self.contraction.build((None, length, hidden_width))
        self.attention_dropout = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.attention_dropout.build(events)
        self.feed_forward_dropout = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.feed_forward_dropout.build(events)

    def call(self, inputs: Tensors) -> Tensor:
        events = ops.cast(inputs["events"], self.compute_dtype)
        scale, shift = inputs["scale"], inputs["shift"]
        attended = self.attention_dropout(self._attend(events, inputs["event_mask"]))
        hidden = conditional_layer_normalization(events + attended, scale[:, :, 0], shift[:, :, 0])
        fed = self.feed_forward_dropout(self.contraction(self.expansion(hidden)))  # (B, T, J, L, D)
        return conditional_layer_normalization(hidden + fed, scale[:, :, 1], shift[:, :, 1])

    def _attend(self, events: Tensor, event_mask: Tensor) -> Tensor:
        _, streams, behaviors, length, width = events.shape
        masks = ops.repeat(event_mask[:, None], streams, axis=1)  # (B, S, J, L)
        attended = self.attention(
            {
                "events": ops.reshape(events, (-1, length, width)),
                "event_mask": ops.reshape(masks, (-1, length)),
            }
        )
        return ops.reshape(attended, (-1, streams, behaviors, length, width))

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

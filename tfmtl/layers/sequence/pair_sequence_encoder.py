"""A separate Transformer for every task and behavior, for comparison with DTRN's hypernetwork."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.sequence._encoder_arguments import check_encoder_arguments
from tfmtl.layers.sequence._sequence_shapes import check_sequence_shapes
from tfmtl.layers.sequence.event_positions import EventPositions
from tfmtl.layers.sequence.event_rows import event_rows
from tfmtl.layers.sequence.pooled_rows import EncodedRows, pooled_rows
from tfmtl.layers.sequence.pooling import pair_pooling_layer, reads_queries
from tfmtl.layers.sequence.skip import SKIP_START
from tfmtl.layers.sequence.transformer_rows import TransformerWeights, transformer_rows
from tfmtl.schema.checks import check_bool, check_heads


@keras.saving.register_keras_serializable(package="tfmtl")
class PairSequenceEncoder(keras.layers.Layer):
    """Turns behavior sequences into interests with T * J independent post-norm Transformers.

    The costly upper bound of `HyperSequenceEncoder`: nothing but positions, skip and pooling is shared, so a task or a
    behavior more costs whole Transformers. All of them are computed as batched products.

    Shapes: B batch, T tasks, J behaviors, N = T * J pairs, L sequence length, D embedding width.

    Args:
        num_tasks: int. Number of tasks T.
        num_layers: int. Number of layers of each Transformer. Defaults to `1`.
        num_heads: int. Number of attention heads; it must divide D. Defaults to `2`.
        feed_forward_multiplier: int. Hidden width of the feed-forward parts in multiples of D. Defaults to `4`.
        pooling: str. `"mean"`, `"target"`, `"sdim"`, or one of them with `"_count"`, as in `HyperSequenceEncoder`.
            Defaults to `"mean"`.
        use_positions: bool. Whether events get a position embedding. Defaults to `True`.
        use_skip: bool. Whether events join what is pooled, as in `HyperSequenceEncoder`. Defaults to `False`.
        dropout: float in [0, 1). Share of each part's outputs dropped in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(B, J, L, D)`, oldest first and padded at the end, `"event_mask"`, bool
            `(B, J, L)`, true at real events, and, unless the pooling is a mean, `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, T, J, D)`; zeros for an empty sequence.

    Raises:
        ValueError: If a size is not positive, a choice unknown, `dropout` outside [0, 1), or at build if a shape does
            not fit.
        TypeError: If a size is not an int, or `use_positions` or `use_skip` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> events, mask = keras.ops.ones((8, 3, 5, 4)), keras.ops.ones((8, 3, 5), "bool")
    >>> tfmtl.layers.PairSequenceEncoder(num_tasks=2)({"events": events, "event_mask": mask}).shape
    TensorShape([8, 2, 3, 4])
    """

    def __init__(
        self,
        num_tasks: int,
        num_layers: int = 1,
        num_heads: int = 2,
        feed_forward_multiplier: int = 4,
        pooling: str = "mean",
        use_positions: bool = True,
        use_skip: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_encoder_arguments(
            type(self).__name__,
            num_tasks=num_tasks,
            num_layers=num_layers,
            num_heads=num_heads,
            feed_forward_multiplier=feed_forward_multiplier,
            pooling=pooling,
            use_positions=use_positions,
            dropout=dropout,
        )
        check_bool(type(self).__name__, "use_skip", use_skip)
        self.num_tasks = num_tasks
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.feed_forward_multiplier = feed_forward_multiplier
        self.pooling = pooling
        self.use_positions = use_positions
        self.use_skip = use_skip
        self.dropout = dropout

    def build(self, input_shape: Shapes) -> None:
        owner = type(self).__name__
        check_sequence_shapes(owner, input_shape, with_queries=reads_queries(self.pooling))
        batch, behaviors, _, width = input_shape["events"]
        check_heads(owner, self.num_heads, width)
        self.positions = EventPositions(self.use_positions, dtype=self.dtype_policy)
        self.positions.build(input_shape)
        norms = (self.num_tasks, behaviors, 2 * self.num_layers, width)
        # Without autocast, because a scale of 1.003 is 1 in bfloat16.
        self.scale = self.add_weight(name="scale", shape=norms, initializer="ones", autocast=False)
        self.shift = self.add_weight(name="shift", shape=norms, initializer="zeros", autocast=False)
        if self.use_skip:
            self.skip_scale = self.add_weight(name="skip_scale", shape=(width,), initializer=SKIP_START, autocast=False)
        num_pairs = self.num_tasks * behaviors
        hidden_width = self.feed_forward_multiplier * width
        # Queries, keys and values in one product. Glorot would take the three widths for one; LeCun, which looks at the
        # inputs' width alone, draws from the range that Glorot has for each of the three.
        lecun = {"use_bias": False, "kernel_initializer": "lecun_uniform"}
        self.projections = self._stacks(num_pairs, width, 3 * width, **lecun)
        self.output_projections = self._stacks(num_pairs, width, width)
        self.expansions = self._stacks(num_pairs, width, hidden_width, activation="relu")
        self.contractions = self._stacks(num_pairs, hidden_width, width)
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.dropout_layer.build((batch, num_pairs, width))
        self.pool = pair_pooling_layer(self.pooling, self.num_tasks, input_shape, self.dtype_policy)

    def _stacks(self, num_pairs: int, width: int, units: int, **arguments: Any) -> list[StackedDense]:
        """One dense layer for each pair, for each Transformer layer."""
        stacks = [StackedDense(num_pairs, units, dtype=self.dtype_policy, **arguments) for _ in range(self.num_layers)]
        for stack in stacks:
            stack.build((None, num_pairs, width))
        return stacks

    def call(self, inputs: Tensors) -> Tensor:
        rows = event_rows(inputs["event_mask"])
        events = self.positions.on_rows(inputs, rows)  # (R, D)
        encoded = EncodedRows(events, [], self.scale, self.shift)
        dropouts = (self.dropout_layer, self.dropout_layer)
        for layer in range(self.num_layers):
            weights = self._weights(layer, inputs["event_mask"].shape[1])
            read = encoded.all_events() if layer else ops.expand_dims(events, 1)
            made = transformer_rows(read, rows, weights, self.num_heads, dropouts)
            encoded = EncodedRows(events, made, weights.scale[:, :, 1], weights.shift[:, :, 1])
        return pooled_rows(self.pool, encoded, rows, inputs, self.skip_scale if self.use_skip else None)

    def _weights(self, layer: int, behaviors: int) -> TransformerWeights:
        def of_pairs(weight: keras.Variable) -> Tensor:
            return ops.reshape(weight, (self.num_tasks, behaviors, *weight.shape[1:]))

        sites = slice(2 * layer, 2 * layer + 2)
        output, expansion, contraction = (
            stacks[layer] for stacks in (self.output_projections, self.expansions, self.contractions)
        )
        return TransformerWeights(
            projections=of_pairs(self.projections[layer].kernel),
            output=of_pairs(output.kernel),
            output_bias=of_pairs(output.bias),
            expansion=of_pairs(expansion.kernel),
            expansion_bias=of_pairs(expansion.bias),
            contraction=of_pairs(contraction.kernel),
            contraction_bias=of_pairs(contraction.bias),
            scale=self.scale[:, :, sites],
            shift=self.shift[:, :, sites],
        )

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that only its own interests depend on."""
        stacks = [*self.projections, *self.output_projections, *self.expansions, *self.contractions]
        return [self.scale, self.shift, *(weight for stack in stacks for weight in stack.trainable_weights)]

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, behaviors, _, width = input_shape["events"]
        return (batch, self.num_tasks, behaviors, width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "feed_forward_multiplier": self.feed_forward_multiplier,
            "pooling": self.pooling,
            "use_positions": self.use_positions,
            "use_skip": self.use_skip,
            "dropout": self.dropout,
        }

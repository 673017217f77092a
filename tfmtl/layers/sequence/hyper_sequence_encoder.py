"""DTRN's Task-specific Interest Module (TIM)."""

from dataclasses import replace
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.sequence._conditioning import check_conditioning
from tfmtl.layers.sequence._encoder_arguments import check_encoder_arguments
from tfmtl.layers.sequence._sequence_shapes import check_sequence_shapes
from tfmtl.layers.sequence.behavior_hypernetwork import BehaviorHypernetwork, check_condition_dims
from tfmtl.layers.sequence.conditional_transformer_block import DELTA_SITES, ConditionalTransformerBlock
from tfmtl.layers.sequence.event_positions import EventPositions
from tfmtl.layers.sequence.event_rows import event_rows
from tfmtl.layers.sequence.generated_factors import GeneratedFactors
from tfmtl.layers.sequence.pair_products import adapter, low_rank_delta
from tfmtl.layers.sequence.pooled_rows import EncodedRows, pooled_rows
from tfmtl.layers.sequence.pooling import learns_queries, pair_pooling_layer, reads_queries
from tfmtl.layers.sequence.skip import SKIP_START
from tfmtl.schema.checks import check_bool


@keras.saving.register_keras_serializable(package="tfmtl")
class HyperSequenceEncoder(keras.layers.Layer):
    """Turns behavior sequences into one interest vector for every (task, behavior) pair.

    One Transformer serves all pairs. What differs is generated from a task and a behavior embedding: its layer norms,
    and with `conditioning` more than these. So a task more costs `task_dim` parameters. With `num_tasks=1` the same
    layer is a plain sequence encoder whose result all tasks share.

    Shapes: B batch, T tasks, J behaviors, L sequence length, D embedding width.

    Args:
        num_tasks: int. Number of tasks T.
        num_layers: int. Number of Transformer layers. Defaults to `1`.
        num_heads: int. Number of attention heads; it must divide D. Defaults to `2`.
        feed_forward_multiplier: int. Hidden width of the feed-forward parts in multiples of D. Defaults to `4`.
        pooling: str. `"mean"` of the encoded events, `"target"`, their `TargetAttention` by the queries, or `"sdim"`,
            their `HashedAttention`. With `"mean_count"`, `"target_count"` and `"sdim_count"` the result also says how
            many events there are (`CountedPooling`). Defaults to `"mean"`.
        task_dim: int. Width of a task's embedding in the hypernetwork; with `0` it does not know the task, and all
            tasks have the same interests. Defaults to `16`.
        behavior_dim: int. Width of a behavior's embedding in the hypernetwork; with `0` it does not know the
            behavior. Defaults to `16`.
        hidden_dim: int. Hidden width of the hypernetwork. Defaults to `32`.
        use_positions: bool. Whether events get a position embedding, counted from the most recent event. Without it
            the order of events means nothing. Defaults to `True`.
        use_skip: bool. Whether what is pooled is `x + a * encoded(x)`, with trainable `a` of width D that starts at
            0.1, in place of `encoded(x)`. A norm puts out vectors of size 1 whatever comes in, many times an untrained
            embedding; with the skip a layer starts near a plain pooling. Ours, not the paper's. Defaults to `False`.
        dropout: float in [0, 1). Dropout inside the Transformer. Defaults to `0.0`.
        conditioning: str. What a pair has of its own: `"norm"`, scale and shift of the layer norms; `"adapter"`, also a
            residual layer `x + 0.3 relu(x down + b) up` behind the Transformer; `"low_rank"`, also an addition
            `down up` to every value, output and feed-forward matrix. With `pooling="target"` the query gets an adapter
            or an addition as well, so that tasks may look for different events. All of these start at zero.
            Defaults to `"norm"`.
        rank: int. Width between `down` and `up`; with `0` only norms differ. Defaults to `16`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(B, J, L, D)`, oldest first and padded at the end, `"event_mask"`, bool
            `(B, J, L)`, true at real events, and, unless the pooling is a mean, `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, T, J, D)`; zeros for an empty sequence.

    Raises:
        ValueError: If a size is not positive, `rank` negative, a choice unknown, `dropout` outside [0, 1), or at build
            if a shape does not fit.
        TypeError: If a size is not an int, or `use_positions` or `use_skip` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> events, mask = keras.ops.ones((8, 3, 5, 4)), keras.ops.ones((8, 3, 5), "bool")
    >>> tfmtl.layers.HyperSequenceEncoder(num_tasks=2)({"events": events, "event_mask": mask}).shape
    TensorShape([8, 2, 3, 4])

    Reference:
        Liu et al. 2023 (DTRN), https://arxiv.org/abs/2308.05996. The module's parts and what feeds them are the
        paper's; the equations, pooling and positions are our reading. The other conditionings are ours, after Mahabadi
        et al. 2021 (HyperFormer), https://arxiv.org/abs/2106.04489, and Hu et al. 2021 (LoRA),
        https://arxiv.org/abs/2106.09685.
    """

    def __init__(
        self,
        num_tasks: int,
        num_layers: int = 1,
        num_heads: int = 2,
        feed_forward_multiplier: int = 4,
        pooling: str = "mean",
        task_dim: int = 16,
        behavior_dim: int = 16,
        hidden_dim: int = 32,
        use_positions: bool = True,
        use_skip: bool = False,
        dropout: float = 0.0,
        conditioning: str = "norm",
        rank: int = 16,
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
            hidden_dim=hidden_dim,
            use_positions=use_positions,
            dropout=dropout,
        )
        check_condition_dims(type(self).__name__, task_dim, behavior_dim)
        check_bool(type(self).__name__, "use_skip", use_skip)
        check_conditioning(type(self).__name__, conditioning, rank)
        self.num_tasks = num_tasks
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.feed_forward_multiplier = feed_forward_multiplier
        self.pooling = pooling
        self.task_dim = task_dim
        self.behavior_dim = behavior_dim
        self.hidden_dim = hidden_dim
        self.use_positions = use_positions
        self.use_skip = use_skip
        self.dropout = dropout
        self.conditioning = conditioning
        self.rank = rank

    def build(self, input_shape: Shapes) -> None:
        check_sequence_shapes(type(self).__name__, input_shape, with_queries=reads_queries(self.pooling))
        batch, behaviors, length, width = input_shape["events"]
        self.positions = EventPositions(self.use_positions, dtype=self.dtype_policy)
        self.positions.build(input_shape)
        self.hypernetwork = BehaviorHypernetwork(
            num_tasks=self.num_tasks,
            num_behaviors=behaviors,
            num_sites=2 * self.num_layers,
            dim=width,
            task_dim=self.task_dim,
            behavior_dim=self.behavior_dim,
            hidden_dim=self.hidden_dim,
            # Its work is small, and a scale of 1.00 and one of 1.003 are the same number in bfloat16.
            dtype=self.variable_dtype,
        )
        self.hypernetwork.build()
        pairs = (self.num_tasks, behaviors)
        self.blocks = []
        for streams in (1, *[self.num_tasks] * (self.num_layers - 1)):
            block = ConditionalTransformerBlock(
                self.num_heads, self.feed_forward_multiplier, self.dropout, dtype=self.dtype_policy
            )
            block.build(
                {
                    "events": (batch, streams, behaviors, length, width),
                    "event_mask": (batch, behaviors, length),
                    "scale": (*pairs, 2, width),
                    "shift": (*pairs, 2, width),
                }
            )
            self.blocks.append(block)
        if self.use_skip:
            self.skip_scale = self.add_weight(name="skip_scale", shape=(width,), initializer=SKIP_START, autocast=False)
        self.pool = pair_pooling_layer(self.pooling, self.num_tasks, input_shape, self.dtype_policy)
        self.factors = None
        if self.rank and self.conditioning != "norm":
            self.factors = GeneratedFactors(
                self.rank, self._sites(width), self.conditioning == "adapter", dtype=self.variable_dtype
            )
            self.factors.build((*pairs, self.task_dim + self.behavior_dim))

    def _sites(self, width: int) -> list[tuple[int, int]]:
        """Widths of what is generated besides norms: of the query, and of the adapter or of every block's products."""
        hidden = self.feed_forward_multiplier * width
        query = [(width, width)] if learns_queries(self.pooling) else []
        if self.conditioning == "adapter":
            return [*query, (width, width)]
        return [*query, *[(width, width), (width, width), (width, hidden), (hidden, width)] * self.num_layers]

    def call(self, inputs: Tensors) -> Tensor:
        rows = event_rows(inputs["event_mask"])
        events = self.positions.on_rows(inputs, rows)  # (R, D)
        scale, shift = self.hypernetwork()
        factors = [] if self.factors is None else self.factors(self.hypernetwork.pairs())
        if factors and learns_queries(self.pooling):
            inputs = {**inputs, "queries": self._queries(inputs["queries"], factors)}
        encoded = EncodedRows(events, [], scale, shift)
        for index, block in enumerate(self.blocks):
            sites = slice(2 * index, 2 * index + 2)
            conditions = {"scale": scale[:, :, sites], "shift": shift[:, :, sites]}
            if factors and self.conditioning == "low_rank":
                for site in DELTA_SITES:
                    conditions[f"{site}_down"], conditions[f"{site}_up"] = factors.pop(0), factors.pop(0)
            read = encoded.all_events() if index else ops.expand_dims(events, 1)
            made = block.on_rows(read, rows, conditions)
            encoded = EncodedRows(events, made, conditions["scale"][:, :, 1], conditions["shift"][:, :, 1])
        encoded = replace(encoded, adapter=factors)
        return pooled_rows(self.pool, encoded, rows, inputs, self.skip_scale if self.use_skip else None)

    def _queries(self, queries: Tensor, factors: list[Tensor]) -> Tensor:
        """The query of every pair, `(B, T, J, D)`; takes what it uses from `factors`."""
        shared = queries[:, None, :, None]  # (B, 1, J, 1, D)
        if self.conditioning == "adapter":
            return adapter(shared, factors.pop(0), factors.pop(0), factors.pop(0))[:, :, :, 0]
        return (shared + low_rank_delta(shared, factors.pop(0), factors.pop(0)))[:, :, :, 0]

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that only its own interests depend on."""
        embeddings = self.hypernetwork.task_embeddings
        return [] if embeddings is None else [embeddings]

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
            "task_dim": self.task_dim,
            "behavior_dim": self.behavior_dim,
            "hidden_dim": self.hidden_dim,
            "use_positions": self.use_positions,
            "use_skip": self.use_skip,
            "dropout": self.dropout,
            "conditioning": self.conditioning,
            "rank": self.rank,
        }

"""DTRN's bottom: a representation of its own for every task."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.rows import with_equal_rows
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.bottom._bottom_shapes import check_bottom_shapes, num_vectors
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.bottom.task_refinement import TaskRefinement, check_refinement_arguments
from tfmtl.layers.sequence._conditioning import check_conditioning
from tfmtl.layers.sequence._encoder_arguments import check_encoder_arguments
from tfmtl.layers.sequence.behavior_hypernetwork import check_condition_dims
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder
from tfmtl.layers.sequence.pair_sequence_encoder import PairSequenceEncoder
from tfmtl.schema.checks import check_bool, check_one_of


@keras.saving.register_keras_serializable(package="tfmtl")
class DTRNBottom(BottomLayer):
    """Gives every task its own interests (TIM) and its own weighting of everything it sees (TRM).

    `HyperSequenceEncoder` makes an interest vector per task and behavior; these join the fields, which all tasks
    share; `TaskRefinement` weighs the lot for each task. Without behaviors only the refinement is left.

    Shapes: B batch, T tasks, F fields, J behaviors, L sequence length, D embedding width.

    Args:
        num_tasks: int. Number of tasks T.
        num_layers: int. Number of Transformer layers. Defaults to `1`.
        num_heads: int. Number of attention heads; it must divide D. Defaults to `2`.
        feed_forward_multiplier: int. Hidden width of the feed-forward parts in multiples of D. Defaults to `4`.
        pooling: str. `"mean"`, `"target"`, `"sdim"`, or one of them with `"_count"`, as in `HyperSequenceEncoder`.
            Defaults to `"mean"`.
        task_dim: int. Width of a task's embedding in the hypernetwork, `0` to leave it out. Defaults to `16`.
        behavior_dim: int. Width of a behavior's embedding in the hypernetwork, `0` to leave it out.
            Defaults to `16`.
        hidden_dim: int. Hidden width of the hypernetwork. Defaults to `32`.
        use_positions: bool. Whether events get a position embedding. Defaults to `True`.
        use_skip: bool. Whether interests are pooled from events plus encoded events, as in `HyperSequenceEncoder`.
            Defaults to `False`.
        dropout: float in [0, 1). Dropout inside the Transformer. Defaults to `0.0`.
        encoder: str. `"hyper"`, or what it is compared with: `"shared"`, one Transformer that does not know the task,
            and `"independent"`, one for each task and behavior (`PairSequenceEncoder`). Defaults to `"hyper"`.
        reduction: int. Bottleneck of the refinement, as in `TaskRefinement`. Defaults to `2`.
        squeeze: str. `"mean"` or `"flatten"`, as in `TaskRefinement`. Defaults to `"mean"`.
        gate: str. `"2sigmoid"`, `"sigmoid"`, `"relu"`, `"identity"` or `"off"`, as in `TaskRefinement`.
            Defaults to `"2sigmoid"`.
        conditioning: str. `"norm"`, `"adapter"` or `"low_rank"`: what of the Transformer is generated, as in
            `HyperSequenceEncoder`; means nothing to `encoder="independent"`. Defaults to `"norm"`.
        rank: int. Width of what is generated besides norms, as in `HyperSequenceEncoder`. Defaults to `16`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"fields"`, float `(B, F, D)`, and where there are behaviors `"events"`, float `(B, J, L, D)`,
            oldest first and padded at the end, `"event_mask"`, bool `(B, J, L)`, and, unless the pooling is a
            mean, `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, T, (F + J) * D)`; J is 0 without behaviors.

    Raises:
        ValueError: If a size is not positive, `rank` negative, a choice unknown, `dropout` outside [0, 1), or at build
            if a shape does not fit.
        TypeError: If a size is not an int, or `use_positions` or `use_skip` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> events, mask = keras.ops.ones((8, 3, 5, 4)), keras.ops.ones((8, 3, 5), "bool")
    >>> inputs = {"fields": keras.ops.ones((8, 6, 4)), "events": events, "event_mask": mask}
    >>> tfmtl.layers.DTRNBottom(num_tasks=2)(inputs).shape
    TensorShape([8, 2, 36])

    Reference:
        Liu et al. 2023 (DTRN), https://arxiv.org/abs/2308.05996. The two modules and their order are the paper's;
        for their insides see the two layers.
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
        encoder: str = "hyper",
        reduction: int = 2,
        squeeze: str = "mean",
        gate: str = "2sigmoid",
        conditioning: str = "norm",
        rank: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_one_of(owner, "encoder", encoder, ("hyper", "shared", "independent"))
        check_encoder_arguments(
            owner,
            num_tasks=num_tasks,
            num_layers=num_layers,
            num_heads=num_heads,
            feed_forward_multiplier=feed_forward_multiplier,
            pooling=pooling,
            hidden_dim=hidden_dim,
            use_positions=use_positions,
            dropout=dropout,
        )
        check_condition_dims(owner, task_dim, behavior_dim)
        check_bool(owner, "use_skip", use_skip)
        check_conditioning(owner, conditioning, rank)
        check_refinement_arguments(owner, reduction, squeeze, gate)
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
        self.encoder = encoder
        self.reduction = reduction
        self.squeeze = squeeze
        self.gate = gate
        self.conditioning = conditioning
        self.rank = rank

    def build(self, input_shape: Shapes) -> None:
        check_bottom_shapes(type(self).__name__, input_shape)
        batch, _, width = input_shape["fields"]
        self.interests: Any = None
        if "events" in input_shape:
            self.interests = self._interests()
            self.interests.build(input_shape)
        self.refinement = TaskRefinement(
            self.num_tasks, self.reduction, self.squeeze, self.gate, dtype=self.dtype_policy
        )
        streams = self.num_tasks if "events" in input_shape and self.encoder != "shared" else 1
        self.refinement.build((batch, streams, num_vectors(input_shape), width))

    def _interests(self) -> HyperSequenceEncoder | PairSequenceEncoder:
        common = {
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "feed_forward_multiplier": self.feed_forward_multiplier,
            "pooling": self.pooling,
            "use_positions": self.use_positions,
            "use_skip": self.use_skip,
            "dropout": self.dropout,
            "dtype": self.dtype_policy,
        }
        if self.encoder == "independent":
            return PairSequenceEncoder(self.num_tasks, **common)
        return HyperSequenceEncoder(
            num_tasks=self.num_tasks if self.encoder == "hyper" else 1,
            task_dim=self.task_dim,
            behavior_dim=self.behavior_dim,
            hidden_dim=self.hidden_dim,
            conditioning=self.conditioning,
            rank=self.rank,
            **common,
        )

    def call(self, inputs: Tensors) -> Tensor:
        refined = self.refinement(self._vectors(inputs))  # (B, T, F + J, D)
        _, tasks, vectors, width = refined.shape
        return ops.reshape(refined, (-1, tasks, vectors * width))

    def field_weights(self, inputs: Tensors) -> Tensor:
        """Returns the weight every task gives every field and then every behavior, float `(B, T, F + J)`."""
        return self.refinement.field_weights(self._vectors(inputs))

    def _vectors(self, inputs: Tensors) -> Tensor:
        """Returns what the refinement weighs, fields before interests: `(B, S, F + J, D)`."""
        fields = inputs["fields"][:, None]  # (B, 1, F, D)
        if "events" not in inputs:
            return fields
        interests = self.interests(inputs)  # (B, S, J, D)
        both = with_equal_rows([ops.repeat(fields, interests.shape[1], axis=1), interests])
        return ops.concatenate(both, axis=2)

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that only its own representation depends on."""
        # A shared encoder's one row of task embeddings is every task's.
        has_own_interests = self.interests is not None and self.encoder != "shared"
        interests = self.interests.private_weights if has_own_interests else []
        return [*self.refinement.trainable_weights, *interests]

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, _, width = input_shape["fields"]
        return (batch, self.num_tasks, num_vectors(input_shape) * width)

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
            "encoder": self.encoder,
            "reduction": self.reduction,
            "squeeze": self.squeeze,
            "gate": self.gate,
            "conditioning": self.conditioning,
            "rank": self.rank,
        }

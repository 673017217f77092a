"""DEPHN's heterogeneous experts: public networks under several mappings, private feature interactions."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.label_correlation import CORRELATIONS
from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.layers.experts.cross_expert import CrossExpert
from tfmtl.layers.experts.field_interaction_expert import FieldInteractionExpert
from tfmtl.layers.gates.virtual_gradient_gate import VirtualGradientGate, check_scaling_function
from tfmtl.layers.sharing._representations import check_representations, public_representation, task_representations
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.schema.checks import check_one_of, check_positive_int, check_positive_ints, check_rate, error_text

_MAPPINGS = {"identity": lambda outputs: outputs, "sin": ops.sin, "cos": ops.cos}


def _check_mappings(owner: str, mappings: object) -> None:
    rule = f"be a non-empty sequence of different names out of {list(_MAPPINGS)}"
    advice = "Use ('identity', 'sin')."
    if isinstance(mappings, str) or not isinstance(mappings, Sequence) or not all(isinstance(m, str) for m in mappings):
        raise TypeError(error_text(owner, "mappings", rule, mappings, advice))
    if not mappings or len(set(mappings)) != len(mappings) or not set(mappings) <= set(_MAPPINGS):
        raise ValueError(error_text(owner, "mappings", rule, mappings, advice))


@keras.saving.register_keras_serializable(package="tfmtl")
class HeterogeneousExperts(SharingLayer):
    """Joins what all tasks share, seen through several mappings, with each task's own feature interactions.

    Public experts e_k, networks that read what belongs to all tasks, are seen through P fixed mappings f_p and weighed
    by each task's gates: `G_tkp f_p(e_k)`. Private experts of each task read its own representation: a `CrossExpert`
    and a `FieldInteractionExpert` side by side, whose last outputs are concatenated. The result for task t is all its
    gated views, expert by expert, and then all its private outputs, so a linear layer on it is the sum of a public and
    a private logit. `VirtualGradientGate` scales what the gates learn, where it is given the labels' correlation.

    A private expert puts out 2 H values, which is most of H' where the inputs are wide.

    Shapes: B batch, T tasks, S = 1, T or T + 1, H = F * D and H' widths, F fields, D embedding width.

    Args:
        num_tasks: int. Number of tasks T.
        field_dim: int. Embedding width D, by which H is cut into fields.
        num_public_experts: int. Number of public experts K. Defaults to `3`.
        num_private_experts: int. Number of private experts of each task. Defaults to `3`.
        hidden_units: Sequence of ints. Width of each layer of a public expert. Defaults to `(128, 64)`.
        num_layers: int. Number of layers of the private crosses and field interactions. Defaults to `3`.
        mappings: Sequence of str. The mappings, out of `"identity"`, `"sin"` and `"cos"`.
            Defaults to `("identity", "sin")`.
        private_experts: str. `"cross_field"`, or `"mlp"` for private experts of the public ones' kind (an ablation).
            Defaults to `"cross_field"`.
        function: str or None. The scaling function of `VirtualGradientGate`; `None` leaves the gates' gradient as it
            is. Defaults to `"additive_root"`.
        correlation: str. Which correlation of the labels a model is to give: `"pearson"` or `"cosine"`. The layer
            itself does not read it. Defaults to `"pearson"`.
        cross_rank: int or None. Rank of the crosses' matrices, as in `CrossExpert`. Defaults to `None`.
        activation: Keras activation or its name, after every layer of a network. Defaults to `"leaky_relu"`.
        dropout: float in [0, 1). Share of outputs dropped after every layer of a network in training.
            Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`: one representation for all tasks (S = 1), one for each (S = T; the public experts
            read their mean), or one for each and, last, one for the public experts (S = T + 1).
        training: bool or None. Whether dropout is on.
        label_correlation: float `(T, T)` or None. From 0 to 1, as `tfmtl.core.label_correlation` computes it; read
            for gradients alone.

    Returns:
        float `(B, T, H')`. H' is K * P * `hidden_units[-1]` plus, for each private expert of a task, 2 H
        (`"cross_field"`) or `hidden_units[-1]` (`"mlp"`).

    Raises:
        ValueError: If a size is not positive, a choice unknown, `dropout` outside [0, 1), or at build if the inputs
            have another shape or H is not a multiple of `field_dim`.
        TypeError: If a size is not an int or `mappings` not a sequence.

    Example:

    >>> import keras, tfmtl
    >>> layer = tfmtl.layers.HeterogeneousExperts(num_tasks=2, field_dim=4, hidden_units=(4,))
    >>> layer(keras.ops.ones((8, 1, 24))).shape
    TensorShape([8, 2, 168])

    Reference:
        Kong et al. 2023 (DEPHN), https://arxiv.org/abs/2307.12519, eq. 2-9. Eq. 6 adds up two sigmoids, which is no
        probability: this layer is made for one sigmoid of the two logits' sum. That, what the mappings are and how
        crosses and field interactions are joined is our reading.
    """

    def __init__(
        self,
        num_tasks: int,
        field_dim: int,
        num_public_experts: int = 3,
        num_private_experts: int = 3,
        hidden_units: Sequence[int] = (128, 64),
        num_layers: int = 3,
        mappings: Sequence[str] = ("identity", "sin"),
        private_experts: str = "cross_field",
        function: str | None = "additive_root",
        correlation: str = "pearson",
        cross_rank: int | None = None,
        activation: Any = "leaky_relu",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        # Without autocast: a correlation rounded to bfloat16 would scale gradients wrongly.
        super().__init__(autocast=False, **kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_positive_int(owner, "field_dim", field_dim)
        check_positive_int(owner, "num_public_experts", num_public_experts)
        check_positive_int(owner, "num_private_experts", num_private_experts)
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_positive_int(owner, "num_layers", num_layers)
        _check_mappings(owner, mappings)
        check_one_of(owner, "private_experts", private_experts, ("cross_field", "mlp"))
        check_scaling_function(owner, function)
        check_one_of(owner, "correlation", correlation, CORRELATIONS)
        if cross_rank is not None:
            check_positive_int(owner, "cross_rank", cross_rank, "Use 1 or more, or None for full matrices.")
        check_rate(owner, "dropout", dropout)
        self.num_tasks = num_tasks
        self.field_dim = field_dim
        self.num_public_experts = num_public_experts
        self.num_private_experts = num_private_experts
        self.hidden_units = tuple(hidden_units)
        self.num_layers = num_layers
        self.mappings = tuple(mappings)
        self.private_experts = private_experts
        self.function = function
        self.correlation = correlation
        self.cross_rank = cross_rank
        self.activation = keras.activations.get(activation)
        self.dropout = dropout

    @property
    def uses_label_correlation(self) -> bool:
        """Whether `label_correlation` would change a gradient."""
        return self.function is not None and self.num_tasks > 1

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_representations(owner, input_shape, self.num_tasks, public=True)
        batch, streams, width = input_shape
        if width % self.field_dim:
            rule = f"divide the width {width} of the inputs"
            raise ValueError(error_text(owner, "field_dim", rule, self.field_dim, "Use the fields' embedding width."))
        self.public = self._networks(self.num_public_experts)
        self.public.build((batch, 1, width))
        self.gate = VirtualGradientGate(
            self.num_tasks, self.num_public_experts, len(self.mappings), self.function, dtype=self.dtype_policy
        )
        self.gate.build({})
        # All private experts of the first task, then all of the second, and so on.
        stacks = self.num_tasks * self.num_private_experts
        read = 1 if 1 in (streams, self.num_tasks) else stacks
        if self.private_experts == "mlp":
            self.private = self._networks(stacks)
            self.private.build((batch, read, width))
            return
        self.crosses = CrossExpert(stacks, self.num_layers, rank=self.cross_rank, dtype=self.dtype_policy)
        self.crosses.build((batch, read, width))
        self.interactions = FieldInteractionExpert(stacks, self.num_layers, dtype=self.dtype_policy)
        self.interactions.build((batch, read, width // self.field_dim, self.field_dim))

    def _networks(self, count: int) -> StackedMLP:
        return StackedMLP(count, self.hidden_units, self.activation, self.dropout, dtype=self.dtype_policy)

    def call(self, inputs: Tensor, training: bool | None = None, label_correlation: Tensor | None = None) -> Tensor:
        inputs = ops.cast(inputs, self.compute_dtype)
        given = {} if label_correlation is None else {"label_correlation": label_correlation}
        public = self._public_outputs(inputs, self.gate(given), training)
        return ops.concatenate([public, self._private_outputs(inputs, training)], axis=-1)

    def _public_outputs(self, inputs: Tensor, gates: Tensor, training: bool | None) -> Tensor:
        """Returns every task's gated views of the public experts, `(B, T, K * P * H'')`."""
        outputs = self.public(public_representation(inputs, self.num_tasks), training=training)  # (B, K, H'')
        views = ops.stack([_MAPPINGS[name](outputs) for name in self.mappings], axis=2)  # (B, K, P, H'')
        gated = views[:, None] * gates[..., None]  # (B, T, K, P, H'')
        return ops.reshape(gated, (-1, self.num_tasks, self._public_width()))

    def _private_outputs(self, inputs: Tensor, training: bool | None) -> Tensor:
        """Returns the outputs of every task's private experts, `(B, T, K' * H'')`."""
        own = task_representations(inputs, self.num_tasks)
        if own.shape[1] != 1:
            own = ops.repeat(own, self.num_private_experts, axis=1)
        if self.private_experts == "mlp":
            outputs = self.private(own, training=training)
        else:
            _, streams, width = own.shape
            fields = ops.reshape(own, (-1, streams, width // self.field_dim, self.field_dim))
            interactions = ops.reshape(self.interactions(fields), (-1, self.interactions.num_stacks, width))
            outputs = ops.concatenate([self.crosses(own), interactions], axis=-1)  # (B, T * K', 2 * H)
        return ops.reshape(outputs, (-1, self.num_tasks, self._private_width(inputs.shape[-1])))

    def _public_width(self) -> int:
        return self.num_public_experts * len(self.mappings) * self.hidden_units[-1]

    def _private_width(self, width: int) -> int:
        return self.num_private_experts * (self.hidden_units[-1] if self.private_experts == "mlp" else 2 * width)

    def representation_shape(self, input_shape: Shape) -> Shape | None:
        """`None`: public and private experts side by side read the inputs, and tasks read all of them."""
        return None

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that no other task reads."""
        experts = [self.private] if self.private_experts == "mlp" else [self.crosses, self.interactions]
        return [weight for layer in (self.gate, *experts) for weight in layer.trainable_weights]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_tasks, self._public_width() + self._private_width(input_shape[-1]))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "field_dim": self.field_dim,
            "num_public_experts": self.num_public_experts,
            "num_private_experts": self.num_private_experts,
            "hidden_units": list(self.hidden_units),
            "num_layers": self.num_layers,
            "mappings": list(self.mappings),
            "private_experts": self.private_experts,
            "function": self.function,
            "correlation": self.correlation,
            "cross_rank": self.cross_rank,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
        }

"""Progressive Layered Extraction: levels of shared and task-owned experts."""

from collections.abc import Sequence
from typing import Any

import keras

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.sharing._representations import check_representations
from tfmtl.layers.sharing.cgc import CGC
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.schema.checks import check_count, check_positive_int, check_positive_ints, check_rate


@keras.saving.register_keras_serializable(package="tfmtl")
class PLE(SharingLayer):
    """Stacks levels of `CGC`; between levels what is shared stays apart from what belongs to each task.

    Every level but the last also returns the shared stream, which the shared experts of the next level read. With one
    level it is `CGC`.

    Shapes: B batch, T tasks, S = 1, T or T + 1, H and H' widths.

    Args:
        num_tasks: int. Number of tasks T.
        num_levels: int. Number of extraction levels. Defaults to `2`.
        num_specific_experts: int, at least 0. Number of experts of each task's own in a level. Defaults to `1`.
        num_shared_experts: int. Number of experts that all tasks share in a level. Defaults to `1`.
        hidden_units: Sequence of ints. Width of each layer of an expert, in every level. Defaults to `(128, 64)`.
        activation: Keras activation or its name, after every layer. Defaults to `"relu"`.
        dropout: float in [0, 1). Share of outputs dropped after every layer in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`; see `CGC` for what the shared experts of the first level read of it.
        offset: float of `representation_shape`, or None. Added to what the shared experts of the last level put out,
            for a caller that differentiates with respect to it. Defaults to `None`.

    Returns:
        float `(B, T, H')` with H' = `hidden_units[-1]`.

    Raises:
        ValueError: If a size is not positive, `dropout` outside [0, 1), or at build if the inputs are none of
            `(B, 1, H)`, `(B, T, H)` and `(B, T + 1, H)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.PLE(num_tasks=2, hidden_units=(4,))(keras.ops.ones((8, 5))).shape
    TensorShape([8, 2, 4])

    Reference:
        Tang et al. 2020 (PLE), https://doi.org/10.1145/3383313.3412236, section 4.2.
    """

    def __init__(
        self,
        num_tasks: int,
        num_levels: int = 2,
        num_specific_experts: int = 1,
        num_shared_experts: int = 1,
        hidden_units: Sequence[int] = (128, 64),
        activation: Any = "relu",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_positive_int(owner, "num_levels", num_levels)
        check_count(owner, "num_specific_experts", num_specific_experts)
        check_positive_int(owner, "num_shared_experts", num_shared_experts)
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_rate(owner, "dropout", dropout)
        self.num_tasks = num_tasks
        self.num_levels = num_levels
        self.num_specific_experts = num_specific_experts
        self.num_shared_experts = num_shared_experts
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout

    def build(self, input_shape: Shape) -> None:
        check_representations(type(self).__name__, input_shape, self.num_tasks, public=True)
        self.levels = []
        shape = tuple(input_shape)
        for level in range(self.num_levels):
            extraction = CGC(
                self.num_tasks,
                self.num_specific_experts,
                self.num_shared_experts,
                self.hidden_units,
                self.activation,
                self.dropout,
                use_shared_gate=level < self.num_levels - 1,
                dtype=self.dtype_policy,
            )
            extraction.build(shape)
            shape = extraction.compute_output_shape(shape)
            self.levels.append(extraction)

    def call(self, inputs: Tensor, offset: Tensor | None = None) -> Tensor:
        streams = inputs
        for extraction in self.levels[:-1]:
            streams = extraction(streams)  # (B, T + 1, H')
        return self.levels[-1](streams, offset=offset)  # (B, T, H')

    def gate_weights(self, inputs: Tensor) -> list[Tensor]:
        """What every task gives its own experts and then the shared ones, float `(B, T, m + m_s)`, level by level."""
        found, streams = [], inputs
        for extraction in self.levels:
            found += extraction.gate_weights(streams)
            streams = extraction(streams)
        return found

    def representation_shape(self, input_shape: Shape) -> Shape | None:
        """The shape of what all tasks read last, `(B, 1, m_s, H')`, if they start from one representation."""
        for extraction in self.levels[:-1]:
            input_shape = extraction.compute_output_shape(input_shape)
        return self.levels[-1].representation_shape(input_shape)

    @property
    def input_layers(self) -> list[StackedDense]:
        """The layers that read the inputs, all of them where there is one representation (S = 1)."""
        return self.levels[0].input_layers

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that no other task reads."""
        return [weight for level in self.levels for weight in level.private_weights]

    @property
    def keeps_tasks_apart(self) -> bool:
        """Whether a task reads nothing of what another task's representation says."""
        return self.num_levels == 1 and self.levels[0].keeps_tasks_apart

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_tasks, self.hidden_units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_levels": self.num_levels,
            "num_specific_experts": self.num_specific_experts,
            "num_shared_experts": self.num_shared_experts,
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
        }

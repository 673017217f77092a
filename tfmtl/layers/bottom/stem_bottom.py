"""A bottom for embeddings of which every task has its own."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.rows import with_equal_rows
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.bottom._bottom_shapes import check_bottom_shapes, num_vectors
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.sequence.pooling import check_pooling, pooling_layer
from tfmtl.schema.checks import check_positive_int, error_text


@keras.saving.register_keras_serializable(package="tfmtl")
class STEMBottom(BottomLayer):
    """Deals out T + 1 embeddings of every value: one to each task and, last, one to all.

    The embedding makes them side by side (`embedding_copies`), in one look-up. A task's representation is its own
    embeddings of all fields and its own of the pooled sequences; the last one's is that of the shared embeddings. What
    is learned about a value for one task so leaves what is known about it for another as it is, if the sharing layer
    keeps gradients apart, as `STEM` does. Tables and their optimizer's state are T + 1 times as large.

    Shapes: B batch, T tasks, F fields, J behaviors, L sequence length, D = (T + 1) d width of all embeddings.

    Args:
        num_tasks: int. Number of tasks T.
        pooling: str. How a sequence becomes one vector, as in `ConcatenationBottom`; an attention has the same weights
            for all T + 1, and each reads its own embeddings. Defaults to `"mean"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"fields"`, float `(B, F, D)`, and where there are behaviors `"events"`, float `(B, J, L, D)`,
            `"event_mask"`, bool `(B, J, L)`, and, unless the pooling is a mean, `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, T + 1, (F + J) * d)`; J is 0 without behaviors.

    Raises:
        ValueError: If `num_tasks` is not positive, `pooling` unknown, or at build if a shape does not fit or D cannot
            be dealt out.
        TypeError: If `num_tasks` is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.STEMBottom(num_tasks=2)({"fields": keras.ops.ones((8, 6, 12))}).shape
    TensorShape([8, 3, 24])

    Reference:
        Su et al. 2024 (STEM), https://arxiv.org/abs/2308.13537, section 4.1. Embeddings of sequences, pooled by copy,
        are our reading.
    """

    def __init__(self, num_tasks: int, pooling: str = "mean", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive_int(type(self).__name__, "num_tasks", num_tasks)
        check_pooling(type(self).__name__, pooling)
        self.num_tasks = num_tasks
        self.pooling = pooling

    @property
    def embedding_copies(self) -> int:
        """How many embeddings of every value the layer reads: one for each task and one for all."""
        return self.num_tasks + 1

    def build(self, input_shape: Shapes) -> None:
        owner = type(self).__name__
        check_bottom_shapes(owner, input_shape)
        width = input_shape["fields"][-1]
        if width % self.embedding_copies:
            rule = f"have a width that {self.embedding_copies} embeddings can share"
            advice = "Give the layer as many tasks as the problem has."
            raise ValueError(error_text(owner, "fields.shape", rule, tuple(input_shape["fields"]), advice))
        if "events" in input_shape:
            self.pool = pooling_layer(self.pooling, self.dtype_policy)
            self.pool.build(self._copy_shapes(input_shape))

    def _copy_shapes(self, shapes: Shapes) -> Shapes:
        """The shapes of the pooling's inputs: every copy of a sequence is one of its own."""
        batch, behaviors, length, width = shapes["events"]
        count, own = self.embedding_copies * behaviors, width // self.embedding_copies
        return {
            "events": (batch, count, length, own),
            "event_mask": (batch, count, length),
            "queries": (batch, count, own),
        }

    def call(self, inputs: Tensors) -> Tensor:
        vectors = self._copies(inputs["fields"])  # (B, T + 1, F, d)
        if "events" in inputs:
            vectors = ops.concatenate(with_equal_rows([vectors, self._pooled(inputs)]), axis=2)
        _, copies, count, width = vectors.shape
        return ops.reshape(vectors, (-1, copies, count * width))

    def _pooled(self, inputs: Tensors) -> Tensor:
        """The pooled sequences of each copy, `(B, T + 1, J, d)`."""
        copies = self.embedding_copies
        _, behaviors, length, width = inputs["events"].shape
        events = self._copies(ops.reshape(inputs["events"], (-1, behaviors * length, width)))
        parts = {
            "events": ops.reshape(events, (-1, copies * behaviors, length, width // copies)),
            "event_mask": ops.tile(inputs["event_mask"], (1, copies, 1)),
        }
        if "queries" in inputs:
            parts["queries"] = ops.reshape(self._copies(inputs["queries"]), (-1, copies * behaviors, width // copies))
        return ops.reshape(self.pool(parts), (-1, copies, behaviors, width // copies))

    def _copies(self, vectors: Tensor) -> Tensor:
        """`(B, n, D)` -> `(B, T + 1, n, d)`."""
        _, count, width = vectors.shape
        parts = ops.reshape(vectors, (-1, count, self.embedding_copies, width // self.embedding_copies))
        return ops.transpose(parts, (0, 2, 1, 3))

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, _, width = input_shape["fields"]
        return (batch, self.embedding_copies, num_vectors(input_shape) * (width // self.embedding_copies))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tasks": self.num_tasks, "pooling": self.pooling}

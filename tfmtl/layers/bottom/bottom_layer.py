"""The base class of bottoms, the layers between embedding and sharing layer."""

import keras

from tfmtl.core.types import Tensor, Tensors


class BottomLayer(keras.layers.Layer):
    """The base of every bottom: embedded features to `(B, S, H)`.

    A subclass writes `build`, `call` and `compute_output_shape`, as any Keras layer does, and answers those of the
    questions below whose default is not right for it. `tfmtl.testing.check_bottom_layer` compares the answers with
    what the layer does.

    Shapes: B batch, T tasks, F fields, J sequences, L sequence length, D embedding width, S = 1 (one representation
    for all tasks), T (one each) or T + 1 (and, last, one of all), H width.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"fields"`, float `(B, F, D)`, and where there are sequences `"events"`, float `(B, J, L, D)`,
            `"event_mask"`, bool `(B, J, L)`, and `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, S, H)`.

    Example:

    >>> import keras, tfmtl
    >>> class Mean(tfmtl.layers.BottomLayer):
    ...     def call(self, inputs):
    ...         return keras.ops.mean(inputs["fields"], axis=1, keepdims=True)
    >>> Mean()({"fields": keras.ops.ones((8, 6, 4))}).shape
    TensorShape([8, 1, 4])
    """

    @property
    def embedding_copies(self) -> int:
        """How many embeddings of every value the layer reads, side by side in D. Defaults to `1`."""
        return 1

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that only its own representation depends on.

        They take each task's gradient as it is, whatever a balancer says, and sharpness perturbs them apart, if the
        sharing layer keeps representations apart (`keeps_tasks_apart`). Defaults to none: every weight is shared.
        """
        return []

    @property
    def starts_with_fields(self) -> bool:
        """Whether the fields' vectors, as they are, come first in the output, and S is 1.

        Small tables may then be multiplied by the next layer's kernel before they are looked up. Defaults to `False`.
        """
        return False

    def field_weights(self, inputs: Tensors) -> Tensor | None:
        """What every task gives every field and then every sequence, float `(B, T, F + J)`, for those who watch.

        Args:
            inputs: as in the call.

        Returns:
            The weights. Defaults to `None`: the layer weighs nothing.
        """
        return None

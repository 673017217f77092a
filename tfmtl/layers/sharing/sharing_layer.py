"""The base class of sharing layers, which decide what tasks share."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.schema.checks import error_text


class SharingLayer(keras.layers.Layer):
    """The base of every sharing layer: `(B, S, H)` to one representation for each task, `(B, T, H')`.

    A subclass writes `build`, `call` and `compute_output_shape`, as any Keras layer does, and answers those of the
    questions below whose default is not right for it. `tfmtl.testing.check_sharing_layer` compares the answers with
    what the layer does.

    Shapes: B batch, T tasks, S = 1 (one representation for all tasks), T (one each) or, for layers that can use it,
    T + 1 (and, last, one of all), H and H' widths.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`, or `(B, H)` for S = 1.
        offset: float of `representation_shape`, added to what has that shape; only where that is not `None`.
        label_correlation: float `(T, T)`, of the batch; only where `uses_label_correlation` is true.

    Returns:
        float `(B, T, H')`.

    Example:

    >>> import keras, tfmtl
    >>> class Halves(tfmtl.layers.SharingLayer):
    ...     def call(self, inputs):
    ...         return keras.ops.concatenate([inputs / 2, inputs], axis=1)
    >>> Halves()(keras.ops.ones((8, 6))).shape
    TensorShape([8, 2, 6])
    """

    num_specific_experts: int = 0
    """How many of the experts in `gate_weights`, the first ones, are a task's own."""

    correlation: str = "pearson"
    """Which correlation of the labels `label_correlation` is: `"pearson"` or `"cosine"`."""

    def __call__(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Calls the layer; `(B, H)` is taken as `(B, 1, H)`."""
        if len(inputs.shape) == 2:
            inputs = ops.expand_dims(inputs, 1)
        return super().__call__(inputs, *args, **kwargs)

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that no other task reads.

        They take each task's gradient as it is, whatever a balancer says, and sharpness perturbs them apart. Defaults
        to none: every weight is shared.
        """
        return []

    @property
    def keeps_tasks_apart(self) -> bool:
        """Whether a task reads nothing of what another task's representation says.

        If so, weights of the bottom may be private. Defaults to `False`: they are shared.
        """
        return False

    @property
    def uses_label_correlation(self) -> bool:
        """Whether `call` is to be given `label_correlation` in training. Defaults to `False`."""
        return False

    @property
    def input_layers(self) -> list[StackedDense] | None:
        """The layers that read the inputs, all of them where there is one representation (S = 1).

        Small tables are multiplied by their kernels before they are looked up. Defaults to `None`: unknown, no table
        is.
        """
        return None

    def representation_shape(self, input_shape: Shape) -> Shape | None:
        """The shape of the last representation that all tasks read inside the layer, for inputs of this shape.

        `None` if there is none inside: tasks then meet in the inputs. There is no default, for gradients balanced at
        the wrong place would give another result without an error.

        Args:
            input_shape: `(B, S, H)`.

        Raises:
            NotImplementedError: a subclass does not say.
        """
        rule = "say where tasks meet before their gradients can be balanced at a representation"
        advice = "Define it: return the shape of what all tasks read last and take `offset` in `call`, or return None."
        raise NotImplementedError(error_text(type(self).__name__, "representation_shape", rule, None, advice))

    def gate_weights(self, inputs: Tensor) -> list[Tensor]:
        """What every task gives every expert, float `(B, T, E)`, level by level, for those who watch a training.

        Args:
            inputs: float `(B, S, H)`.

        Returns:
            list. Defaults to an empty one: there are no gates.
        """
        return []

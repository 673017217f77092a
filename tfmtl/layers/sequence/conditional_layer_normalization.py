"""Layer normalization whose scale and shift are given, not learned in place."""

from keras import ops

from tfmtl.core.types import Tensor


def conditional_layer_normalization(inputs: Tensor, scale: Tensor, shift: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Normalizes the last axis, then applies one scale and shift for every (task, behavior) pair.

    `scale * (x - mean(x)) / sqrt(var(x) + epsilon) + shift`. Mean and variance do not depend on the task: with S = 1
    they are computed once, and the result has the tasks' axis because scale and shift have it. Everything is computed
    in float32, whatever the types given.

    Shapes: B batch, T tasks, S = 1 or T, J behaviors, L sequence length, D embedding width.

    Args:
        inputs: float `(B, S, J, L, D)`.
        scale: float `(T, J, D)`.
        shift: float `(T, J, D)`.
        epsilon: float. Keeps the division defined for a constant vector. Defaults to `1e-6`.

    Returns:
        float `(B, T, J, L, D)` of the type of `inputs`.
    """
    values = ops.cast(inputs, "float32")
    mean, variance = ops.moments(values, axes=-1, keepdims=True)
    normalized = (values - mean) * ops.rsqrt(variance + epsilon)
    scale, shift = ops.cast(scale, "float32"), ops.cast(shift, "float32")
    return ops.cast(normalized * scale[:, :, None] + shift[:, :, None], inputs.dtype)

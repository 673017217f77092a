"""What generated thin matrices do to the vectors of every (task, behavior) pair."""

from keras import ops

from tfmtl.core.types import Tensor

# How much of an adapter's output joins its input. The output starts at zero, so this is the size of its steps.
ADAPTER_SHARE = 0.3


def pair_product(values: Tensor, matrices: Tensor) -> Tensor:
    """Multiplies vectors by the matrix of their (task, behavior) pair.

    Shapes: B batch, T tasks, S = 1 or T, J behaviors, L sequence length.

    Args:
        values: float `(B, S, J, L, in)`; with S = 1 the same for all tasks.
        matrices: float `(T, J, in, out)`.

    Returns:
        float `(B, T, J, L, out)` of the type of `values`.
    """
    matrices = ops.cast(matrices, values.dtype)
    if values.shape[1] == 1:
        return ops.einsum("bjld,tjde->btjle", values[:, 0], matrices)
    return ops.einsum("btjld,tjde->btjle", values, matrices)


def low_rank_delta(values: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """`values down up`: what a pair adds to a product of all pairs, a matrix of rank R at most.

    Args:
        values: float `(B, S, J, L, in)`.
        down: float `(T, J, in, R)`.
        up: float `(T, J, R, out)`.

    Returns:
        float `(B, T, J, L, out)`.
    """
    return pair_product(pair_product(values, down), up)


def adapter(values: Tensor, down: Tensor, up: Tensor, bias: Tensor) -> Tensor:
    """`values + 0.3 relu(values down + bias) up`, a residual layer of the pair's own.

    Args:
        values: float `(B, S, J, L, D)`.
        down: float `(T, J, D, R)`.
        up: float `(T, J, R, D)`.
        bias: float `(T, J, R)`.

    Returns:
        float `(B, T, J, L, D)`.
    """
    hidden = ops.relu(pair_product(values, down) + ops.cast(bias, values.dtype)[:, :, None])
    return values + ADAPTER_SHARE * pair_product(hidden, up)

"""The weighted sum of experts that every mixture ends in."""

from keras import ops

from tfmtl.core.types import Tensor


def mix_experts(weights: Tensor, outputs: Tensor) -> Tensor:
    """Sums the experts' `outputs`, `(B, 1 or T, E, H)`, by each task's `weights`, `(B, T, E)`, to `(B, T, H)`."""
    if outputs.shape[1] == 1:
        return ops.matmul(weights, ops.squeeze(outputs, axis=1))
    return ops.matmul(weights[:, :, None], outputs)[:, :, 0]

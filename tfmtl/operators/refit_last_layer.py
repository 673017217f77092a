"""Fitting the branch's last layer in closed form."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.operators.operator_data import OperatorData
from tfmtl.operators.operator_network import OperatorNetwork
from tfmtl.schema.checks import check_nonnegative_number, error_text

Floats = npt.NDArray[np.float64]

_OWNER = "refit_last_layer"


def refit_last_layer(network: OperatorNetwork, data: OperatorData, ridge: float = 1e-3) -> tuple[float, float]:
    """Moves the branch's last layer to where the squared relative error on the data is least; nothing else moves.

    The answer is linear in that layer W: `u = start + H W T^t` with H what the layer reads and T the trunk's functions.
    Minimized is the mean of the samples' squared relative L2 errors plus `ridge` times the squared distance to the
    weights as they were, so the error cannot rise. H^t H and T^t T are diagonalized instead of the system of
    `H x p` unknowns, in float64.

    Shapes: N samples, Q points, H hidden width, p functions.

    Args:
        network: a built `OperatorNetwork` with one output.
        data: the samples. All have to have the same mask, as those of one geometry do.
        ridge: float of at least 0, relative to the largest curvature of the error. Few samples
            want a large one, 1e-3 to 1e-1; choose it on samples held out. Defaults to `1e-3`.

    Returns:
        The mean squared relative error before and after.

    Raises:
        ValueError: there are several outputs or moved coordinates, masks differ, a field is 0, or `ridge` is negative.
    """
    check_nonnegative_number(_OWNER, "ridge", ridge)
    if network.num_outputs > 1:
        raise ValueError(error_text(_OWNER, "network", "have one output", network.num_outputs, "Train it instead."))
    if network.coordinates is not None:
        rule, advice = "read the points as they are", "Train it instead: moved points differ between samples."
        raise ValueError(error_text(_OWNER, "network", rule, "a network with `coordinates`", advice))
    inside = slice(None) if data.mask is None or not network.use_mask else np.flatnonzero(data.mask[0])
    if data.mask is not None and network.use_mask and np.any(data.mask != data.mask[0]):
        advice = "Give the samples of one geometry, data.task(name)."
        raise ValueError(error_text(_OWNER, "data.mask", "be the same for all samples", "different masks", advice))
    reduced = data if network.scale is None else network.scale.reduced(data)  # relative errors do not change with it
    points, targets = data.points[inside], reduced.targets[:, inside].astype(np.float64)
    size = np.linalg.norm(targets, axis=1, keepdims=True)
    if np.any(size == 0.0):
        row = int(np.flatnonzero(size == 0.0)[0])
        raise ValueError(error_text(_OWNER, "targets", "be other than 0 somewhere", f"row {row}", "Drop the sample."))
    codes = np.asarray(network.encode(data.inputs))
    start, gain = (np.asarray(part, np.float64) for part in network.fixed_part(codes, points))
    scale = gain * network.deviation.numpy().astype(np.float64)
    functions = np.asarray(network.trunk(points), np.float64) / np.sqrt(network.trunk.latent_dim)
    functions = np.broadcast_to(scale.reshape(-1, 1), (len(points), 1)) * functions  # (Q, p)
    hidden = np.asarray(network.hidden(data.inputs), np.float64)
    hidden = np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1) / size  # (N, H + 1), the bias is a row of W
    kernel: Any = network.last.kernel
    bias: Any = network.last.bias
    weights = np.concatenate([kernel.numpy()[0], bias.numpy()]).astype(np.float64)  # (H + 1, p)
    fixed = start[..., 0] + scale.reshape(1, -1) * float(network.bias.numpy()[0])
    rest = (targets - fixed) / size - hidden @ weights @ functions.T  # (N, Q)
    move = _ridge(hidden, functions, rest, ridge)
    kernel.assign((weights + move)[None, :-1])
    bias.assign((weights + move)[-1:])
    moved = (np.concatenate([kernel.numpy()[0], bias.numpy()]) - weights).astype(np.float64)
    after = rest - hidden @ moved @ functions.T
    return float(np.mean(np.sum(rest**2, axis=1))), float(np.mean(np.sum(after**2, axis=1)))


def _ridge(left: Floats, right: Floats, rest: Floats, ridge: float) -> Floats:
    """`argmin_D ||left D right^t - rest||^2 + ridge s ||D||^2`, s the largest curvature of the first term."""
    rows, rotation = np.linalg.eigh(left.T @ left)
    columns, turn = np.linalg.eigh(right.T @ right)
    curvature = np.outer(np.maximum(rows, 0.0), np.maximum(columns, 0.0))
    # Without a ridge, directions that the data do not show stay as they are.
    floor = max(ridge, 1e-12) * curvature.max()
    inner = rotation.T @ (left.T @ rest @ right) @ turn
    move: Floats = rotation @ (inner / (curvature + floor)) @ turn.T
    return move

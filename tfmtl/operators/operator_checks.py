"""What an operator network refuses: inputs and points of another shape."""

from collections.abc import Mapping
from typing import Any

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_keys, error_text

_OWNER = "OperatorNetwork"


def check_inputs(inputs: Mapping[str, Any], shapes: Mapping[str, Shape], argument: str = "inputs") -> None:
    """Raises unless every named input is there and has its shape behind the batch."""
    check_keys(_OWNER, argument, inputs, tuple(shapes))
    for name, shape in shapes.items():
        received = tuple(inputs[name].shape)
        known = received[1:]
        if len(known) != len(shape) or any(a not in (None, b) for a, b in zip(known, shape, strict=True)):
            rule = f"be {('B', *shape)}, as in training".replace("'", "")
            advice = "Sample it on the grid that the network was made for."
            raise ValueError(error_text(_OWNER, f"{name}.shape", rule, received, advice))


def check_points(points: Tensor, mask: Tensor | None, point_dim: int) -> None:
    """Raises unless points are `(Q, d)` or `(B, Q, d)`, and the mask has a value for each of them."""
    shape = tuple(points.shape)
    if len(shape) not in (2, 3) or shape[-1] != point_dim:
        rule = f"be (Q, {point_dim}) or (B, Q, {point_dim})"
        advice = f"Give each point {point_dim} coordinates, in the order of training."
        raise ValueError(error_text(_OWNER, "points.shape", rule, shape, advice))
    if mask is None:
        return
    received = tuple(mask.shape)
    if len(received) != 2 or (None not in (received[1], shape[-2]) and received[1] != shape[-2]):
        rule, advice = f"be (B, {shape[-2]}), one value per point", "Take the mask at the points that are asked."
        raise ValueError(error_text(_OWNER, "mask.shape", rule, received, advice))

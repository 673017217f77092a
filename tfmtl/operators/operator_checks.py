"""What an operator network refuses: arguments that do not fit each other, and inputs of another shape."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfmtl.core.types import Shape, Tensor
from tfmtl.operators.operator_data import RESERVED
from tfmtl.operators.standardize import STATISTICS
from tfmtl.schema.checks import check_keys, check_one_of, error_text

if TYPE_CHECKING:
    from tfmtl.operators.operator_network import OperatorNetwork

_OWNER = "OperatorNetwork"


def check_names(network: "OperatorNetwork") -> None:
    """Raises unless the inputs that a network's arguments name are there and have the right shapes."""
    names = list(network.input_shapes)
    for name in names:
        if name in RESERVED:
            raise ValueError(error_text(_OWNER, "input_shapes", f"not name {RESERVED}", name, "Rename it."))
    for name, how in network.standardize.items():
        check_one_of(_OWNER, "standardize", name, names)
        check_one_of(_OWNER, f"standardize[{name!r}]", how, STATISTICS)
    for name in network.coefficients:
        check_one_of(_OWNER, "coefficients", name, names)
        if len(network.input_shapes[name]) != 1:
            shape = network.input_shapes[name]
            raise ValueError(error_text(_OWNER, "coefficients", "name vectors", (name, shape), "Leave it out."))
    if network.initial_condition is not None:
        check_one_of(_OWNER, "initial_condition", network.initial_condition.input, names)
        if network.num_outputs > 1:
            advice = "Use a network for each output, or no initial condition."
            raise ValueError(error_text(_OWNER, "num_outputs", "be 1", network.num_outputs, advice))
    if network.scale is not None:
        check_one_of(_OWNER, "scale.input", network.scale.input, names)
        if network.initial_condition is not None:
            rule, advice = "be None with an initial condition", "The start would be scaled with the solution."
            raise ValueError(error_text(_OWNER, "scale", rule, network.scale.get_config(), advice))
        geometry = network.scale.geometry
        if geometry is not None:
            check_one_of(_OWNER, "scale.geometry", geometry, names)
            shapes = network.input_shapes[network.scale.input], network.input_shapes[geometry]
            if shapes[0] != shapes[1]:
                advice = "Give log k and the domain on one grid."
                raise ValueError(error_text(_OWNER, "scale.geometry", "have the field's shape", shapes, advice))
    if network.coordinates is not None:
        moved = network.coordinates
        check_one_of(_OWNER, "coordinates.input", moved.input, names)
        if len(network.input_shapes[moved.input]) != 1 or network.input_shapes[moved.input][0] <= moved.entry:
            rule, shape = f"name a vector with an entry {moved.entry}", network.input_shapes[moved.input]
            raise ValueError(error_text(_OWNER, "coordinates.input", rule, (moved.input, shape), "Count from 0."))
        if moved.axis >= network.point_dim:
            rule, advice = f"be below {network.point_dim}", "Count coordinates from 0."
            raise ValueError(error_text(_OWNER, "coordinates.axis", rule, moved.axis, advice))
        if network.initial_condition is not None:
            rule, advice = "be None with an initial condition", "The start is given on the points as they are."
            raise ValueError(error_text(_OWNER, "coordinates", rule, moved.get_config(), advice))


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

"""More training samples from a symmetry of the problem, without a solver."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.operators import OperatorData

Array = npt.NDArray[Any]


def mirrored(
    data: OperatorData,
    cells: tuple[int, ...],
    axis: int,
    changes: Mapping[str, Callable[[Array], Array]] | None = None,
) -> OperatorData:
    """Every sample and its mirror image.

    The mirror image of a solution solves the mirrored problem exactly where the grid is even about its middle. It is
    not checked here that the domain's name still fits: mirror along an axis that maps each task onto itself.

    Args:
        data: samples on the cells of a grid, flattened in row-major order.
        cells: ints. Cells of the grid along each axis.
        axis: int. The axis that is turned round.
        changes: input name -> function of that input's rows, for inputs that are no image. Images, `(N, n, m)`, are
            mirrored along the axis. Defaults to `None`: all inputs are images.

    Returns:
        `OperatorData`, the samples of each task followed by their images.
    """
    changes = changes or {}

    def turned(values: Array) -> Array:
        return np.ascontiguousarray(np.flip(values, axis=1 + axis))

    def flat(values: Array) -> Array:
        return turned(values.reshape(-1, *cells)).reshape(values.shape)

    inputs = {name: changes.get(name, turned)(values) for name, values in data.inputs.items()}
    mask = None if data.mask is None else flat(data.mask)
    return OperatorData.join(data, replace(data, inputs=inputs, targets=flat(data.targets), mask=mask))

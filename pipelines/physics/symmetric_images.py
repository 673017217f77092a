"""More training samples from the symmetries of a domain in the square, without a solver."""

import itertools
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfmtl.operators import OperatorData
from tfmtl.schema.checks import error_text

Array = npt.NDArray[Any]


class Symmetry(NamedTuple):
    """A symmetry of the square: exchange x and y, then turn round x, then y."""

    exchange: bool
    turn_x: bool
    turn_y: bool

    def of(self, images: Array) -> Array:
        """Images `(N, n, n)` so turned."""
        turned = np.swapaxes(images, 1, 2) if self.exchange else images
        steps = [-1 if turn else 1 for turn in (self.turn_x, self.turn_y)]
        return np.ascontiguousarray(turned[:, :: steps[0], :: steps[1]])


SYMMETRIES = tuple(Symmetry(*choice) for choice in itertools.product((False, True), repeat=3))


def symmetric_images(data: OperatorData, geometry: str = "geometry") -> OperatorData:
    """Every sample in all the ways that leave its task's domain as it is: eight for a square, two for a triangle.

    The turned solution solves the turned problem if the equation has no preferred direction, as `-div(k grad u) = 1`. A
    task with fewer images gets its own several times, so that each keeps its share of the samples.

    Shapes: N samples, n x n cells of the square, at whose centers the fields are given in row-major order.

    Args:
        data: samples whose inputs are all images, `(N, n, n)`.
        geometry: str. Name of the input that is 1 inside of the domain, 0 outside, alike in all samples of a task.
            Defaults to `"geometry"`.

    Returns:
        `OperatorData`, eight times as many samples.

    Raises:
        ValueError: domains differ within a task.
    """
    parts = []
    for name in data.task_names:
        samples = data.task(name)
        domains = samples.inputs[geometry]
        if np.any(domains != domains[0]):
            received = f"{len(np.unique(domains, axis=0))} domains"
            advice = "Make a task of each domain."
            raise ValueError(error_text("symmetric_images", geometry, f"be one in {name!r}", received, advice))
        fitting = [way for way in SYMMETRIES if np.array_equal(way.of(domains[:1]), domains[:1])]
        parts += [_turned(samples, way) for way in fitting] * (len(SYMMETRIES) // len(fitting))
    return OperatorData.join(*parts)


def _turned(data: OperatorData, way: Symmetry) -> OperatorData:
    cells = next(iter(data.inputs.values())).shape[1:]

    def flat(values: Array) -> Array:
        return way.of(values.reshape(-1, *cells)).reshape(values.shape)

    inputs = {name: way.of(values) for name, values in data.inputs.items()}
    mask = None if data.mask is None else flat(data.mask)
    return replace(data, inputs=inputs, targets=flat(data.targets), mask=mask)

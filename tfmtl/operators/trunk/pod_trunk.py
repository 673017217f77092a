"""A trunk whose functions are the main modes of the training fields."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_positive_int, error_text

if TYPE_CHECKING:
    from tfmtl.operators.operator_data import OperatorData


@keras.saving.register_keras_serializable(package="tfmtl")
class PODTrunk(keras.layers.Layer):
    """Looks up the mean of the training fields and their main modes; nothing here is trained.

    The modes are the right singular vectors of the training fields about their mean, times `sqrt(Q)`, so that each has
    mean square 1. Between the points of the grid they are interpolated linearly in every coordinate; outside, the
    border's values hold.

    Shapes: R points of d coordinates, p modes, Q points of the grid.

    Args:
        axes: d sequences of floats, each ascending and of two or more. Coordinates of the grid; its points are in the
            order of `numpy.meshgrid(*axes, indexing="ij")`, the last coordinate fastest.
        latent_dim: int. Number of modes p; no more than training samples. Defaults to `100`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(R, d)`.

    Returns:
        float32 `(R, p)`.

    Raises:
        ValueError: If an axis is no ascending sequence, `latent_dim` not positive, or at build if points have another
            number of coordinates.
        TypeError: If `latent_dim` is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.operators.PODTrunk([[0.0, 0.5, 1.0]], latent_dim=2)(keras.ops.ones((5, 1))).shape
    TensorShape([5, 2])

    Reference:
        Lu et al. 2022 (POD-DeepONet), https://arxiv.org/abs/2111.05512, eq. 2.8.
    """

    def __init__(self, axes: Sequence[Sequence[float]], latent_dim: int = 100, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        owner = type(self).__name__
        check_positive_int(owner, "latent_dim", latent_dim)
        self.axes = [[float(value) for value in axis] for axis in axes]
        for axis in self.axes:
            if len(axis) < 2 or np.any(np.diff(axis) <= 0):
                raise ValueError(error_text(owner, "axes", "be ascending, two or more each", axis, "Sort them."))
        self.latent_dim = latent_dim

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] != len(self.axes):
            rule, advice = f"have {len(self.axes)} coordinates", "Give one axis for each coordinate."
            raise ValueError(error_text(type(self).__name__, "inputs.shape", rule, tuple(input_shape), advice))
        size = int(np.prod([len(axis) for axis in self.axes]))
        options = {"initializer": "zeros", "trainable": False, "autocast": False, "dtype": "float32"}
        self.mean = self.add_weight(name="mean", shape=(size,), **options)
        self.modes = self.add_weight(name="modes", shape=(size, self.latent_dim), **options)

    def adapt(self, data: "OperatorData") -> None:
        """Takes mean and modes of the training fields.

        Raises:
            ValueError: there are fewer samples than modes, several outputs, or the points are not those of the grid.
        """
        owner = type(self).__name__
        grid = np.stack([g.ravel() for g in np.meshgrid(*self.axes, indexing="ij")], axis=1).astype(np.float32)
        if data.points.shape != grid.shape or not np.allclose(data.points, grid, atol=1e-6):
            advice = "Give the axes of the training points."
            raise ValueError(error_text(owner, "axes", "make the points of the data", data.points.shape, advice))
        if data.targets.ndim != 2:
            advice = "Use MLPTrunk for several outputs."
            raise ValueError(error_text(owner, "targets.shape", "be (N, Q)", data.targets.shape, advice))
        count = len(data.targets)
        if self.latent_dim > min(count, len(grid)):
            rule = f"be at most {min(count, len(grid))}, the number of training samples and of points"
            advice = "Ask for fewer modes, or make more samples."
            raise ValueError(error_text(owner, "latent_dim", rule, self.latent_dim, advice))
        fields = data.targets.astype(np.float64)
        mean = fields.mean(axis=0)
        centered = fields - mean
        # Of the smaller Gram matrix; with fewer samples than points that takes a fraction of the time.
        if count <= len(grid):
            values, left = np.linalg.eigh(centered @ centered.T)
            modes = centered.T @ left[:, ::-1][:, : self.latent_dim]
            norms = np.linalg.norm(modes, axis=0)
            modes = modes / np.maximum(norms, 1e-12 * max(float(values[-1]), 1e-300) ** 0.5)
        else:
            modes = np.linalg.eigh(centered.T @ centered)[1][:, ::-1][:, : self.latent_dim]
        self.mean.assign(mean)
        self.modes.assign(modes * np.sqrt(len(grid)))

    def call(self, inputs: Tensor) -> Tensor:
        return self._interpolated(self.modes, inputs)

    def mean_field(self, inputs: Tensor) -> Tensor:
        """The mean of the training fields at `(R, d)` points, `(R,)`."""
        return self._interpolated(self.mean[:, None], inputs)[:, 0]

    def _interpolated(self, table: Tensor, inputs: Tensor) -> Tensor:
        """`(Q, n)` values on the grid -> `(R, n)` at the points."""
        places, shares = [], []
        for number, axis in enumerate(self.axes):
            values = np.asarray(axis, np.float32)
            x = ops.clip(ops.cast(inputs[:, number], "float32"), values[0], values[-1])
            below = ops.clip(ops.searchsorted(values, x, side="right") - 1, 0, len(values) - 2)
            start, end = ops.take(values, below), ops.take(values, below + 1)
            places.append(below)
            shares.append((x - start) / (end - start))  # exactly 0 or 1 at a point of the grid
        total: Tensor = 0.0
        for corner in itertools.product((0, 1), repeat=len(self.axes)):
            index: Tensor = 0
            weight: Tensor = 1.0
            for axis, place, share, upper in zip(self.axes, places, shares, corner, strict=True):
                index = index * len(axis) + place + upper
                weight = weight * (share if upper else 1.0 - share)
            total = total + weight[:, None] * ops.take(table, index, axis=0)
        return total

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.latent_dim)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "latent_dim": self.latent_dim}

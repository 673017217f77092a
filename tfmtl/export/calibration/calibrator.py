"""The base class of calibrators."""

from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Floats = npt.NDArray[np.float64]


class Calibrator(Protocol):
    """A function from a model's probability to one that is right on average, in NumPy and in the graph.

    Attributes:
        method: str. Its name on the command line.
    """

    method: ClassVar[str]

    def of_array(self, probabilities: Floats) -> Floats:
        """The calibrated probabilities, `(B,)` to `(B,)`."""

    def of_tensor(self, probabilities: tf.Tensor) -> tf.Tensor:
        """The same with standard TensorFlow operations, float32."""

    def parameters(self) -> dict[str, Any]:
        """What was fitted or given, ready for JSON."""

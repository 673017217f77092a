"""Additional signatures of a kind of task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from tfmtl.core.types import Tensor


@dataclass(frozen=True)
class Signature:
    """An additional signature of an exported model: it takes the features and further inputs.

    Args:
        inputs: name -> spec of what is asked for beside the features; the first axis is the rows'.
        texts: name -> meaning of the input, for the page about the signatures.
        outputs: name -> meaning of the output, float32.
        text: purpose of the signature.
        answer: `(head, the task's outputs by suffix, calibrated if they are, given inputs) -> output name -> tensor`,
            row by row.
        example: `(fitted state, rows) -> inputs`, of which the answer is known.
        known: output name -> the suffix of the output that the answer to `example` has to equal.
    """

    inputs: Mapping[str, tf.TensorSpec]
    texts: Mapping[str, str]
    outputs: Mapping[str, str]
    text: str
    answer: Callable[[Any, Mapping[str, Tensor], Mapping[str, Tensor]], dict[str, Tensor]]
    example: Callable[[Mapping[str, Any], int], dict[str, npt.NDArray[Any]]]
    known: Mapping[str, str]

"""Serialized examples as rows of a request."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.serving.server.limits import Limits, too_large
from tfmtl.serving.serving_error import invalid_argument


def check_num_examples(number: int, limits: Limits) -> None:
    """Raises `ServingError` unless there is an example and there are not too many."""
    if number == 0:
        raise invalid_argument("Input is empty.")
    if number > limits.max_rows:
        raise too_large(
            f"A request must not exceed {limits.max_rows} rows (the server's --max-rows). "
            f"Received: {number} examples. Split the request."
        )


def join_context(context: bytes, examples: Sequence[bytes], limits: Limits) -> npt.NDArray[Any]:
    """The serialized examples, `(B,)`, each with the features of the common context that it has not itself.

    Messages that are written one after the other are one whose later values count. The context is copied into every
    row, so a small request can stand for a large one: that is looked at before.

    Args:
        context: a serialized example; empty if there is none.
        examples: at least one.
        limits: Limits.

    Raises:
        ServingError: `RESOURCE_EXHAUSTED`, HTTP 413, if they would be too many or too large.
    """
    check_num_examples(len(examples), limits)
    total = len(context) * len(examples) + sum(map(len, examples))
    if total > limits.max_message_bytes:
        raise too_large(
            f"The examples, each with the context, must not exceed {limits.message_text}. "
            f"Received: {total} bytes, {len(context)} of context in each of {len(examples)}. Split the request."
        )
    rows = np.empty(len(examples), object)
    rows[:] = [context + example for example in examples] if context else examples
    return rows

"""Signatures of survival tasks for rows that are already running."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.schema.tasks.survival import SurvivalTask
from tfmtl.survival.curve_answers import remaining_life, survival_at_age
from tfmtl.tasks.signature import Signature

_AGE = tf.TensorSpec((None,), tf.float32, "age")
_TIMES = tf.TensorSpec((None, None), tf.float32, "times")
_AGE_TEXT = "for how long the row has been running, in the label's unit"


def survival_signatures(task: SurvivalTask) -> dict[str, Signature]:
    """Signature name -> what it is: survival at any times, and the rest of life, both at an age."""
    curve = task.key("survival")

    def at_age(head: Any, outputs: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        logs = ops.log(outputs["survival"])
        return {curve: survival_at_age(ops, logs, head.edges, given["times"], given["age"], head.interpolation)}

    def rest(head: Any, outputs: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        logs = ops.log(outputs["survival"])
        return {task.name: remaining_life(ops, logs, head.edges, given["age"], head.interpolation)}

    return {
        f"survival_at_{task.name}": Signature(
            inputs={"times": _TIMES, "age": _AGE},
            texts={"times": "how much longer, in the label's unit; as many for each row", "age": _AGE_TEXT},
            outputs={curve: "chance to live so much longer, `(B, M)`"},
            text=f"Survival of `{task.name}` at any times for rows of an age; `S(age + t) / S(age)`.",
            answer=at_age,
            example=lambda state, rows: {
                "times": np.tile(np.asarray(state["edges"], np.float32), (rows, 1)),
                "age": np.zeros(rows, np.float32),
            },
            known={curve: "survival"},
        ),
        f"remaining_life_{task.name}": Signature(
            inputs={"age": _AGE},
            texts={"age": _AGE_TEXT},
            outputs={task.name: "expected rest of life up to the last interval's end, `(B,)`"},
            text=f"Expected rest of life of `{task.name}` for rows of an age.",
            answer=rest,
            example=lambda state, rows: {"age": np.zeros(rows, np.float32)},
            known={task.name: ""},
        ),
    }

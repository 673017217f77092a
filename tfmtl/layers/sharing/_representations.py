"""Which of the S representations in a bottom's output `(B, S, H)` each task reads, and which one all tasks read."""

from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_axis, check_shape


def check_representations(owner: str, shape: Shape, num_tasks: int, public: bool = False) -> None:
    """Raises unless S is 1 (one for all tasks), T (one each) or, if `public`, T + 1 (and, last, one of all)."""
    check_shape(owner, "inputs", shape, "B, S, H")
    counts = (1, num_tasks, num_tasks + 1) if public else (1, num_tasks)
    advice = "Give one representation for all tasks, or one for each" + (" and, last, one of all." if public else ".")
    check_axis(owner, "inputs", shape, 1, counts, advice)


def task_representations(inputs: Tensor, num_tasks: int) -> Tensor:
    """What each task reads, `(B, 1 or T, H)`."""
    return inputs if inputs.shape[1] == 1 else inputs[:, :num_tasks]


def public_representation(inputs: Tensor, num_tasks: int) -> Tensor:
    """The representation of all tasks together, `(B, 1, H)`: the last of T + 1, or else the mean of the tasks' own."""
    if inputs.shape[1] == num_tasks + 1:
        return inputs[:, num_tasks:]
    return ops.mean(inputs, axis=1, keepdims=True)

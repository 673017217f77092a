"""Which representation a task, and what all tasks share, reads of a bottom's output `(B, S, H)`."""

from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.core.validation import check_axis, check_shape


def check_streams(owner: str, shape: Shape, num_tasks: int, shared: bool = False) -> None:
    """Raises unless S is 1 (one for all tasks), T (one each) or, if `shared`, T + 1 (and, last, one of all)."""
    check_shape(owner, "inputs", shape, "B, S, H")
    counts = (1, num_tasks, num_tasks + 1) if shared else (1, num_tasks)
    advice = "Give one representation for all tasks, or one for each" + (" and, last, one of all." if shared else ".")
    check_axis(owner, "inputs", shape, 1, counts, advice)


def task_streams(inputs: Tensor, num_tasks: int) -> Tensor:
    """What each task reads, `(B, 1 or T, H)`."""
    return inputs if inputs.shape[1] == 1 else inputs[:, :num_tasks]


def shared_stream(inputs: Tensor, num_tasks: int) -> Tensor:
    """What belongs to all tasks, `(B, 1, H)`: the representation made for that, or else the mean of the tasks'."""
    if inputs.shape[1] == num_tasks + 1:
        return inputs[:, num_tasks:]
    return ops.mean(inputs, axis=1, keepdims=True)

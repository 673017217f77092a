"""The network that makes the layer norms of every (task, behavior) pair."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_count, check_positive_int, error_text


def check_condition_dims(owner: str, task_dim: int, behavior_dim: int) -> None:
    """Raises unless the widths leave the hypernetwork something to read: either may be 0, but not both."""
    for argument, value in (("task_dim", task_dim), ("behavior_dim", behavior_dim)):
        check_count(owner, argument, value)
    if task_dim + behavior_dim == 0:
        rule, advice = "be positive where `task_dim` is 0", "Leave out one of the two embeddings at most."
        raise ValueError(error_text(owner, "behavior_dim", rule, behavior_dim, advice))


@keras.saving.register_keras_serializable(package="tfmtl")
class BehaviorHypernetwork(keras.layers.Layer):
    """Generates scale and shift of every layer norm from what task and which behavior it is for.

    `z = relu(W_1 [task; behavior] + b_1)`, `scale = 1 + W_s z + b_s`, `shift = W_t z + b_t`, one `W_s, W_t` per norm
    (site). The output weights start with standard deviation 0.01 and no bias, so every pair starts near a plain norm.
    A task more costs `task_dim` parameters, a behavior more `behavior_dim`. Nothing depends on an example.

    Shapes: T tasks, J behaviors, D embedding width.

    Args:
        num_tasks: int. Number of tasks T.
        num_behaviors: int. Number of behavior types J.
        num_sites: int. Number of layer norms.
        dim: int. Width D of each norm.
        task_dim: int. Width of a task's embedding; `0` leaves it out. Defaults to `16`.
        behavior_dim: int. Width of a behavior's embedding; `0` leaves it out. Defaults to `16`.
        hidden_dim: int. Width of the hidden layer z. Defaults to `32`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: Ignored, and may be left out: there is one answer for all examples.

    Returns:
        Tuple of scale and shift, each float `(T, J, num_sites, D)`.

    Raises:
        ValueError: If a size is not positive.
        TypeError: If a size is not an int.

    Example:

    >>> import tfmtl
    >>> scale, shift = tfmtl.layers.BehaviorHypernetwork(num_tasks=2, num_behaviors=3, num_sites=1, dim=4)()
    >>> scale.shape
    TensorShape([2, 3, 1, 4])

    Reference:
        Liu et al. 2023 (DTRN), https://arxiv.org/abs/2308.05996. That a hypernetwork fed with a task and a behavior
        embedding generates the norms is the paper's; the two layers and their initial values are our reading, after
        HyperFormer (Mahabadi et al. 2021, https://arxiv.org/abs/2106.04489), which has no 1 in the scale.
    """

    def __init__(
        self,
        num_tasks: int,
        num_behaviors: int,
        num_sites: int,
        dim: int,
        task_dim: int = 16,
        behavior_dim: int = 16,
        hidden_dim: int = 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_positive_int(owner, "num_behaviors", num_behaviors)
        check_positive_int(owner, "num_sites", num_sites)
        check_positive_int(owner, "dim", dim)
        check_condition_dims(owner, task_dim, behavior_dim)
        check_positive_int(owner, "hidden_dim", hidden_dim)
        self.num_tasks = num_tasks
        self.num_behaviors = num_behaviors
        self.num_sites = num_sites
        self.dim = dim
        self.task_dim = task_dim
        self.behavior_dim = behavior_dim
        self.hidden_dim = hidden_dim

    def build(self, input_shape: Shape | None = None) -> None:
        self.task_embeddings = self._embeddings("task", self.num_tasks, self.task_dim)
        self.behavior_embeddings = self._embeddings("behavior", self.num_behaviors, self.behavior_dim)
        pairs = (self.num_tasks, self.num_behaviors)
        self.hidden = keras.layers.Dense(self.hidden_dim, "relu", dtype=self.dtype_policy)
        self.hidden.build((*pairs, self.task_dim + self.behavior_dim))
        self.conditions = keras.layers.Dense(
            2 * self.num_sites * self.dim,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype=self.dtype_policy,
        )
        self.conditions.build((*pairs, self.hidden_dim))

    def _embeddings(self, kind: str, count: int, width: int) -> keras.Variable | None:
        if not width:
            return None
        initializer = keras.initializers.RandomNormal(stddev=1.0)
        return self.add_weight(name=f"{kind}_embeddings", shape=(count, width), initializer=initializer)

    def call(self, inputs: Tensor = None) -> tuple[Tensor, Tensor]:
        conditions = ops.reshape(
            self.conditions(self.hidden(self.pairs())),
            (self.num_tasks, self.num_behaviors, 2, self.num_sites, self.dim),
        )
        return 1.0 + conditions[:, :, 0], conditions[:, :, 1]

    def pairs(self) -> Tensor:
        """The embedding of every pair, float `(T, J, task_dim + behavior_dim)`."""
        known = []
        if self.task_embeddings is not None:
            known.append(ops.repeat(self.task_embeddings[:, None], self.num_behaviors, axis=1))
        if self.behavior_embeddings is not None:
            known.append(ops.repeat(self.behavior_embeddings[None], self.num_tasks, axis=0))
        return ops.concatenate(known, axis=-1)

    def compute_output_shape(self, input_shape: Shape | None = None) -> tuple[Shape, Shape]:
        shape = (self.num_tasks, self.num_behaviors, self.num_sites, self.dim)
        return shape, shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_behaviors": self.num_behaviors,
            "num_sites": self.num_sites,
            "dim": self.dim,
            "task_dim": self.task_dim,
            "behavior_dim": self.behavior_dim,
            "hidden_dim": self.hidden_dim,
        }

"""The base class of all loss weightings and gradient aggregators."""

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_positive_int, error_text


class Balancer(keras.Operation):
    """Turns the tasks' losses, or the Gramian of their gradients, into one weight per task.

    The gradient of a step is `sum_t w_t g_t`; weights that are all 1 are the plain sum of the losses. A subclass
    implements `_weights`, creates its state in `build` with `add_variable`, and lists its arguments in `get_config`.

    State is saved and restored with a Keras model that holds the balancer as an attribute. Under `tf.distribute` call
    `build` in the strategy's scope; `weights` and `update` assign to state and so must stand outside `tf.cond` and
    `tf.while_loop` there. Every replica has to pass the same inputs: the first one's new state counts.

    Shapes: T tasks.

    Args:
        **kwargs: Passed to `keras.Operation` (`name`).
    """

    uses_gramian: ClassVar[bool] = False
    """Whether `weights` needs the Gramian."""

    uses_next_losses: ClassVar[bool] = False
    """Whether `update` has to be called after the optimizer's step, with the losses of the same batch again."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_tasks: int | None = None
        self._state: list[Any] = []

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks; has no effect if it exists already.

        Raises:
            TypeError: `num_tasks` is not an int.
            ValueError: `num_tasks` is less than 1, or another number than before.
        """
        check_positive_int(type(self).__name__, "num_tasks", num_tasks)
        if self.num_tasks is None:
            self.num_tasks = num_tasks
            self._create_state(num_tasks)
        elif self.num_tasks != num_tasks:
            rule, advice = f"be {self.num_tasks}, as in the first call", "Use a separate balancer for each model."
            raise ValueError(error_text(type(self).__name__, "num_tasks", rule, num_tasks, advice))

    @property
    def variables(self) -> list[Any]:
        """All state, in the order of its creation."""
        return list(self._state)

    def add_variable(self, name: str, shape: Shape, value: float = 0.0, dtype: str = "float32") -> Any:
        """Creates one piece of state, filled with `value`."""
        variable = keras.Variable(
            keras.initializers.Constant(value),
            shape=shape,
            dtype=dtype,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name=name,
        )
        self._state.append(variable)
        return variable

    def weights(self, losses: Tensor, gramian: Tensor | None = None, present: Tensor | None = None) -> Tensor:
        """The weights of this step; moves the state on.

        A loss or a product that is not finite leaves the state as it is: an optimizer that scales the loss skips such
        a step, and the next ones must not pay for it.

        Args:
            losses: float `(T,)`.
            gramian: float `(T, T)`, the products `g_i . g_j` of the tasks' gradients, or None where `uses_gramian` is
                False. Defaults to `None`.
            present: bool `(T,)`, False for a task without a label in the batch: it gets the weight 0, its history
                stands still, and the others' weights are what they were if it did not exist. Defaults to `None`, all.

        Returns:
            float32 `(T,)`; finite for finite inputs.

        Raises:
            ValueError: the balancer is not built, a shape is another, or the Gramian is missing.
        """
        owner, tasks = type(self).__name__, self._built_tasks()
        losses = self._vector("losses", losses)
        present = tf.ones((tasks,), tf.bool) if present is None else tf.convert_to_tensor(present)
        present = tf.ensure_shape(present, (tasks,))
        if self.uses_gramian:
            if gramian is None:
                raise ValueError(error_text(owner, "gramian", "be given", None, "Pass the products of the gradients."))
            # In float64, since products of gradients span twice as many orders of magnitude as the gradients.
            gramian = tf.cast(gramian, tf.float64)
            if gramian.shape != (tasks, tasks):
                advice = "Pass one row and one column per task."
                raise ValueError(
                    error_text(owner, "gramian.shape", f"be {(tasks, tasks)}", tuple(gramian.shape), advice)
                )
            both = tf.logical_and(present[:, None], present[None, :])
            gramian = tf.where(both, gramian, tf.zeros_like(gramian))
        losses = tf.where(present, losses, 0.0)
        finite = tf.reduce_all(tf.math.is_finite(losses))
        if gramian is not None:
            finite = tf.logical_and(finite, tf.reduce_all(tf.math.is_finite(gramian)))
        before = [tf.identity(variable.value) for variable in self._state]
        weights = tf.cast(self._weights(losses, gramian, present), tf.float32)
        for variable, old in zip(self._state, before, strict=True):
            variable.assign(tf.where(finite, variable.value, old))
        return tf.where(present, weights, 0.0)

    def update(self, losses: Tensor, next_losses: Tensor) -> None:
        """Moves state that depends on what the step did; does nothing unless `uses_next_losses`.

        Args:
            losses: float `(T,)`, as in this step's call of `weights`.
            next_losses: float `(T,)`, of the same batch after the optimizer's step.
        """

    def save_own_variables(self, store: Any) -> None:
        """Writes the state into a Keras store."""
        for variable in self._state:
            store[variable.name] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads the state from a Keras store.

        Raises:
            ValueError: the balancer has not been built, or the store holds another method's state.
        """
        expected, found = [variable.name for variable in self._state], list(store.keys())
        if set(expected) != set(found):
            rule, advice = f"hold {expected}", "Build the balancer first, and use the method that was saved."
            raise ValueError(error_text(type(self).__name__, "store", rule, found, advice))
        for variable in self._state:
            variable.assign(store[variable.name])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name}

    def _create_state(self, num_tasks: int) -> None:
        """Creates the state; a method without any leaves this out."""

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        """`(T,)` weights. What belongs to an absent task is 0 in the inputs; its weight is ignored."""
        raise NotImplementedError

    def _built_tasks(self) -> int:
        if self.num_tasks is None:
            raise ValueError(f"{type(self).__name__}: `build(num_tasks)` must come before the first step.")
        return self.num_tasks

    def _vector(self, argument: str, values: Tensor) -> Tensor:
        tensor = tf.cast(values, tf.float32)
        if tensor.shape != (self.num_tasks,):
            rule, advice = f"be ({self.num_tasks},)", "Pass one value per task."
            raise ValueError(error_text(type(self).__name__, f"{argument}.shape", rule, tuple(tensor.shape), advice))
        return tensor

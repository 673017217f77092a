"""The base class of row-wise optimizers: a step changes only the rows that the batch reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.ops import control_flow_util  # no public name says whether XLA will compile a graph

from tfmtl.core.replicas import is_single_replica
from tfmtl.core.tables import variable_path
from tfmtl.core.types import Tensor
from tfmtl.optimizers.sum_duplicates import sum_duplicates
from tfmtl.schema.checks import check_nonnegative_number, check_positive_number, error_text

_REFUSED = {
    "weight_decay": "It would shrink every row at every step; use `l2`, which acts on the rows that a batch reads.",
    "use_ema": "It would average every row at every step; leave it out.",
    "ema_momentum": "It belongs to `use_ema`, which would average every row at every step; leave it out.",
    "ema_overwrite_frequency": "It belongs to `use_ema`, which would average every row at every step; leave it out.",
    "gradient_accumulation_steps": "It would keep a second table of gradients; use larger batches.",
    "loss_scale_factor": "Embedding tables are float32 and need none; wrap the optimizer in LossScaleOptimizer.",
}


class RowOptimizer(keras.optimizers.Optimizer):
    """Optimizer whose step costs what the touched rows cost, however large the table.

    Keras's own optimizers turn the sparse gradient of an embedding (`tf.IndexedSlices`) into a table of mostly zeros
    and pass over all rows of the table and of their slots. This one sums the gradients of rows that occur several
    times, reads the touched rows of table and slots, and writes them back in place. Rows that no example of the batch
    reads keep their value and their slots to the last bit, also under `l2`. A gradient that is no `tf.IndexedSlices`
    updates all rows, as in Keras.

    A table of bfloat16 or float16 has slots of float32, and its rows are read, changed in float32 and rounded back: the
    mean of small squares would vanish in 16 bits.

    Under `tf.distribute` gradients are summed over replicas first, so clipping sees the gradient of the whole batch.
    Runs outside XLA: a compiled step would copy the tables. Fit with `jit_compile=False`, the default on CPU, or
    compile the forward and backward pass alone.

    A subclass names its slots (`initial_slots`) and writes its rule on rows (`update_rows`), in which it need not know
    which rows they are.

    Args:
        learning_rate: float, `keras.optimizers.schedules.LearningRateSchedule` or callable. Per step.
        l2: float, at least 0. Adds `l2 * row` to the gradient of each touched row, after clipping: the gradient of
            `l2 / 2 * |row|^2`. Defaults to `0.0`.
        clipnorm: float or None. Largest norm of one variable's gradient. Defaults to `None`.
        clipvalue: float or None. Largest absolute value of a gradient's element. Defaults to `None`.
        global_clipnorm: float or None. Largest norm of all gradients of this optimizer together. Defaults to `None`.
        name: str or None. Defaults to `None`.
        **refused: What Keras offers and would touch every row at every step (`weight_decay`, `use_ema`,
            `gradient_accumulation_steps`, `loss_scale_factor`).

    Raises:
        TypeError: If an argument is unknown, or not a number where one is needed.
        ValueError: If a number is out of range, a refused argument is given, or more than one kind of clipping; in
            the first step, if a table has a constraint.
    """

    slot_per_row = False
    """Whether a slot holds one number per row instead of one per element."""

    def __init__(
        self,
        learning_rate: Any,
        l2: float = 0.0,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **refused: Any,
    ) -> None:
        owner = type(self).__name__
        for argument, value in refused.items():
            if argument not in _REFUSED:
                raise TypeError(f"{owner}: unknown argument `{argument}`. Received: {argument}={value!r}.")
            raise ValueError(error_text(owner, argument, "not be given", value, _REFUSED[argument]))
        check_nonnegative_number(owner, "l2", l2)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        for argument, limit in clips.items():
            if limit is not None:
                check_positive_number(owner, argument, limit)
        super().__init__(learning_rate=learning_rate, name=name, **clips)
        self.l2 = l2

    # === Implemented by a subclass ===

    def initial_slots(self) -> Mapping[str, float]:
        """Names of the slots of each variable, and the value that all their elements start with."""
        return {}

    def update_rows(
        self, gradient: Tensor, rows: Tensor, slots: Sequence[Tensor], learning_rate: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """The rule, on any number of rows.

        Args:
            gradient: of the rows, `(U, ...)`.
            rows: their values, `(U, ...)`.
            slots: in the order of `initial_slots`; `(U, ...)`, or `(U, 1, ...)` with `slot_per_row`.
            learning_rate: scalar.

        Returns:
            New rows and new slots.
        """
        raise NotImplementedError

    # === Called by Keras ===

    def build(self, variables: Sequence[Any]) -> None:
        """Creates the slots."""
        if self.built:
            return
        super().build(variables)
        initial = self.initial_slots().items()
        self._slots = [[self._add_slot(variable, name, value) for name, value in initial] for variable in variables]

    def _add_slot(self, variable: Any, name: str, value: float) -> Any:
        shape = tuple(variable.shape)
        if self.slot_per_row:
            shape = (*shape[:1], *(1 for _ in shape[1:]))
        # Beside its table, also where a strategy spreads variables over devices.
        with tf.distribute.get_strategy().extended.colocate_vars_with(getattr(variable, "value", variable)):
            return self.add_variable(
                shape=shape,
                initializer=keras.initializers.Constant(value),
                dtype=_computed_in(variable.dtype),
                name=f"{variable_path(variable).replace('/', '_')}_{name}",
            )

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Takes one step; gradients may be tensors, `tf.IndexedSlices` or None."""
        if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
            raise ValueError(
                f"{type(self).__name__}: a step must not be compiled by XLA, which would copy the tables. "
                "Compile the model with jit_compile=False, or compile the forward and backward pass alone."
            )
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        for gradient, variable in zip(grads, variables, strict=False):
            constraint = getattr(variable, "constraint", None)
            if constraint is not None and isinstance(gradient, tf.IndexedSlices):
                raise ValueError(
                    f"{type(self).__name__}: the table '{variable_path(variable)}' must not have a constraint, which "
                    f"Keras would apply to every row at every step. Received: constraint={constraint!r}. "
                    "Leave it out, or use `l2`."
                )
        super().apply(grads, trainable_variables)

    def _clip_gradients(self, grads: Sequence[Any]) -> Sequence[Any]:
        # Keras clips before the replicas' gradients are added and before duplicates are.
        return grads

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[tuple[Any, Any]]:
        pairs = list(grads_and_vars) if is_single_replica() else super()._all_reduce_sum_gradients(grads_and_vars)
        gradients = [_with_distinct_rows(gradient, variable) for gradient, variable in pairs]
        if self.clipnorm:
            gradients = [tf.clip_by_norm(gradient, self.clipnorm) for gradient in gradients]
        elif self.clipvalue:
            gradients = [tf.clip_by_value(gradient, -self.clipvalue, self.clipvalue) for gradient in gradients]
        elif self.global_clipnorm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.global_clipnorm)
        return [(gradient, variable) for gradient, (_, variable) in zip(gradients, pairs, strict=True)]

    def update_step(self, gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        """Updates one variable; a sparse gradient has distinct ids by now."""
        slots = [slot.value for slot in self._slots[self._get_variable_index(variable)]]
        learning_rate = tf.cast(learning_rate, _computed_in(variable.dtype))
        if isinstance(gradient, tf.IndexedSlices):
            self._update_touched_rows(gradient, variable, slots, learning_rate)
            return
        rows = tf.cast(tf.convert_to_tensor(variable), learning_rate.dtype)
        gradient = tf.cast(gradient, rows.dtype) + self.l2 * rows if self.l2 else tf.cast(gradient, rows.dtype)
        new_rows, new_slots = self.update_rows(
            gradient, rows, [tf.convert_to_tensor(slot) for slot in slots], learning_rate
        )
        for target, value in zip((variable, *slots), (new_rows, *new_slots), strict=True):
            target.assign(tf.cast(value, target.dtype))

    def _update_touched_rows(
        self, slices: tf.IndexedSlices, variable: tf.Variable, slots: Sequence[tf.Variable], learning_rate: Tensor
    ) -> None:
        ids = slices.indices
        # Ids are known before the forward pass ends. A layer that gathers from a read of the whole table, as
        # keras.layers.Embedding does, holds that read until then, and touching the table meanwhile would copy it.
        # The first operation changes nothing, but counts as a write, which waits for every read before it.
        with tf.control_dependencies([slices.values]):
            tf.raw_ops.DisableCopyOnRead(resource=variable.handle)
            rows = tf.cast(_read(variable, ids), learning_rate.dtype)
        gradient = tf.cast(slices.values, rows.dtype)
        if self.l2:
            gradient += self.l2 * rows
        new_rows, new_slots = self.update_rows(gradient, rows, [_read(slot, ids) for slot in slots], learning_rate)
        for target, value in zip((variable, *slots), (new_rows, *new_slots), strict=True):
            # The methods of tf.Variable would put a read of the whole into the graph beside it.
            tf.raw_ops.ResourceScatterUpdate(resource=target.handle, indices=ids, updates=tf.cast(value, target.dtype))
        # Gather and scatter put a variable into a mode in which every read of the whole copies it, such as the next
        # forward pass's. This ends it.
        tf.raw_ops.DisableCopyOnRead(resource=variable.handle)

    def get_config(self) -> dict[str, Any]:
        config = {key: value for key, value in super().get_config().items() if key not in _REFUSED}
        return {**config, "l2": self.l2}


def _with_distinct_rows(gradient: Any, variable: Any) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    # Gathered from several machines, values have forgotten how wide they are.
    values = tf.ensure_shape(gradient.values, (None, *variable.shape[1:]))
    values = tf.cast(values, _computed_in(variable.dtype))
    ids, values = sum_duplicates(tf.IndexedSlices(values, gradient.indices, gradient.dense_shape))
    return tf.IndexedSlices(values, ids, gradient.dense_shape)


def _computed_in(dtype: Any) -> tf.DType:
    """The type of slots and arithmetic for a variable of this type."""
    dtype = tf.as_dtype(dtype)
    return tf.float32 if dtype.size < 4 else dtype


def _read(variable: tf.Variable, ids: Tensor) -> Tensor:
    return tf.raw_ops.ResourceGather(resource=variable.handle, indices=ids, dtype=variable.dtype)

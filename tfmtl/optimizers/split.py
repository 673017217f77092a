"""One optimizer for the embedding tables and one for all other weights."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.tables import is_table, variable_path
from tfmtl.schema.checks import error_text

_LARGE = 10_000


@keras.saving.register_keras_serializable(package="tfmtl")
class Split(keras.optimizers.Optimizer):
    """Sends the embedding tables of a model to one optimizer and all other weights to another.

    The tables are, unless `select` says otherwise, those of `FeatureEmbedding` and of every `keras.layers.Embedding`
    (weights named `embeddings`). A layer of your own that gathers from a weight is covered by
    `tfmtl.core.tables.mark_table(weight)` in its `build`, or by `select`. A table of more than 10,000 rows that is not
    recognized, and so goes to `rest`, is reported by a warning when its sparse gradient arrives.

    Each part has its own learning rate, clipping and step count: `global_clipnorm` of a part is over its own gradients.
    `learning_rate` reads that of `rest`. Setting it multiplies that of `tables` by the same factor, so that callbacks
    such as `ReduceLROnPlateau` keep the two in proportion; `optimizer.tables.learning_rate` sets one alone.

    Wrap it in `keras.optimizers.LossScaleOptimizer`, not its parts; the check for finite gradients in there reads a
    mask of the tables' size at every step, so prefer `mixed_bfloat16`, which needs no scaling.

    Args:
        tables: optimizer of the embedding tables; a `RowOptimizer`, for steps that do not grow with the tables.
        rest: optimizer of all other weights, any of Keras's.
        select: strings or None. A weight is a table if its path (`weight.path`) holds one of them. Defaults to `None`:
            as above.
        name: str or None. Defaults to `None`.

    Raises:
        TypeError: If a part is no Keras optimizer, or `select` no sequence of strings.
        ValueError: If both parts are one object, a part scales the loss, or the parts accumulate gradients over
            different numbers of steps; in `build`, if `select` fits no weight.

    Example:

    >>> import keras, tfmtl
    >>> optimizer = tfmtl.optimizers.Split(tfmtl.optimizers.Adagrad(0.05), rest=keras.optimizers.Adam(1e-3))
    >>> round(float(optimizer.tables.learning_rate), 6)
    0.05
    """

    def __init__(
        self,
        tables: keras.optimizers.Optimizer,
        rest: keras.optimizers.Optimizer,
        select: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate=0.0, name=name)
        for argument, part in (("tables", tables), ("rest", rest)):
            if not isinstance(part, keras.optimizers.Optimizer):
                advice = "Give an object such as keras.optimizers.Adam(1e-3)."
                raise TypeError(error_text("Split", argument, "be a Keras optimizer", part, advice))
            if isinstance(part, keras.optimizers.LossScaleOptimizer) or part.loss_scale_factor is not None:
                advice = "Give it to LossScaleOptimizer(Split(...)) instead."
                raise ValueError(error_text("Split", argument, "not scale the loss", part, advice))
        steps, others = rest.gradient_accumulation_steps, tables.gradient_accumulation_steps
        if steps != others:
            rule = f"accumulate over as many steps as `tables`, {others}: one would step where the other waits"
            advice = "Leave it out and use larger batches, or give both parts the same number."
            raise ValueError(error_text("Split", "rest.gradient_accumulation_steps", rule, steps, advice))
        if tables is rest:
            raise ValueError(error_text("Split", "rest", "be another object than `tables`", rest, "Make two."))
        if select is not None and (isinstance(select, str) or not all(isinstance(text, str) for text in select)):
            advice = "Write it as in ('user_table', 'item_table')."
            raise TypeError(error_text("Split", "select", "be a sequence of strings", select, advice))
        self.tables = tables
        self.rest = rest
        self.select = None if select is None else tuple(select)

    def build(self, variables: Sequence[Any]) -> None:
        """Decides which weights are tables and builds both parts."""
        if self.built:
            return
        is_selected: Callable[[Any], bool] = is_table
        if self.select is not None:
            texts = self.select

            def is_selected(variable: Any) -> bool:
                return any(text in variable_path(variable) for text in texts)

        selected = [bool(is_selected(variable)) for variable in variables]
        if self.select is not None and not any(selected):
            paths = [variable_path(variable) for variable in variables]
            advice = f"The weights are {paths}."
            raise ValueError(error_text("Split", "select", "hold a part of some weight's path", self.select, advice))
        self._is_table = selected
        for part, wanted in ((self.tables, True), (self.rest, False)):
            part.build([variable for variable, own in zip(variables, selected, strict=True) if own is wanted])
        super().build(variables)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Takes one step; gradients may be tensors, `tf.IndexedSlices` or None."""
        if not self.built:
            if trainable_variables is None:
                advice = "Call build(variables) first, or pass the variables."
                raise ValueError(error_text("Split", "trainable_variables", "be given", None, advice))
            self.build(list(trainable_variables))
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        self._check_variables_are_known(variables)
        pairs = list(zip(grads, variables, strict=True))
        is_table = [self._is_table[self._get_variable_index(variable)] for variable in variables]
        for part, wanted in ((self.tables, True), (self.rest, False)):
            own = [pair for pair, in_tables in zip(pairs, is_table, strict=True) if in_tables is wanted]
            if wanted is False:
                self._report_large_tables(own)
            # A part none of whose weights took part in the loss has nothing to do; Keras would raise.
            if any(gradient is not None for gradient, _ in own) or len(own) == len(pairs):
                part.apply([gradient for gradient, _ in own], [variable for _, variable in own])
        self._iterations.assign_add(1)

    def _report_large_tables(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        for gradient, variable in pairs:
            if self.select is None and isinstance(gradient, tf.IndexedSlices) and variable.shape[0] > _LARGE:
                warnings.warn(
                    f"Split: the weight '{variable_path(variable)}' of {variable.shape[0]} rows has a sparse gradient "
                    "but is not known as an embedding table, so `rest` updates all its rows at every step. "
                    "Name it in `select`, or mark it with tfmtl.core.tables.mark_table.",
                    stacklevel=2,
                )

    @property
    def variables(self) -> list[Any]:
        """Own variables, then those of `tables`, then those of `rest`."""
        return [*self._variables, *self.tables.variables, *self.rest.variables]

    @property
    def learning_rate(self) -> Any:
        """The learning rate of `rest`; setting it scales that of `tables` by the same factor."""
        return self.rest.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        rates = [part._learning_rate for part in (self.rest, self.tables)]
        if callable(learning_rate) or not all(isinstance(rate, keras.Variable) for rate in rates):
            advice = "Set `optimizer.tables.learning_rate` and `optimizer.rest.learning_rate`."
            raise TypeError(error_text("Split", "learning_rate", "be two numbers' factor", learning_rate, advice))
        before, after = float(rates[0].numpy()), float(learning_rate)
        if before <= 0 or after <= 0:
            advice = "At 0 the two rates would lose their proportion; use a small number."
            raise ValueError(error_text("Split", "learning_rate", "stay above 0", after, advice))
        self.tables.learning_rate = float(rates[1].numpy()) * after / before
        self.rest.learning_rate = after

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Lets both parts set final values, such as averages over steps."""
        for part, wanted in ((self.tables, True), (self.rest, False)):
            part.finalize_variable_values(
                [variable for variable in var_list if self._is_table[self._get_variable_index(variable)] is wanted]
            )

    def save_own_variables(self, store: Any) -> None:
        """Saves the step count; the parts are saved beside it by themselves."""
        store["iteration"] = self._iterations.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Restores what `save_own_variables` saved."""
        self._iterations.assign(store["iteration"])

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "tables": keras.saving.serialize_keras_object(self.tables),
            "rest": keras.saving.serialize_keras_object(self.rest),
            "select": None if self.select is None else list(self.select),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Split":
        """Makes the optimizer of a config, without its state."""
        config = dict(config)
        for part in ("tables", "rest"):
            config[part] = keras.saving.deserialize_keras_object(config[part], custom_objects=custom_objects)
        return cls(**config)

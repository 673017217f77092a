"""All embedding lookups of a model in one gather per width."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmtl.core.initializers import small_uniform
from tfmtl.core.rows import parts_of_equal_rows, with_equal_rows
from tfmtl.core.tables import mark_table
from tfmtl.core.types import Shape, Tensor
from tfmtl.features import behavior_of
from tfmtl.features.field_layer import FieldLayer
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.embedding._id_tensors import id_vectors, joined_ids, rows_of
from tfmtl.layers.embedding._initial_tables import TableInitializer
from tfmtl.layers.embedding.embedding_plan import EmbeddingPlan
from tfmtl.layers.embedding.number_fields import NumberVectors
from tfmtl.layers.embedding.piecewise_numbers import PiecewiseNumbers
from tfmtl.schema import EncodedTensor, FeatureRecord, ModelInputs, SequenceFeature
from tfmtl.schema.checks import check_count, check_positive_int, error_text

_ADAPTED_ROWS = 200_000


@keras.saving.register_keras_serializable(package="tfmtl")
class FeatureEmbedding(keras.layers.Layer):
    """Turns encoded features into field vectors, event vectors and candidate queries.

    Tables of one width lie in one weight and are read by one gather, however
    many features there are. Id 0 (missing, padding) is the zero vector and
    never learns; id 1 (out of vocabulary) starts at zero, so that a value never
    seen in training says nothing rather than something random. Features whose
    width differs from `dim` are projected to it.

    A multi-valued feature is the mean of its present values. A scaled number
    `x` is `x * w + b` with learned `w, b` of its own; a missing one is taken for
    the mean, 0. With `number_bins` a piecewise linear function of `x` is added
    (`PiecewiseNumbers`), whose knots `adapt` sets. An event is the sum of its columns' vectors, made as the features'
    own with the same weights, and of its time gap's; its query is the sum of the
    same columns of the example itself, the candidate of target attention. What is
    neither id nor number, a vector say, goes to the layer of its feature's kind
    (`tfmtl.features.FieldLayer`), whose fields come last.

    Shapes: B batch, F fields, J sequences, L the longest sequence's length, D `dim`.

    Args:
        inputs: `ModelInputs` or the mapping that its `to_dict` returns.
        dim: int or None. D, where there is one copy. Defaults to `None`: the widest feature's width.
        copies: int. Embeddings of every value, such as one for each task and one for all, side by side: D is so many
            times as wide, and no part of it depends on another. Defaults to `1`.
        number_bins: int. Bins of the piecewise linear function that every scaled number has beside `x w + b`. Defaults
            to `0`: none.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        features: dict of tensors as `tfmtl.data.example_spec.encoded_signature` describes. Those of a static batch
            of 1 hold for all rows of the others: one user and B candidates.
        vectors: what `lookup` returns for the features, for a caller that differentiates with respect to the rows
            rather than the tables, and has called `augment`; `None` does both. Defaults to `None`.
        training: bool. Whether dropout in the kinds' layers is on. Defaults to `False`.

    Returns:
        dict: `fields` float `(B, F, D)`; and, if the problem has sequences, `events`
        `(B, J, L, D)` oldest first, right padded, `event_mask` bool `(B, J, L)` and
        `queries` `(B, J, D)`. The fields' names, in order, are `field_names`. Events
        that hold for all rows stay `(1, J, L, D)`.

    Masking: not supported; absent fields are zero vectors, except scaled numbers, which are `b`.

    Example:

    >>> import keras, tfmtl
    >>> from tfmtl.schema import BinaryTask, CategoricalFeature, ModelInputs, Problem, Split
    >>> problem = Problem("shop", (CategoricalFeature("item", dim=4),), (BinaryTask("click"),), split=Split("row"))
    >>> layer = tfmtl.layers.FeatureEmbedding(ModelInputs(problem, {"item": 100}, {"click": 0.1}, {"click": 0.3}))
    >>> layer({"item": keras.ops.ones((8,), "int32")})["fields"].shape
    TensorShape([8, 1, 4])
    """

    def __init__(
        self,
        inputs: ModelInputs | Mapping[str, Any],
        dim: int | None = None,
        copies: int = 1,
        number_bins: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive_int("FeatureEmbedding", "copies", copies)
        check_count("FeatureEmbedding", "number_bins", number_bins)
        if dim is not None:
            check_positive_int("FeatureEmbedding", "dim", dim)
        self.inputs = inputs if isinstance(inputs, ModelInputs) else ModelInputs.from_dict(inputs)
        self.dim = dim
        self.copies = copies
        self.number_bins = number_bins
        self.plan = EmbeddingPlan(self.inputs, dim, copies)
        self._rows: Callable[[str, Tensor], Tensor] | None = None

    @property
    def field_names(self) -> tuple[str, ...]:
        """The features behind axis F, in order."""
        return self.plan.field_names

    def build(self, input_shape: Any = None) -> None:
        self.tables = {
            str(width): self.add_weight(
                name=f"table_{width}",
                shape=(rows, width),
                initializer=TableInitializer(self.plan.out_of_vocabulary_rows(width)),
                autocast=False,  # a cast would copy the whole table each step; the gathered rows are cast instead
            )
            for width, rows in self.plan.table_rows.items()
        }
        for table in self.tables.values():
            mark_table(table)
        self.projections = {}
        for width in self.plan.table_rows:
            if width == self.plan.dim:
                continue
            if self.copies > 1:
                self.projections[str(width)] = self._copies_projection(width)
            else:
                dense = keras.layers.Dense(
                    self.plan.dim, use_bias=False, dtype=self.dtype_policy, name=f"project_{width}"
                )
                dense.build((None, width))
                self.projections[str(width)] = dense
        if self.plan.numbers:
            shape = (len(self.plan.numbers), self.plan.dim)
            self.number_kernel = self.add_weight(name="number_kernel", shape=shape, initializer=small_uniform())
            self.number_bias = self.add_weight(name="number_bias", shape=shape, initializer=small_uniform())
        self.pieces = None
        if self.plan.numbers and self.number_bins:
            self.pieces = PiecewiseNumbers(self.plan.dim, self.number_bins, dtype=self.dtype_policy, name="pieces")
            self.pieces.build((None, len(self.plan.numbers)))
        self.field_layers = {
            kind: _field_layer(kind, records, self.inputs, self.plan.dim, self.dtype_policy)
            for kind, records in self.plan.records(self.inputs).items()
        }
        for layer in self.field_layers.values():
            layer.copies = self.copies
            layer.build(None)
        self.built = True

    def _copies_projection(self, width: int) -> StackedDense:
        """One projection for each copy, so that none reads another."""
        stack = StackedDense(
            self.copies,
            self.plan.dim // self.copies,
            use_bias=False,
            dtype=self.dtype_policy,
            name=f"project_{width}",
        )
        stack.build((None, self.copies, width // self.copies))
        return stack

    def _projected(self, width: int, gathered: Tensor) -> Tensor:
        """`(B, n, width)` -> `(B, n, D)`."""
        if width == self.plan.dim:
            return gathered
        projection = self.projections[str(width)]
        if self.copies == 1:
            return projection(gathered)
        projected = projection(tf.reshape(gathered, (-1, self.copies, width // self.copies)))
        return tf.reshape(projected, (-1, gathered.shape[1], self.plan.dim))

    def row_ids(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The row of its width's fused table that every id reads: width, as text -> int `(B, n)`."""
        return {
            str(width): tf.cast(joined_ids(features, columns), tf.int32)
            + tf.constant(self.plan.row_offsets(columns), tf.int32)
            for width, columns in self.plan.columns_among(features).items()
        }

    def lookup(self, row_ids: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tables' rows as they stand, in the tables' precision: width, as text -> `(B, n, width)`."""
        rows = self._rows or (lambda width, ids: tf.gather(self.tables[width].value, ids))
        return {width: rows(width, ids) for width, ids in row_ids.items()}

    @contextmanager
    def reading(self, rows: Callable[[str, Tensor], Tensor]) -> Iterator[None]:
        """While it is open, look-ups read `rows(width, ids)` in place of the tables, as an export with its own does."""
        self._rows = rows
        try:
            yield
        finally:
            self._rows = None

    def augment(self, features: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """The features with what the kinds' layers change at random in training."""
        changed = dict(features)
        for layer in self.field_layers.values():
            changed.update(layer.augment(changed, training))
        return changed

    def call(
        self, features: Mapping[str, Tensor], vectors: Mapping[str, Tensor] | None = None, training: bool = False
    ) -> dict[str, Tensor]:
        if vectors is None:
            features = self.augment(features, training)
        found: dict[str, Tensor] = {}
        present: dict[str, Tensor] = {}
        for part in parts_of_equal_rows(features) if vectors is None else [features]:
            rows = self.lookup(self.row_ids(part)) if vectors is None else vectors
            part_found, part_present = id_vectors(self.plan, part, rows, self._projected, self.compute_dtype)
            for key, each in part_found.items():
                found[key] = found[key] + each if key in found else each  # a field may be the sum of both parts
            present.update(part_present)
        for each in self.plan.lists:
            count = tf.reduce_sum(present[each.key], axis=1, keepdims=True)  # (B, 1, 1)
            found[each.key] = tf.math.divide_no_nan(tf.reduce_sum(found[each.key], axis=1, keepdims=True), count)
        vectors_of = self._number_vectors() if self.plan.numbers else None
        numbers = vectors_of.alone(features) if vectors_of else None
        summed = vectors_of.sums(features) if vectors_of else {}
        others = self._other_fields(features, found, present, training)
        fields = self._fields(found, numbers, summed)
        fields += [each[:, tf.newaxis] for each in others.values()]
        result = {"fields": tf.concat(with_equal_rows(fields), axis=1)}  # (B, F, D)
        if self.plan.sequences:
            result.update(self._events(features, found, present, training))
            result["queries"] = self._queries(found, numbers, others)
        return result

    def adapt(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Spreads the knots of the numbers' bins over examples; without bins it reads nothing.

        `tfmtl.training.fit` does so before it trains.

        Args:
            batches: features, as in the call; of one example at least. Reading ends at 200,000 examples.
        """
        if self.pieces is None:
            return
        parts, rows = [], 0
        for features in batches:
            parts.append(np.asarray(self.number_values(features)))
            rows += len(parts[-1])
            if rows >= _ADAPTED_ROWS:
                break
        self.pieces.adapt(np.concatenate(parts)[:_ADAPTED_ROWS])

    def number_values(self, features: Mapping[str, Tensor]) -> Tensor:
        """The scaled numbers of the examples side by side, `(B, n)`."""
        return self._number_vectors().values(features)

    def _number_vectors(self) -> NumberVectors:
        return NumberVectors(self.plan, self.number_kernel, self.number_bias, self.pieces, self.compute_dtype)

    def _fields(
        self, found: Mapping[str, Tensor], numbers: Tensor | None, summed: Mapping[str, list[Tensor]]
    ) -> list[Tensor]:
        """The fields `(B, n, D)`, one or several at once; what belongs to one field is added up."""
        parts: dict[str, list[Tensor]] = {name: [] for name in self.plan.pooled_names}
        joined = self.plan.joined_ids
        for each in (*self.plan.scalars, *self.plan.lists):
            if each.key not in joined:
                parts[each.field].append(found[each.key])  # each (B, 1, D)
        for field in dict.fromkeys(joined.values()):
            parts[field].append(found[field])
        for field, some in summed.items():
            parts[field] += some
        if numbers is None:
            return [sum(some[1:], some[0]) for some in parts.values()]
        alone = [name for name, some in parts.items() if not some]  # the last ones
        of_numbers = [each for each in self.plan.numbers if not each.joins]
        if len(alone) == len(of_numbers):
            return [*(sum(some[1:], some[0]) for some in parts.values() if some), numbers]
        for each, part in zip(of_numbers, tf.split(numbers, len(of_numbers), axis=1), strict=True):
            parts[each.field].append(part)
        return [sum(some[1:], some[0]) for some in parts.values()]

    def _other_fields(
        self,
        features: Mapping[str, Tensor],
        found: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        training: bool,
    ) -> dict[str, Tensor]:
        """The fields `(b, D)` of the kinds that have a layer, in order; b is 1 where the field holds for all rows."""
        fields: dict[str, Tensor] = {}
        for kind, layer in self.field_layers.items():
            tensors = self.plan.others[kind]
            rows, masks = ({e.key: each[e.key] for e in tensors if e.holds_ids} for each in (found, present))
            arrays = {each.key: features[each.key] for each in tensors if not each.holds_ids}
            fields.update(layer(rows, masks, arrays, training=training))
        return {name: fields[name] for name in self.field_names[len(self.plan.pooled_names) :]}

    def _events(
        self,
        features: Mapping[str, Tensor],
        found: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        training: bool,
    ) -> dict[str, Tensor]:
        longest = self.plan.longest_sequence
        events, masks = [], []
        for sequence in self.plan.sequences:
            tensors = self.plan.events[sequence.name]
            is_event = present[tensors[0].key]  # (B, L, 1)
            pooled = [each for each in tensors if each.is_pooled]
            parts = [self._event_vectors(each, is_event, features, found, present) for each in pooled]
            parts += [part * is_event for part in self._other_events(sequence, features, found, present, training)]
            padding = [[0, 0], [0, longest - sequence.max_length], [0, 0]]
            events.append(tf.pad(tf.add_n(parts), padding))
            masks.append(tf.pad(is_event, padding)[:, :, 0] > 0)
        return {
            "events": tf.stack(events, axis=1),  # (B, J, L, D)
            "event_mask": tf.stack(masks, axis=1),  # (B, J, L)
        }

    def _event_vectors(
        self,
        tensor: EncodedTensor,
        is_event: Tensor,
        features: Mapping[str, Tensor],
        found: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
    ) -> Tensor:
        """What one tensor adds to every event, `(B, L, D)`: zero where there is none."""
        if tensor.role == "id":
            return found[tensor.key]
        if tensor.role == "ids":
            rows, mask = (  # (B, L, n, D), (B, L, n, 1)
                tf.reshape(each[tensor.key], (rows_of(each[tensor.key]), *tensor.inner, each[tensor.key].shape[-1]))
                for each in (found, present)
            )
            return tf.math.divide_no_nan(tf.reduce_sum(rows, axis=2), tf.reduce_sum(mask, axis=2))
        place = self.plan.number_places[tensor.key]
        return self._number_vectors().of_events(place, features[tensor.key]) * is_event

    def _other_events(
        self,
        sequence: SequenceFeature,
        features: Mapping[str, Tensor],
        found: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        training: bool,
    ) -> list[Tensor]:
        """What the kinds' layers make of the events, `(B, L, D)` each; to them an event is a row."""
        vectors = []
        for kind, tensors in self.plan.other_events[sequence.name].items():
            keys = {each.key: sequence.column_key(each.key) for each in tensors}
            ids = [each for each in tensors if each.holds_ids]
            rows, masks = (
                {e.key: tf.reshape(some[keys[e.key]], (-1, *e.inner, some[keys[e.key]].shape[-1])) for e in ids}
                for some in (found, present)
            )
            arrays = {e.key: tf.reshape(features[keys[e.key]], (-1, *e.inner)) for e in tensors if not e.holds_ids}
            fields = self.field_layers[kind](rows, masks, arrays, training=training)
            batch = rows_of(features[keys[tensors[0].key]])
            vectors += [tf.reshape(each, (batch, sequence.max_length, self.plan.dim)) for each in fields.values()]
        return vectors

    def _queries(self, found: Mapping[str, Tensor], numbers: Tensor | None, others: Mapping[str, Tensor]) -> Tensor:
        """What the examples themselves have of the events' columns, `(B, J, D)`."""
        places = self.plan.number_places
        queries = []
        for sequence, keys in self.plan.queries.items():
            parts = [
                found[key][:, 0] if numbers is None or key not in places else numbers[:, places[key]] for key in keys
            ]
            own = self.plan.other_events[sequence].values()
            parts += [others[name] for name in dict.fromkeys(each.field for tensors in own for each in tensors)]
            queries.append(sum(parts[1:], parts[0]))
        return tf.stack(with_equal_rows(queries), axis=1)

    def compute_output_shape(self, input_shape: Any = None) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"fields": (None, len(self.field_names), self.plan.dim)}
        if self.plan.sequences:
            num, length = len(self.plan.sequences), self.plan.longest_sequence
            shapes["events"] = (None, num, length, self.plan.dim)
            shapes["event_mask"] = (None, num, length)
            shapes["queries"] = (None, num, self.plan.dim)
        return shapes

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "inputs": self.inputs.to_dict(),
            "dim": self.dim,
            "copies": self.copies,
            "number_bins": self.number_bins,
        }


def _field_layer(kind: str, records: Sequence[FeatureRecord], inputs: ModelInputs, dim: int, policy: Any) -> FieldLayer:
    layer = type(behavior_of(records[0], inputs.problem)).layer(records, dim, policy)
    if layer is None:
        rule = f"have a layer for the features of kind '{kind}', which have tensors of the roles own or lookup"
        advice = "Override `FeatureBehavior.layer` in the kind's behavior."
        raise ValueError(error_text("FeatureEmbedding", "inputs", rule, [each.name for each in records], advice))
    return layer

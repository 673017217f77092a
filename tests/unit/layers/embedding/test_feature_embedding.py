"""FeatureEmbedding against a NumPy reference written from its docstring."""

from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.tiny_problem import tiny_inputs, tiny_problem
from tfmtl.data.example_spec import encoded_signature
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding
from tfmtl.schema import CategoricalFeature, ModelInputs, NumericFeature

BATCH, WIDTH, LONGEST = 6, 8, 5
SINGLE = ("user", "item", "previous_item", "topic", "device", "price")
FIELDS = (*SINGLE, "tags", "age", "views")
TABLE_OF = {"previous_item": "item"}
WIDTH_OF = {"topic": 4, "tags": 4, "price": 4}
SEQUENCES = {  # name -> columns, table of the time gaps, length
    "clicked": (("item", "topic"), "clicked__gap", 5),
    "seen": (("topic", "price"), "seen__gap", 3),
    "bought": (("item",), None, 4),
}


def random_features(inputs: ModelInputs, batch: int = BATCH, seed: int = 0) -> dict[str, tf.Tensor]:
    """Ids of every kind, histories of every length, as preprocessing would give them."""
    generator = np.random.default_rng(seed)
    features = {}
    for key, spec in encoded_signature(inputs.problem).items():
        shape = (batch, *spec.shape[1:])
        if spec.dtype == tf.float32:
            features[key] = generator.normal(size=shape).astype("float32")
        else:
            features[key] = generator.integers(0, 6, size=shape).astype("int32")
    for sequence in inputs.problem.sequences:
        lengths = generator.integers(0, sequence.max_length + 1, size=batch)
        lengths[:2] = (0, sequence.max_length)
        real = np.arange(sequence.max_length) < lengths[:, None]
        first = sequence.column_key(sequence.columns[0])
        features[first] = np.maximum(features[first], 1)
        for key in features:
            if key.startswith(f"{sequence.name}__"):
                is_real = real.reshape(*real.shape, *[1] * (features[key].ndim - 2))
                features[key] = np.where(is_real, features[key], 0).astype(features[key].dtype)
    return {key: tf.constant(value) for key, value in features.items()}


def built(inputs: ModelInputs | None = None, dim: int | None = None) -> FeatureEmbedding:
    layer = FeatureEmbedding(inputs or tiny_inputs(), dim)
    layer.build()
    return layer


def split_tables(layer: FeatureEmbedding) -> dict[str, np.ndarray]:
    """Table -> its rows: in a width's weight the tables follow each other as in the problem, time gaps last."""
    weights = {weight.name: weight.numpy() for weight in layer.weights}
    width = layer.compute_output_shape()["fields"][-1]
    rows = dict(layer.inputs.table_rows)
    widths = {table: WIDTH_OF.get(table, 8) for table in rows}
    for sequence in layer.inputs.problem.sequences:
        if sequence.time_gap_buckets:
            rows[sequence.gap_key], widths[sequence.gap_key] = sequence.time_gap_buckets + 2, width
    tables, used = {}, dict.fromkeys(widths.values(), 0)
    for table, count in rows.items():
        start = used[widths[table]]
        tables[table] = weights[f"table_{widths[table]}"][start : start + count]
        used[widths[table]] += count
    assert {f"table_{width}": count for width, count in used.items()} == {
        name: len(value) for name, value in weights.items() if name.startswith("table_")
    }
    return tables


class Reference:
    """The docstring, one value after the other."""

    def __init__(self, layer: FeatureEmbedding, width: int = WIDTH) -> None:
        self.width = width
        self.tables = split_tables(layer)
        self.kernels = {
            weight.shape[0]: weight.numpy() for weight in layer.weights if weight.name == "kernel"
        }  # by the width they project from
        self.numbers = {weight.name: weight.numpy() for weight in layer.weights if weight.name.startswith("number")}

    def look_up(self, feature: str, index: int) -> np.ndarray:
        if index == 0:
            return np.zeros(self.width)
        row = self.tables[TABLE_OF.get(feature, feature)][index]
        return row if len(row) == self.width else row @ self.kernels[len(row)]

    def fields(self, features: Mapping[str, np.ndarray], b: int) -> np.ndarray:
        vectors = [self.look_up(name, features[name][b]) for name in SINGLE]
        tags = [self.look_up("tags", index) for index in features["tags"][b] if index != 0]
        vectors.append(np.mean(tags, axis=0) if tags else np.zeros(self.width))
        for n, name in enumerate(("age", "views")):
            vectors.append(features[name][b] * self.numbers["number_kernel"][n] + self.numbers["number_bias"][n])
        return np.stack(vectors)

    def events(self, features: Mapping[str, np.ndarray], b: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        events = np.zeros((3, LONGEST, self.width))
        mask = np.zeros((3, LONGEST), bool)
        queries = np.zeros((3, self.width))
        for j, (name, (columns, gap, length)) in enumerate(SEQUENCES.items()):
            for position in range(length):
                mask[j, position] = features[f"{name}__{columns[0]}"][b, position] != 0
                for column in columns:
                    events[j, position] += self.look_up(column, features[f"{name}__{column}"][b, position])
                if gap:
                    events[j, position] += self.look_up(gap, features[gap][b, position])
            for column in columns:
                queries[j] += self.look_up(column, features[column][b])
        return events, mask, queries


@pytest.mark.parametrize("dim", [None, 8, 6, 4])
def test_equals_the_reference(dim: int | None) -> None:
    layer = built(dim=dim)
    randomize_weights(layer)
    features = random_features(layer.inputs)
    result = {key: value.numpy() for key, value in layer(features).items()}
    arrays = {key: value.numpy() for key, value in features.items()}
    reference = Reference(layer, dim or WIDTH)
    assert set(result) == {"fields", "events", "event_mask", "queries"}
    for b in range(BATCH):
        events, mask, queries = reference.events(arrays, b)
        np.testing.assert_allclose(result["fields"][b], reference.fields(arrays, b), atol=1e-6)
        np.testing.assert_allclose(result["events"][b], events, atol=1e-6)
        np.testing.assert_array_equal(result["event_mask"][b], mask)
        np.testing.assert_allclose(result["queries"][b], queries, atol=1e-6)


def test_the_random_features_cover_the_special_cases() -> None:
    """Else the comparison with the reference would show less than it seems to."""
    features = {key: value.numpy() for key, value in random_features(tiny_inputs()).items()}
    assert {0, 1} <= set(features["item"]) | set(features["topic"])
    lengths = np.count_nonzero(features["tags"], axis=1)
    assert len(set(lengths)) > 1
    assert np.any(np.diff((features["tags"] != 0).astype(int), axis=1) > 0), "a missing value before a present one"
    assert np.any((features["clicked__item"] != 0) & (features["clicked__topic"] == 0)), "an event without a topic"


def test_field_names_are_in_the_order_of_axis_f() -> None:
    layer = built()
    assert layer.field_names == FIELDS
    assert layer.compute_output_shape()["fields"] == (None, len(FIELDS), WIDTH)


def test_only_other_widths_are_projected() -> None:
    def projected_from(dim: int | None) -> set[int]:
        return {weight.shape[0] for weight in built(dim=dim).weights if weight.name == "kernel"}

    assert projected_from(None) == projected_from(8) == {4}
    assert projected_from(4) == {8}
    assert projected_from(6) == {4, 8}


def test_nothing_but_missing_values_is_zero_and_masked() -> None:
    layer = built()
    randomize_weights(layer)
    features = {key: tf.zeros_like(value) for key, value in random_features(layer.inputs).items()}
    result = layer(features)
    assert not np.any(result["fields"][:, :-2])  # the scaled numbers stand last; 0 is their mean, not a missing value
    assert not np.any(result["events"])
    assert not np.any(result["event_mask"])
    assert not np.any(result["queries"])


def test_a_missing_value_never_learns_and_a_present_one_does() -> None:
    layer = built()
    features = random_features(layer.inputs)
    used = {table: set() for table in split_tables(layer)}
    for key, value in features.items():
        column = key.rpartition("__")[2]
        table = key if key.endswith("__gap") else TABLE_OF.get(column, column)
        if table in used:
            used[table] |= set(value.numpy().ravel().tolist())
    with tf.GradientTape() as tape:
        result = layer(features)
        parts = [result[key] for key in ("fields", "events", "queries")]
        loss = tf.add_n([tf.reduce_sum(part * tf.random.normal(part.shape, seed=1)) for part in parts])
    tables = [weight for weight in layer.trainable_weights if weight.name.startswith("table_")]
    for weight, gradient in zip(tables, tape.gradient(loss, tables), strict=True):
        weight.assign(tf.convert_to_tensor(gradient))
    for table, gradient in split_tables(layer).items():  # the tables hold their gradients now
        touched = np.flatnonzero(np.any(gradient != 0.0, axis=1))
        assert set(touched) == used[table] - {0}, table
        assert 0 in used[table], table


def test_unseen_values_start_at_zero_and_no_others() -> None:
    for table, rows in split_tables(built()).items():
        assert not np.any(rows[1]), table
        assert np.all(rows[2:] != 0.0), table
        assert np.max(np.abs(rows)) <= 0.05, table


def test_features_of_one_table_share_its_rows() -> None:
    layer = built()
    randomize_weights(layer)
    features = random_features(layer.inputs)
    features["previous_item"] = features["item"]
    fields = layer(features)["fields"]
    np.testing.assert_array_equal(fields[:, FIELDS.index("item")], fields[:, FIELDS.index("previous_item")])
    assert np.any(fields[:, FIELDS.index("item")] != fields[:, FIELDS.index("user")])


def test_one_gather_a_width() -> None:
    layer = built()
    graph = tf.function(layer).get_concrete_function(encoded_signature(layer.inputs.problem)).graph
    gathers = [operation for operation in graph.get_operations() if operation.type == "ResourceGather"]
    assert len(gathers) == 2
    reads = [operation for operation in graph.get_operations() if operation.type == "ReadVariableOp"]
    tables = {tuple(weight.shape) for weight in layer.weights if weight.name.startswith("table_")}
    read_whole = {tuple(read.outputs[0].shape) for read in reads}
    assert not tables & read_whole, "a step must not copy a table"


def test_problem_without_sequences_or_ids() -> None:
    problem = tiny_problem(sequences=())
    assert set(built(tiny_inputs(problem))(random_features(tiny_inputs(problem)))) == {"fields"}
    numbers = tiny_inputs(tiny_problem(sequences=(), features=(NumericFeature("age", transform="z_score", dim=3),)))
    layer = built(numbers)
    kernel, bias = layer.weights
    fields = layer({"age": tf.constant([0.0, 2.0])})["fields"]
    np.testing.assert_allclose(fields[:, 0], [bias[0], 2.0 * kernel[0] + bias[0]], rtol=1e-6)


def test_inputs_may_be_their_mapping() -> None:
    inputs = tiny_inputs()
    layer = FeatureEmbedding(inputs.to_dict())
    assert layer.inputs == inputs
    assert FeatureEmbedding.from_config(layer.get_config()).inputs == inputs


def test_bfloat16_does_not_copy_the_tables() -> None:
    layer = FeatureEmbedding(tiny_inputs(), dtype="mixed_bfloat16")
    layer.build()
    graph = tf.function(layer).get_concrete_function(encoded_signature(layer.inputs.problem)).graph
    casts = [operation for operation in graph.get_operations() if operation.type == "Cast"]
    tables = {tuple(weight.shape) for weight in layer.weights if weight.name.startswith("table_")}
    assert casts
    assert not tables & {tuple(cast.outputs[0].shape) for cast in casts}


@pytest.mark.parametrize(("dim", "error"), [(0, ValueError), (2.5, TypeError)])
def test_width_is_checked(dim: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"FeatureEmbedding: `dim` must be a positive int. Received: dim="):
        FeatureEmbedding(tiny_inputs(), dim)


def test_widest_feature_decides() -> None:
    features = (CategoricalFeature("item", dim=3), CategoricalFeature("user", dim=5))
    layer = built(tiny_inputs(tiny_problem(features=features, sequences=())))
    assert layer.compute_output_shape() == {"fields": (None, 2, 5)}

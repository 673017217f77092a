"""Events of lists and scaled numbers, against the docstring of `FeatureEmbedding` in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.rich_events import rich_problem
from tests.support.tiny_problem import tiny_inputs
from tests.unit.layers.embedding.test_feature_embedding import random_features
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding


@pytest.fixture(scope="module")
def layer() -> FeatureEmbedding:
    layer = FeatureEmbedding(tiny_inputs(rich_problem()), dim=8)
    layer.build()
    randomize_weights(layer)
    return layer


def _vector(layer: FeatureEmbedding, feature: str, row: int, key: str, values: np.ndarray) -> np.ndarray:
    """What one tensor of a feature says, by the weights that the feature itself has."""
    plan = layer.plan
    [tensor] = [each for each in layer.inputs.problem.feature(feature).tensors(layer.inputs.problem) if each.key == key]
    if tensor.role == "number":
        place = [each.key for each in plan.numbers].index(key)
        return values * layer.number_kernel.numpy()[place] + layer.number_bias.numpy()[place]
    table = plan.tables[tensor.table]
    kernel = layer.projections[str(table.width)].kernel.numpy() if table.width != 8 else np.eye(8)
    rows = [layer.tables[str(table.width)].numpy()[table.start + i] @ kernel for i in np.atleast_1d(values) if i]
    return np.mean(rows, axis=0) if rows else np.zeros(8)


def test_an_event_is_the_sum_of_its_columns(layer: FeatureEmbedding) -> None:
    problem = layer.inputs.problem
    features = {key: value.numpy() for key, value in random_features(layer.inputs).items()}
    found = {key: value.numpy() for key, value in layer({k: tf.constant(v) for k, v in features.items()}).items()}
    for j, sequence in enumerate(problem.sequences):
        tensors = [
            (column, each.key) for column in sequence.columns for each in problem.feature(column).tensors(problem)
        ]
        for row in range(len(features["item"])):
            query = sum(_vector(layer, column, row, key, features[key][row]) for column, key in tensors)
            np.testing.assert_allclose(found["queries"][row, j], query, atol=1e-5)
            for position in range(sequence.max_length):
                is_event = features[sequence.column_key(sequence.columns[0])][row, position] != 0
                assert found["event_mask"][row, j, position] == is_event
                expected = np.zeros(8)
                if is_event:
                    for column, key in tensors:
                        values = features[sequence.column_key(key)][row, position]
                        expected = expected + _vector(layer, column, row, key, values)
                    gap = features[sequence.gap_key][row, position] if sequence.time_gap_buckets else 0
                    if gap:
                        place = layer.plan.tables[sequence.gap_key].start + gap
                        expected = expected + layer.tables["8"].numpy()[place]
                np.testing.assert_allclose(found["events"][row, j, position], expected, atol=1e-5)


def test_rows_that_are_equal_for_all_candidates(layer: FeatureEmbedding) -> None:
    problem = layer.inputs.problem
    features = random_features(layer.inputs)
    items = {each.key for each in problem.tensors if each.side == "item"}
    one_user = {key: value if key in items else value[1:2] for key, value in features.items()}
    repeated = {
        key: value if key in items else tf.repeat(value[1:2], len(value), axis=0) for key, value in features.items()
    }
    found, expected = layer(one_user), layer(repeated)
    assert found["events"].shape[0] == 1
    for key in ("fields", "queries"):
        np.testing.assert_allclose(found[key], expected[key], atol=1e-6)
    np.testing.assert_allclose(found["events"], expected["events"][:1], atol=1e-6)

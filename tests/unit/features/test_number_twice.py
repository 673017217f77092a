"""A number that enters its field as a bucket and as a number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.support.tiny_problem import prepare, tiny_problem
from tfmtl.data.example_spec import parse_encoded_examples, raw_signature
from tfmtl.export.raw_batch import to_tensors
from tfmtl.layers import FeatureEmbedding
from tfmtl.schema import NumericFeature, Problem


def _problem() -> Problem:
    return tiny_problem(
        features=tuple(
            replace(each, transform="both") if isinstance(each, NumericFeature) and each.name == "price" else each
            for each in tiny_problem().features
        )
    )


def test_bucket_and_number_are_one_field(tmp_path: Path) -> None:
    problem = _problem()
    data = prepare(tmp_path, problem)
    requests = data.requests()
    encoded, _, _ = parse_encoded_examples(problem, tf.constant([request["record"] for request in requests]))
    served = data.transform()(to_tensors([request["features"] for request in requests], raw_signature(problem)))
    assert set(encoded) == set(served)
    assert [key for key in encoded if encoded[key].numpy().tobytes() != served[key].numpy().tobytes()] == []
    assert {key for key in encoded if "price" in key} == {"price", "price__z", "seen__price", "seen__price__z"}
    values = np.array([request["features"]["price"] for request in requests])
    known = ~np.isnan(values)
    wanted = (values[known] - data.statistics.means["price"]) / data.statistics.deviations["price"]
    np.testing.assert_allclose(encoded["price__z"].numpy()[known], wanted, rtol=1e-5, atol=1e-6)

    layer = FeatureEmbedding(data.inputs)
    layer.build()
    assert sorted(layer.field_names) == sorted(FeatureEmbedding(replace(data.inputs, problem=problem)).field_names)
    place = layer.field_names.index("price")
    number = [each.key for each in layer.plan.numbers].index("price__z")
    fields = layer(encoded)["fields"][:, place]
    without = layer({**encoded, "price__z": tf.zeros_like(encoded["price__z"])})["fields"][:, place]
    slope = encoded["price__z"][:, tf.newaxis] * layer.number_kernel[number]
    np.testing.assert_allclose(fields - without, slope, atol=1e-6)
    assert "price" not in layer.plan.lone_ids  # projected alone it would lose its number
    assert "user" in layer.plan.lone_ids

"""What training steps do without: which ids and fields, how often, and the same in every pass of a step."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel
from tfmtl.models.feature_dropout import FeatureDropout, drop_rates

IDS = (
    "user",
    "item",
    "previous_item",
    "topic",
    "tags",
    "device",
    "clicked__item",
    "clicked__topic",
    "bought__item",
    "seen__topic",
)
BUCKETS = ("price", "clicked__gap", "seen__price", "seen__gap")


@pytest.fixture(scope="module")
def features(tiny_data: PreparedData) -> dict[str, tf.Tensor]:
    return whole_split(tiny_data, "train")[0]


def test_rare_values_are_dropped_more_often() -> None:
    rates = drop_rates(0.1, 6, (200, 20, 5, 1))
    np.testing.assert_allclose(rates, [0.0, 0.0, 0.1 * 1.1, 0.1 * 2.0, 0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(drop_rates(0.1, 5, ()), [0.0, 0.0, 0.1, 0.1, 0.1], rtol=1e-6)
    assert np.all(np.diff(drop_rates(0.02, 40, range(400, 20, -10))[2:]) > 0.0)


def test_only_values_become_unknown_and_each_as_often_as_its_rate(tiny_data: PreparedData, features) -> None:
    counts = tiny_data.statistics.vocabulary_counts
    dropout = FeatureDropout(tiny_data.inputs, id_rate=0.2, counts=counts)
    steps = [dropout(features, tf.constant(step)) for step in range(40)]
    for key, before in features.items():
        after = np.stack([step[key] for step in steps])
        before = np.broadcast_to(before, after.shape)
        if key not in IDS:
            np.testing.assert_array_equal(after, before, err_msg=key)
            continue
        changed = after != before
        assert np.all(after[changed] == 1), key
        assert not np.any(changed[before < 2]), key
        assert np.any(changed), key
    assert set(BUCKETS) <= set(features), "or the test shows nothing about buckets"
    topics, after = np.asarray(features["topic"]), np.stack([step["topic"] for step in steps])
    for number, count in enumerate(counts["topic"], 2):
        share = np.mean(after[:, topics == number] == 1)
        assert share == pytest.approx(min(0.5, 0.2 * (1 + 20 / count)), abs=0.04)


def test_a_dropped_field_is_missing_in_whole_and_other_rows_keep_it(tiny_data: PreparedData, features) -> None:
    dropout = FeatureDropout(tiny_data.inputs, field_rate=0.3)
    after = dropout(features, tf.constant(0))
    for key in ("user", "item", "price", "age", "views"):
        before = np.asarray(features[key])
        dropped = (np.asarray(after[key]) != before) & (np.asarray(after[key]) == 0)
        np.testing.assert_array_equal(np.where(dropped, 0, before), after[key])
        assert 0.15 < np.mean(dropped[before != 0]) < 0.45, key
    tags = np.asarray(after["tags"])
    whole = np.all(tags == 0, axis=1) | np.all(tags == features["tags"], axis=1)
    assert np.all(whole), "a list goes as one"
    np.testing.assert_array_equal(after["clicked__item"], features["clicked__item"])


def test_a_step_draws_the_same_again_and_another_step_does_not(tiny_data: PreparedData, features) -> None:
    def drawn(step: int, seed: int = 0) -> np.ndarray:
        dropout = FeatureDropout(tiny_data.inputs, 0.3, 0.1, seed)
        return np.asarray(tf.function(dropout)(features, tf.constant(step, tf.int64))["user"])

    np.testing.assert_array_equal(drawn(3), drawn(3))
    assert np.any(drawn(3) != drawn(4))
    assert np.any(drawn(3) != drawn(3, seed=1))


def unknown_row(model: MultiTaskModel) -> np.ndarray:
    rows = model.embedding.plan.feature_rows("user")
    return model.embedding.tables[str(rows.width)].numpy()[rows.start + 1]


@pytest.mark.parametrize("arguments", [{}, {"balancing": "pcgrad"}, {"sharpness": "sam", "balancing": "famo"}])
def test_it_trains_the_row_of_unknown_values_with_every_kind_of_step(
    tiny_data: PreparedData, features, arguments
) -> None:
    model = tiny_model(tiny_data.inputs, "shared_bottom")
    batch = tf.data.Dataset.from_tensors((features, whole_split(tiny_data, "train")[1]))
    model.compile(**arguments)
    model.fit(batch, epochs=2, verbose=0)
    assert not np.any(unknown_row(model)), "without dropout no user of the training split is unknown"
    calls = []

    class Counted(FeatureDropout):
        def __call__(self, given, step):
            calls.append(1)
            return super().__call__(given, step)

    model.feature_dropout = Counted(tiny_data.inputs, 0.3)
    model.compile(**arguments)
    model.fit(batch, epochs=2, verbose=0)
    assert np.any(unknown_row(model))
    assert len(calls) == 1, "one draw for all passes of a step, traced once"


def test_evaluation_and_prediction_drop_nothing(tiny_data: PreparedData, features) -> None:
    model = tiny_model(tiny_data.inputs, "shared_bottom")
    model.compile()
    expected = model.evaluate(tiny_data.valid(100), verbose=0)
    model.feature_dropout = FeatureDropout(tiny_data.inputs, 0.9, 0.9)
    model.compile()
    assert model.evaluate(tiny_data.valid(100), verbose=0) == expected


def test_errors(tiny_data: PreparedData) -> None:
    with pytest.raises(ValueError, match="FeatureDropout: `id_rate` must lie in"):
        FeatureDropout(tiny_data.inputs, id_rate=1.0)
    with pytest.raises(ValueError, match="FeatureDropout: `field_rate` must lie in"):
        FeatureDropout(tiny_data.inputs, field_rate=-0.1)

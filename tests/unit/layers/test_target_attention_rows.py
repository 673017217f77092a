"""Target attention on the real events alone equals the padded form, gradients included, whatever the lengths."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.padded_encoder import padded_attention
from tfmtl.layers.sequence.target_attention import TargetAttention

LENGTH, WIDTH = 7, 4
RANDOM = np.random.default_rng(0)
# The longest, one, none; a behavior with none at all, at the end, where sums over rows know of no sequence.
COUNTS = {
    "odd": np.array([[7, 0, 0], [0, 1, 0], [1, 7, 0], [3, 5, 0]]),
    "full": np.full((4, 3), 7),
    "empty": np.zeros((4, 3), int),
}
CASES = {
    "softmax": {},
    "two layers": {"hidden_units": (6, 3)},
    "no softmax": {"use_softmax": False},
}


def inputs_of(counts: np.ndarray) -> dict[str, tf.Tensor]:
    return {
        "events": tf.constant(RANDOM.normal(size=(*counts.shape, LENGTH, WIDTH)), tf.float32),
        "event_mask": tf.constant(np.arange(LENGTH) < counts[..., None]),
        "queries": tf.constant(RANDOM.normal(size=(*counts.shape, WIDTH)), tf.float32),
    }


def built(**arguments) -> TargetAttention:
    layer = TargetAttention(**arguments)
    layer.build({key: value.shape for key, value in inputs_of(COUNTS["odd"]).items()})
    randomize_weights(layer)
    return layer


def result_and_gradients(function, layer: TargetAttention, inputs: dict) -> list[tf.Tensor]:
    sources = [inputs["events"], inputs["queries"], *(weight.value for weight in layer.trainable_weights)]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        result = function(inputs)
        loss = tf.reduce_sum(tf.sin(result))
    return [result, *tape.gradient(loss, sources, unconnected_gradients="zero")]


def assert_close(actual: list, expected: list) -> None:
    for one, other in zip(actual, expected, strict=True):
        largest = max(float(np.max(np.abs(other))), 1.0)
        np.testing.assert_allclose(one / largest, other / largest, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("lengths", COUNTS)
def test_results_and_gradients_equal_the_padded_form(case: str, lengths: str) -> None:
    layer, inputs = built(**CASES[case]), inputs_of(COUNTS[lengths])

    def padded(given: dict) -> tf.Tensor:
        return padded_attention(layer, given["events"], given["event_mask"], given["queries"])

    expected = result_and_gradients(padded, layer, inputs)
    assert_close(result_and_gradients(layer, layer, inputs), expected)
    compiled = tf.function(lambda given: result_and_gradients(layer, layer, given), jit_compile=True, autograph=False)
    assert_close(compiled(inputs), expected)


def test_no_padding_is_multiplied() -> None:
    layer, inputs = built(), inputs_of(COUNTS["odd"])
    rows = []
    layer.activation = lambda hidden: rows.append(hidden.shape[0]) or tf.nn.relu(hidden)
    layer(inputs)
    assert rows == [np.sum(COUNTS["odd"])]


def test_one_row_of_events_gives_every_query_what_it_gives_it_alone() -> None:
    layer, inputs = built(), inputs_of(COUNTS["odd"])
    one = {key: value[2:3] for key, value in inputs.items()}
    queries = tf.constant(RANDOM.normal(size=(5, 3, WIDTH)), tf.float32)
    alone = [layer({**one, "queries": queries[place : place + 1]})[0] for place in range(5)]
    np.testing.assert_allclose(layer({**one, "queries": queries}), tf.stack(alone), rtol=1e-5, atol=1e-5)


def test_one_query_is_that_of_all_rows_of_events() -> None:
    layer, inputs = built(), inputs_of(COUNTS["odd"])
    repeated = {**inputs, "queries": tf.repeat(inputs["queries"][:1], len(COUNTS["odd"]), axis=0)}
    np.testing.assert_allclose(
        layer({**inputs, "queries": inputs["queries"][:1]}), layer(repeated), rtol=1e-5, atol=1e-5
    )

"""Events as rows: the packed encoders equal the padded ones, whatever the lengths, and XLA equals both."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.padded_encoder import padded_interests
from tfmtl.layers.sequence.event_rows import event_rows
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder
from tfmtl.layers.sequence.packed_rows import PackedRows
from tfmtl.layers.sequence.padded_rows import PaddedRows
from tfmtl.layers.sequence.pair_sequence_encoder import PairSequenceEncoder

TASKS, LENGTH, WIDTH = 3, 7, 4
# No event, one, all; a behavior with none at all; and what lies on both sides of every group's limit (2, 4, 6).
COUNTS = np.array([[7, 0, 0], [0, 1, 0], [1, 7, 0], [2, 3, 0], [4, 5, 0], [6, 6, 0]])
RANDOM = np.random.default_rng(0)
MASK = np.arange(LENGTH) < COUNTS[..., None]
INPUTS = {
    "events": RANDOM.normal(size=(*MASK.shape, WIDTH)).astype("float32"),
    "event_mask": MASK,
    "queries": RANDOM.normal(size=(*COUNTS.shape, WIDTH)).astype("float32"),
}
CASES = {
    "norm": (HyperSequenceEncoder, {}),
    "skip, two layers": (HyperSequenceEncoder, {"use_skip": True, "num_layers": 2}),
    "adapter": (HyperSequenceEncoder, {"conditioning": "adapter", "rank": 3, "use_skip": True}),
    "low rank, two layers": (HyperSequenceEncoder, {"conditioning": "low_rank", "rank": 3, "num_layers": 2}),
    "target": (HyperSequenceEncoder, {"pooling": "target", "use_skip": True}),
    "adapter, target": (HyperSequenceEncoder, {"pooling": "target_count", "conditioning": "adapter", "rank": 3}),
    "low rank, target": (HyperSequenceEncoder, {"pooling": "target", "conditioning": "low_rank", "rank": 3}),
    "pairs, two layers": (PairSequenceEncoder, {"num_layers": 2, "pooling": "mean_count", "use_skip": True}),
    "pairs, target": (PairSequenceEncoder, {"pooling": "target"}),
}


def built(case: str, inputs: dict = INPUTS):
    layer_class, arguments = CASES[case]
    layer = layer_class(TASKS, **arguments)
    layer.build({key: (None, *value.shape[1:]) for key, value in inputs.items()})
    randomize_weights(layer)
    for weight in layer.trainable_weights:  # milder, because rounding grows from norm to norm with what they read
        weight.assign(0.5 * weight.value)
    return layer


def result_and_gradients(function, layer, inputs: dict) -> list[tf.Tensor]:
    """What a function makes of the inputs, and the gradients of a loss with respect to events, queries and weights."""
    differentiated = {key: tf.convert_to_tensor(inputs[key]) for key in ("events", "queries")}
    sources = [*differentiated.values(), *(weight.value for weight in layer.trainable_weights)]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        result = function({**inputs, **differentiated})
        loss = tf.reduce_sum(tf.sin(result))
    gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    return [result, *(tf.convert_to_tensor(each) for each in gradients)]


def assert_close(actual: list, expected: list) -> None:
    for one, other in zip(actual, expected, strict=True):
        largest = max(float(np.max(np.abs(other))), 1.0)
        np.testing.assert_allclose(one / largest, other / largest, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_results_and_gradients_equal_the_padded_forms(case: str) -> None:
    layer = built(case)
    expected = result_and_gradients(lambda inputs: padded_interests(layer, inputs), layer, INPUTS)
    assert_close(result_and_gradients(layer, layer, INPUTS), expected)


@pytest.mark.parametrize("case", ["norm", "low rank, two layers", "adapter, target"])
def test_xla_gives_the_same(case: str) -> None:
    layer = built(case)
    inputs = {key: tf.constant(value) for key, value in INPUTS.items()}
    compiled = tf.function(lambda given: result_and_gradients(layer, layer, given), jit_compile=True, autograph=False)
    assert_close(compiled(inputs), result_and_gradients(layer, layer, inputs))


@pytest.mark.parametrize("length", [1, 2])
def test_short_sequences_and_a_batch_without_events(length: int) -> None:
    counts = np.minimum(COUNTS, length)
    for some in (counts, np.zeros_like(counts)):
        mask = np.arange(length) < some[..., None]
        inputs = {**INPUTS, "events": INPUTS["events"][:, :, :length], "event_mask": mask}
        layer = built("norm", inputs)
        expected = result_and_gradients(lambda given, own=layer: padded_interests(own, given), layer, inputs)
        assert_close(result_and_gradients(layer, layer, inputs), expected)


@pytest.mark.parametrize("rows_class", [PackedRows, PaddedRows])
def test_events_need_not_stand_at_the_beginning(rows_class: type) -> None:
    mask = RANDOM.random(MASK.shape) < 0.5
    rows = rows_class(mask)
    np.testing.assert_array_equal(rows.counts, np.sum(mask, axis=-1))
    packed = rows.pack(tf.constant(INPUTS["events"]))
    np.testing.assert_array_equal(rows.unpack(packed), np.where(mask[..., None], INPUTS["events"], 0.0))
    for behavior, part in enumerate(rows.by_behavior(packed)):
        events = np.where(mask[:, behavior, :, None], INPUTS["events"][:, behavior], 0.0)
        expected = events.sum(axis=1) / np.maximum(mask[:, behavior].sum(axis=1), 1)[:, None]
        np.testing.assert_allclose(rows.mean(part, behavior), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows_class", [PackedRows, PaddedRows])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_is_done_to_all_sequences_at_once(rows_class: type, share: float) -> None:
    mask = RANDOM.random(MASK.shape) < share
    rows, values = rows_class(mask), RANDOM.normal(size=(*COUNTS.shape, 2)).astype("float32")
    scores = tf.constant(30.0 * RANDOM.normal(size=(*MASK.shape, 2)), tf.float32)
    weights = rows.unpack(rows.softmax(rows.pack(scores))).numpy()
    real = np.where(mask[..., None], scores, -1e9)
    powers = np.where(mask[..., None], np.exp(real - np.max(real, axis=2, keepdims=True)), 0.0)
    expected = powers / np.maximum(np.sum(powers, axis=2, keepdims=True), 1e-30)
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-6)
    given = rows.unpack(rows.given(tf.constant(values)))
    np.testing.assert_array_equal(given, np.where(mask[..., None], values[:, :, None], 0.0))
    events = np.where(mask[..., None], INPUTS["events"], 0.0)
    total = rows.total(rows.pack(tf.constant(INPUTS["events"])))
    np.testing.assert_allclose(total, np.sum(events, axis=2), rtol=1e-5, atol=1e-6)
    summed = rows.total(tf.cast(rows.pack(tf.ones_like(events)), tf.bfloat16))
    assert summed.dtype == tf.bfloat16


def test_long_sums_of_low_precision_are_not_rounded_away() -> None:
    rows = PackedRows(np.ones((1, 1, 1000), bool))
    assert float(rows.total(tf.ones((1000, 1), tf.bfloat16))[0, 0, 0]) == 1000.0


def test_rows_are_the_real_events_alone_unless_xla_compiles() -> None:
    @tf.function
    def number_of_rows(mask):
        return tf.shape(event_rows(mask).later)[0]

    compiled = tf.function(number_of_rows.python_function, jit_compile=True)
    assert number_of_rows(MASK) == np.sum(COUNTS)
    assert compiled(MASK) == MASK.size


def test_a_static_number_of_examples_stays_known() -> None:
    layer = built("norm")
    one = tf.function(layer).get_concrete_function(
        {key: tf.TensorSpec((1, *value.shape[1:]), value.dtype) for key, value in INPUTS.items()}
    )
    assert one.structured_outputs.shape == (1, TASKS, COUNTS.shape[1], WIDTH)

"""The network against NumPy, its exact properties, and what it refuses."""

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.unit.operators.small_problems import CELLS, compiled, masked, masked_network, network, waves
from tfmtl.operators import (
    InverseScale,
    MLPBranch,
    MLPTrunk,
    OperatorData,
    OperatorNetwork,
    PeriodicTrunk,
    PODTrunk,
    RelativeL2,
    RelativeL2Loss,
    StretchedCoordinate,
)

TIMES_AXIS, SPACE_AXIS = np.linspace(0, 1, 4), np.arange(CELLS) / CELLS


def features(data, count: int = 5) -> dict:
    return data.rows(slice(count)).features()


def test_output_is_the_scaled_product_of_branch_and_trunk() -> None:
    data = waves()
    made = network(data, hard=False)
    made.bias.assign([0.3])
    batch = features(data)
    codes = np.asarray(made.last(made.hidden(batch)[:, None]))[:, 0]
    functions = np.asarray(made.trunk(data.points))
    learned = np.einsum("ic,qc->iq", codes, functions) / np.sqrt(6.0) + 0.3
    expected = data.targets.mean() + data.targets.std() * learned
    np.testing.assert_allclose(made(batch), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [MLPTrunk, PeriodicTrunk])
def test_an_output_activation_is_applied_to_the_functions(kind: type) -> None:
    points = waves().points
    plain, clipped = (kind(latent_dim=6, hidden_units=(8,), output_activation=name) for name in (None, "relu"))
    functions = np.asarray(plain(points))
    clipped.build((None, 2))
    clipped.set_weights(plain.get_weights())
    assert np.min(functions) < 0.0
    np.testing.assert_array_equal(clipped(points), np.maximum(functions, 0.0))


def test_several_outputs_have_a_kernel_each_and_share_the_trunk() -> None:
    data = waves()
    both = np.stack([data.targets, 10.0 - data.targets], axis=-1)
    two = type(data)(data.inputs, data.points, both, data.task_names, data.tasks)
    made = network(two, hard=False, num_outputs=2)
    assert made(features(two)).shape == (5, len(data.points), 2)
    assert made.compute_output_shape({"coefficients": (5, 1), "initial": (5, 8), "points": (7, 2)}) == (5, 7, 2)
    np.testing.assert_allclose(made.mean, both.mean(axis=(0, 1)), rtol=1e-5)
    compiled(made).fit(two.batches(8, 3), verbose=0)


def test_permuted_points_permute_the_answer_and_a_point_may_come_alone() -> None:
    data = waves()
    made, batch = network(data), features(data)
    order = np.random.default_rng(0).permutation(len(data.points))
    np.testing.assert_allclose(
        made({**batch, "points": data.points[order]}), np.asarray(made(batch))[:, order], rtol=1e-6, atol=1e-6
    )
    assert made({**batch, "points": data.points[:1]}).shape == (5, 1)


@pytest.mark.parametrize("shared", [True, False])
def test_query_of_the_codes_is_the_call_bit_for_bit(shared: bool) -> None:
    data = waves()
    made, batch = network(data), features(data)
    points = data.points if shared else np.random.default_rng(0).uniform(size=(5, 7, 2)).astype("float32")
    np.testing.assert_array_equal(made.query(made.encode(batch), points), made({**batch, "points": points}))


def test_points_of_each_row_answer_as_points_shared() -> None:
    data = waves()
    made, batch = network(data), features(data)
    each = np.repeat(data.points[None], 5, axis=0)
    np.testing.assert_allclose(made({**batch, "points": each}), made(batch), rtol=1e-5)


def test_initial_condition_holds_exactly_and_ends_meet() -> None:
    data = waves()
    made, batch = network(data), features(data)
    randomize_weights(made)
    start = [[0.0, x] for x in SPACE_AXIS]
    np.testing.assert_array_equal(made({**batch, "points": np.float32(start)}), batch["initial"])
    ends = np.asarray(made({**batch, "points": np.float32([[0.7, 0.0], [0.7, 1.0], [0.7, -1.0]])}))
    np.testing.assert_allclose(ends[:, 1:], ends[:, :1].repeat(2, axis=1), rtol=1e-5)
    middle = np.asarray(made({**batch, "points": np.float32([[0.0, 0.5 / CELLS]])}))[:, 0]
    np.testing.assert_allclose(middle, batch["initial"][:, :2].mean(axis=1), rtol=1e-6)


def test_mask_makes_exact_zeros_without_gradient_and_hides_what_is_outside() -> None:
    data = masked()
    made = masked_network(data)
    batch = data.features()
    with tf.GradientTape() as tape:
        answer = made(batch)
        outside = tf.reduce_sum(tf.square(answer) * tf.cast(~data.mask, tf.float32))
    gradients = tape.gradient(outside, [w.value for w in made.trainable_variables], unconnected_gradients="zero")
    assert not np.any(np.asarray(answer)[~data.mask])
    assert all(not np.any(gradient) for gradient in gradients)
    changed = np.where(data.inputs["geometry"] > 0, data.inputs["k"], 99.0).astype("float32")
    np.testing.assert_array_equal(made({**batch, "k": changed}), answer)


def test_statistics_are_those_of_the_inside() -> None:
    data = masked()
    made = masked_network(data)
    inside = data.inputs["k"][data.inputs["geometry"] > 0]
    np.testing.assert_allclose(made.standardizers["k"].mean, inside.mean(), rtol=1e-4)
    np.testing.assert_allclose(made.deviation, [data.targets[data.mask].std()], rtol=1e-5)


def test_all_modes_reproduce_the_training_fields_and_are_not_trained() -> None:
    data = waves(count=6)
    trunk = PODTrunk([TIMES_AXIS, SPACE_AXIS], 12)
    made = network(data, hard=False, trunk=trunk)
    assert trunk.trainable_weights == []
    modes, mean = np.asarray(trunk(data.points)), np.asarray(trunk.mean_field(data.points))
    np.testing.assert_allclose(np.mean(modes[:, :3] ** 2, axis=0), 1.0, rtol=1e-4)
    centered = data.targets - mean
    coefficients = np.linalg.lstsq(modes, centered.T, rcond=None)[0]
    np.testing.assert_allclose(modes @ coefficients, centered.T, atol=1e-4)
    assert made(features(data)).shape == (5, len(data.points))
    # Between the points linearly, beyond the border as on it.
    between = np.asarray(trunk(np.float32([[0.0, 0.5 / CELLS], [0.0, 2.0]])))
    np.testing.assert_allclose(between, [modes[:2].mean(axis=0), modes[CELLS - 1]], rtol=1e-4, atol=1e-5)


def test_saved_and_loaded_it_answers_the_same_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    data = waves()
    whole = compiled(network(data))
    whole.fit(data.batches(8, 6, seed=3, num_queries=10), verbose=0)
    keras.utils.set_random_seed(0)
    first = compiled(network(data))
    first.fit(data.batches(8, 3, seed=3, num_queries=10), verbose=0)
    first.save(tmp_path / "model.keras")
    second = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(second(features(data)), first(features(data)))
    assert second.training_range == first.training_range
    second.fit(data.batches(8, 6, seed=3, num_queries=10, start=3), verbose=0)
    for one, other in zip(second.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)


@pytest.mark.parametrize("options", [{"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 2}])
def test_every_way_to_compile_trains_alike(options: dict) -> None:
    data = waves()
    keras.utils.set_random_seed(0)
    plain = compiled(network(data), jit_compile=False)
    plain.fit(data.batches(8, 4), verbose=0)
    keras.utils.set_random_seed(0)
    other = compiled(network(data), **options)
    other.fit(data.batches(8, 4), verbose=0)
    np.testing.assert_allclose(other(features(data)), plain(features(data)), rtol=1e-4)


def test_bfloat16_keeps_points_and_answers_in_float32() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        data = waves()
        made = network(data)
    finally:
        keras.config.set_dtype_policy("float32")
    answer = made(features(data))
    assert answer.dtype == tf.float32
    assert {weight.dtype for weight in made.weights} == {"float32"}
    np.testing.assert_array_equal(answer[:, :CELLS], features(data)["initial"])  # exact although layers are not
    compiled(made).fit(data.batches(8, 2), verbose=0)


def test_fit_evaluate_and_predict_learn_the_planted_answer() -> None:
    data = waves(30)
    made = network(data)
    made.compile(keras.optimizers.Adam(1e-2), RelativeL2Loss(), metrics=[RelativeL2()])
    before = made.evaluate(data.whole(), verbose=0, return_dict=True)["relative_l2"]
    made.fit(data.batches(20, 120, num_queries=16), verbose=0)
    after = made.evaluate(data.whole(), verbose=0, return_dict=True)["relative_l2"]
    assert after < 0.3 * before
    assert made.predict(data.whole(7), verbose=0).shape == data.targets.shape


def test_coefficients_outside_of_training_are_answered_with_a_warning() -> None:
    data = waves()
    made, batch = network(data), {**features(data), "points": np.repeat(data.points[None], 5, axis=0)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.predict(batch, verbose=0)
    low, high = data.inputs["coefficients"].min(), data.inputs["coefficients"].max()
    odd = np.array(batch["coefficients"])
    odd[3] = 7.0
    text = (
        rf"`coefficients\[0\]` lies outside of its training range \[{low:g}, {high:g}\]. Received: 7 in row 3 \(1 such"
    )
    with pytest.warns(UserWarning, match=text):
        answer = made.predict({**batch, "coefficients": odd}, verbose=0)
    assert np.all(np.isfinite(answer))


def test_coefficients_of_datasets_are_looked_at_while_they_are_read_once() -> None:
    data = waves()
    made = network(data)
    odd = OperatorData.of_task(
        "a", {**data.inputs, "coefficients": data.inputs["coefficients"] + 7.0}, data.points, data.targets
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.predict(data.whole(4), verbose=0)
        made.predict(data.batches(4, 2).repeat(), steps=2, verbose=0)
    for asked in (odd.whole(4), odd.whole(4).map(lambda features, targets: features), odd.features()):
        with pytest.warns(UserWarning, match=rf"outside of its training range .* \({len(data)} such rows\)"):
            made.predict(asked, verbose=0)
    with pytest.warns(UserWarning, match=r"\(8 such rows\)"):
        made.predict(odd.whole(4), steps=2, verbose=0)
    batch, readings = next(iter(data.whole(4))), []

    def read():
        readings.append(1)
        yield batch

    once = tf.data.Dataset.from_generator(read, output_signature=data.whole(4).element_spec).apply(
        tf.data.experimental.assert_cardinality(1)  # else Keras looks for a second batch, and warns
    )
    answer = made.predict(once, verbose=0)
    assert len(readings) == 1
    np.testing.assert_allclose(made.predict_on_batch(batch[0]), answer, rtol=1e-5)


def test_training_without_adapt_warns_and_is_quiet_after_it_and_after_loading(tmp_path: Path) -> None:
    data = waves()
    adapted = compiled(network(data))
    plain = compiled(OperatorNetwork.from_config(adapted.get_config()))
    with pytest.warns(UserWarning, match=r"OperatorNetwork: `adapt` must be called before `fit`"):
        plain.fit(data.batches(8, 1), verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        adapted.fit(data.batches(8, 1), verbose=0)
        adapted.save(tmp_path / "network.keras")
        keras.saving.load_model(tmp_path / "network.keras").fit(data.batches(8, 1), verbose=0)


def test_predict_takes_points_that_all_samples_share() -> None:
    data = waves()
    made = network(data)
    np.testing.assert_allclose(
        made.predict(data.features(), batch_size=4, verbose=0), made(data.features()), rtol=1e-5, atol=1e-6
    )


def test_wrong_inputs_are_refused_in_one_line() -> None:
    data = waves()
    made, batch = network(data), features(data)
    for change, text in (
        ({"points": np.ones((7, 3), "float32")}, r"`points.shape` must be \(Q, 2\) or \(B, Q, 2\). Received"),
        ({"initial": np.ones((5, 9), "float32")}, r"`initial.shape` must be \(B, 8\), as in training"),
    ):
        with pytest.raises(ValueError, match=text):
            made({**batch, **change})
    with pytest.raises(ValueError, match="Add \\['initial'\\]"):
        made({name: value for name, value in batch.items() if name != "initial"})
    gap = np.array(batch["initial"])
    gap[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"`initial` must be finite. Received: initial=nan at \(2, 1\), 1 such values"):
        made.predict({**batch, "initial": gap}, verbose=0)
    data = masked()
    made, batch = masked_network(data), data.features()
    with pytest.raises(ValueError, match=r"`mask.shape` must be \(B, 16\), one value per point. Received"):
        made({**batch, "mask": np.ones((10, 9), bool)})
    with pytest.raises(ValueError, match="`inputs` must hold `mask`"):
        made({name: value for name, value in batch.items() if name != "mask"})
    with pytest.raises(ValueError, match=r"`geometry.shape` must be \(B, 4, 4\), as in training"):
        made({**batch, "geometry": np.ones((10, 8, 8), "float32")})


def test_wrong_arguments_are_refused() -> None:
    branch, trunk, shapes = MLPBranch(["a"], (4,)), MLPTrunk(3, (4,)), {"a": (2,)}
    for options, text in (
        ({"standardize": {"b": "entry"}}, "`standardize` must be one of"),
        ({"standardize": {"a": "rows"}}, "must be one of"),
        ({"coefficients": ["b"]}, "`coefficients` must be one of"),
        ({"num_outputs": 0}, "`num_outputs` must be a positive int"),
    ):
        with pytest.raises(ValueError, match=text):
            OperatorNetwork(branch, trunk, shapes, point_dim=2, **options)
    with pytest.raises(ValueError, match=r"`input_shapes` must not name"):
        OperatorNetwork(branch, trunk, {"points": (2,)}, point_dim=2)
    with pytest.raises(ValueError, match=r"`latent_dim` must be at most 12, the number of training samples"):
        network(waves(count=6), trunk=PODTrunk([TIMES_AXIS, SPACE_AXIS], 20), hard=False)
    with pytest.raises(ValueError, match="`axes` must make the points of the data"):
        network(waves(), trunk=PODTrunk([TIMES_AXIS, SPACE_AXIS + 0.1], 2), hard=False)


def scaled_network(data) -> OperatorNetwork:
    return masked_network(data, scale=InverseScale("k", "geometry"))


def test_a_larger_coefficient_gives_a_smaller_answer_of_the_same_shape() -> None:
    data = masked()
    made = scaled_network(data)
    factors = np.linspace(-3.0, 3.0, len(data), dtype=np.float32)
    larger = {**data.features(), "k": data.inputs["k"] + factors[:, None, None]}
    expected = np.asarray(made(data.features())) * np.exp(-factors)[:, None]
    np.testing.assert_allclose(made(larger), expected, rtol=2e-5)


def test_the_scale_is_the_mean_inside_and_reaches_the_statistics() -> None:
    data = masked()
    k, inside = data.inputs["k"].astype(np.float64), data.inputs["geometry"].astype(np.float64)
    means = np.array([field[mask > 0].mean() for field, mask in zip(k, inside, strict=True)])
    inputs, factor = InverseScale("k", "geometry").split(data.inputs)
    np.testing.assert_allclose(np.asarray(factor)[:, 0], np.exp(-means), rtol=1e-5)
    np.testing.assert_allclose(inputs["k"], (k - means[:, None, None]) * inside, atol=1e-6)
    np.testing.assert_allclose(InverseScale("k").split(data.inputs)[1][:, 0], np.exp(-k.mean(axis=(1, 2))), rtol=1e-5)
    scaled = data.targets * np.exp(means)[:, None]
    np.testing.assert_allclose(scaled_network(data).mean, [scaled[data.mask].mean()], rtol=1e-5)


def test_a_scaled_network_is_saved_and_asked_by_codes(tmp_path: Path) -> None:
    data = masked()
    made = scaled_network(data)
    batch = data.features()
    codes = made.encode(batch)
    np.testing.assert_array_equal(made.query(codes, batch["points"], batch["mask"]), made(batch))
    made.save(tmp_path / "scaled.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "scaled.keras")(batch), made(batch))


def test_a_scale_that_does_not_fit_is_refused() -> None:
    data = masked()
    with pytest.raises(ValueError, match=r"`scale.input` must be one of"):
        masked_network(data, scale=InverseScale("missing"))
    with pytest.raises(ValueError, match=r"`scale` must be None with an initial condition"):
        network(waves(), scale=InverseScale("initial"))


def moving_network(**options) -> OperatorNetwork:
    """The rate of `waves` says where y = 1 / 2 is in the trunk's eyes."""
    moving = StretchedCoordinate("coefficients", 0, 1, 1.0, (0.25, 0.75))
    return network(waves(), hard=False, coordinates=moving, **options)


def test_the_place_moves_to_the_middle_and_the_ends_stay() -> None:
    places = np.array([[0.2], [0.5], [0.9]], np.float32)
    y = np.array([0.0, 0.1, 0.2, 0.5, 0.9, 1.0], np.float32)
    points = np.stack([np.full(6, 7.0, np.float32), 2.0 * y], axis=1)
    moved = np.asarray(StretchedCoordinate("place", axis=1, length=2.0).moved(2.0 * places, points))
    for place, own in zip(places[:, 0], moved, strict=True):
        expected = np.interp(y, [0.0, place, 1.0], [0.0, 0.5, 1.0])
        np.testing.assert_allclose(own[:, 1], 2.0 * expected, atol=1e-6)
        np.testing.assert_array_equal(own[:, 0], points[:, 0])
    entries = {"place": np.array([[0.0], [1.0], [9.0]], np.float32)}
    coordinate = StretchedCoordinate("place", length=2.0, places=(0.5, 1.0))
    np.testing.assert_allclose(coordinate.place(entries)[:, 0], [0.5, 1.0, 1.998])


def test_a_moving_network_answers_as_its_trunk_does_at_moved_points(tmp_path: Path) -> None:
    made = moving_network()
    batch = features(waves())
    answers = np.asarray(made(batch))
    places = 0.25 + 0.5 * batch["coefficients"]
    for row in range(len(answers)):
        y = np.interp(batch["points"][:, 1], [0.0, places[row, 0], 1.0], [0.0, 0.5, 1.0])
        functions = np.asarray(made.trunk(np.stack([batch["points"][:, 0], y], axis=1).astype(np.float32)))
        codes = np.asarray(made.last(made.hidden(batch)[:, None]))[row, 0]
        expected = made.mean + made.deviation * (functions @ codes / np.sqrt(6.0) + made.bias)
        np.testing.assert_allclose(answers[row], expected, rtol=1e-4)
    codes = made.encode(batch)
    np.testing.assert_array_equal(made.query(codes, batch["points"]), answers)
    each = np.repeat(batch["points"][None], len(answers), axis=0)
    np.testing.assert_allclose(made.query(codes, each), answers, rtol=1e-6)
    made.save(tmp_path / "moving.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "moving.keras")(batch), answers)


def test_coordinates_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`coordinates.axis` must be below 2"):
        network(waves(), hard=False, coordinates=StretchedCoordinate("coefficients", axis=2))
    with pytest.raises(ValueError, match=r"`coordinates.input` must name a vector with an entry 3"):
        network(waves(), hard=False, coordinates=StretchedCoordinate("coefficients", entry=3))
    with pytest.raises(ValueError, match="`coordinates` must be None with an initial condition"):
        network(waves(), coordinates=StretchedCoordinate("coefficients"))
    with pytest.raises(ValueError, match="`places` must be two different numbers"):
        StretchedCoordinate("coefficients", places=(0.5, 0.5))

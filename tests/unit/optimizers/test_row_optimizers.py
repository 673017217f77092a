"""Row-wise optimizers: Keras's results where every row is touched, and nothing elsewhere."""

import re
from collections.abc import Callable, Sequence

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmtl.optimizers import SGD, Adagrad, Ftrl, LazyAdam, RowOptimizer, RowWiseAdagrad

ROWS, DIM = 7, 3
FTRL = {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.2, "beta": 0.3}
SCHEDULE = {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5}

PAIRS = {
    "SGD": (lambda rate: SGD(rate), lambda rate: keras.optimizers.SGD(rate)),
    "Adagrad": (lambda rate: Adagrad(rate), lambda rate: keras.optimizers.Adagrad(rate)),
    "LazyAdam": (lambda rate: LazyAdam(rate), lambda rate: keras.optimizers.Adam(rate)),
    "Ftrl": (lambda rate: Ftrl(rate), lambda rate: keras.optimizers.Ftrl(rate)),
    "Ftrl, all terms": (
        lambda rate: Ftrl(rate, learning_rate_power=-0.4, **FTRL),
        lambda rate: keras.optimizers.Ftrl(rate, learning_rate_power=-0.4, **FTRL),
    ),
}
OURS = [SGD, Adagrad, RowWiseAdagrad, LazyAdam, Ftrl]


def table(shape: tuple[int, ...] = (ROWS, DIM)) -> keras.Variable:
    return keras.Variable(np.random.default_rng(9).normal(size=shape).astype("float32"), name="table")


def sparse(ids: Sequence[int], seed: int = 0, shape: tuple[int, ...] = (ROWS, DIM)) -> tf.IndexedSlices:
    values = np.random.default_rng(seed).normal(size=(len(ids), *shape[1:])).astype("float32")
    return tf.IndexedSlices(tf.constant(values), tf.constant(ids, tf.int32), tf.constant(shape))


def dense(slices: tf.IndexedSlices) -> np.ndarray:
    """The same gradient as a whole table, by a plain loop."""
    result = np.zeros(tuple(slices.dense_shape.numpy()))
    for row, value in zip(slices.indices.numpy(), slices.values.numpy(), strict=True):
        result[row] += value
    return result.astype("float32")


def state(optimizer: keras.optimizers.Optimizer, *variables: keras.Variable) -> list[np.ndarray]:
    """Variables and slots; without step count and learning rate."""
    return [value.numpy() for value in (*variables, *optimizer.variables) if len(value.shape)]


def close(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


EVERY_ROW = [[*range(ROWS), 2, 2, 5], [*range(ROWS)[::-1], 0], [*range(ROWS), *range(ROWS)], [*range(ROWS)]]


@pytest.mark.parametrize("kind", ["sparse", "dense"])
@pytest.mark.parametrize("rate", [0.1, "schedule"])
@pytest.mark.parametrize("pair", PAIRS)
def test_equals_keras_where_every_row_is_touched(pair: str, rate: float | str, kind: str) -> None:
    rates = [keras.optimizers.schedules.ExponentialDecay(**SCHEDULE) if rate == "schedule" else rate for _ in range(2)]
    ours, theirs = (make(value) for make, value in zip(PAIRS[pair], rates, strict=True))
    mine, other = table(), table()
    for seed, ids in enumerate(EVERY_ROW):
        gradient = sparse(ids, seed)
        ours.apply([gradient if kind == "sparse" else tf.constant(dense(gradient))], [mine])
        theirs.apply([tf.constant(dense(gradient))], [other])
        close(state(ours, mine), state(theirs, other))
    assert np.max(np.abs(mine.numpy() - table().numpy())) > 0.05


@pytest.mark.parametrize("pair", ["SGD", "Adagrad"])
def test_equals_keras_on_any_rows_where_a_zero_gradient_changes_nothing(pair: str) -> None:
    (ours, theirs), mine, other = (make(0.1) for make in PAIRS[pair]), table(), table()
    for seed in range(4):
        gradient = sparse([seed, 5, 5, 1], seed)
        ours.apply([gradient], [mine])
        theirs.apply([tf.constant(dense(gradient))], [other])
    close(state(ours, mine), state(theirs, other))


@pytest.mark.parametrize("shape", [(ROWS, DIM), (ROWS,), (ROWS, 2, 2)], ids=str)
def test_row_wise_adagrad_against_numpy(shape: tuple[int, ...]) -> None:
    optimizer, variable = RowWiseAdagrad(0.1, initial_accumulator_value=0.2, epsilon=0.01), table(shape)
    rows, accumulator = variable.numpy().astype("float64"), np.full(ROWS, 0.2)
    for seed in range(4):
        slices = sparse([1, 4, 1, 6 - seed], seed, shape)
        optimizer.apply([slices], [variable])
        gradient = dense(slices).astype("float64")
        for row in set(slices.indices.numpy().tolist()):
            accumulator[row] += np.mean(gradient[row] ** 2)
            rows[row] -= 0.1 * gradient[row] / (np.sqrt(accumulator[row]) + 0.01)
    np.testing.assert_allclose(variable.numpy(), rows, rtol=1e-5)
    slot = optimizer.variables[-1]
    assert slot.shape == (ROWS, *(1 for _ in shape[1:])), "one number a row"
    np.testing.assert_allclose(slot.numpy().reshape(-1), accumulator, rtol=1e-5)


def untouched(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether rows that only the first of three steps touched keep their bits, and those of their slots."""
    variable = table()
    optimizer.apply([sparse(range(ROWS))], [variable])
    before = state(optimizer, variable)
    for seed in (1, 2):
        optimizer.apply([sparse([1, 4, 4, 1, 1], seed)], [variable])
    after, rest = state(optimizer, variable), [0, 2, 3, 5, 6]
    assert not np.any(np.all(before[0][[1, 4]] == after[0][[1, 4]], axis=1)), "touched rows move"
    return all(np.array_equal(old[rest], new[rest]) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("l2", [0.0, 0.5])
@pytest.mark.parametrize("optimizer_class", OURS)
def test_untouched_rows_keep_value_and_slots_to_the_bit(optimizer_class: type[RowOptimizer], l2: float) -> None:
    assert untouched(optimizer_class(0.1, l2=l2))


def test_the_check_of_untouched_rows_fails_for_keras_adam() -> None:
    assert not untouched(keras.optimizers.Adam(0.1))


@pytest.mark.parametrize("optimizer_class", OURS)
def test_a_row_touched_twice_gets_the_summed_gradient(optimizer_class: type[RowOptimizer]) -> None:
    twice = sparse([3, 5, 3, 3])
    ids = [3, 5]
    once = tf.IndexedSlices(tf.constant(dense(twice)[ids]), tf.constant(ids), twice.dense_shape)
    results = []
    for gradient in (twice, once):
        optimizer, variable = optimizer_class(0.1), table()
        optimizer.apply([gradient], [variable])
        results.append(state(optimizer, variable))
    close(*results)


@pytest.mark.parametrize("optimizer_class", OURS)
def test_a_row_of_zeros_with_a_zero_gradient_stays_zero(optimizer_class: type[RowOptimizer]) -> None:
    optimizer, variable = optimizer_class(0.1, l2=0.3), table()
    variable.assign(variable.numpy() * (np.arange(ROWS) > 0)[:, np.newaxis])
    for seed in range(2):
        slices = sparse([0, 2, 0], seed)
        values = slices.values * tf.constant([[0.0], [1.0], [0.0]])
        optimizer.apply([tf.IndexedSlices(values, slices.indices, slices.dense_shape)], [variable])
    np.testing.assert_array_equal(variable.numpy()[0], np.zeros(DIM))


def test_l2_is_the_gradient_of_half_the_squared_norm_of_touched_rows() -> None:
    variable, slices = table(), sparse([2, 4, 2])
    start, gradient = variable.numpy(), dense(slices)
    SGD(0.1, l2=0.5).apply([slices], [variable])
    expected = start.copy()
    expected[[2, 4]] -= 0.1 * (gradient[[2, 4]] + 0.5 * start[[2, 4]])
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6)
    whole = table()
    SGD(0.1, l2=0.5).apply([tf.constant(gradient)], [whole])
    np.testing.assert_allclose(whole.numpy(), start - 0.1 * (gradient + 0.5 * start), rtol=1e-6)


def clip_by_norm(gradients: list[np.ndarray], limit: float) -> list[np.ndarray]:
    return [gradient * min(1.0, limit / np.linalg.norm(gradient)) for gradient in gradients]


def clip_by_global_norm(gradients: list[np.ndarray], limit: float) -> list[np.ndarray]:
    norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))
    return [gradient * min(1.0, limit / norm) for gradient in gradients]


def clip_by_value(gradients: list[np.ndarray], limit: float) -> list[np.ndarray]:
    return [np.clip(gradient, -limit, limit) for gradient in gradients]


@pytest.mark.parametrize(
    ("argument", "clip"),
    [("clipnorm", clip_by_norm), ("clipvalue", clip_by_value), ("global_clipnorm", clip_by_global_norm)],
)
def test_clipping_sees_summed_rows(argument: str, clip: Callable[[list[np.ndarray], float], list[np.ndarray]]) -> None:
    variables, slices = [table(), table()], sparse([2, 2, 2, 4])
    gradients = [dense(slices), np.full((ROWS, DIM), 0.01, "float32")]
    start = variables[0].numpy()
    SGD(1.0, **{argument: 0.3}).apply([slices, tf.constant(gradients[1])], variables)
    for variable, gradient, clipped in zip(variables, gradients, clip(gradients, 0.3), strict=True):
        np.testing.assert_allclose(start - variable.numpy(), clipped, atol=1e-6)
        assert (argument == "global_clipnorm" or gradient is gradients[0]) == (not np.allclose(gradient, clipped))


def test_the_first_update_of_a_late_row_is_as_documented() -> None:
    optimizer, variable = LazyAdam(0.01, epsilon=1e-12), table()
    for _ in range(3):
        optimizer.apply([sparse([1])], [variable])
    optimizer.iterations.assign(100_000)
    start = variable.numpy()
    optimizer.apply([sparse([6], seed=3)], [variable])
    moved = np.abs(variable.numpy() - start)[6] / 0.01
    np.testing.assert_allclose(moved, 0.1 / np.sqrt(0.001), rtol=1e-3)


def test_ftrl_forgets_the_initial_value_as_documented() -> None:
    results = []
    for factor in (1.0, 1000.0):
        variable = table()
        variable.assign(variable * factor)
        Ftrl(0.1).apply([tf.IndexedSlices(tf.zeros((1, DIM)), tf.constant([2]), tf.constant((ROWS, DIM)))], [variable])
        results.append(variable.numpy()[2])
    np.testing.assert_array_equal(results, np.zeros((2, DIM)))


@pytest.mark.parametrize("optimizer_class", OURS)
def test_graph_equals_eager(optimizer_class: type[RowOptimizer]) -> None:
    results = []
    for run in (lambda function: function, tf.function):
        optimizer, variable = optimizer_class(0.1), table()
        optimizer.build([variable])

        @run
        def step(values: tf.Tensor, ids: tf.Tensor, optimizer=optimizer) -> None:
            optimizer.apply([tf.IndexedSlices(values, ids, tf.constant((ROWS, DIM)))])

        for seed in range(2):
            slices = sparse([1, 3, 1], seed)
            step(slices.values, slices.indices)
        results.append(state(optimizer, variable))
    close(*results)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"weight_decay": 0.1}, "Adagrad: `weight_decay` must not be given. Received: weight_decay=0.1. It would"),
        ({"use_ema": True}, "Adagrad: `use_ema` must not be given. Received: use_ema=True. It would average"),
        ({"gradient_accumulation_steps": 2}, "`gradient_accumulation_steps` must not be given."),
        ({"loss_scale_factor": 2.0}, "wrap the optimizer in LossScaleOptimizer."),
        ({"l2": -1.0}, "Adagrad: `l2` must be at least 0. Received: l2=-1.0."),
        ({"clipnorm": 0.0}, "Adagrad: `clipnorm` must be a positive number. Received: clipnorm=0.0."),
        ({"epsilon": -1.0}, "Adagrad: `epsilon` must be at least 0. Received: epsilon=-1.0."),
    ],
)
def test_what_would_touch_every_row_or_is_out_of_range_is_refused(arguments: dict, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        Adagrad(0.1, **arguments)


def test_other_errors_are_explained() -> None:
    with pytest.raises(TypeError, match=re.escape("Adagrad: unknown argument `momentum`. Received: momentum=0.9.")):
        Adagrad(momentum=0.9)
    with pytest.raises(ValueError, match="Ftrl: `learning_rate_power` must be at most 0"):
        Ftrl(learning_rate_power=0.5)
    with pytest.raises(ValueError, match=re.escape("LazyAdam: `beta_1` must lie in [0, 1). Received: beta_1=1.0.")):
        LazyAdam(beta_1=1.0)
    with pytest.raises(ValueError, match="RowWiseAdagrad: `epsilon` must be a positive number"):
        RowWiseAdagrad(epsilon=0.0)
    with pytest.raises(ValueError, match="Only one of `clipnorm`, `clipvalue` and `global_clipnorm`"):
        SGD(clipnorm=1.0, clipvalue=1.0)


def test_a_constraint_is_refused_on_a_table_and_kept_on_a_dense_weight() -> None:
    variable = table()
    variable.constraint = keras.constraints.NonNeg()
    optimizer = SGD(0.1)
    with pytest.raises(ValueError, match="SGD: the table 'table' must not have a constraint"):
        optimizer.apply([sparse([1])], [variable])
    optimizer.apply([tf.zeros((ROWS, DIM))], [variable])
    assert np.min(variable.numpy()) >= 0


def test_a_step_inside_xla_is_refused() -> None:
    optimizer, variable = SGD(0.1), table()
    optimizer.build([variable])
    with pytest.raises(ValueError, match="SGD: a step must not be compiled by XLA"):
        tf.function(lambda: optimizer.apply([sparse([1])], [variable]), jit_compile=True)()


def test_a_missing_row_is_an_error_of_the_step() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in"):
        SGD(0.1).apply([sparse([ROWS])], [table()])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
@pytest.mark.parametrize("optimizer_class", OURS)
def test_tables_of_every_type(optimizer_class: type[RowOptimizer], dtype: str, compiled: bool) -> None:
    """As on a float32 table, to what the type can hold; steps long enough to be seen in 8 bits."""

    def after(dtype: str) -> np.ndarray:
        variable = keras.Variable(np.full((6, 2), 0.5), dtype=dtype)
        optimizer = optimizer_class(1.0 if optimizer_class is SGD else 0.1)
        optimizer.build([variable])

        def step() -> None:
            values = tf.cast([[0.25, -0.5], [0.125, 0.25], [0.25, 0.5]], dtype)
            optimizer.apply([tf.IndexedSlices(values, tf.constant([1, 4, 1]), tf.constant([6, 2]))], [variable])

        step = tf.function(step, autograph=False) if compiled else step
        for _ in range(3):
            step()
        return tf.cast(variable.value, tf.float64).numpy()

    found, expected = after(dtype), after("float32")
    tolerance = {"bfloat16": 0.02, "float16": 2e-3, "float64": 1e-5}[dtype]
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert np.all(found[[0, 2, 3, 5]] == 0.5)
    assert np.any(found[[1, 4]] != 0.5)


def test_small_squares_do_not_vanish_in_half_precision() -> None:
    """The mean square of a gradient of 1e-3 is below what float16 can hold; the step would be infinite."""
    variable = keras.Variable(np.ones((3, 2)), dtype="float16")
    optimizer = LazyAdam(0.01)
    optimizer.build([variable])
    values = tf.fill((1, 2), tf.constant(1e-3, tf.float16))
    optimizer.apply([tf.IndexedSlices(values, tf.constant([1]), tf.constant([3, 2]))], [variable])
    np.testing.assert_allclose(tf.cast(variable.value[1], tf.float32), 0.99, atol=1e-3)
    assert {tf.as_dtype(slot.dtype) for slot in optimizer.variables if len(slot.shape)} == {tf.float32}

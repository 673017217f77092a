"""Multiclass, ordinal, quantile and zero-inflated tasks: their likelihoods in NumPy, and what must always hold."""

import math

import keras
import numpy as np
import pyarrow as pa
import pytest
import scipy.stats
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.tiny_problem import tiny_inputs, tiny_problem
from tfmtl.metrics import class_log_loss, coverage, macro_auc, normalized_gini, pinball_loss
from tfmtl.schema import (
    ModelInputs,
    MulticlassTask,
    OrdinalTask,
    ProblemError,
    QuantileTask,
    TaskRecord,
    ZeroInflatedTask,
)
from tfmtl.tasks import behavior_of
from tfmtl.tasks.quantile import QuantileBehavior
from tfmtl.testing import check_task_kind

CLASSES = ("a", "b", "c", "d")
TASKS = {
    "multiclass": MulticlassTask("kind", classes=CLASSES, score_class="b"),
    "ordinal": OrdinalTask("stars", classes=CLASSES, values=(1.0, 2.0, 4.0, 8.0)),
    "quantile": QuantileTask("wait", quantiles=(0.1, 0.4, 0.9)),
    "zero_inflated": ZeroInflatedTask("spent"),
}
STATES = {
    "kind": {"shares": [0.1, 0.2, 0.3, 0.4]},
    "stars": {"shares": [0.1, 0.2, 0.3, 0.4]},
    "wait": {"quantiles": [1.0, 2.0, 5.0]},
    "spent": {"share": 0.3, "log_mean": 1.0, "log_deviation": 0.7},
}
ROWS = 7
generator = np.random.default_rng(0)
HIDDEN = generator.normal(size=(ROWS, 5)).astype("float32")
LABELS = {
    "multiclass": np.float32([0, 1, 2, 3, np.nan, 1, 2]),
    "ordinal": np.float32([0, 1, 2, 3, np.nan, 1, 2]),
    "quantile": np.float32([0.5, 2.5, -3.0, 8.0, np.nan, 2.0, 1.0]),
    "zero_inflated": np.float32([0.0, 2.5, 0.0, 80.0, np.nan, 0.1, 0.0]),
}


def inputs_of(task: TaskRecord) -> ModelInputs:
    state = {task.name: STATES[task.name]}
    plain = tiny_inputs(tiny_problem(tasks=(task,)))
    return ModelInputs(plain.problem, plain.table_rows, {task.name: 2.0}, {task.name: 1.5}, task_state=state)


def made(kind: str, policy: str = "float32", random: bool = True):
    behavior = behavior_of(TASKS[kind])
    head = behavior.head(inputs_of(TASKS[kind]), 2.0, policy)
    head.build(HIDDEN.shape)
    if random:
        randomize_weights(head)
    return behavior, head


def numpy_loss(kind: str, raw: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of every row that has a label, from the densities."""
    known = ~np.isnan(labels)
    raw, labels = raw[known].astype(np.float64), labels[known].astype(np.float64)
    rows = np.arange(len(labels))
    if kind == "multiclass":
        shares = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        return -np.log(shares[rows, labels.astype(int)])
    if kind == "ordinal":
        below = np.concatenate([np.zeros((len(raw), 1)), 1 / (1 + np.exp(-raw)), np.ones((len(raw), 1))], axis=1)
        return -np.log(np.diff(below, axis=1)[rows, labels.astype(int)])
    if kind == "quantile":
        levels, errors = np.array(TASKS[kind].quantiles), (labels[:, None] - 2.0) / 1.5 - raw
        return np.where(errors > 0, levels * errors, (levels - 1) * errors).mean(axis=1)
    share = 1 / (1 + np.exp(-raw[:, 0]))
    density = scipy.stats.lognorm(s=np.exp(raw[:, 2]), scale=np.exp(raw[:, 1])).logpdf(np.maximum(labels, 1e-9))
    return np.where(labels > 0, -np.log(share) - density, -np.log1p(-share))


@pytest.mark.parametrize("kind", TASKS)
def test_the_loss_is_the_likelihood_written_by_hand(kind: str) -> None:
    behavior, head = made(kind)
    raw = head(HIDDEN).numpy()
    expected = numpy_loss(kind, raw, LABELS[kind])
    assert float(behavior.loss(head, {"": LABELS[kind]}, raw, None)) == pytest.approx(expected.mean(), rel=1e-4)
    weights = np.float32([1, 2, 0, 3, 5, 1, 0.5])
    known = weights[~np.isnan(LABELS[kind])]
    weighted = float(behavior.loss(head, {"": LABELS[kind]}, raw, weights))
    assert weighted == pytest.approx(np.average(expected, weights=known), rel=1e-4)
    assert float(behavior.loss(head, {"": np.full(ROWS, np.nan, "float32")}, raw, None)) == 0.0


@pytest.mark.parametrize("kind", TASKS)
def test_rows_without_label_or_weight_have_no_gradient(kind: str) -> None:
    behavior, head = made(kind)
    raw = tf.constant(head(HIDDEN))
    labels, weights = LABELS[kind].copy(), np.ones(ROWS, "float32")
    weights[0] = 0.0
    with tf.GradientTape() as tape:
        tape.watch(raw)
        loss = behavior.loss(head, {"": labels}, raw, weights)
    gradient = tape.gradient(loss, raw).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[[0, 4]], 0.0)
    assert (np.abs(gradient[[1, 2, 3, 5, 6]]).sum(axis=1) > 0.0).all()


@pytest.mark.parametrize("kind", TASKS)
def test_extreme_outputs_have_finite_losses_and_gradients(kind: str) -> None:
    behavior, head = made(kind)
    for scale in (-300.0, 300.0):
        hidden = tf.constant(HIDDEN * scale)
        with tf.GradientTape() as tape:
            raw = head(hidden)
            loss = behavior.loss(head, {"": LABELS[kind]}, raw, None)
        gradients = tape.gradient(loss, head.trainable_weights)
        assert np.isfinite(float(loss))
        assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)
        for values in behavior.predict(head, raw).values():
            assert np.isfinite(values.numpy()).all()


@pytest.mark.parametrize("kind", TASKS)
def test_xla_gives_the_same(kind: str) -> None:
    behavior, head = made(kind)

    def both(hidden: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        raw = head(hidden)
        return behavior.loss(head, {"": labels}, raw, None), behavior.predict(head, raw)

    compiled = tf.function(both, jit_compile=True, autograph=False)(tf.constant(HIDDEN), tf.constant(LABELS[kind]))
    plain = both(tf.constant(HIDDEN), tf.constant(LABELS[kind]))
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5), compiled, plain
    )


@pytest.mark.parametrize("kind", TASKS)
def test_outputs_are_those_of_the_record_and_float32_under_mixed_precision(kind: str) -> None:
    behavior, head = made(kind, "mixed_bfloat16")
    raw = head(HIDDEN)
    assert raw.dtype == "float32"
    found = behavior.predict(head, raw)
    task = TASKS[kind]
    assert {output.suffix: (ROWS, *output.inner) for output in task.outputs} == {
        suffix: tuple(values.shape) for suffix, values in found.items()
    }
    assert {values.dtype for values in found.values()} == {tf.float32}
    assert task.outputs[0].suffix == ""


@pytest.mark.parametrize("kind", TASKS)
def test_a_head_starts_at_what_a_constant_would_answer(kind: str) -> None:
    behavior, head = made(kind, random=False)
    found = behavior.predict(head, head(np.zeros((1, 5), "float32")))
    constant = behavior.constant(inputs_of(TASKS[kind]))
    assert set(found) == set(constant)
    for suffix, value in constant.items():
        if (kind, suffix) != ("zero_inflated", ""):  # the mean itself beside the log-normal's
            np.testing.assert_allclose(found[suffix].numpy()[0], value, rtol=1e-3)


def test_probabilities_are_ordered_sums_are_one_and_quantiles_never_cross() -> None:
    hidden = (generator.normal(size=(200, 5)) * 30.0).astype("float32")
    for kind in ("multiclass", "ordinal"):
        behavior, head = made(kind)
        shares = behavior.predict(head, head(hidden))["probabilities"].numpy()
        assert (shares >= 0.0).all()
        np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)
    _, head = made("ordinal")
    assert (np.diff(head(HIDDEN).numpy(), axis=1) > 0.0).all()
    behavior, head = made("quantile")
    found = behavior.predict(head, head(hidden))
    assert (np.diff(found["quantiles"].numpy(), axis=1) >= 0.0).all()
    np.testing.assert_array_equal(found[""], found["quantiles"][:, 1])
    behavior, head = made("zero_inflated")
    found = behavior.predict(head, head(HIDDEN))
    np.testing.assert_allclose(found[""], found["positive"] * found["amount"], rtol=1e-6)


def test_the_score_is_the_class_named_or_the_expected_value() -> None:
    behavior, head = made("multiclass")
    found = behavior.predict(head, head(HIDDEN))
    np.testing.assert_array_equal(found[""], found["probabilities"][:, 1])
    behavior, head = made("ordinal")
    found = behavior.predict(head, head(HIDDEN))
    np.testing.assert_allclose(found[""], found["probabilities"].numpy() @ [1.0, 2.0, 4.0, 8.0], rtol=1e-5)


def test_quantiles_are_learnt() -> None:
    behavior, head = made("quantile", random=False)
    labels = generator.exponential(3.0, 4000).astype("float32")
    hidden = np.zeros((4000, 5), "float32")
    optimizer = keras.optimizers.Adam(0.1)
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = behavior.loss(head, {"": labels}, head(hidden), None)
        optimizer.apply(tape.gradient(loss, head.trainable_weights), head.trainable_weights)
    found = behavior.predict(head, head(hidden[:1]))["quantiles"].numpy()[0]
    np.testing.assert_allclose(found, np.quantile(labels, TASKS["quantile"].quantiles), rtol=0.1)


def test_fitted_facts_follow_from_counts_in_any_order() -> None:
    counts = pa.table({"value": pa.array([3.0, 0.0, 1.0], pa.float32()), "count": pa.array([6, 1, 3], pa.int64())})
    shares = behavior_of(TASKS["multiclass"]).fit_labels(counts)["shares"]
    np.testing.assert_allclose(shares, np.array([2, 4, 1, 7]) / 14)
    values = np.repeat([0.0, 1.0, 3.0], [1, 3, 6])
    for table in (counts, counts.take([2, 0, 1])):
        state = behavior_of(TASKS["zero_inflated"]).fit_labels(table)
        logs = np.log(values[values > 0])
        assert state == {
            "share": 0.9,
            "log_mean": pytest.approx(logs.mean()),
            "log_deviation": pytest.approx(logs.std()),
        }
        assert state == behavior_of(TASKS["zero_inflated"]).fit_labels(counts)
        assert behavior_of(TASKS["quantile"]).fit_labels(table) == {"quantiles": [0.0, 1.0, 3.0]}
    assert behavior_of(TASKS["quantile"]).fit_labels(None) == {}


@pytest.mark.parametrize("kind", TASKS)
def test_exact_metrics_and_baseline(kind: str) -> None:
    behavior, head = made(kind)
    outputs = {suffix: values.numpy() for suffix, values in behavior.predict(head, head(HIDDEN)).items()}
    labels = {"": LABELS[kind]}
    report = behavior.exact_metrics(labels, outputs)
    assert (report["examples"], report["missing_labels"]) == (6, 1)
    twice = behavior.exact_metrics(labels, outputs, None, np.full(ROWS, 2.0))
    assert twice == pytest.approx(report)
    baseline = behavior.baseline(inputs_of(TASKS[kind]), labels)
    assert set(baseline) == set(report)
    nothing = behavior.exact_metrics({"": np.full(ROWS, np.nan)}, outputs)
    assert {value for key, value in nothing.items() if key not in ("examples", "missing_labels")} == {None}


def test_metrics_of_known_cases() -> None:
    labels = np.array([0.0, 1.0, 2.0, np.nan])
    shares = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4], [1.0, 0.0, 0.0]])
    assert class_log_loss(labels, shares) == pytest.approx(-np.mean(np.log([0.7, 0.5, 0.4])))
    assert macro_auc(labels, shares) == 1.0
    assert macro_auc(labels, 1.0 - shares) == 0.0
    assert math.isnan(macro_auc([1.0, 1.0], shares[:2]))
    draws = generator.normal(size=20_000)
    levels = (0.1, 0.5, 0.9)
    right = np.broadcast_to(scipy.stats.norm.ppf(levels), (20_000, 3))
    np.testing.assert_allclose(coverage(draws, right, levels), levels, atol=0.01)
    assert pinball_loss(draws, right, levels) < pinball_loss(draws, right + 0.3, levels)
    amounts = np.array([0.0, 0.0, 1.0, 4.0])
    assert normalized_gini(amounts, amounts) == 1.0
    assert normalized_gini(amounts, -amounts) == pytest.approx(-1.0)
    assert normalized_gini(amounts, np.ones(4)) == pytest.approx(0.0)
    repeated = np.repeat(amounts, [1, 2, 3, 1]), np.repeat([1.0, 3.0, 2.0, 5.0], [1, 2, 3, 1])
    weighted = normalized_gini(amounts, [1.0, 3.0, 2.0, 5.0], [1, 2, 3, 1])
    assert weighted == pytest.approx(normalized_gini(*repeated))
    with pytest.raises(ValueError, match="class_log_loss: `labels` must be a class from 0 to 2"):
        class_log_loss([7.0, 1.0, 1.0, 1.0], shares)


@pytest.mark.parametrize("kind", TASKS)
def test_a_feature_that_holds_the_label_has_an_event_to_tell(kind: str) -> None:
    target = behavior_of(TASKS[kind]).leak_target({"": LABELS[kind]})
    assert target is not None
    np.testing.assert_array_equal(np.isnan(target), np.isnan(LABELS[kind]))
    assert set(target[~np.isnan(target)]) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MulticlassTask("t"), "`classes` must list two different texts or more"),
        (lambda: MulticlassTask("t", classes=("a", "a")), "Received: classes=['a', 'a']"),
        (lambda: MulticlassTask("t", classes=(1, 2)), "`classes[0]` must be text"),
        (lambda: MulticlassTask("t", classes=("a", "b"), score_class="c"), "`score_class` must be one of ['a', 'b']"),
        (lambda: OrdinalTask("t", classes=("a", "b"), values=(2.0, 1.0)), "`values` must rise, one for each of the 2"),
        (lambda: OrdinalTask("t", classes=("a", "b"), values=(2.0,)), "Leave it out for 0, 1, 2"),
        (lambda: QuantileTask("t", quantiles=(0.5, 0.1)), "`quantiles` must rise strictly between 0 and 1"),
        (lambda: QuantileTask("t", quantiles=(0.0, 0.5)), "Received: quantiles=[0.0, 0.5]"),
        (lambda: QuantileTask("t", quantiles=()), "Use [0.1, 0.5, 0.9]."),
    ],
)
def test_wrong_keys(make, text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        make()
    assert text in str(caught.value)


@pytest.mark.parametrize("kind", TASKS)
def test_it_passes_the_check_for_kinds_of_ones_own(kind: str) -> None:
    check_task_kind(TASKS[kind], inputs_of(TASKS[kind]), {"": LABELS[kind]})


def test_the_check_sees_a_loss_that_counts_missing_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(self, head, labels, raw, weights):
        return tf.reduce_mean(tf.square(raw[:, 1] - tf.where(tf.math.is_nan(labels[""]), 0.0, labels[""])))

    monkeypatch.setattr(QuantileBehavior, "loss", careless)
    with pytest.raises(AssertionError, match="rows without label or weight must have no gradient"):
        check_task_kind(TASKS["quantile"], inputs_of(TASKS["quantile"]), {"": LABELS["quantile"]})


def test_the_check_sees_a_loss_below_0_that_is_no_density(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = QuantileBehavior.loss
    monkeypatch.setattr(QuantileBehavior, "loss", lambda *arguments: plain(*arguments) - 100.0)
    with pytest.raises(AssertionError, match="its loss must be at least 0, or its `loss_is_density` True"):
        check_task_kind(TASKS["quantile"], inputs_of(TASKS["quantile"]), {"": LABELS["quantile"]})
    monkeypatch.setattr(QuantileBehavior, "loss_is_density", True)
    check_task_kind(TASKS["quantile"], inputs_of(TASKS["quantile"]), {"": LABELS["quantile"]})


def test_the_check_sees_outputs_that_are_not_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuantileBehavior, "predict", lambda self, head, raw: {"": raw[:, 1]})
    with pytest.raises(AssertionError, match="`predict` must answer"):
        check_task_kind(TASKS["quantile"], inputs_of(TASKS["quantile"]), {"": LABELS["quantile"]})

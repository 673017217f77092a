"""Survival tasks inside a model: losses, refusals, a task of every model at once."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.support.survival_problem import CUTS, every_model, survival_problem
from tfmtl.losses.survival import hazard_loss, interval_censored_loss
from tfmtl.losses.survival.grid_likelihood import grid_losses
from tfmtl.models import MultiTaskModel, from_preset
from tfmtl.schema import ModelInputs, Problem, SurvivalTask
from tfmtl.tasks import behavior_of
from tfmtl.tasks.survival_report import survival_report

STATE = {
    "edges": list(CUTS),
    "hazards": [0.3, 0.2, 0.1, 0.2],
    "censoring": {"times": [4.0, 8.0], "values": [0.8, 0.5]},
    "grid_end": 9.0,
}
LABELS = {
    "": np.float32([1, 4, 6, np.nan, 20, 2.5]),
    "event": np.float32([1, 0, 1, np.nan, 0, 0]),
    "entry": np.float32([0, 0, 3.5, np.nan, 0, np.nan]),
    "upper": np.float32([np.nan, np.nan, np.nan, np.nan, np.nan, 8]),
    "cause": np.float32([0, np.nan, 1, np.nan, np.nan, np.nan]),
}


def inputs_of(problem: Problem) -> ModelInputs:
    states = {
        task.name: {**STATE, "hazards": [[0.2, 0.1]] * 4 if getattr(task, "causes", ()) else STATE["hazards"]}
        for task in problem.tasks
        if task.monitor[0] == "nll"
    }
    names = [task.name for task in problem.tasks]
    return ModelInputs(problem, {"genre": 5}, dict.fromkeys(names, 0.4), dict.fromkeys(names, 1.0), "x", states)


def model_of(*tasks: SurvivalTask, preset: str = "shared_bottom") -> MultiTaskModel:
    return from_preset(preset, inputs_of(survival_problem(*tasks)))


def test_a_step_of_every_model_at_once() -> None:
    problem = survival_problem(*every_model())
    model = from_preset("shared_bottom", inputs_of(problem))
    model.compile()
    features = {"genre": np.int32([1, 2, 3, 0, 2, 4]), "quality": np.float32([0, 1, -1, 0.5, 2, -2])}
    labels = {key: LABELS.get(key.partition("__")[2], LABELS[""]) for key in problem.label_keys}
    labels |= {"click": np.float32([0, 1, 0, 1, np.nan, 1]), "watch": np.float32([1, 2, 3, 4, 5, 6])}
    before = [weight.numpy() for weight in model.trainable_weights]
    result = model.train_on_batch(features, labels, return_dict=True)
    assert all(np.isfinite(value) for value in result.values())
    assert {"by_cox/nll", "why/loss", "between/nll"} <= set(result)
    # Kernels: a bias moves all log risks of a Cox model alike, which its loss does not see.
    heads = [weight for head in model.heads.values() for weight in head.trainable_weights if len(weight.shape) == 2]
    changed = {id(w) for w, old in zip(model.trainable_weights, before, strict=True) if (w.numpy() != old).any()}
    assert {id(weight) for weight in heads} <= changed
    nothing = dict.fromkeys(labels, np.full(6, np.nan, np.float32))
    assert float(model.train_on_batch(features, nothing, return_dict=True)["loss"]) == 0.0


def test_rows_of_an_interval_and_exact_rows_are_one_mean() -> None:
    task = SurvivalTask("life", time="days", event="stopped", intervals=CUTS, time_upper="days_to", entry="from")
    behavior = behavior_of(task)
    head = behavior.head(inputs_of(survival_problem(task)), 0.0, None)
    raw = tf.constant(np.random.default_rng(0).normal(size=(6, 4)), tf.float32)
    labels = {part: LABELS[part] for part in task.label_parts}
    weights = np.float32([1, 2, 1, 1, 1, 3])
    ours = behavior.loss(head, labels, raw, weights)
    exact = hazard_loss(labels[""], labels["event"], raw, CUTS, entries=labels["entry"], weights=[1, 2, 1, 0, 1, 0])
    between = interval_censored_loss(
        labels[""][5:], labels["upper"][5:], head.log_survival(raw[5:]), CUTS, entries=labels["entry"][5:]
    )
    assert float(ours) == pytest.approx((5 * float(exact) + 3 * float(between)) / 8, rel=1e-5)


@pytest.mark.parametrize("model", ["cox", "deephit"])
def test_losses_of_pairs_refuse_several_replicas(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    two = property(lambda self: SimpleNamespace(num_replicas_in_sync=2))
    pairs, single = (
        model_of(SurvivalTask("life", time="days", event="stopped", intervals=CUTS, model=name))
        for name in (model, "hazard")
    )
    with monkeypatch.context() as patch:
        patch.setattr(MultiTaskModel, "distribute_strategy", two)
        with pytest.raises(ValueError, match=r"must be one replica for tasks \['life'\].*Received: 2 replicas"):
            pairs.compile()
    single.compile()


def test_a_virtual_gradient_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`sharing` must not ask how labels correlate .*\['life'\]"):
        model_of(SurvivalTask("life", time="days", event="stopped", intervals=CUTS), preset="dephn")


def test_the_running_metric_is_the_hazard_loss_on_the_grid() -> None:
    raw = tf.constant(np.random.default_rng(0).normal(size=(6, 4)), tf.float32)
    known = ~np.isnan(LABELS[""])
    times, events, entries = (LABELS[part][known] for part in ("", "event", "entry"))
    expected = hazard_loss(times, events, raw[known], CUTS, entries=entries)
    rows = grid_losses(times, events, tf.sigmoid(raw[known]), CUTS, np.nan_to_num(entries))
    assert float(tf.reduce_mean(rows)) == pytest.approx(float(expected), rel=1e-5)
    task = SurvivalTask("life", time="days", event="stopped", intervals=CUTS, entry="from")
    behavior = behavior_of(task).fitted(inputs_of(survival_problem(task)))
    head = behavior.head(inputs_of(survival_problem(task)), 0.0, None)
    outputs = {suffix: value.numpy() for suffix, value in behavior.predict(head, raw).items()}
    report = survival_report(task, STATE, LABELS, outputs)
    assert report["nll"] == pytest.approx(float(expected), rel=1e-4)
    metric = behavior.running_metric()
    behavior.update_metric(metric, LABELS, outputs, None)
    assert float(metric.result()) == pytest.approx(float(expected), rel=1e-4)


def test_a_report_without_labels_has_no_metric() -> None:
    task = SurvivalTask("life", time="days", event="stopped", intervals=CUTS)
    nothing = {part: np.full(3, np.nan, np.float32) for part in ("", "event")}
    outputs = {"": np.ones(3), "survival": np.full((3, 4), 0.5)}
    assert survival_report(task, STATE, nothing, outputs) == {"rows": 0, "events": 0}


def test_an_early_death_is_no_leak_target_where_it_was_not_seen() -> None:
    task = SurvivalTask("life", time="days", event="stopped", intervals=CUTS)
    target = behavior_of(task).leak_target({"": np.float32([1, 9, 2, 7]), "event": np.float32([1, 1, 0, 0])})
    np.testing.assert_array_equal(target, np.float32([0, 1, np.nan, 1]))

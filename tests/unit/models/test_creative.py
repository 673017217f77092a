"""The network of ad creatives: its loss is the paper's, and both terms learn from what they share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.survival_problem import survival_problem
from tfmtl.models import MultiTaskModel, from_preset
from tfmtl.schema import BinaryTask, ModelInputs, Problem, SurvivalTask

SHORT, LONG = (1.0, 3.0, 5.0, 7.0, 10.0), (1.0, 10.0, 30.0, 60.0, 90.0, 120.0)
LAMBDA = 0.3
ROWS = 64


def terms(share: float = LAMBDA, ctr: str | None = "ctr") -> tuple[SurvivalTask, SurvivalTask]:
    weighted = {} if ctr is None else {"weight_column": ctr, "weight_offset": 1.0}
    columns = {"time": "days", "event": "stopped", **weighted}
    return (
        SurvivalTask("short", intervals=SHORT, weight=share, **columns),
        SurvivalTask("long", intervals=LONG, weight=1.0 - share, **columns),
    )


def problem(*tasks: SurvivalTask | BinaryTask) -> Problem:
    return survival_problem(tasks=tasks)


def inputs_of(problem: Problem) -> ModelInputs:
    states = {
        task.name: {"edges": list(task.intervals), "hazards": [0.2] * len(task.intervals)}
        for task in problem.tasks
        if isinstance(task, SurvivalTask)
    }
    ones = dict.fromkeys((task.name for task in problem.tasks), 0.5)
    return ModelInputs(problem, {"genre": 5}, ones, ones, "x", states)


def model(*tasks: SurvivalTask | BinaryTask, **options: float) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    made = from_preset("creative", inputs_of(problem(*tasks)), hidden_units=(8,), dropout=0.0, **options)
    made.compile(keras.optimizers.SGD(0.5))
    for head in made.heads.values():
        bias = head.weights[-1]
        bias.assign(np.random.default_rng(1).normal(-1.0, 0.7, bias.shape))
    return made


def batch(generator: np.random.Generator) -> tuple[dict[str, tf.Tensor], dict[str, np.ndarray]]:
    features = {
        "genre": tf.constant(generator.integers(0, 4, ROWS), tf.int32),
        "quality": tf.constant(generator.normal(size=ROWS), tf.float32),
    }
    days = np.float32(np.exp(generator.normal(2.0, 1.5, ROWS)))
    stopped, ctr = np.float32(generator.random(ROWS) < 0.7), np.float32(generator.random(ROWS))
    label = {"": days, "__event": stopped, "__weight": ctr}
    return features, {f"{term}{part}": values for term in ("short", "long") for part, values in label.items()}


def paper_loss(hazards: np.ndarray, edges: tuple[float, ...], days: np.ndarray, stopped: np.ndarray) -> np.ndarray:
    """`-sum_l ln(1 + s_l (p_l - 1)) - sum_l ln(1 - f_l p_l)` of each row, with p the chance to live through l.

    s is 1 in the intervals that a creative lived through and f in the one in which it stopped, as in nnet-survival.
    """
    p, right = 1.0 - hazards, np.array(edges)
    left = np.append(0.0, right[:-1])
    stops = (stopped == 1)[:, np.newaxis] & (days[:, np.newaxis] > left) & (days[:, np.newaxis] <= right)
    lived = right <= days[:, np.newaxis]
    lived &= ~stops
    return -(np.log(1.0 + lived * (p - 1.0)) + np.log(1.0 - stops * p)).sum(axis=1)


@pytest.mark.parametrize("consistency", [0.0, 0.1])
def test_the_loss_is_that_of_the_paper(consistency: float) -> None:
    """`lambda L_short + (1 - lambda) L_long`, each the mean of `(1 + ctr) l` over rows, by weight."""
    made = model(*terms(), consistency_weight=consistency)
    features, labels = batch(np.random.default_rng(0))
    found = made.test_on_batch(features, labels, return_dict=True)["loss"]
    answers = {name: value.numpy().astype(np.float64) for name, value in made(features).items()}
    weight = 1.0 + labels["short__weight"].astype(np.float64)
    expected = 0.0
    for term, edges, share in (("short", SHORT, LAMBDA), ("long", LONG, 1.0 - LAMBDA)):
        rows = paper_loss(answers[f"{term}__hazard"], edges, labels[term], labels[f"{term}__event"])
        expected += share * (weight * rows).sum() / weight.sum()
    apart = answers["short__survival"][:, SHORT.index(10.0)] - answers["long__survival"][:, LONG.index(10.0)]
    assert np.abs(apart).mean() > 0.01
    assert float(found) == pytest.approx(expected + consistency * np.mean(apart**2), rel=1e-5)


def test_the_weight_of_click_rates_is_one_without_clicks_and_doubles_at_one() -> None:
    plain, features = model(*terms(ctr=None)), batch(np.random.default_rng(0))[0]
    weighted = model(*terms())
    _, labels = batch(np.random.default_rng(0))
    zero = {key: 0.0 * values if key.endswith("weight") else values for key, values in labels.items()}
    without = {key: values for key, values in labels.items() if not key.endswith("weight")}
    one, other = (
        made.test_on_batch(features, given, return_dict=True)["loss"]
        for made, given in ((weighted, zero), (plain, without))
    )
    assert float(one) == pytest.approx(float(other), rel=1e-6)


def test_consistency_draws_the_terms_together() -> None:
    features, labels = batch(np.random.default_rng(0))
    nothing = {key: np.full_like(values, np.nan) for key, values in labels.items()}

    def apart(made: MultiTaskModel) -> float:
        answers = made(features)
        return float(np.abs(answers["short__survival"][:, 4] - answers["long__survival"][:, 1]).mean())

    made, free = (model(*terms(), consistency_weight=weight) for weight in (1.0, 0.0))
    before = apart(made)
    for each in (made, free):
        for _ in range(5):
            each.train_on_batch(features, nothing)  # without labels nothing else moves it
    assert apart(made) < 0.8 * before
    assert apart(free) == pytest.approx(before)


def test_consistency_needs_two_terms_of_one_lifetime() -> None:
    made = model(terms()[0], BinaryTask("click"), consistency_weight=0.1)
    features, labels = batch(np.random.default_rng(0))
    labels["click"] = np.zeros(ROWS, np.float32)
    with pytest.raises(ValueError, match="`consistency_weight` must be 0 without two survival tasks"):
        made.test_on_batch(features, labels)
    with pytest.raises(ValueError, match="`consistency_weight` must be"):
        model(*terms(), consistency_weight=-1.0)


def test_it_survives_saving(tmp_path) -> None:  # type: ignore[no-untyped-def]
    made = model(*terms(), consistency_weight=0.25)
    made.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").consistency_weight == 0.25

"""Tasks with parents: what is predicted, and what the losses are, against the formulas."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem, whole_split
from tfmtl.data import PreparedData
from tfmtl.layers.heads.information_transfer import InformationTransfer
from tfmtl.models import from_preset
from tfmtl.schema import BinaryTask, RegressionTask

CHAIN = (BinaryTask("click"), BinaryTask("buy", parent="click"), RegressionTask("watch", label="seconds"))


def sigmoid(x) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def cross_entropy(labels: np.ndarray, probability: np.ndarray) -> np.ndarray:
    return -labels * np.log(probability) - (1.0 - labels) * np.log(1.0 - probability)


def complete(data: PreparedData):
    """The training rows that have both labels of the chain."""
    features, labels = whole_split(data, "train")
    kept = tf.where(~(tf.math.is_nan(labels["click"]) | tf.math.is_nan(labels["buy"])))[:, 0]
    return tuple({key: tf.gather(value, kept) for key, value in part.items()} for part in (features, labels))


@pytest.mark.parametrize("chain", ["entire_space", "dependence"])
def test_a_prediction_is_the_product_along_the_chain(tiny_data: PreparedData, chain: str) -> None:
    model = tiny_model(tiny_data.inputs, "esmm", chain=chain)
    features, _ = whole_split(tiny_data, "test")
    raw, predicted = model.raw_outputs(features), model(features)
    np.testing.assert_allclose(predicted["click"], sigmoid(raw["click"]), rtol=1e-5)
    np.testing.assert_allclose(predicted["buy"], sigmoid(raw["click"]) * sigmoid(raw["buy"]), rtol=1e-5)
    assert np.all(predicted["buy"].numpy() < predicted["click"].numpy())
    plain = tiny_model(tiny_data.inputs, "single_task")
    np.testing.assert_array_equal(
        plain(features)["watch"], plain.heads["watch"].predictions(plain.raw_outputs(features)["watch"])
    )


def test_entire_space_compares_the_product_with_the_label_on_every_row(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs, "esmm")
    features, labels = complete(tiny_data)
    raw = model.raw_outputs(features)
    losses = model.task_losses(raw, labels)
    click, buy = (labels[name].numpy().astype(np.float64) for name in ("click", "buy"))
    first, second = sigmoid(raw["click"]), sigmoid(raw["buy"])
    assert float(losses["click"]) == pytest.approx(np.mean(cross_entropy(click, first)), rel=1e-5)
    assert float(losses["buy"]) == pytest.approx(np.mean(cross_entropy(buy, first * second)), rel=1e-5)


def test_dependence_loss_is_minus_the_log_likelihood_of_the_chain(tiny_data: PreparedData) -> None:
    inputs = dataclasses.replace(tiny_data.inputs, problem=tiny_problem(tasks=(CHAIN[0], CHAIN[1])))
    model = tiny_model(inputs, "esmm", chain="dependence")
    features, labels = complete(tiny_data)
    labels = {name: labels[name] for name in ("click", "buy")}
    raw = model.raw_outputs(features)
    first, second = sigmoid(raw["click"]), sigmoid(raw["buy"])
    click, buy = (labels[name].numpy() == 1.0 for name in ("click", "buy"))
    likelihood = np.where(click, first * np.where(buy, second, 1.0 - second), 1.0 - first)
    model.compile(run_eagerly=True)
    loss = model.test_on_batch(features, labels, return_dict=True)["loss"]
    assert loss == pytest.approx(-np.mean(np.log(likelihood)), rel=1e-5)


def test_under_dependence_a_row_whose_parent_did_not_happen_tells_nothing_about_the_child(
    tiny_data: PreparedData,
) -> None:
    model = tiny_model(tiny_data.inputs, "esmm", chain="dependence")
    features, labels = complete(tiny_data)
    raw = model.raw_outputs(features)
    plain = model.task_losses(raw, labels)["buy"]
    happened = labels["click"] == 1.0
    assert 0 < int(tf.math.count_nonzero(happened)) < len(happened)
    elsewhere = {**raw, "buy": tf.where(happened, raw["buy"], raw["buy"] + 3.0)}
    assert float(model.task_losses(elsewhere, labels)["buy"]) == float(plain)
    there = {**raw, "buy": tf.where(happened, raw["buy"] + 3.0, raw["buy"])}
    assert float(model.task_losses(there, labels)["buy"]) != float(plain)


def test_calibrator_adds_its_share_of_the_excess(tiny_data: PreparedData) -> None:
    features, labels = complete(tiny_data)
    losses, predicted = {}, {}
    for weight in (0.0, 0.6):
        keras.utils.set_random_seed(0)
        model = tiny_model(tiny_data.inputs, "aitm", expectation_weight=weight)
        model.heads["buy"].weights[-1].assign([0.5])  # so that some rows are predicted above their parent
        model.compile(run_eagerly=True)
        predicted = model(features)
        losses[weight] = model.test_on_batch(features, labels, return_dict=True)["loss"]
    excess = np.mean(np.maximum(predicted["buy"].numpy() - predicted["click"].numpy(), 0.0))
    assert excess > 0.01
    assert losses[0.6] - losses[0.0] == pytest.approx(0.6 * excess, rel=1e-3)


def test_a_conditional_head_starts_at_the_share_of_the_parents_positives() -> None:
    inputs = dataclasses.replace(tiny_inputs(), label_means={"click": 0.2, "buy": 0.05, "watch": 20.0})
    assert from_preset("esmm", inputs).heads["buy"].prior == pytest.approx(0.25)
    assert from_preset("single_task", inputs).heads["buy"].prior == pytest.approx(0.05)


def test_aitm_follows_the_parents_or_else_the_order() -> None:
    model = from_preset("aitm", tiny_inputs())
    assert isinstance(model.transfer, InformationTransfer)
    assert (model.transfer.parents, model.expectation_weight) == ((None, 0, None), 0.6)
    free = tiny_problem(tasks=(BinaryTask("click"), BinaryTask("buy")))
    model = from_preset("aitm", tiny_inputs(free))
    assert (model.transfer.parents, model.expectation_weight) == ((None, 0), 0.0)


def test_apem_is_a_chain_where_there_are_parents() -> None:
    assert from_preset("apem", tiny_inputs()).chain == "entire_space"
    free = tiny_problem(tasks=(BinaryTask("click"), BinaryTask("buy")))
    assert from_preset("apem", tiny_inputs(free)).chain == "none"


def test_a_chain_without_parents_is_refused() -> None:
    free = tiny_inputs(tiny_problem(tasks=(BinaryTask("click"), BinaryTask("buy"))))
    with pytest.raises(ValueError, match="MultiTaskModel: `chain` must be 'none' without parents"):
        from_preset("esmm", free)
    with pytest.raises(ValueError, match=r"`chain` must be one of .*Did you mean 'entire_space'\?"):
        from_preset("esmm", tiny_inputs(), chain="entire_spce")
    with pytest.raises(ValueError, match="`expectation_weight` must be 0 where no binary task has a parent"):
        from_preset("apem", free, expectation_weight=0.5)
    with pytest.raises(ValueError, match="`expectation_weight` must be at least 0"):
        from_preset("apem", tiny_inputs(), expectation_weight=-0.5)


def test_on_the_entire_space_a_label_missing_where_the_parent_did_not_happen_is_a_zero(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs, "esmm")
    features, labels = complete(tiny_data)
    click, buy = (labels[name].numpy() for name in ("click", "buy"))
    missing = {**labels, "buy": tf.constant(np.where(click == 0.0, np.nan, buy))}
    assert np.any(np.isnan(missing["buy"]))
    raw = model.raw_outputs(features)
    assert float(model.task_losses(raw, missing)["buy"]) == float(model.task_losses(raw, labels)["buy"])
    model.compile(run_eagerly=True)
    losses = [model.test_on_batch(features, known, return_dict=True)["loss"] for known in (labels, missing)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    unknown = {**missing, "click": tf.fill(tf.shape(labels["click"]), np.float32(np.nan))}
    assert float(model.task_losses(raw, {**unknown, "buy": tf.fill([len(buy)], np.nan)})["buy"]) == 0.0


def test_under_dependence_a_row_of_unknown_parent_does_not_count(tiny_data: PreparedData) -> None:
    inputs = dataclasses.replace(tiny_data.inputs, problem=tiny_problem(tasks=(CHAIN[0], CHAIN[1])))
    model = tiny_model(inputs, "esmm", chain="dependence")
    features, labels = complete(tiny_data)
    rows = np.arange(len(labels["click"])) % 2 == 0
    half = {"click": tf.where(rows, labels["click"], np.nan), "buy": labels["buy"]}
    kept = [tf.boolean_mask(labels[name], rows) for name in ("click", "buy")]
    model.compile(run_eagerly=True)
    loss = model.test_on_batch(features, half, return_dict=True)["loss"]
    some = {key: tf.boolean_mask(value, rows) for key, value in features.items()}
    expected = model.test_on_batch(some, dict(zip(("click", "buy"), kept, strict=True)), return_dict=True)["loss"]
    assert loss == pytest.approx(expected, rel=1e-5)


def test_calibrator_heeds_the_weights_of_rows(tiny_data: PreparedData) -> None:
    features, labels = complete(tiny_data)
    model = tiny_model(tiny_data.inputs, "aitm")
    model.heads["buy"].weights[-1].assign([2.0])
    model.compile(run_eagerly=True)
    some = np.arange(len(labels["click"])) % 3 == 0
    weighted = model.test_on_batch(features, labels, some.astype("float32"), return_dict=True)["loss"]
    kept = tuple({key: tf.boolean_mask(value, some) for key, value in part.items()} for part in (features, labels))
    assert weighted == pytest.approx(model.test_on_batch(*kept, return_dict=True)["loss"], rel=1e-5)
    before = model.get_weights()
    model.train_on_batch(features, labels, np.zeros(len(some), "float32"))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_prior_that_is_conditional_already_is_taken_as_it_is() -> None:
    means = {"click": 0.2, "buy": 0.3, "watch": 20.0}
    inputs = dataclasses.replace(tiny_inputs(), label_means=means)
    assert from_preset("esmm", inputs).heads["buy"].prior == pytest.approx(0.3)
    clicked = tiny_problem(tasks=(BinaryTask("click"), BinaryTask("buy", parent="click", sample_space="click == 1")))
    inputs = dataclasses.replace(tiny_inputs(clicked), label_means={"click": 0.2, "buy": 0.1})
    assert from_preset("esmm", inputs).heads["buy"].prior == pytest.approx(0.1)


def test_a_calibrator_beside_a_chain_is_refused() -> None:
    with pytest.raises(ValueError, match="`expectation_weight` must be 0 with a chain"):
        from_preset("apem", tiny_inputs(), expectation_weight=0.5)
    with pytest.raises(ValueError, match="`expectation_weight` must be 0 where no binary task has a parent"):
        from_preset("aitm", tiny_inputs(tiny_problem(tasks=CHAIN[:1])), expectation_weight=0.5)


def test_inverse_propensity_adds_the_weighted_conditional_loss_to_the_entire_space(tiny_data: PreparedData) -> None:
    features, labels = complete(tiny_data)
    losses = {}
    for chain, weight in (("entire_space", 0.1), ("inverse_propensity", 0.0), ("inverse_propensity", 0.5)):
        keras.utils.set_random_seed(0)
        model = tiny_model(tiny_data.inputs, "esmm", chain=chain, propensity_weight=weight, least_propensity=0.3)
        model.compile(run_eagerly=True)
        raw = model.raw_outputs(features)
        losses[chain, weight] = model.test_on_batch(features, labels, return_dict=True)["loss"]
    click, buy = (labels[name].numpy().astype(np.float64) for name in ("click", "buy"))
    weighted = click * cross_entropy(buy, sigmoid(raw["buy"])) / np.maximum(sigmoid(raw["click"]), 0.3)
    importance = next(task.weight for task in tiny_data.problem.tasks if task.name == "buy")
    assert losses["inverse_propensity", 0.0] == pytest.approx(losses["entire_space", 0.1], rel=1e-6)
    added = losses["inverse_propensity", 0.5] - losses["inverse_propensity", 0.0]
    assert added == pytest.approx(0.5 * importance * np.mean(weighted), rel=1e-4)


def test_arguments_of_inverse_propensity_are_checked(tiny_data: PreparedData) -> None:
    with pytest.raises(ValueError, match="`propensity_weight` must be"):
        tiny_model(tiny_data.inputs, "esmm", chain="inverse_propensity", propensity_weight=-1.0)
    with pytest.raises(ValueError, match="`least_propensity` must lie above 0"):
        tiny_model(tiny_data.inputs, "esmm", chain="inverse_propensity", least_propensity=0.0)

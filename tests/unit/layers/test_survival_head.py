"""Curves of every kind of survival head: proper, begun at the prior, equal to those of the metrics."""

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.layers.heads.survival_head import MODELS, WITH_SHAPES, SurvivalHead
from tfmtl.losses.survival import hazard_loss
from tfmtl.survival import SurvivalCurves, breslow_baseline, nelson_aalen
from tfmtl.survival.interpolation import INTERPOLATIONS
from tfmtl.survival.smooth_shapes import smooth_shapes

EDGES = (1.0, 2.5, 6.0, 10.0)
HAZARDS = (0.1, 0.3, 0.2, 0.4)
INPUTS = np.random.default_rng(0).normal(size=(40, 5)).astype("float32")


def head_and_raw(model: str, **arguments) -> tuple[SurvivalHead, tf.Tensor]:
    head = SurvivalHead(EDGES, model=model, **arguments)
    head.build((None, 5))
    for weight in head.trainable_weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    return head, head(INPUTS)


@pytest.mark.parametrize("model", [model for model in MODELS if model != "aft"])
def test_a_head_starts_at_the_prior(model: str) -> None:
    head = SurvivalHead(EDGES, HAZARDS, model)
    answers = head.predictions(head(np.zeros((1, 5), "float32")))
    np.testing.assert_allclose(answers["hazard"][0], HAZARDS, rtol=1e-4)
    np.testing.assert_allclose(answers["survival"][0], np.cumprod(1 - np.array(HAZARDS)), rtol=1e-4)


def test_aft_starts_at_the_median_of_the_prior() -> None:
    head, hazard = SurvivalHead(EDGES, HAZARDS, "aft"), SurvivalHead(EDGES, HAZARDS)
    zeros = np.zeros((1, 5), "float32")
    median = float(hazard.predictions(hazard(zeros))["median"][0])
    assert float(head(zeros)[0, 0]) == pytest.approx(np.log(median), rel=1e-5)


def test_causes_start_at_their_own_priors() -> None:
    head = SurvivalHead((1.0, 2.0), ((0.1, 0.2), (0.3, 0.1)), num_causes=2)
    incidence = head.predictions(head(np.zeros((1, 5), "float32")))["incidence"]
    np.testing.assert_allclose(incidence[0], [[0.1, 0.2], [0.1 + 0.7 * 0.3, 0.2 + 0.7 * 0.1]], rtol=1e-4)


@pytest.mark.parametrize("model", WITH_SHAPES)
def test_one_shape_moves_all_logits_by_the_same(model: str) -> None:
    head, raw = head_and_raw(model, hazards=HAZARDS, shapes=1)
    moved = raw - head.bias
    np.testing.assert_allclose(moved, np.tile(moved[:, :1], 4), rtol=1e-5, atol=1e-6)
    assert np.ptp(moved[:, 0]) > 1.0


def test_shapes_start_at_the_prior_and_all_of_them_make_any_curve() -> None:
    for causes, prior in ((1, HAZARDS), (2, [[0.05, 0.05], [0.1, 0.2], [0.1, 0.1], [0.3, 0.1]])):
        head = SurvivalHead(EDGES, prior, num_causes=causes, shapes=4)
        raw = head(np.zeros((1, 5), "float32"))
        free = SurvivalHead(EDGES, prior, num_causes=causes)
        np.testing.assert_allclose(raw, free(np.zeros((1, 5), "float32")), rtol=1e-5)
        head.output_layer.kernel.assign(np.random.default_rng(2).normal(size=(5, 4 * causes)))
        moved = np.reshape(head(INPUTS) - raw, (40, 4 * causes))
        assert np.linalg.matrix_rank(moved) == min(4 * causes, 5)


def test_shapes_are_orthogonal_cosines() -> None:
    shapes = smooth_shapes(20, 20).astype(np.float64)
    np.testing.assert_allclose(shapes @ shapes.T / 20, np.eye(20), atol=1e-6)
    turns = [(np.diff(np.sign(shape)) != 0).sum() for shape in shapes]
    assert turns == list(range(20))  # each has half a wave more than the one before


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("model", MODELS)
def test_answers_are_those_of_the_curves(model: str, interpolation: str) -> None:
    head, raw = head_and_raw(model, interpolation=interpolation)
    answers = {suffix: value.numpy() for suffix, value in head.predictions(raw).items()}
    curves = SurvivalCurves(np.array(EDGES), answers["survival"].astype(np.float64), interpolation)  # checks them
    np.testing.assert_allclose(answers[""], curves.expected_lifetime(), rtol=1e-4)
    np.testing.assert_allclose(answers["median"], curves.median_lifetime(), rtol=1e-3)
    left = np.concatenate([np.ones((40, 1)), curves.survival[:, :-1]], axis=1)
    some = left > 1e-25  # elsewhere float32 has no digits of the quotient
    lived = curves.survival / np.maximum(left, 1e-30)
    np.testing.assert_allclose(1 - answers["hazard"][some], lived[some], rtol=1e-3, atol=1e-5)

    likely = curves.at([3.0])[:, 0] > 1e-3
    times, ages = np.tile(np.float32([0.0, 0.5, 4.0, 99.0]), (40, 1)), np.full(40, 3.0, "float32")
    at_age = head.survival_at(raw, times, ages).numpy()
    np.testing.assert_allclose(at_age[likely], curves.at_age(times[0], ages)[likely], rtol=1e-3, atol=1e-4)
    rest = head.remaining_life(raw, ages).numpy()
    np.testing.assert_allclose(rest[likely], curves.remaining_life(ages)[likely], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_at_age_0_everything_is_the_plain_answer(model: str) -> None:
    head, raw = head_and_raw(model)
    answers, zero = head.predictions(raw), np.zeros(40, "float32")
    np.testing.assert_allclose(head.remaining_life(raw, zero), answers[""], rtol=1e-5)
    at_edges = head.survival_at(raw, np.tile(np.float32(EDGES), (40, 1)), zero)
    np.testing.assert_allclose(at_edges, answers["survival"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_extreme_outputs_have_finite_answers(model: str) -> None:
    head, raw = head_and_raw(model)
    for factor in (0.0, 1e3, -1e3):
        answers = head.predictions(raw * factor)
        ages = np.full(40, 9.0, "float32")
        rest = head.remaining_life(raw * factor, ages).numpy()
        assert all(np.isfinite(value.numpy()).all() for value in answers.values())
        assert np.isfinite(rest).all()
        assert (rest <= 1.0 + 1e-3).all()  # the horizon is 10


def test_a_baseline_makes_the_curves_of_a_cox_model() -> None:
    head, raw = head_and_raw("cox")
    generator = np.random.default_rng(2)
    times, events = generator.uniform(0.1, 10, 40), generator.random(40) < 0.7
    head.set_baseline(breslow_baseline(times, events, np.zeros(40)).at(EDGES))
    survival = head.predictions(tf.zeros(1))["survival"][0]
    np.testing.assert_allclose(survival, np.exp(-nelson_aalen(times, events).at(EDGES)), rtol=1e-5)
    assert (head.predictions(raw)[""].numpy()[np.argsort(raw)] == np.sort(head.predictions(raw)[""])[::-1]).all()


def test_incidences_and_survival_sum_to_1() -> None:
    head, raw = head_and_raw("hazard", num_causes=3)
    answers = head.predictions(raw)
    np.testing.assert_allclose(answers["incidence"].numpy().sum(axis=-1) + answers["survival"], 1.0, atol=1e-5)


def test_a_loss_for_other_intervals_says_so() -> None:
    _, raw = head_and_raw("hazard")
    with pytest.raises(ValueError, match=r"`logits.shape` must be \(B, 3\).*a model with others cannot be loaded"):
        hazard_loss(np.ones(40), np.ones(40), raw, EDGES[:3])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"edges": (2.0, 1.0)}, "`edges` must ascend from above 0"),
        ({"model": "coxx"}, "`model` must be one of .* Did you mean 'cox'"),
        ({"model": "pmf", "num_causes": 2}, "`num_causes` must be 1 with model='pmf'"),
        ({"hazards": (0.1, 0.2)}, r"`hazards` must be \(4, 1\) shares"),
        ({"hazards": (0.1, 0.2, 0.3, 1.5)}, r"`hazards` must be \(4, 1\) shares"),
        ({"shapes": 5}, "`shapes` must be at most the 4 intervals"),
        ({"shapes": 2, "model": "mtlr"}, r"`shapes` must be .* with a model of \['hazard', 'piecewise_hazard'\]"),
        ({"interpolation": "linear"}, "`interpolation` must be one of"),
    ],
)
def test_errors(arguments: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SurvivalHead(**{"edges": EDGES, **arguments})

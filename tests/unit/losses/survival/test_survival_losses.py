"""Survival losses against likelihoods written row by row from the definitions, in float64."""

import math

import lifelines
import numpy as np
import pandas
import pytest
import tensorflow as tf
from keras import ops
from scipy import stats

from tfmtl.losses.survival import (
    aft_loss,
    competing_causes_loss,
    consistency_loss,
    cox_loss,
    deephit_loss,
    hazard_loss,
    interval_censored_loss,
    mtlr_loss,
    piecewise_hazard_loss,
    pmf_loss,
    row_factors,
)
from tfmtl.survival import kaplan_meier
from tfmtl.survival.raw_curves import (
    cumulative_incidence,
    log_survival_of_hazards,
    log_survival_of_mass,
    mtlr_scores,
)

EDGES = [2.0, 4.0, 7.0]
GRID = np.append(0.0, EDGES)
NAN = math.nan
# Every kind of row: ended inside, at an edge, at time 0, beyond the last edge; running inside, at an edge, beyond.
TIMES = np.array([1.0, 2.0, 0.0, 9.0, 3.0, 4.0, 8.0, 5.0, 6.5])
EVENTS = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
ENTRIES = np.array([0.0, 0.5, NAN, 4.0, 2.0, 1.0, 7.0, 4.5, 2.5])
LOGITS = np.random.default_rng(0).normal(0, 2, (9, 3)).astype(np.float32)


def curve(survival_at_edges: np.ndarray, t: float) -> float:
    """S at the last edge that is not above t: what a discrete model knows."""
    return float(np.append(1.0, survival_at_edges)[np.searchsorted(EDGES, t, side="right")])


def likelihoods(survival: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Minus log likelihood of each row, from S at the edges alone."""
    found = []
    for own, t, e, v in zip(survival, TIMES, EVENTS, np.nan_to_num(entries), strict=True):
        padded = np.append(1.0, own)
        if e and t <= EDGES[-1]:
            j = max(int(np.searchsorted(EDGES, t, side="left")), 0)
            likelihood = padded[j] - padded[j + 1]
        else:
            likelihood = curve(own, t)
        found.append(-math.log(likelihood / curve(own, v)))
    return np.array(found)


def survival_of(logits: np.ndarray) -> np.ndarray:
    return np.cumprod(1 / (1 + np.exp(logits.astype(np.float64))), axis=1)


def mass_survival(scores: np.ndarray) -> np.ndarray:
    exp = np.exp(np.concatenate([scores, np.zeros((len(scores), 1))], axis=1).astype(np.float64))
    return 1 - np.cumsum(exp / exp.sum(axis=1, keepdims=True), axis=1)[:, :-1]


DISCRETE = {
    "hazard": (hazard_loss, survival_of),
    "pmf": (pmf_loss, mass_survival),
    "mtlr": (mtlr_loss, lambda logits: mass_survival(np.cumsum(logits[:, ::-1], axis=1)[:, ::-1])),
}


@pytest.mark.parametrize("kind", DISCRETE)
@pytest.mark.parametrize("truncated", [False, True])
def test_discrete_losses_are_the_likelihood_of_their_curve(kind: str, truncated: bool) -> None:
    loss, survival = DISCRETE[kind]
    entries = ENTRIES if truncated else None
    expected = likelihoods(survival(LOGITS), ENTRIES if truncated else np.zeros(9))
    for row in range(9):
        of_row = None if entries is None else entries[row : row + 1]
        ours = loss(TIMES[row : row + 1], EVENTS[row : row + 1], LOGITS[row : row + 1], EDGES, entries=of_row)
        assert float(ours) == pytest.approx(expected[row], rel=1e-5, abs=1e-6), row
    assert float(loss(TIMES, EVENTS, LOGITS, EDGES, entries=entries)) == pytest.approx(expected.mean(), rel=1e-5)


def test_curves_of_raw_outputs() -> None:
    np.testing.assert_allclose(ops.exp(log_survival_of_hazards(LOGITS)), survival_of(LOGITS), rtol=1e-5)
    np.testing.assert_allclose(ops.exp(log_survival_of_mass(LOGITS)), mass_survival(LOGITS), rtol=1e-4)
    np.testing.assert_allclose(mtlr_scores(LOGITS), np.cumsum(LOGITS[:, ::-1], axis=1)[:, ::-1], rtol=1e-5)


def test_hazard_is_a_masked_cross_entropy_by_hand() -> None:
    logits = LOGITS[:2].astype(np.float64)
    stopped = np.logaddexp(0, logits[0, 0]) + np.logaddexp(0, -logits[0, 1])  # lived through 1, ended in 2
    running = np.logaddexp(0, logits[1, 0])  # lived through 1, last seen in 2
    ours = hazard_loss([3.0, 3.0], [1.0, 0.0], LOGITS[:2], EDGES)
    assert float(ours) == pytest.approx((stopped + running) / 2, rel=1e-6)
    halfway = hazard_loss([3.0, 3.0], [1.0, 0.0], LOGITS[:2], EDGES, midpoint=True)
    assert float(halfway) == pytest.approx((stopped + running + np.logaddexp(0, logits[1, 1])) / 2, rel=1e-6)


def test_intervals_that_do_not_count_have_a_gradient_of_exactly_zero() -> None:
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = hazard_loss(TIMES, EVENTS, logits, EDGES, entries=ENTRIES)
    gradient = tape.gradient(loss, logits).numpy()
    assert (gradient[0, 1:] == 0).all()  # ended in 1
    assert (gradient[4] == 0).all()  # entered at 2, last seen at 3: lived through none
    assert (gradient[3, :2] == 0).all()  # entered at 4
    assert gradient[3, 2] != 0


def test_one_interval_is_logistic_regression() -> None:
    logits = LOGITS[:, :1]
    observed = (TIMES >= 2) | (EVENTS == 1)  # known whether it ended by 2
    labels = (TIMES <= 2) & (EVENTS == 1)
    z = logits[:, 0].astype(np.float64)
    expected = np.where(observed, np.logaddexp(0, z) - labels * z, 0).sum() / len(z)
    assert float(hazard_loss(TIMES, EVENTS, logits, [2.0])) == pytest.approx(expected, rel=1e-5)


def random_rows(size: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    times = generator.exponential(4, size)
    limits = np.append(np.array(EDGES), 20.0)[generator.integers(0, 4, size)]  # censored at edges only
    return np.minimum(times, limits).astype(np.float32), (times <= limits).astype(np.float32)


def slope_at(loss, logits: np.ndarray) -> np.ndarray:
    """The gradient with respect to one output for all rows."""
    output = tf.Variable(logits[None].astype(np.float32))
    with tf.GradientTape() as tape:
        value = loss(output)
    return tape.gradient(value, output).numpy()


def test_the_best_constant_hazards_are_kaplan_meier() -> None:
    times, events = random_rows()
    survival = np.append(1.0, kaplan_meier(times, events).at(EDGES))
    hazards = 1 - survival[1:] / survival[:-1]

    def loss(logits):
        return hazard_loss(times, events, tf.repeat(logits, len(times), axis=0), EDGES)

    best = np.log(hazards / (1 - hazards))
    np.testing.assert_allclose(slope_at(loss, best), 0.0, atol=1e-6)
    assert np.abs(slope_at(loss, best + 0.1)).min() > 1e-3


def test_the_best_constant_rate_is_events_over_time_at_risk() -> None:
    times, events = random_rows()

    def loss(logits):
        return piecewise_hazard_loss(times, events, tf.repeat(logits, len(times), axis=0), [25.0])

    eta = 25.0 * events.sum() / times.sum()
    best = np.array([np.log(np.expm1(eta))])
    np.testing.assert_allclose(slope_at(loss, best), 0.0, atol=1e-6)
    assert np.abs(slope_at(loss, best + 0.1)).min() > 1e-3


def test_piecewise_hazard_by_hand() -> None:
    eta = np.logaddexp(0, LOGITS.astype(np.float64))
    expected = []
    for row, (t, e, v) in enumerate(zip(TIMES, EVENTS, np.nan_to_num(ENTRIES), strict=True)):
        observed = np.clip(np.minimum(t, GRID[1:]) - np.maximum(v, GRID[:-1]), 0, None) / np.diff(GRID)
        value = (eta[row] * observed).sum()
        if e and t <= EDGES[-1]:
            value -= math.log(eta[row, np.searchsorted(EDGES, t)])
        expected.append(value)
    ours = piecewise_hazard_loss(TIMES, EVENTS, LOGITS, EDGES, entries=ENTRIES)
    assert float(ours) == pytest.approx(np.mean(expected), rel=1e-5)


def test_splitting_a_row_changes_neither_loss_nor_gradient() -> None:
    logits = tf.Variable(LOGITS[:1])
    with tf.GradientTape(persistent=True) as tape:
        whole = piecewise_hazard_loss([6.0], [1.0], logits, EDGES)
        both = tf.concat([logits, logits], axis=0)
        parts = 2 * piecewise_hazard_loss([3.1, 6.0], [0.0, 1.0], both, EDGES, entries=[0.0, 3.1])
    assert float(parts) == pytest.approx(float(whole), abs=1e-6)
    np.testing.assert_allclose(tape.gradient(parts, logits), tape.gradient(whole, logits), atol=1e-6)


def test_softplus_of_very_small_rates_keeps_its_logarithm() -> None:
    logits = tf.Variable([[-60.0]])
    with tf.GradientTape() as tape:
        loss = piecewise_hazard_loss([1.0], [1.0], logits, [2.0])
    assert float(loss) == pytest.approx(60.0)
    assert float(tape.gradient(loss, logits)[0, 0]) == pytest.approx(-1.0)


def test_one_cause_is_the_hazard_loss() -> None:
    ours = competing_causes_loss(TIMES, EVENTS, np.zeros(9), LOGITS[..., None], EDGES, entries=ENTRIES)
    assert float(ours) == pytest.approx(float(hazard_loss(TIMES, EVENTS, LOGITS, EDGES, entries=ENTRIES)), rel=1e-5)


def test_two_causes_by_hand() -> None:
    logits = np.random.default_rng(2).normal(size=(2, 3, 2))
    exp = np.exp(np.concatenate([np.zeros((2, 3, 1)), logits], axis=-1))
    p = exp / exp.sum(axis=-1, keepdims=True)
    ended = -math.log(p[0, 0, 0] * p[0, 1, 2])  # lived through 1, ended by cause 1 in 2
    running = -math.log(p[1, 0, 0])
    ours = competing_causes_loss([3.0, 3.0], [1.0, 0.0], [1.0, NAN], logits, EDGES)
    assert float(ours) == pytest.approx((ended + running) / 2, rel=1e-5)


def test_incidences_and_survival_sum_to_one() -> None:
    logits = np.random.default_rng(3).normal(0, 3, (5, 3, 4))
    incidence = ops.convert_to_numpy(cumulative_incidence(logits))
    alive = np.exp(logits).sum(axis=-1)
    survival = np.cumprod(1 / (1 + alive), axis=1)
    np.testing.assert_allclose(incidence.sum(axis=-1) + survival, 1.0, atol=1e-6)


def test_interval_censoring_by_hand_and_its_limits() -> None:
    survival = np.array([[0.8, 0.5, 0.1]])
    logs = np.log(survival)

    def loss(low, high, **more) -> float:
        return float(interval_censored_loss([low], [high], logs, EDGES, **more))

    assert loss(1.0, 5.0) == pytest.approx(-math.log(0.9 - (0.5 - 0.4 / 3)), rel=1e-5)
    assert loss(3.0, math.inf) == pytest.approx(-math.log(0.65), rel=1e-5)  # right censoring
    assert loss(3.0, NAN) == loss(3.0, 99.0) == loss(3.0, math.inf)
    assert loss(0.0, 4.0) == pytest.approx(-math.log(0.5), rel=1e-5)  # left censoring
    assert loss(3.0, 4.0, entries=[2.0]) == pytest.approx(-math.log((0.65 - 0.5) / 0.8), rel=1e-5)
    # As the interval closes: density times its length, the density being 0.3 over 2.
    assert loss(3.0, 3.01) + math.log(0.01) == pytest.approx(-math.log(0.15), abs=1e-3)
    rate = math.log(0.8 / 0.5) / 2
    at_3 = 0.8 * math.exp(-rate)
    narrow = loss(3.0, 3.01, interpolation="constant_hazard") + math.log(0.01)
    assert narrow == pytest.approx(-math.log(rate * at_3), abs=5e-3)


def test_an_empty_interval_is_finite_with_a_finite_gradient() -> None:
    logs = tf.Variable([[-0.1, -0.2, -0.3]])
    with tf.GradientTape() as tape:
        loss = interval_censored_loss([9.0, 3.0], [9.0, 3.0], tf.repeat(logs, 2, axis=0), EDGES)
    assert np.isfinite(float(loss))
    assert np.isfinite(tape.gradient(loss, logs).numpy()).all()


DISTRIBUTIONS = {
    "normal": stats.norm,
    "logistic": stats.logistic,
    "extreme": stats.gumbel_l,
}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_aft_by_hand(distribution: str) -> None:
    law = DISTRIBUTIONS[distribution]
    outputs = np.random.default_rng(4).normal(size=(9, 2)).astype(np.float32)
    mu, sigma = outputs[:, 0].astype(np.float64), np.logaddexp(0, outputs[:, 1].astype(np.float64)) + 1e-3
    times = np.maximum(TIMES, 0.25)
    z = (np.log(times) - mu) / sigma
    entries = np.nan_to_num(ENTRIES)
    seen = np.where(entries > 0, law.logsf((np.log(np.maximum(entries, 1e-9)) - mu) / sigma), 0.0)
    expected = seen - np.where(EVENTS > 0, law.logpdf(z) - np.log(sigma * times), law.logsf(z))
    ours = aft_loss(times, EVENTS, outputs, distribution=distribution, entries=ENTRIES)
    assert float(ours) == pytest.approx(expected.mean(), rel=1e-4)
    upper = times + 2
    between = seen - np.log(law.sf(z) - law.sf((np.log(upper) - mu) / sigma))
    ours = aft_loss(times, EVENTS, outputs, distribution=distribution, entries=ENTRIES, upper=upper)
    assert float(ours) == pytest.approx(between.mean(), rel=1e-3)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_aft_is_finite_for_rows_it_finds_impossible(distribution: str) -> None:
    outputs = tf.Variable([[-30.0, -9.0], [30.0, -9.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = aft_loss([5.0, 5.0, 0.0], [0.0, 1.0, 1.0], outputs, distribution=distribution)
    assert np.isfinite(float(loss))
    gradient = tape.gradient(loss, outputs).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[:2, 0] != 0).all()


def cox_by_hand(times, events, risks, entries, ties: str) -> float:
    total = 0.0
    for t in np.unique(times[events > 0]):
        tied = (times == t) & (events > 0)
        at_risk = (times >= t) & (entries < t)
        for number in range(tied.sum()):
            gone = number / tied.sum() if ties == "efron" else 0.0
            total += math.log(np.exp(risks[at_risk]).sum() - gone * np.exp(risks[tied]).sum())
        total -= risks[tied].sum()
    return total / len(times)


def cox_rows(size: int = 40):
    generator = np.random.default_rng(5)
    times = generator.integers(1, 8, size).astype(float)
    return times, (generator.random(size) < 0.6).astype(float), generator.normal(0, 2, size)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("truncated", [False, True])
def test_cox_by_hand(ties: str, truncated: bool) -> None:
    times, events, risks = cox_rows()
    entries = np.floor(times / 2) if truncated else np.zeros(len(times))
    ours = cox_loss(times, events, risks, entries=entries if truncated else None, ties=ties)
    assert float(ours) == pytest.approx(cox_by_hand(times, events, risks, entries, ties), rel=1e-5)


def test_cox_equals_lifelines() -> None:
    times, events, features = cox_rows(200)
    model = lifelines.CoxPHFitter()
    model.fit(pandas.DataFrame({"t": times, "e": events, "x": features}), "t", "e")
    risks = features * model.params_["x"]
    ours = -float(cox_loss(times, events, risks)) * len(times)
    assert ours == pytest.approx(model.log_likelihood_, rel=1e-5)


def test_cox_knows_only_differences_and_ties_matter_only_where_there_are_any() -> None:
    times, events, risks = cox_rows()
    assert float(cox_loss(times, events, risks + 50)) == pytest.approx(float(cox_loss(times, events, risks)), rel=1e-4)
    distinct = np.arange(1.0, 41.0)
    efron, breslow = (float(cox_loss(distinct, events, risks, ties=ties)) for ties in ("efron", "breslow"))
    assert efron == pytest.approx(breslow, rel=1e-6)
    assert float(cox_loss(times, events, risks)) != pytest.approx(float(cox_loss(times, events, risks, ties="breslow")))
    assert float(cox_loss([1.0], [1.0], [3.0])) == 0.0


def test_cox_of_weight_2_is_two_rows_under_breslow() -> None:
    times, events, risks = cox_rows(10)
    weights = np.array([2.0, 1.0, 1.0, 0.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0])
    twice = np.repeat(np.arange(10), weights.astype(int))
    repeated = cox_loss(times[twice], events[twice], risks[twice], ties="breslow")
    assert float(cox_loss(times, events, risks, weights=weights, ties="breslow")) == pytest.approx(
        float(repeated), rel=1e-5
    )


def test_deephit_is_the_pmf_loss_and_its_pairs() -> None:
    masses = np.exp(np.concatenate([LOGITS, np.zeros((9, 1))], axis=1).astype(np.float64))
    incidence = np.cumsum(masses / masses.sum(axis=1, keepdims=True), axis=1)
    pairs = []
    for i in range(9):
        for j in range(9):
            if EVENTS[i] and TIMES[i] <= EDGES[-1] and TIMES[i] < TIMES[j]:
                k = np.searchsorted(EDGES, TIMES[i])
                pairs.append(math.exp((incidence[j, k] - incidence[i, k]) / 0.5))
    plain = float(pmf_loss(TIMES, EVENTS, LOGITS, EDGES))
    ours = float(deephit_loss(TIMES, EVENTS, LOGITS, EDGES, ranking=0.3, temperature=0.5))
    assert ours == pytest.approx(plain + 0.3 * np.mean(pairs), rel=1e-5)
    assert float(deephit_loss(TIMES, EVENTS, LOGITS, EDGES, ranking=0.0)) == pytest.approx(plain, rel=1e-6)


def test_factors_multiply_a_row_and_are_not_divided_by() -> None:
    plain = float(hazard_loss(TIMES, EVENTS, LOGITS, EDGES))
    none, twice = row_factors(np.full(9, NAN)), row_factors(np.ones(9))
    assert float(hazard_loss(TIMES, EVENTS, LOGITS, EDGES, factors=none)) == plain
    assert float(hazard_loss(TIMES, EVENTS, LOGITS, EDGES, factors=twice)) == pytest.approx(2 * plain, rel=1e-6)


def test_consistency_is_zero_where_both_agree_and_leaves_out_rows_of_weight_0() -> None:
    one, other = np.array([[0.5, 0.2], [0.9, NAN]]), np.array([[0.5, 0.2], [0.1, 0.3]])
    assert float(consistency_loss(one, other, [1.0, 0.0])) == 0.0
    assert float(consistency_loss(one[:1], other[1:], [2.0])) == pytest.approx(0.16 + 0.01, rel=1e-5)

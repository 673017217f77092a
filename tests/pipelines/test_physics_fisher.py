"""The solver of the Fisher family against exact solutions."""

import numpy as np
import pytest

from tfmtl.pipelines.physics import fisher
from tfmtl.pipelines.physics.gaussian_fields import gaussian_fields


def test_exact_solution_to_second_order() -> None:
    errors = [fisher.exact_error(step) for step in (0.02, 0.01, 0.005)]
    assert fisher.exact_error() < 1e-6
    assert np.log2(errors[0] / errors[2]) / 2.0 >= 1.8


def test_without_reaction_it_is_the_heat_equation() -> None:
    x, t = np.arange(64) / 64, np.linspace(0, 1, 20)[:, None]
    start = 1.0 + np.sin(2 * np.pi * x) + 0.5 * np.cos(6 * np.pi * x)
    rates = [0.01 * (2 * np.pi * k) ** 2 for k in (1, 3)]
    exact = 1.0 + np.exp(-rates[0] * t) * np.sin(2 * np.pi * x) + 0.5 * np.exp(-rates[1] * t) * np.cos(6 * np.pi * x)
    np.testing.assert_allclose(fisher.solve(start[None], np.zeros((1, 4)))[0], exact, atol=1e-10)


@pytest.mark.parametrize("form", ["F1", "F2"])
def test_zero_and_one_stay_and_nothing_leaves_between(form: str) -> None:
    reaction = fisher.coefficients(form)[[9, 9, 9]]
    start = np.stack([np.zeros(64), np.ones(64), np.random.default_rng(0).uniform(size=64)])
    fields = fisher.solve(start, reaction, step=0.01)
    np.testing.assert_array_equal(fields[0], 0.0)
    np.testing.assert_allclose(fields[1], 1.0, atol=1e-9)
    assert fields[2, 1:].min() >= 0.0
    assert fields[2, 1:].max() <= 1.0


def test_coefficients_are_those_of_the_forms() -> None:
    u = np.linspace(0, 1, 11)
    powers = np.stack([u, u**2, u**3, u**4])
    a = 0.7
    np.testing.assert_allclose(fisher.coefficients("F1")[6] @ powers, a * u * (1 - u), atol=1e-15)
    np.testing.assert_allclose(fisher.coefficients("F2")[6] @ powers, a * u * (1 - u**2), atol=1e-15)
    np.testing.assert_allclose(fisher.coefficients("F3")[6] @ powers, a * u**2 * (1 - u), atol=1e-15)
    b = np.linspace(0.5, 2.0, 10)[3]
    expanded = a * u * (1 - u) * np.exp(-b) * (1 + b * u + (b * u) ** 2 / 2)
    np.testing.assert_allclose(fisher.coefficients("F4")[63] @ powers, expanded, atol=1e-15)
    with pytest.raises(ValueError, match="`form` must be one of"):
        fisher.coefficients("F5")


def test_samples_are_seeded_and_ordered_by_time_first() -> None:
    one, other = fisher.samples("F4", 3, 0), fisher.samples("F4", 3, 0)
    np.testing.assert_array_equal(one.targets, other.targets)
    assert np.any(fisher.samples("F4", 3, 1).targets != one.targets)
    assert np.any(fisher.samples("F1", 3, 0).inputs["initial"] != one.inputs["initial"])
    np.testing.assert_array_equal(one.targets[:, :64], one.inputs["initial"])
    np.testing.assert_allclose(one.points[:64, 1], np.arange(64) / 64)
    assert not one.points[:64, 0].any()
    with pytest.raises(ValueError, match="`count` must be a positive int"):
        fisher.samples("F1", 0, 0)


def test_gaussian_fields_have_variance_one_and_the_given_correlation() -> None:
    fields = gaussian_fields(400, (40, 40), (2.0, 2.0), 0.2, np.random.RandomState(0))
    assert np.mean(fields) == pytest.approx(0.0, abs=0.05)
    assert np.var(fields) == pytest.approx(1.0, abs=0.05)
    shifted = np.mean(fields * np.roll(fields, 4, axis=1))  # at distance 0.2
    assert shifted == pytest.approx(np.exp(-0.5), abs=0.05)

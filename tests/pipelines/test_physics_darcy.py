"""The solver of Darcy's flow against exact solutions."""

import numpy as np
import pytest

from tfmtl.pipelines.physics import darcy, need_scipy


def test_exact_solution_to_second_order() -> None:
    errors = [darcy.exact_error(cells) for cells in (16, 32, 64)]
    assert errors[1] < 2e-3
    assert np.log2(errors[0] / errors[2]) / 2.0 >= 1.9


def test_circle_to_first_order_at_least() -> None:
    errors = [darcy.circle_error(cells) for cells in (16, 64)]
    assert errors[0] < 0.06
    assert np.log2(errors[0] / errors[1]) / 2.0 >= 1.0


def test_matrix_is_positive_and_solves_the_equation() -> None:
    generator = np.random.default_rng(0)
    k, mask = np.exp(generator.normal(size=(8, 8))), darcy.geometry("ell", 8)
    band = darcy.banded_matrix(k, mask)
    matrix = sum(np.diag(band[j, : 64 - j], -j) for j in range(9))
    matrix = matrix + matrix.T - np.diag(np.diag(matrix))
    assert np.linalg.eigvalsh(matrix).min() > 0
    u = darcy.solve(k, mask)
    np.testing.assert_allclose(matrix @ u.ravel(), mask.ravel(), atol=1e-9)
    # What flows into a cell inside comes from its neighbors inside alone.
    assert not matrix[np.ix_(mask.ravel(), ~mask.ravel())].any()


@pytest.mark.parametrize("name", darcy.GEOMETRIES)
def test_signs_scales_and_mirrors(name: str) -> None:
    k = np.exp(np.random.default_rng(0).normal(size=(16, 16)))
    mask = darcy.geometry(name, 16)
    u = darcy.solve(k, mask)
    assert u[mask].min() > 0
    assert not u[~mask].any()
    np.testing.assert_allclose(darcy.solve(0.5 * k, mask), 2.0 * u, rtol=1e-10)
    if name != "ell":  # the others are symmetric in x
        np.testing.assert_allclose(darcy.solve(k[::-1], mask), u[::-1], rtol=1e-9, atol=1e-15)


def test_samples_are_seeded_and_masked() -> None:
    one = darcy.samples("triangle", 2, 0, cells=8)
    np.testing.assert_array_equal(one.targets, darcy.samples("triangle", 2, 0, cells=8).targets)
    assert np.any(one.targets != darcy.samples("triangle", 2, 1, cells=8).targets)
    np.testing.assert_array_equal(one.inputs["geometry"].reshape(2, -1) > 0, one.mask)
    assert one.points.shape == (64, 2)


def test_wrong_arguments_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="`name` must be one of"):
        darcy.geometry("star", 16)
    with pytest.raises(ValueError, match="`cells` must be at least 8"):
        darcy.geometry("cross", 4)
    with pytest.raises(ValueError, match="`k` must be positive and finite"):
        darcy.solve(np.full((8, 8), -1.0), np.ones((8, 8), bool))
    monkeypatch.setattr(need_scipy.importlib, "import_module", _missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tfmtl\[physics\]'"):
        darcy.solve(np.ones((8, 8)), np.ones((8, 8), bool))


def _missing(name: str) -> None:
    raise ModuleNotFoundError(name)

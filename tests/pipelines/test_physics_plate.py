"""The solver of the heated plate against exact solutions."""

import numpy as np
import pytest

from tfmtl.pipelines.physics import plate

COARSE = (42, 21, 2)


def test_without_holes_the_profile_is_linear() -> None:
    assert plate.exact_error((24, 12, 3)) < 1e-6


def test_refinement_converges() -> None:
    masks = [plate.solid(3, 0.5, cells) for cells in ((32, 16, 4), (64, 32, 4))]
    means = [plate.solve(mask)[mask].mean() for mask in masks]
    assert means[0] == pytest.approx(0.327, abs=2e-3)
    assert means[1] == pytest.approx(0.354, abs=2e-3)


def test_bounds_and_symmetry() -> None:
    mask = plate.solid(4, 0.5, COARSE)
    field = plate.solve(mask)
    assert field.min() >= 0.0
    assert 0.5 < field.max() <= 1.0
    assert not field[~mask].any()
    np.testing.assert_allclose(field[:, ::-1], field, atol=1e-7)
    np.testing.assert_allclose(field, field[:, :, :1].repeat(2, axis=2), atol=1e-7)  # nothing happens along z


@pytest.mark.parametrize(("holes", "cells"), [(3, (16, 8, 2)), (9, (32, 16, 4))])
def test_a_voxel_too_coarse_for_a_cylinder_is_refused(holes: int, cells: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"`cells` must be fine enough for a cylinder of radius .* Use at least"):
        plate.solid(holes, 0.5, cells)


def test_at_the_usual_resolution_every_cylinder_is_there() -> None:
    for holes in plate.HOLES:
        for place in plate.PLACES:
            hollow = ~plate.solid(holes, float(place))[:, :, 0]
            middles = np.round(2.0 * np.arange(1, holes + 1) / (holes + 1) * 24 - 0.5).astype(int)
            assert all(hollow[middle - 1 : middle + 2].any() for middle in middles)
    with pytest.raises(ValueError, match="`place` must keep the cylinders inside"):
        plate.solid(2, 0.05)


def test_samples_have_a_task_for_each_number_of_holes() -> None:
    data = plate.samples(COARSE, (0, 7))
    assert len(data) == 16
    assert data.task_names[0] == "2 holes"
    assert data.inputs["design"].min() == 0.0
    assert data.inputs["design"].max() == 1.0
